"""Which parts of a representation a Range field asks for (RFC 9110 section 14), and how several are sent as one body.

Rules: those of nginx's range filter. What is not understood in units that are not bytes is no request for a part; what
asks for more than there is, over and over, gets the whole. A part is (first byte, byte behind the last).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

Part = tuple[int, int]

UNLIMITED: Final = 1 << 31  # parts
UNSATISFIABLE: Final[list[Part]] = []  # nothing of what was asked for is there: 416
_SPEC: Final = re.compile(rb" *(?:([0-9]+) *- *([0-9]*)|-([0-9]+)) *")
_LARGEST: Final = (1 << 63) - 1
_COST: Final = 256  # bytes that a part costs besides its own
_GRACE: Final = 4096  # bytes that many parts may cost more than the whole


def asked(value: bytes, length: int, most: int = UNLIMITED) -> list[Part] | None:
    """The parts that a Range value asks for, of `length` bytes, at most so many; None: the whole is sent instead, and
    UNSATISFIABLE (empty): nothing is there to be sent."""
    if len(value) < 7 or value[:6].lower() != b"bytes=" or most == 0:
        return None
    parts: list[Part] = []
    for text in value[6:].split(b","):
        part = _part(text, length)
        if part is None:
            return UNSATISFIABLE
        if part[0] < part[1]:
            parts.append(part)
            if len(parts) > most:
                return None
        elif part[0] == 0:
            return None
    return parts if len(parts) < 2 or _worthwhile(parts, length, most) else None


def _part(text: bytes, length: int) -> Part | None:
    """One part, perhaps empty or behind the end; None when it cannot be read."""
    match = _SPEC.fullmatch(text)
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        count = int(suffix[:20])
        return None if count > _LARGEST or len(suffix) > 19 else (max(0, length - count), length)
    start, end = int(first[:20]), int(last[:20]) if last else length
    if max(start, end) > _LARGEST or max(len(first), len(last)) > 19:
        return None
    return start, min(end + 1, length)


def _worthwhile(parts: Sequence[Part], length: int, most: int) -> bool:
    """Whether several parts are less than the whole: overlapping ones could make it many times larger."""
    size = sum(end - start for start, end in parts)
    if size > length:
        return False
    return most != UNLIMITED or size + len(parts) * _COST <= length + _GRACE


def content_range(part: Part, length: int) -> bytes:
    """The value of Content-Range for one part."""
    return b"bytes %d-%d/%d" % (part[0], part[1] - 1, length)


def introductions(parts: Sequence[Part], length: int, content_type: bytes, boundary: bytes) -> list[bytes]:
    """What is sent before each part of several (multipart/byteranges)."""
    kind = b"Content-Type: %b\r\n" % content_type if content_type else b""
    return [
        b"\r\n--%b\r\n%bContent-Range: %b\r\n\r\n" % (boundary, kind, content_range(part, length)) for part in parts
    ]


def closing(boundary: bytes) -> bytes:
    """What is sent behind the last of several."""
    return b"\r\n--%b--\r\n" % boundary
