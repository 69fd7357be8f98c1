"""Filters that compress answers with gzip, and unpack what a backend has compressed (nginx's gzip and gunzip).

Rules: nginx's: only 200, 403 and 404, of certain types, not small, not encoded already. The length is no
longer known, the tag is weakened, and parts cannot be had. What is to reach the client as it comes (`Answer.live`) is
flushed with every part, so that event streams go on working.
"""

from __future__ import annotations

import zlib
from typing import Final

from proxy.content.accepting import Accepting
from proxy.content.filter import Passing
from proxy.exchange import Downstream, Exchange
from proxy.http.answer import Answer
from proxy.http.conditional import weakened
from proxy.http.media_types import TypeList
from proxy.http.message import ResponseHead

STATUSES: Final = (200, 403, 404)
WBITS: Final = 31  # 32 KB of window, in gzip's format
MEMORY: Final = 8
PROBE: Final = Answer(200, b"OK", (), -1)  # that nothing is known of
MOST: Final = 1 << 20  # bytes that one part may unpack to at a time


class Gzip:
    """Compresses what is of one of `types` and at least `least` bytes long, for who takes it."""

    __slots__ = ("_accepting", "_least", "_level", "_live", "_types", "_vary")

    def __init__(
        self, types: TypeList, accepting: Accepting, *, level: int, least: int, vary: bool, live: bool = False
    ) -> None:
        self._types = types
        self._accepting = accepting
        self._level = level
        self._least = least
        self._vary = vary
        self._live = live

    @property
    def steady(self) -> bool:
        """It makes the same of the same answer, for each `sort` of clients."""
        return not self._live

    def sort(self, exchange: Exchange) -> int:
        """1 for clients that get answers compressed, 0 for others; -1 where it depends on the answer."""
        return -1 if exchange.fields.get(b"via") is not None else int(self._accepting(exchange, PROBE))

    def __call__(self, exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
        """Change the head, and have the body compressed."""
        if answer.status not in STATUSES or 0 <= answer.length < self._least:
            return below
        if answer.get(b"content-encoding") or answer.get(b"content-type") not in self._types:
            return below
        if self._vary:
            vary(answer)
        if not self._accepting(exchange, answer):
            return below
        answer.add(b"Content-Encoding", b"gzip")
        rewritten(answer)
        return below if exchange.line.method == b"HEAD" else Compressing(below, self._level, self._live or answer.live)


class Gunzip:
    """Unpacks what is compressed for who does not take it."""

    __slots__ = ("_accepting", "_vary")

    def __init__(self, accepting: Accepting, vary_too: bool) -> None:
        self._accepting = accepting
        self._vary = vary_too

    def __call__(self, exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
        """Change the head, and have the body unpacked."""
        if (answer.get(b"content-encoding") or b"").lower() != b"gzip":
            return below
        if self._vary:
            vary(answer)
        if self._accepting(exchange, answer):
            return below
        answer.remove(b"content-encoding")
        rewritten(answer)
        return below if exchange.line.method == b"HEAD" else Unpacking(below)


def vary(answer: Answer) -> None:
    """Say that the answer depends on Accept-Encoding, once."""
    said = [word.strip().lower() for value in answer.all(b"vary") for word in value.split(b",")]
    if b"accept-encoding" not in said and b"*" not in said:
        answer.add(b"Vary", b"Accept-Encoding")


def rewritten(answer: Answer) -> None:
    """The body will be another than that of the head: no length, no parts, and a weak tag."""
    answer.length = -1
    answer.ranges = False
    answer.remove(b"accept-ranges")
    tag = answer.get(b"etag")
    if tag is not None:
        answer.remove(b"etag")
        if weakened(tag):
            answer.add(b"ETag", weakened(tag))


class Compressing(Passing):
    """Compresses a body on its way, and counts what it was and what it became."""

    __slots__ = ("_live", "_packer", "made", "taken")

    def __init__(self, below: Downstream, level: int, live: bool) -> None:
        super().__init__(below)
        self.taken = self.made = 0  # bytes
        self._packer = zlib.compressobj(level, zlib.DEFLATED, WBITS, MEMORY)
        self._live = live

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """The head, and the first of the body."""
        self.below.head(exchange, head, self._pack(body, end), end)

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """More of it."""
        data = self._pack(data, end)
        if data or end:
            self.below.body(data, end, trailers)

    def _pack(self, data: bytes, end: bool) -> bytes:
        packed = self._packer.compress(data) if data else b""
        if end:
            packed += self._packer.flush()
        elif self._live and data:
            packed += self._packer.flush(zlib.Z_SYNC_FLUSH)
        self.taken += len(data)
        self.made += len(packed)
        return packed


class Unpacking(Passing):
    """Unpacks a body on its way; one that is broken breaks the answer off."""

    __slots__ = ("_broken", "_unpacker")

    def __init__(self, below: Downstream) -> None:
        super().__init__(below)
        self._unpacker = zlib.decompressobj(WBITS)
        self._broken = False

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """The head, and the first of the body."""
        first, rest = self._unpack(body, MOST)
        whole = end and not rest and self._whole()
        self.below.head(exchange, head, first, whole)
        if not whole:
            self._more(rest, end)

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """More of it."""
        self._more(data, end, trailers)

    def _more(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """Send part by part what a part unpacks to, which may be a thousand times as much."""
        while data and not self._broken:
            part, data = self._unpack(data, MOST)
            if part:
                self.below.body(part, False)
        if self._broken or (end and not self._whole()):
            self._broken = True
            self.below.abort()
        elif end:
            self.below.body(b"", True, trailers)

    def _whole(self) -> bool:
        return not self._broken and self._unpacker.eof

    def _unpack(self, data: bytes, most: int) -> tuple[bytes, bytes]:
        """What `data` unpacks to, and what of it is left for later. Members may follow each other."""
        if self._broken or not data:
            return b"", b""
        if self._unpacker.eof:
            self._unpacker = zlib.decompressobj(WBITS)
        try:
            part = self._unpacker.decompress(data, most)
        except zlib.error:
            self._broken = True
            return b"", b""
        return part, self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail
