"""Destinations that answer by themselves with a few bytes: redirects, fixed replies, and "not found"."""

from __future__ import annotations

from proxy import engine, faults
from proxy.exchange import Exchange
from proxy.http.target import host_name
from proxy.verdict import Reply


class Redirect:
    """Sends the client elsewhere: in `to`, {host}, {path} (with the query) and {scheme} are the request's own."""

    __slots__ = ("_status", "_to")

    def __init__(self, to: str, status: int) -> None:
        self._to = to.encode()
        self._status = status

    def send(self, exchange: Exchange) -> None:
        """Answer."""
        host = exchange.fields.host
        name = host_name(host) if host is not None else b"localhost"
        place = self._to.replace(b"{scheme}", exchange.client.scheme).replace(b"{host}", name)
        path = exchange.line.origin
        if place.startswith(b"{path}"):  # `//evil` alone would name a host (RFC 3986 section 4.2)
            path = b"/" + path.lstrip(b"/")
        place = place.replace(b"{path}", path)
        engine.reply(exchange, Reply(self._status, fields=b"Location: %b\r\n" % place))


class FixedReply:
    """The same answer to everybody."""

    __slots__ = ("_reply",)

    def __init__(self, status: int, body: bytes, content_type: bytes) -> None:
        self._reply = Reply(status, body, content_type=content_type)

    def send(self, exchange: Exchange) -> None:
        """Answer."""
        engine.reply(exchange, self._reply)


class Nowhere:
    """What no route takes."""

    __slots__ = ()

    def send(self, exchange: Exchange) -> None:
        """Answer 404."""
        engine.failed(exchange, faults.NO_ROUTE)
