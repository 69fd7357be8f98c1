"""Variables that speak of the connection: addresses, ports, the process behind them."""

from __future__ import annotations

from typing import Final

from proxy.exchange import Exchange
from proxy.policy.template import Getter


def _number(value: int) -> bytes:
    return b"%d" % value if value else b""


def _scheme(exchange: Exchange) -> bytes:
    return exchange.client.scheme


def _remote_port(exchange: Exchange) -> bytes:
    client = exchange.client
    if client.port or client.told:  # whoever told may have left the port out
        return _number(client.port)
    return _number(exchange.downstream.connection.port)


def _told(exchange: Exchange) -> None:
    """What only a running worker can tell, which declares these anew."""


KNOWN: Final[dict[str, Getter]] = {
    "connections_active": _told,
    "connections_reading": _told,
    "connections_waiting": _told,
    "connections_writing": _told,
    "binary_remote_addr": lambda exchange: exchange.client.packed or b"unix:",
    "hostname": _told,
    "http2": lambda exchange: exchange.downstream.connection.http2,
    "http3": _told,
    "pid": _told,
    "connection": lambda exchange: b"%d" % exchange.downstream.connection.serial,
    "connection_requests": lambda exchange: b"%d" % exchange.downstream.connection.requests,
    "connection_time": lambda exchange: b"%.3f" % (exchange.clock.now - exchange.downstream.connection.opened),
    "https": lambda exchange: b"on" if exchange.client.scheme == b"https" else b"",
    "nginx_version": lambda exchange: b"1.31.5",
    "pipe": lambda exchange: b"p" if exchange.downstream.connection.piped else b".",
    "realip_remote_addr": lambda exchange: exchange.downstream.connection.address,
    "realip_remote_port": lambda exchange: _number(exchange.downstream.connection.port),
    "remote_addr": lambda exchange: exchange.client.address,
    "remote_port": _remote_port,
    "scheme": _scheme,
    "request_scheme": _scheme,
    "server_addr": lambda exchange: exchange.downstream.connection.server_address,
    "server_port": lambda exchange: _number(exchange.downstream.connection.server_port),
    "server_protocol": lambda exchange: exchange.line.version,
}
