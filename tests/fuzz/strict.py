"""A reader of HTTP/1.1 messages that takes RFC 9112 and RFC 9110 by the letter, for tests to hold the door against.

Rules: written from the grammar, apart from the program's readers and those of the live tests, and strict wherever a
recipient has a choice: no bare CR or LF, no obs-fold, no white space before a colon, one Host, one framing field, one
coding. `request` and `response` read one message from the beginning of some bytes: None while it is not whole, `Wrong`
when it never will be right.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
METHOD = re.compile(rb"(" + TCHAR + rb"+) ")
REQUEST_LINE = re.compile(rb"(" + TCHAR + rb"+) ([\x21-\x7e]+) HTTP/1\.([01])")
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?")
FIELD_LINE = re.compile(rb"(" + TCHAR + rb"+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)((?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?)")
REG_NAME = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
DIGITS = re.compile(rb"[0-9]+")
Fields = list[tuple[bytes, bytes]]


class Wrong(Exception):
    """No strict reader takes this."""


@dataclass
class Message:
    """A whole message; `size` is how many bytes it took, `raw` those bytes."""

    fields: Fields
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    raw: bytes = b""
    minor: int = 1

    def all(self, name: str) -> list[bytes]:
        """All values of a field."""
        return [value for one, value in self.fields if one == name.encode()]

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.raw)

    def options(self) -> set[bytes]:
        """The connection options, in lower case."""
        listed = b",".join(self.all("connection")).split(b",")
        return {option.strip(b" \t").lower() for option in listed} - {b""}


@dataclass
class Request(Message):
    """A request."""

    method: bytes = b""
    target: bytes = b""


@dataclass
class Response(Message):
    """A response; `whole` is False when its end is the end of the connection, and that has not come."""

    status: int = 0
    whole: bool = True


def lines_of(data: bytes, at: int) -> tuple[list[bytes], int] | None:
    """The lines up to an empty one, and where that ends; None when there is no empty one yet."""
    lines: list[bytes] = []
    while True:
        end = data.find(b"\n", at)
        if end < 0:
            if b"\r" in data[at:-1] or b"\0" in data[at:]:
                raise Wrong("a bare CR or a NUL")
            return None
        if end == at or data[end - 1 : end] != b"\r":
            raise Wrong("a bare LF")
        line = data[at : end - 1]
        if b"\r" in line or b"\0" in line:
            raise Wrong("a bare CR or a NUL")
        at = end + 1
        if not line:
            return lines, at
        lines.append(line)


def fields_of(lines: list[bytes]) -> Fields:
    """Field lines."""
    fields: Fields = []
    for line in lines:
        match = FIELD_LINE.fullmatch(line)
        if match is None:
            raise Wrong(f"not a field line: {line!r}")
        fields.append((match[1].lower(), match[2]))
    return fields


def valid_host(host: bytes) -> bool:
    """uri-host [ ":" port ] of RFC 3986, not empty (RFC 9110 4.2.1)."""
    if host.startswith(b"["):
        inside, bracket, port = host[1:].partition(b"]")
        if not bracket or (port and port[:1] != b":"):
            return False
        try:
            ipaddress.IPv6Address(inside.decode("ascii"))
        except ValueError:
            return False
        return b"%" not in inside and (not port[1:] or DIGITS.fullmatch(port[1:]) is not None)
    name, _, port = host.partition(b":")
    return REG_NAME.fullmatch(name) is not None and (not port or DIGITS.fullmatch(port) is not None)


def framing(fields: Fields, minor: int) -> int | None:
    """Bytes of a body, -1 for chunks, None when nothing is said."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if len(lengths) > 1 or len(codings) > 1 or (lengths and codings):
        raise Wrong("more than one framing field")
    if codings:
        if codings[0].lower() != b"chunked" or not minor:
            raise Wrong(f"the coding {codings[0]!r}")
        return -1
    if lengths:
        if DIGITS.fullmatch(lengths[0]) is None or len(lengths[0]) > 400:
            raise Wrong(f"the length {lengths[0]!r}")
        return int(lengths[0])
    return None


def chunks(data: bytes, at: int) -> tuple[bytes, Fields, int] | None:
    """A chunked body from `at`: its bytes, its trailers and where it ends."""
    body: list[bytes] = []
    while True:
        end = data.find(b"\n", at)
        line = data[at:end] if end >= 0 else data[at:]
        if end < 0:
            begun = line[:-1] if line.endswith(b"\r") else line
            if begun and CHUNK_LINE.fullmatch(begun.rstrip(b" \t")) is None:
                raise Wrong(f"not a chunk size: {begun[:40]!r}")
            if line == b"\r":
                raise Wrong("an empty chunk size")
            return None
        match = CHUNK_LINE.fullmatch(line[:-1]) if line.endswith(b"\r") else None
        if match is None:
            raise Wrong(f"not a chunk size: {line[:40]!r}")
        size, at = int(match[1], 16), end + 1
        if not size:
            found = lines_of(data, at)
            return None if found is None else (b"".join(body), fields_of(found[0]), found[1])
        body.append(data[at : at + size])
        ending = data[at + size : at + size + 2]
        if ending != b"\r\n"[: len(ending)]:
            raise Wrong("a chunk that does not end with CRLF")
        if len(ending) < 2:
            return None
        at += size + 2


def request(data: bytes) -> Request | None:
    """The request that `data` begins with."""
    found = lines_of(data, 0)
    if found is None:
        return None
    (line, *rest), at = found if found[0] else ([b""], found[1])
    match = REQUEST_LINE.fullmatch(line)
    if match is None:
        raise Wrong(f"not a request line: {line[:60]!r}")
    fields, minor = fields_of(rest), int(match[3])
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) > 1 or (not hosts and minor) or (hosts and not valid_host(hosts[0])):
        raise Wrong(f"Host: {hosts}")
    read = Request(fields, minor=minor, method=match[1], target=match[2])
    size = framing(fields, minor)
    if size == -1:
        body = chunks(data, at)
        if body is None:
            return None
        read.body, read.trailers, at = body
    elif size:
        read.body = data[at : at + size]
        if len(read.body) < size:
            return None
        at += size
    read.raw = data[:at]
    return read


def response(data: bytes, method: bytes = b"GET", *, sent: bool = True) -> Response | None:
    """The response that `data` begins with, 1xx too; `sent`: look at what only senders must not do."""
    found = lines_of(data, 0)
    if found is None:
        return None
    (line, *rest), at = found if found[0] else ([b""], found[1])
    match = STATUS_LINE.fullmatch(line)
    if match is None:
        raise Wrong(f"not a status line: {line[:60]!r}")
    fields, minor, status = fields_of(rest), int(match[1]), int(match[2])
    read = Response(fields, minor=minor, status=status)
    size = framing(fields, minor)
    if status < 200 or status in (204, 304) or method == b"HEAD":
        if sent and (status < 200 or status == 204) and size is not None:
            raise Wrong(f"a {status} that says it has a body")  # RFC 9110 8.6, RFC 9112 6.1: MUST NOT
    elif size == -1:
        body = chunks(data, at)
        if body is None:
            return None
        read.body, read.trailers, at = body
    elif size is not None:
        read.body = data[at : at + size]
        if len(read.body) < size:
            return None
        at += size
    else:
        read.body, at, read.whole = data[at:], len(data), False
    read.raw = data[:at]
    return read
