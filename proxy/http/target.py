"""Request lines and their targets: what is refused, what is forwarded, what routes are matched on.

Rules: RFC 9112 sections 2.3, 3 and 3.2. The target goes to the backend byte for byte; routes see the canonical path
only: percent-decoded once, dot segments removed, slashes merged, as nginx computes `$uri`. %00 stays as it is written.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final

from proxy import faults
from proxy.faults import Fault
from proxy.http.dialect import STRICT, Dialect
from proxy.http.message import RequestLine

METHODS: Final = frozenset(
    b"GET HEAD POST PUT DELETE OPTIONS PATCH COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND UNBIND "
    b"ACL REPORT MKACTIVITY CHECKOUT MERGE LINK UNLINK PURGE MKCALENDAR SUBSCRIBE UNSUBSCRIBE NOTIFY QUERY".split()
)
REFUSED: Final = frozenset((b"CONNECT", b"TRACE"))
IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))  # RFC 9110 section 9.2.2

LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
ABSOLUTE: Final = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)

# RFC 3986 section 3.2.2 without the comma (a list of hosts), without user information, and without names that have an
# empty part, which no resolver knows.
HOST: Final = re.compile(
    rb"(\[(?:[0-9A-Fa-f:.]+|[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:\-]+)\]"
    rb"|(?!\.(?::|\Z))(?:(?!\.\.)(?:[A-Za-z0-9._~!$&'()*+;=\-]|%[0-9A-Fa-f]{2}))+)(?::([0-9]{0,5}))?",
    re.ASCII,
)
AUTHORITY: Final = re.compile(rb"(?:\[[^\]]+\]|[^:]+):[0-9]+")  # as CONNECT has to name it
CAPITALS: Final = re.compile(rb"[A-Z_-]+")
LENIENT: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) +([\x21-\x7e\x80-\xff]+) +HTTP/([0-9])\.([0-9])")
NO_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})|%00")
ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
SLASHES: Final = re.compile(rb"//+")


def read_request_line(line: bytes, longest: int, dialect: Dialect = STRICT) -> RequestLine:
    """Parse a request line without its line end; what is wrong with it is in `fault`. `longest`: bytes of a target."""
    match = (LENIENT if dialect.lenient else LINE).fullmatch(line)
    if match is None:
        return _refused(line, faults.BAD_REQUEST)
    method, target, major, minor = match.groups()
    if major != b"1" or minor not in (b"0", b"1"):
        return _refused(line, faults.VERSION_UNKNOWN)
    if len(target) > longest:
        return _refused(line, faults.TARGET_TOO_LONG)
    if method == b"CONNECT" and (AUTHORITY.fullmatch(target) is None or not valid_host(target)):
        return _refused(line, faults.BAD_REQUEST)  # RFC 9110 section 9.3.6
    if method in REFUSED:
        return _refused(line, faults.METHOD_REFUSED, method, target, int(minor))
    if method not in METHODS and not (dialect.lenient and CAPITALS.fullmatch(method)):
        return _refused(line, faults.METHOD_UNKNOWN, method, target, int(minor))
    whole = target.partition(b"#")[0] if dialect.lenient else target
    authority, origin = split_target(method, whole)
    if origin is None:
        return _refused(line, faults.BAD_REQUEST)
    raw_path, mark, query = origin.partition(b"?")
    path = canonical_path(raw_path, dialect.slashes)
    if path is None or (dialect.lenient and NO_ESCAPE.search(raw_path) is not None):
        return _refused(line, faults.BAD_REQUEST)
    return RequestLine(method, target, int(minor), origin, path, query if mark else b"", authority)


def split_target(method: bytes, target: bytes) -> tuple[bytes | None, bytes | None]:
    """(authority, origin-form) of a target; authority None for origin-form, origin None when it is refused."""
    if b"#" in target:
        return None, None
    if target.startswith(b"/"):
        return None, target
    if target == b"*":
        return None, (target if method == b"OPTIONS" else None)
    match = ABSOLUTE.fullmatch(target)
    if match is None or not valid_host(match[1]):
        return None, None
    rest = match[2]
    if not rest and method == b"OPTIONS":
        return match[1], b"*"  # RFC 9112 section 3.2.4
    return match[1], rest if rest.startswith(b"/") else b"/" + rest


def valid_host(host: bytes) -> bool:
    """Whether this is one uri-host with an optional port, and no user information (RFC 9110 section 7.2)."""
    match = HOST.fullmatch(host)
    if match is None or (match[2] and int(match[2]) > 65535):
        return False
    return not host.startswith(b"[") or host[1] in b"vV" or _ipv6(match[1][1:-1])


def _ipv6(text: bytes) -> bool:
    try:
        IPv6Address(text.decode("ascii"))
    except ValueError:
        return False
    return True


def host_name(host: bytes) -> bytes:
    """The lower-case name of a Host value: no port, no final dot."""
    name = host.lower()
    if name.startswith(b"["):
        return name[: name.index(b"]") + 1]
    return name.partition(b":")[0].rstrip(b".")


def canonical_path(raw: bytes, merge: bool = True) -> bytes | None:
    """The path that routes are matched on, or None when it climbs above the root (nginx answers 400 too); `merge`
    makes one slash of several."""
    if raw == b"*":
        return b"/"
    path = raw
    if b"%" in path:
        path = ESCAPE.sub(_decoded, path)
    if merge and b"//" in path:
        path = SLASHES.sub(b"/", path)
    if b"/." not in path:
        return path
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if not kept:
                return None
            kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)


def _decoded(match: re.Match[bytes]) -> bytes:
    octet = int(match[1], 16)
    return bytes((octet,)) if octet else match[0]


def _refused(line: bytes, fault: Fault, method: bytes = b"-", target: bytes = b"", minor: int = 1) -> RequestLine:
    """A line that is answered with an error; what could be read of it is kept for the log."""
    return RequestLine(method, target or line[:256], minor, b"/", b"/", b"", None, fault)
