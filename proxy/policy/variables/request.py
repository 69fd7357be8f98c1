"""Variables that speak of the request: its line, its fields, where it was led."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from proxy.exchange import Exchange
from proxy.http.target import host_name
from proxy.policy.template import Getter


def uri(exchange: Exchange) -> bytes:
    """The canonical path as it is now."""
    return exchange.line.path if exchange.course is None else exchange.course.uri


def _uri(exchange: Exchange) -> bytes:
    """The same for who asks; that of a request line which could not be read is nothing."""
    unread = exchange.line.fault is not None or exchange.line.method == b"-"
    return b"" if exchange.course is None and unread else uri(exchange)


def args(exchange: Exchange) -> bytes:
    """The query as it is now."""
    return exchange.line.query if exchange.course is None else exchange.course.args


def argument(exchange: Exchange, name: bytes) -> bytes | None:
    """One argument of the query, as it was sent; names match in any case, the first one counts."""
    for pair in args(exchange).split(b"&"):
        known, equals, value = pair.partition(b"=")
        if equals and known.lower() == name:
            return value
    return None


def host(exchange: Exchange) -> bytes:
    """The lower-case host that was asked for, without its port; the site's first name if none was."""
    asked = exchange.fields.host
    if asked:
        return host_name(asked)
    return exchange.route.site_name


def field(name: str) -> Getter:
    """`$http_name`: a request field, several joined with a comma (cookies with a semicolon)."""
    wanted = name.replace("_", "-").encode()
    between = b"; " if wanted == b"cookie" else b", "

    def value(exchange: Exchange) -> bytes | None:
        found = [value for known, value in exchange.fields.fields if known == wanted]
        return between.join(found) if found else None

    return value


def _cookie(name: str) -> Getter:
    wanted = name.encode()

    def value(exchange: Exchange) -> bytes | None:
        for known, content in exchange.fields.fields:
            if known == b"cookie":
                for pair in content.split(b";"):
                    key, equals, text = pair.strip().partition(b"=")
                    if equals and key.lower() == wanted:
                        return text
        return None

    return value


def _argument(name: str) -> Getter:
    return lambda exchange: argument(exchange, name.encode()) if name else None


def _method(exchange: Exchange) -> bytes:
    course = exchange.course
    return course.method or exchange.line.method if course is not None else exchange.line.method


def _line(exchange: Exchange) -> bytes:
    line = exchange.line
    return b"%b %b %b" % (line.method, line.target, line.version) if line.method != b"-" else b""


def _taken(exchange: Exchange) -> bytes:
    return b"%.3f" % ((exchange.finished or exchange.clock.now) - exchange.started)


def _written(form: str) -> Getter:
    def value(exchange: Exchange) -> bytes:
        return datetime.fromtimestamp(exchange.clock.wall, UTC).astimezone().strftime(form).encode()

    return value


def _iso(exchange: Exchange) -> bytes:
    return datetime.fromtimestamp(int(exchange.clock.wall), UTC).astimezone().isoformat().encode()


def _length(exchange: Exchange) -> bytes:
    size = exchange.line.size + exchange.fields.size + 2 + exchange.body_in
    return b"%d" % (size - exchange.downstream.connection.mended)


def _port(exchange: Exchange) -> bytes:
    """The port that was asked for, if one was."""
    asked = exchange.fields.host or b""
    _, colon, port = asked.rpartition(b":")
    return port if colon and port.isdigit() else b""


KNOWN: Final[dict[str, Getter]] = {
    "args": args,
    "arg": args,
    "content_length": lambda exchange: exchange.fields.get(b"content-length"),
    "content_type": field("content_type"),
    "document_uri": _uri,
    "host": host,
    "is_args": lambda exchange: b"?" if args(exchange) else b"",
    "msec": lambda exchange: b"%.3f" % exchange.clock.wall,
    "query_string": args,
    "request": _line,
    "request_completion": lambda exchange: b"OK" if exchange.finished and exchange.fault is None else b"",
    "request_id": lambda exchange: exchange.request_id,
    "request_length": _length,
    "request_port": _port,
    "is_request_port": lambda exchange: b":" if _port(exchange) else b"",
    "request_method": _method,
    "request_time": _taken,
    "request_uri": lambda exchange: exchange.line.origin if exchange.line.method != b"-" else None,
    "request_body": lambda exchange: exchange.body or None,
    "server_name": lambda exchange: exchange.route.site_name,
    "site": lambda exchange: exchange.route.site.encode(),
    "time_iso8601": _iso,
    "time_local": _written("%d/%b/%Y:%H:%M:%S %z"),
    "uri": _uri,
}

PREFIXES: Final[dict[str, Callable[[str], Getter]]] = {"http_": field, "cookie_": _cookie, "arg_": _argument}
