"""What a backend is sent on a route that has a say in it: request line, fields, framing, and perhaps another body.

Rules: pure; made at load, of templates. With `identity` a request is frontgate's own (who the client is stands in
fields that only we write); without, it is what nginx's proxy module sends by default, to the field. Either way the
framing is ours: no setting can make a backend read another length than is sent. What comes from variables can end
neither a line nor a request target.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from proxy.exchange import Exchange
from proxy.http.escape import escaped_path
from proxy.http.headers import OURS, TOKEN, connection_options, has_option, unbroken
from proxy.http.memo import Memo
from proxy.http.message import RequestFields
from proxy.http.outgoing import Outgoing, Place
from proxy.http.request import UPGRADE, WEBSOCKET, switches, upgrades
from proxy.http.traceparent import FIELDS, PARENT
from proxy.policy.template import Template
from proxy.policy.tracing import trace_of

NOT_PASSED: Final = frozenset(
    (
        b"connection", b"content-length", b"expect", b"host", b"http2-settings", b"keep-alive", b"proxy",
        b"proxy-connection", b"te", b"transfer-encoding", b"upgrade",
    )
)  # fmt: skip
"""What nginx does not pass unless it is set; and httpoxy's field."""
FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))
_UNFIT: Final = re.compile(rb"[\x00-\x20\x7f]")  # what may not stand in a request target


class Target:
    """The target of the request line. `path` takes the place of the first `own` bytes of the URI (None: nothing is
    replaced, and what the client sent goes on byte for byte)."""

    __slots__ = ("_own", "_path")

    def __init__(self, path: bytes | None = None, own: int = 0) -> None:
        self._path = path
        self._own = own

    def __call__(self, exchange: Exchange) -> bytes:
        """As ngx_http_proxy_create_request makes it."""
        course, line = exchange.course, exchange.line
        changed = course is not None and course.changed
        if course is not None and isinstance(course.place, Place) and course.place.target:
            return fit(course.place.target)
        if self._path is None and not changed:
            return line.origin
        uri, args = (line.path, line.query) if course is None else (course.uri, course.args)
        path = self._path
        if path is None or (course is not None and course.stayed):
            path, rest = b"", uri
        else:
            rest = uri[self._own :]
        if changed or b"%" in line.origin.partition(b"?")[0]:
            rest = escaped_path(rest)
        return fit(b"%b%b?%b" % (path, rest, args) if args else path + rest)


def fit(target: bytes) -> bytes:
    """A request target that cannot end its line; "/" for none."""
    return _UNFIT.sub(lambda match: b"%%%02X" % match[0][0], target) if _UNFIT.search(target) else target or b"/"


