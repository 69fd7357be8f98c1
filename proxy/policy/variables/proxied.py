"""Variables that speak of the request as a backend gets it (nginx's proxy module)."""

from __future__ import annotations

from typing import Final

from proxy.exchange import Exchange
from proxy.policy.template import Getter, stored


def _host(exchange: Exchange) -> bytes | None:
    composer = exchange.route.composer
    return composer.whereto(exchange).host or None if composer is not None else None


def _port(exchange: Exchange) -> bytes | None:
    composer = exchange.route.composer
    return composer.whereto(exchange).port if composer is not None else None


def forwarded_for(exchange: Exchange) -> bytes:
    """The client's X-Forwarded-For, with the client's own address behind it."""
    said = [value for name, value in exchange.fields.fields if name == b"x-forwarded-for"]
    return b", ".join([*said, exchange.client.address])


def _body_length(exchange: Exchange) -> bytes | None:
    fields = exchange.fields
    if fields.chunked and exchange.upload_done:
        return b"%d" % (exchange.store.size if exchange.store is not None else len(exchange.body))
    return b"%d" % fields.length if fields.length >= 0 else None


def _chunked(exchange: Exchange) -> bytes | None:
    return b"chunked" if exchange.fields.chunked and not exchange.upload_done else None


KNOWN: Final[dict[str, Getter]] = {
    "proxy_add_x_forwarded_for": forwarded_for,
    "proxy_host": _host,
    "proxy_internal_body_length": _body_length,
    "proxy_internal_chunked": _chunked,
    "proxy_port": _port,
    "request_body_file": stored("request_body_file"),
}
