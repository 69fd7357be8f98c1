"""Filters that compress answers with gzip, and unpack what a backend has compressed (nginx's gzip and gunzip).

Rules: nginx's: only 200, 403 and 404, of certain types, not small, not encoded already. The length is no
longer known, the tag is weakened, and parts cannot be had. What is to reach the client as it comes (`Answer.live`) is
flushed with every part, so that event streams go on working. What a slow client has not taken yet is kept packed, and
its backend is held; behind a pace, which does that itself, all that one read unpacks to waits unpacked.
"""

from __future__ import annotations

import zlib
from typing import Final

from proxy import engine
from proxy.content.accepting import Accepting
from proxy.content.filter import Passing
from proxy.content.pace import Paced
from proxy.exchange import Downstream, Exchange
from proxy.http.answer import Answer
from proxy.http.conditional import weakened
from proxy.http.media_types import TypeList
from proxy.http.message import ResponseHead
from proxy.parties import Link

STATUSES: Final = (200, 403, 404)
WBITS: Final = 31  # 32 KB of window, in gzip's format
MEMORY: Final = 8
PROBE: Final = Answer(200, b"OK", (), -1)  # that nothing is known of
MOST: Final = 1 << 16  # bytes that one part may unpack to at a time


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
        if exchange.line.method == b"HEAD":
            return below
        answer.live = True  # what waits, waits here
        return Unpacking(below, exchange)


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
    """Unpacks a body on its way; one that is broken breaks the answer off. It stands in the place of the link: what a
    client does not take stays packed, for it may be a thousand times as much."""

    __slots__ = (
        "_blocked", "_broken", "_busy", "_end", "_exchange", "_late", "_packed", "_trailers", "_unpacker", "_yields",
        "link"
    )  # fmt: skip

    def __init__(self, below: Downstream, exchange: Exchange) -> None:
        super().__init__(below)
        self._exchange = exchange
        self._unpacker = zlib.decompressobj(WBITS)
        self._packed = self._trailers = b""
        self._blocked = self._broken = self._busy = self._end = False
        self._late = False  # the backend was done before us
        self._yields = False  # stands in the place of the link
        self.link: Link | None = None  # the backend's, until it has sent all

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """The head, and the first of the body."""
        below = self.below
        while isinstance(below, Passing) and not isinstance(below, Paced):
            below = below.below
        self._yields = not isinstance(below, Paced)  # that one keeps what waits, and holds the link itself
        if self._yields:
            self.link, exchange.link = exchange.link, Holding(self)
        first, self._packed = self._unpack(body, MOST)
        whole = end and not self._packed and self._whole()
        if whole:
            self._release()
        self.below.head(exchange, head, first, whole)
        if not whole:
            self.body(b"", end)

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """More of it."""
        if not self._broken:
            self._packed += data
        self._trailers += trailers
        if end:
            self._end, self.link = True, None
            if self._yields:
                self._exchange.link = Holding(self)
        self.pump()

    def behind(self) -> bool:
        """Whether something is left."""
        if self._packed and not self._broken:
            self._late = True
            return True
        return self.below.behind()

    def block(self, on: bool) -> None:
        """The client does not keep up, or does again."""
        self._blocked = on
        if not on:
            self.pump()
        if self.link is not None and on:
            self.link.hold()
        elif self.link is not None and not self._blocked:
            self.link.release()

    def drop(self) -> Link | None:
        """The exchange is over; gives back the backend's link."""
        link, self.link = self.link, None
        self._packed = b""
        self._broken = True
        return link

    def pump(self) -> None:
        """Send part by part what is there, as the client takes it."""
        exchange = self._exchange
        if self._busy or exchange.finished:
            return
        self._busy = True
        while self._packed and not self._blocked and not self._broken:
            part, self._packed = self._unpack(self._packed, MOST)
            if part:
                self.below.body(part, False)
        self._busy = False
        if self._broken or (self._end and not self._packed and not self._whole()):
            self._broken = True
            self._release()
            self.below.abort()
        elif self._end and not self._packed:
            self._release()
            self.below.body(b"", True, self._trailers)
            if self._late and not exchange.finished and not self.below.behind():
                engine.finish(exchange)

    def _release(self) -> None:
        """Nothing is left: the link is what it was."""
        if isinstance(self._exchange.link, Holding):
            self._exchange.link = self.link

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


class Holding:
    """The link of an exchange whose answer is unpacked."""

    __slots__ = ("_unpacking",)

    def __init__(self, unpacking: Unpacking) -> None:
        self._unpacking = unpacking

    def body(self, data: bytes, end: bool) -> None:
        """More of the request's body."""
        link = self._unpacking.link
        if link is not None:
            link.body(data, end)

    def hold(self) -> None:
        """The client does not keep up."""
        self._unpacking.block(True)

    def release(self) -> None:
        """It does again."""
        self._unpacking.block(False)

    def abort(self) -> None:
        """The exchange is over."""
        link = self._unpacking.drop()
        if link is not None:
            link.abort()
