"""Fuzz target: request lines, hosts and canonical paths against what the RFCs say, written another way."""

from __future__ import annotations

import re

import seeds
import strict

from proxy.http.target import METHODS, canonical_path, host_name, read_request_line, valid_host

SEEDS = seeds.LINES
LONGEST = 300


def reference(path: bytes) -> bytes | None:
    """What nginx's $uri would be, segment by segment (RFC 3986 5.2.4, escapes decoded once, slashes merged)."""
    parts = re.split(rb"(%[0-9A-Fa-f]{2})", path)
    text = b"".join(
        bytes.fromhex(part[1:].decode()) if place % 2 and part != b"%00" else part for place, part in enumerate(parts)
    )
    kept: list[bytes] = []
    segments = text.split(b"/")[1:]
    for place, segment in enumerate(segments):
        last = place == len(segments) - 1
        if segment == b"..":
            if not kept:
                return None
            kept.pop()
        if segment in (b"", b".", b".."):
            if last:
                kept.append(b"")
        else:
            kept.append(segment)
    return b"/" + b"/".join(kept)


def one(data: bytes) -> None:
    """Judge one input as a request line, a host and a path."""
    line = read_request_line(data, LONGEST)
    match = strict.REQUEST_LINE.fullmatch(data)
    if line.fault is None:
        assert match is not None and match[1] == line.method and match[2] == line.target
        assert line.method in METHODS and len(line.target) <= LONGEST and b"#" not in line.target
        assert (
            line.target.endswith(line.origin)
            or line.origin in (b"*", b"/")
            or (line.origin[1:] and line.target.endswith(line.origin[1:]))
        )
        assert line.head == b"%b %b HTTP/1.1\r\n" % (line.method, line.origin)
        assert strict.REQUEST_LINE.fullmatch(line.head[:-2]), "not to be forwarded"
        if line.authority is not None:
            host(line.authority)
    elif (
        match is not None
        and match[1] in METHODS
        and match[2].startswith(b"/")
        and b"#" not in match[2]
        and len(match[2]) <= LONGEST
    ):
        assert canonical_path(match[2].partition(b"?")[0]) is None, f"refused for no reason: {line.fault}"
    host(data[:200])
    path(b"/" + data)
    path(b"/" + data.partition(b"/")[2].partition(b" ")[0])


def host(value: bytes) -> None:
    """A Host value."""
    if valid_host(value):
        assert strict.valid_host(value), value
        name = host_name(value)
        assert name == name.lower() and b":" not in name.partition(b"]")[2]


def path(raw: bytes) -> None:
    """A path."""
    found = canonical_path(raw)
    assert found == reference(raw), (found, reference(raw))
    if found is not None:
        assert found.startswith(b"/") and b"//" not in found
        assert not {b".", b".."} & set(found.split(b"/"))