class Composer:
    """Writes requests. `place` is where they go when no variables say so (None: the backend's own address), `host` the
    Host field (None: the place's), `fields` what is set, in order: an empty value takes the field out. `headers` says
    whether the client's fields are passed, `passes` whether its body is, and `body` takes that one's place."""

    __slots__ = (
        "_body", "_fields", "_headers", "_host", "_lines", "_method", "_minor", "_named", "_passes", "_rendered",
        "_target", "_traced", "_underscores", "_upgrade", "identity", "least", "links", "place"
    )  # fmt: skip

    def __init__(
        self,
        *,
        target: Target | None = None,
        place: Place | None = None,
        identity: bool = False,
        method: Template | None = None,
        minor: int = 1,
        host: Template | None = None,
        fields: Sequence[tuple[bytes, Template]] = (),
        headers: bool = True,
        passes: bool = True,
        body: Template | None = None,
        underscores: bool = False,
        least: int = 65536,
        links: Callable[[Exchange], object] | None = None,
        traced: bool = False,
    ) -> None:
        self._target = target or Target()
        self.place = place
        self.identity = identity
        self._method = method
        self._minor = minor
        self._host = host
        self._fields = tuple([field for field in fields if field[0].lower() not in FRAMING])
        self._rendered = tuple([_rendered(name, value) for name, value in self._fields])
        named = frozenset(name.lower() for name, _ in fields)
        self._traced = traced and PARENT not in named  # else the configuration says it itself
        self._named = named | FIELDS if self._traced else named
        self._upgrade = next((value for name, value in fields if name.lower() == b"upgrade"), None)
        self._headers = headers
        self._passes = passes
        self._body = body
        self._underscores = underscores
        self.least = least
        self.links = links
        self._lines: Memo[RequestFields, bytes] = Memo()

    def __call__(self, exchange: Exchange, host: bytes) -> Outgoing:
        """A request; `host` is the address of the backend that gets it."""
        body = self._body(exchange) if self._body is not None else self._replaced(exchange)
        length, chunked = (len(body), False) if body is not None else self._framing(exchange)
        if body == b"" and self._body is None and not _has_body(exchange):
            length = -1
        lines = [b"%b %b HTTP/1.%d\r\n" % (self.method(exchange), self._target(exchange), self._minor)]
        if self.identity:
            self._own_lines(exchange, host, lines)
        else:
            self._plain_lines(exchange, host, lines)
        if length >= 0:
            lines.append(b"Content-Length: %d\r\n" % length)
        elif chunked:
            lines.append(b"Transfer-Encoding: chunked\r\n")
        trace = trace_of(exchange) if self._traced else None
        if trace is not None:
            lines.append(trace.lines(exchange))
        if not self.identity and self._headers:
            lines.append(self._passed(exchange.fields))
        lines.append(b"\r\n")
        return Outgoing(b"".join(lines), body, chunked)

    def method(self, exchange: Exchange) -> bytes:
        """The method of the request line."""
        course = exchange.course
        method = (course.method if course is not None else b"") or exchange.line.method
        if self._method is not None:
            said = self._method(exchange).upper()
            if TOKEN.fullmatch(said) and said != b"HEAD":  # its answer has no body, and its client would wait for one
                return said
        return method

    def upgrades(self, exchange: Exchange, protocol: bytes = WEBSOCKET) -> bool:
        """Whether it asks to switch to a protocol."""
        line, fields = exchange.line, exchange.fields
        if self._upgrade is None:
            return self.identity and protocol == WEBSOCKET and upgrades(line, fields)
        return switches(line, fields, protocol) and has_option(self._upgrade(exchange), protocol)

    def _replaced(self, exchange: Exchange) -> bytes | None:
        """What is sent in place of the client's body: nothing, if it is not passed, or not there (any more)."""
        course = exchange.course
        gone = course is not None and course.failed and not exchange.upload_done
        return None if self._passes and not gone and not exchange.streamed else b""

    def _framing(self, exchange: Exchange) -> tuple[int, bool]:
        """Length and chunks of the client's body; nginx gives a length to what came in chunks and is whole."""
        fields, store = exchange.fields, exchange.store
        if not fields.chunked or self.identity:
            return fields.length, fields.chunked
        if not exchange.upload_done:
            return -1, True
        return store.size if store is not None else len(exchange.body), False

    def _plain_lines(self, exchange: Exchange, host: bytes, lines: list[bytes]) -> None:
        """Host, and what is set."""
        asked = unbroken(self._host(exchange)) if self._host is not None else b""
        if not asked and (self._host is None or self._minor):
            asked = unbroken(self.whereto(exchange, host).host)  # a part of a URL with variables, perhaps
        if asked:
            lines.append(b"Host: %b\r\n" % asked)
        for one in self._rendered:
            if isinstance(one, bytes):
                lines.append(one)
                continue
            value = unbroken(one[1](exchange))
            if value:
                lines.append(b"%b: %b\r\n" % (one[0], value))

    def whereto(self, exchange: Exchange, host: bytes = b"") -> Place:
        """Where the request goes."""
        course = exchange.course
        if course is not None and isinstance(course.place, Place):
            return course.place
        return self.place or Place(host, b"")

    def _passed(self, fields: RequestFields) -> bytes:
        """The client's own lines, without those that are set or end here."""
        known = self._lines.get(fields)
        if known is None:
            options = connection_options(fields.fields) - OURS
            names = fields.names or tuple([name for name, _ in fields.fields])
            known = b"".join(
                b"%b: %b\r\n" % (written, value)
                for written, (name, value) in zip(names, fields.fields, strict=True)
                if name not in NOT_PASSED
                and name not in self._named
                and name not in options
                and (self._underscores or not (b"_" in name or b"." in name))
            )
            self._lines.remember(fields, known, fields.size)
        return known

    def _own_lines(self, exchange: Exchange, host: bytes, lines: list[bytes]) -> None:
        """The lines that any request of ours has, and what is set over them."""
        fields, client = exchange.fields, exchange.client
        passed = fields.forward if self._headers else b"Host: %b\r\n" % fields.host if fields.host else b""
        if fields.host is None:
            passed = b"Host: %b\r\n%b" % (host, passed)
        elif client.host_line:
            passed = passed.replace(fields.host_line, client.host_line, 1)
        if self._upgrade is None and upgrades(exchange.line, fields):
            passed += UPGRADE
        passed = exchange.route.request_edits.edit(passed)
        passed += client.identity + exchange.request_id + b"\r\n"
        changes = [(name, unbroken(template(exchange))) for name, template in self._fields]
        if self._host is not None:
            changes.insert(0, (b"Host", unbroken(self._host(exchange)) or host))
        gone = FRAMING | self._named | ({b"host"} if self._host is not None else frozenset())
        lines += [b"%b: %b\r\n" % change for change in changes if change[1]]
        lines += [line + b"\r\n" for line in passed.split(b"\r\n")[:-1] if line.partition(b":")[0].lower() not in gone]


def _rendered(name: bytes, value: Template) -> bytes | tuple[bytes, Template]:
    """A field whose value is always the same, as the line that it is."""
    if value.constant is None:
        return name, value
    fixed = unbroken(value.constant)
    return b"%b: %b\r\n" % (name, fixed) if fixed else b""


def _has_body(exchange: Exchange) -> bool:
    return exchange.fields.chunked or exchange.fields.length >= 0
