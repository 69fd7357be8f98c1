"""Destinations that answer by themselves with a few bytes: redirects, fixed replies, and "not found"."""

from __future__ import annotations

from typing import Any

from proxy import engine, faults
from proxy.exchange import Exchange
from proxy.http.escape import escaped_path
from proxy.http.headers import unbroken
from proxy.http.target import host_name
from proxy.policy import attempts
from proxy.verdict import Reply


def with_slash(exchange: Exchange) -> Reply:
    """The redirect to the same path with a slash at its end, and never to another host."""
    course = exchange.course
    uri, args = (exchange.line.path, exchange.line.query) if course is None else (course.uri, course.args)
    place = escaped_path(b"/" + uri.lstrip(b"/")) + b"/" + (b"?" + args if args else b"")
    return Reply(301, fields=b"Location: %b\r\n" % unbroken(place))


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


class SlashAdded:
    """Sends the client to the same path with a slash at its end."""

    __slots__ = ()

    def send(self, exchange: Exchange) -> None:
        """Answer."""
        engine.reply(exchange, with_slash(exchange))


class Unlive:
    """Stands in for an upstream of this name that has no backend to give, as nginx does it: with 502, and with the
    upstream itself as who was asked."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name.encode()

    def send(self, exchange: Exchange) -> None:
        """Answer 502, or what the last attempt has failed with if nobody is left who was not asked."""
        left = not exchange.tried or _able(exchange) > len(exchange.tried)
        if left:
            attempts.nobody(exchange, self._name, faults.NO_LIVE.status)
        engine.failed(exchange, faults.NO_LIVE if left else faults.NO_BACKEND)


def _able(exchange: Exchange) -> int:
    """How many backends the upstream of the last attempt has, but for those that are down."""
    group: Any = exchange.tried[-1].upstream
    return sum(not backend.down for backend in group.backends)


class Nowhere:
    """What no route takes."""

    __slots__ = ()

    def send(self, exchange: Exchange) -> None:
        """Answer 404."""
        engine.failed(exchange, faults.NO_ROUTE)
