"""The chunked transfer coding, both ways (RFC 9112 section 7.1).

Rules: only CRLF ends a line; a size is 1 to 15 hexadecimal digits; extensions are read and thrown away; trailers are
kept apart from the fields (RFC 9110 section 6.5.1) and those that would change meaning or framing are thrown away. What
is wrong is refused for good: after `failed` the decoder takes nothing more. What it keeps is bounded: a size line by
LINE_LIMIT, all extensions of a message by EXTENSION_LIMIT, all trailers by TRAILER_LIMIT and TRAILER_COUNT.

A decoder of our own, since llhttp tells neither where a message ended in the bytes that it was fed nor the size of
extensions; tests hold it against h11 and llhttp.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.http.headers import CONTROL, NOT_TRAILERS, TOKEN, is_claim

LAST: Final = b"0\r\n\r\n"
LINE_LIMIT: Final = 4096
EXTENSION_LIMIT: Final = 16384
TRAILER_LIMIT: Final = 16384
TRAILER_COUNT: Final = 64

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(;[\t\x20-\x7e\x80-\xff]*)?")
_SIZE_BEGUN: Final = re.compile(rb"[0-9A-Fa-f]{0,15}(?:;[\t\x20-\x7e\x80-\xff]*)?\r?", re.DOTALL)

# States
_IN_SIZE: Final = 0
_IN_BODY: Final = 1
_AFTER_BODY: Final = 2
_IN_TRAILERS: Final = 3


def chunk(data: bytes) -> bytes:
    """One chunk; `data` must not be empty, for that would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class ChunkedDecoder:
    """Takes bytes as they come, gives back the body's; see `done`, `failed`, `rest` and `trailers` after each call."""

    __slots__ = (
        "_begun",
        "_extensions",
        "left",
        "_state",
        "_trailer_count",
        "_trailer_size",
        "done",
        "failed",
        "rest",
        "trailers",
    )

    def __init__(self) -> None:
        self.done = False
        self.failed = False
        self.rest = b""  # what came behind the message
        self.trailers = b""  # rendered field lines
        self._state = _IN_SIZE
        self._begun = b""  # a line, or the line end behind a chunk, that is not whole yet
        self.left = 0
        self._extensions = 0
        self._trailer_size = 0
        self._trailer_count = 0

    def feed(self, data: bytes) -> bytes:
        """The body's bytes in `data`; b"" as well when it failed or when there are none."""
        if self._begun:
            data = self._begun + data
            self._begun = b""
        parts: list[bytes] = []
        at, size = 0, len(data)
        while at < size and not self.failed and not self.done:
            if self._state == _IN_BODY:
                part = data[at : at + self.left] if at or self.left < size else data
                parts.append(part)
                at += len(part)
                self.left -= len(part)
                if not self.left:
                    self._state = _AFTER_BODY
                continue
            after = self._line(data, at)
            if after < 0:
                break
            at = after
        if self.done:
            self.rest = data[at:]
        return b"".join(parts) if len(parts) != 1 else parts[0]

    def _line(self, data: bytes, at: int) -> int:
        """Take one line from `at`; where the next thing begins, or -1 when the line is not whole (or bad)."""
        end = data.find(b"\r\n", at)
        if end < 0:
            self._keep(data[at:])
            return -1
        line = data[at:end]
        if self._state == _IN_SIZE:
            self._size(line)
        elif self._state == _AFTER_BODY:
            self.failed = bool(line)
            self._state = _IN_SIZE
        else:
            self._trailer(line)
        return end + 2

    def _keep(self, begun: bytes) -> None:
        """Hold an unfinished line, unless it can be seen already that it will never be right."""
        limit = LINE_LIMIT
        if self._state == _IN_SIZE:
            self.failed = _SIZE_BEGUN.fullmatch(begun) is None
        elif self._state == _AFTER_BODY:
            self.failed = begun != b"\r"
        else:
            limit = TRAILER_LIMIT - self._trailer_size
            self.failed = b"\n" in begun
        if len(begun) > limit:
            self.failed = True
        self._begun = begun

    def _size(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None or len(line) > LINE_LIMIT:
            self.failed = True
            return
        if match[2]:
            self._extensions += len(match[2])
            self.failed = self._extensions > EXTENSION_LIMIT
        self.left = int(match[1], 16)
        self._state = _IN_BODY if self.left else _IN_TRAILERS

    def _trailer(self, line: bytes) -> None:
        if not line:
            self.done = True
            return
        self._trailer_size += len(line)
        self._trailer_count += 1
        name, colon, value = line.partition(b":")
        lower = name.lower()
        if (
            not colon
            or TOKEN.fullmatch(name) is None
            or CONTROL.search(value) is not None
            or b"\r" in value
            or b"\n" in value
            or self._trailer_size > TRAILER_LIMIT
            or self._trailer_count > TRAILER_COUNT
            or lower in (b"content-length", b"transfer-encoding")
        ):
            self.failed = True
        elif lower not in NOT_TRAILERS and b"_" not in name and b"." not in name and not is_claim(lower):
            self.trailers += b"%b: %b\r\n" % (name, value.strip(b" \t"))
