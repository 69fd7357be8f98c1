"""The parsed heads of messages: what is known of a request line, of a block of fields, of a response head.

Rules: these objects are made once for given bytes and shared by every message that carries the same bytes (see the
memos of the readers), so nobody changes them after they were made. Names are lower case; values have no white space
around them; both are bytes.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.faults import Fault

Field = tuple[bytes, bytes]
_UNSAFE: Final = re.compile(rb'["\\\x00-\x1f\x7f-\xff]')


def quoted(text: bytes) -> bytes:
    """Text for a log line: what could end a quotation or a line, or is no ASCII, becomes \\xHH, as nginx writes it."""
    if _UNSAFE.search(text) is None:
        return text
    return _UNSAFE.sub(lambda match: b"\\x%02X" % match[0][0], text)


class RequestLine:
    """A request line: `target` as it came, `path` its canonical form, `minor` the HTTP/1 minor version.

    `authority` is that of an absolute-form target, else None. `origin` is what is forwarded: the origin-form, byte for
    byte as the client sent it.
    """

    __slots__ = (
        "authority", "fault", "head", "log", "method", "minor", "origin", "path", "query", "target", "size", "version"
    )  # fmt: skip

    def __init__(
        self,
        method: bytes,
        target: bytes,
        minor: int,
        origin: bytes,
        path: bytes,
        query: bytes,
        authority: bytes | None = None,
        fault: Fault | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.minor = minor
        self.origin = origin
        self.path = path
        self.query = query
        self.authority = authority
        self.fault = fault
        self.head = b"%b %b HTTP/1.1\r\n" % (method, origin)
        self.size = 0  # bytes as it came, with its line end
        self.version = b"HTTP/1.%d" % minor  # as the client speaks it
        self.log = b'"%b"' % quoted(b"%b %b HTTP/1.%d" % (method, target, minor) if method != b"-" else target)


class RequestHead:
    """A request line and its fields, weighed together, and the route that they last led to (see `Sites`).

    `last_hop`: the client wants our own answer, whatever is behind us (Max-Forwards: 0).
    """

    __slots__ = ("fault", "fields", "keep", "last_hop", "line", "route", "sites")

    def __init__(self, line: RequestLine, fields: RequestFields, fault: Fault | None, last_hop: bool = False) -> None:
        self.line = line
        self.fields = fields
        self.fault = fault
        self.last_hop = last_hop
        self.keep = not fields.close and (line.minor == 1 or fields.keep_alive)  # RFC 9112 section 9.3
        self.sites: object = None
        self.route: object = None


class RequestFields:
    """The fields of a request head, judged once: framing, connection options, and what may be forwarded.

    `length` is Content-Length or -1; `forward` the rendered end-to-end lines (with Host and framing) that go to a
    backend; `forwarded` what the client said about proxies before us, believed only from a trusted peer.
    """

    __slots__ = (
        "chunked",
        "close",
        "conditional",
        "expects",
        "fault",
        "fields",
        "forward",
        "forwarded",
        "host",
        "host_line",
        "keep_alive",
        "length",
        "log",
        "names",
        "request_id",
        "size",
        "special",
        "upgrade",
    )

    def __init__(self, fields: tuple[Field, ...], fault: Fault | None = None) -> None:
        self.fields = fields
        self.fault = fault
        self.special = True  # not to be sent on as `forward` alone: no Host, an Upgrade, or Max-Forwards
        self.size = 0  # bytes as they came, with line ends
        self.log = b'"-" "-"'  # Referer and User-Agent for the access log
        self.names: tuple[bytes, ...] = ()  # of the fields, in the client's case
        self.host: bytes | None = None
        self.host_line = b""  # X-Forwarded-Host, rendered
        self.length = -1
        self.chunked = False
        self.close = False
        self.keep_alive = False
        self.expects = False
        self.conditional = False  # asks for a part, or under a condition
        self.upgrade = False
        self.request_id: bytes | None = None
        self.forward = b""
        self.forwarded: dict[bytes, bytes] = {}

    def get(self, name: bytes) -> bytes | None:
        """The value of the first field of this lower-case name, or None."""
        for known, value in self.fields:
            if known == name:
                return value
        return None

    def cookie(self, name: bytes) -> bytes | None:
        """The value of a cookie, or None (RFC 6265 section 5.4 order: the first wins)."""
        for known, value in self.fields:
            if known == b"cookie":
                for pair in value.split(b";"):
                    key, equals, content = pair.strip().partition(b"=")
                    if equals and key == name:
                        return content
        return None


NOTHING: Final = RequestHead(RequestLine(b"-", b"-", 1, b"/", b"/", b""), RequestFields(()), None)
"""What stands in the log for bytes that are no request."""


class ResponseHead:
    """A backend's response head: status, framing, and `forward`, the rendered status line and end-to-end lines.

    `length` is Content-Length or -1. `bodyless` holds for statuses that never carry a body (1xx, 204, 304).
    `keep_alive` says whether the backend's connection outlives the response, `dated` whether it carries a Date.
    `live` asks that it is passed on as it comes and kept nowhere: an event stream, or `X-Accel-Buffering: no`.
    `simple` is the common case, a small answer of known length on a connection that stays open, and `whole` its head if
    it is dated.
    """

    __slots__ = (
        "known_as",
        "lines",
        "bodyless",
        "chunked",
        "chunks",
        "dated",
        "fault",
        "fields",
        "fields2",
        "forward",
        "keep_alive",
        "length",
        "live",
        "reason",
        "sealed",
        "simple",
        "status",
        "upgrade",
        "whole",
    )

    def __init__(self, status: int, reason: bytes, fields: tuple[Field, ...]) -> None:
        self.status = status
        self.reason = reason
        self.fields = fields
        self.length = -1
        self.chunked = False
        self.bodyless = status < 200 or status in (204, 304)
        self.keep_alive = True
        self.upgrade = False
        self.chunks = True  # may be sent in chunks, if its length is not known
        self.dated = False
        self.live = False
        self.simple = False
        self.whole = b""
        self.known_as = b""  # the bytes that it was read from
        self.fields2: tuple[Field, ...] | None = None  # those of `forward` as HTTP/2 has them, when somebody has asked
        self.lines: tuple[Field, ...] | None = None  # those of `forward`, when somebody has taken it apart
        self.sealed: tuple[object, ResponseHead] | None = None  # what it last became as an `Answer`, and of what
        self.forward = b""
        self.fault: Fault | None = None

    def get(self, name: bytes) -> bytes | None:
        """The value of the first field of this lower-case name, or None."""
        for known, value in self.fields:
            if known == name:
                return value
        return None
