"""Variables that speak of the PROXY header that a connection began with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.exchange import Exchange
from proxy.http.proxy_protocol import Proxied
from proxy.policy.template import Getter


def _proxied(exchange: Exchange) -> Proxied | None:
    return exchange.downstream.connection.proxied


def _text(read: Callable[[Proxied], bytes]) -> Getter:
    def value(exchange: Exchange) -> bytes | None:
        proxied = _proxied(exchange)
        return None if proxied is None else read(proxied)

    return value


def _port(number: int) -> bytes:
    return b"%d" % number if number else b""


def _tlv(name: str) -> Getter:
    def value(exchange: Exchange) -> bytes | None:
        proxied = _proxied(exchange)
        return None if proxied is None else proxied.value(name)

    return value


KNOWN: Final[dict[str, Getter]] = {
    "proxy_protocol_addr": _text(lambda proxied: proxied.address),
    "proxy_protocol_port": _text(lambda proxied: _port(proxied.port)),
    "proxy_protocol_server_addr": _text(lambda proxied: proxied.server_address),
    "proxy_protocol_server_port": _text(lambda proxied: _port(proxied.server_port)),
}

PREFIXES: Final[dict[str, Callable[[str], Getter]]] = {"proxy_protocol_tlv_": _tlv}
