"""Heads of HTTP/2 and those of HTTP/1.1 that mean the same.

Rules: RFC 9113 sections 8.2, 8.3, 8.5 and RFC 8441. A request is judged by all of them here, whatever its engine has
looked at already, before anybody makes lines of it; one that is malformed is None and its stream is reset. What is
well formed goes on as a RequestHead and is judged as one of HTTP/1.1 (`http.request`, `http.target`), so that both
protocols have the same rules of hosts, paths, methods and lengths. Names are lower case on the wire and stay so.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from proxy import faults
from proxy.http.dialect import Dialect
from proxy.http.headers import NOT_TRAILERS, is_claim
from proxy.http.message import Field, RequestFields, RequestHead, RequestLine, ResponseHead, quoted
from proxy.http.request import hops_left, joint_fault, judge_request
from proxy.http.target import read_request_line

Fields = tuple[Field, ...]

NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
VALUE: Final = re.compile(rb"[^\x00\r\n]*")
METHOD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
PATH: Final = re.compile(rb"[/*][\x21-\x7e\x80-\xff]*")
PSEUDO: Final = frozenset((b":method", b":scheme", b":path", b":authority", b":protocol"))
CONNECTION: Final = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))
CHUNKED: Final = (b"transfer-encoding", b"chunked")
MEMO: Final = 1024  # heads
LONGEST: Final = 4096  # bytes of one that is remembered
PER_FIELD: Final = 32  # RFC 9113 section 10.5.1
ONLY_HTTP1: Final = CONNECTION | {b"te", b"trailer"}


class Limits(Protocol):
    """What a request may be like: bytes of a head and of a target, number of fields, and whose leniency holds."""

    @property
    def max_head(self) -> int: ...

    @property
    def max_fields(self) -> int: ...

    @property
    def max_target(self) -> int: ...

    @property
    def dialect(self) -> Dialect: ...


class StreamReader:
    """Judges the heads of requests, within the limits of an HTTP/1 reader.

    `key` is the Sec-WebSocket-Key of tunnels, of which HTTP/2 has none (RFC 8441 section 5).
    """

    __slots__ = ("_fields", "_key", "_latest", "_limits", "_open", "_whole")

    def __init__(self, limits: Limits, key: bytes) -> None:
        self._limits = limits
        self._key = key
        self._open: dict[Fields, RequestHead] = {}
        self._whole: dict[Fields, RequestHead] = {}
        self._fields: Fields = ()  # the latest without a body: comparing costs less than hashing
        self._latest: RequestHead | None = None  # their head

    def read(self, fields: Fields, end: bool) -> RequestHead | None:
        """The head of a request; `end`: no body follows. None when it is malformed."""
        if end and fields == self._fields:
            return self._latest
        memo = self._whole if end else self._open
        head = memo.get(fields)
        if head is None:
            head = self._judge(fields, end)
            if head is not None and head.fault is None and head.fields.size <= LONGEST:
                if len(memo) >= MEMO:
                    memo.clear()
                memo[fields] = head
        elif end:
            self._fields, self._latest = fields, head
        return head

    def _judge(self, fields: Fields, end: bool) -> RequestHead | None:
        pseudo: dict[bytes, bytes] = {}
        regular: list[Field] = []
        for name, value in fields:
            if not sound_value(value):
                return None
            if name[:1] == b":":
                if regular or name not in PSEUDO or name in pseudo:
                    return None
                pseudo[name] = value
            elif NAME.fullmatch(name) is None or name in CONNECTION or (name == b"te" and value.lower() != b"trailers"):
                return None
            else:
                regular.append((name, value))
        tunnel = b":protocol" in pseudo
        if not _complete(pseudo, tunnel):
            return None
        line = self._line(pseudo, tunnel)
        size = sum(len(name) + len(value) for name, value in fields)
        if (
            len(regular) > self._limits.max_fields
            or size + PER_FIELD * len(fields) > self._limits.max_head + PER_FIELD * 100
        ):
            return _refused(line, faults.HEAD_OVERSIZED if self._limits.dialect.lenient else faults.HEAD_TOO_LARGE)
        if tunnel and (end or pseudo[b":protocol"].lower() != b"websocket"):
            return _refused(line, faults.METHOD_UNKNOWN)
        head = self._addressed(line, pseudo, joined(regular), tunnel, end)
        if head is not None:
            head.fields.size = size
        return head

    def _line(self, pseudo: dict[bytes, bytes], tunnel: bool) -> RequestLine:
        """What HTTP/1.1 would have for a request line; for the log it is what it is."""
        method = pseudo[b":method"]
        target = pseudo.get(b":path") or pseudo[b":authority"]
        asked = b"GET" if tunnel else method
        line = read_request_line(b"%b %b HTTP/1.1" % (asked, target), self._limits.max_target, self._limits.dialect)
        line.version = b"HTTP/2.0"
        line.log = b'"%b"' % quoted(b"%b %b HTTP/2.0" % (method, target))
        line.size = len(method) + len(target) + 12
        return line

    def _addressed(
        self, line: RequestLine, pseudo: dict[bytes, bytes], regular: list[Field], tunnel: bool, end: bool
    ) -> RequestHead | None:
        """The head, of fields that are well formed, with the authority for Host."""
        authority = pseudo.get(b":authority")
        hosts = [value for name, value in regular if name == b"host"]
        if authority is not None:
            if any(host.lower() != authority.lower() for host in hosts):
                return _refused(line, faults.BAD_REQUEST)
            regular = [(b"Host", authority), *[field for field in regular if field[0] != b"host"]]
        lengths = {value for name, value in regular if name == b"content-length"}
        if end and lengths - {b"0"}:
            return None  # RFC 9113 section 8.1.1: the length is the sum of DATA
        added: list[Field] = []
        if tunnel:
            added = [(b"connection", b"upgrade"), (b"upgrade", b"websocket"), (b"sec-websocket-key", self._key)]
            regular = [field for field in regular if field[0] != b"sec-websocket-key"]
        elif not end and not lengths:
            added = [CHUNKED]
        fields = judge_request([*regular, *added], self._limits.dialect)
        if added and not tunnel:  # it is between us and the backend
            fields.fields, fields.names = fields.fields[:-1], fields.names[:-1]
        return RequestHead(line, fields, joint_fault(line, fields), hops_left(line, fields) == 0)


def _complete(pseudo: dict[bytes, bytes], tunnel: bool) -> bool:
    """Whether the pseudo-fields are those that a request has (RFC 9113 sections 8.3.1 and 8.5, RFC 8441 section 4)."""
    method = pseudo.get(b":method", b"")
    if METHOD.fullmatch(method) is None:
        return False
    authority = pseudo.get(b":authority")
    if authority is not None and (not authority or b"@" in authority):
        return False
    if method == b"CONNECT" and not tunnel:
        return authority is not None and b":scheme" not in pseudo and b":path" not in pseudo and b" " not in authority
    if tunnel and (method != b"CONNECT" or authority is None):
        return False
    path = pseudo.get(b":path", b"")
    if pseudo.get(b":scheme", b"").lower() not in (b"http", b"https") or PATH.fullmatch(path) is None:
        return False
    return path[:1] != b"*" or (path == b"*" and method == b"OPTIONS")


def sound_value(value: bytes) -> bool:
    """RFC 9113 section 8.2.1: no NUL, CR or LF, and no white space around it."""
    return VALUE.fullmatch(value) is not None and value[:1] not in (b" ", b"\t") and value[-1:] not in (b" ", b"\t")


def joined(fields: list[Field]) -> list[Field]:
    """Cookies in one field, as HTTP/1.1 has to have them (RFC 9113 section 8.2.3)."""
    cookies = [value for name, value in fields if name == b"cookie"]
    if len(cookies) < 2:
        return fields
    kept = [field for field in fields if field[0] != b"cookie"]
    return [*kept, (b"cookie", b"; ".join(cookies))]


def _refused(line: RequestLine, fault: faults.Fault) -> RequestHead:
    return RequestHead(line, RequestFields(()), line.fault or fault)


def trailer_lines(fields: Fields) -> bytes | None:
    """The trailers of a request as rendered lines, without those that may not stand there; None: they are malformed
    (RFC 9113 section 8.1)."""
    lines = []
    for name, value in fields:
        if NAME.fullmatch(name) is None or not sound_value(value) or name in CONNECTION:
            return None
        if name not in NOT_TRAILERS and not is_claim(name) and b"_" not in name and b"." not in name:
            lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join(lines)


def fields_of(lines: bytes) -> Fields:
    """Rendered field lines as fields of HTTP/2, without those that mean something to HTTP/1.1 alone."""
    split = [line.partition(b":") for line in lines.split(b"\r\n") if line]
    found = [(name.lower(), value.strip(b" \t")) for name, _, value in split]
    return tuple([field for field in found if field[0] not in ONLY_HTTP1])


def response_fields(head: ResponseHead) -> Fields:
    """The fields of a response head, status first; remembered, since heads come again."""
    known = head.fields2
    if known is None:
        lines = head.forward.partition(b"\r\n")[2]
        head.fields2 = known = ((b":status", b"%d" % head.status), *fields_of(lines))
    return known
