"""The filter that sends parts of an answer to who asked for them (RFC 9110 section 14), as nginx's range filter does.

Rules: only a 200 of known length that may be sent in parts, `Answer.ranges`; a filter before it that changes the body
takes that back. Who made the answer may leave out the rest himself (`Answer.seeks`), else it is cut out on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Final

from proxy.content.filter import Passing
from proxy.exchange import Downstream, Exchange
from proxy.http.answer import Answer
from proxy.http.conditional import UNKNOWN, parse_date, same
from proxy.http.message import ResponseHead
from proxy.http.pages import page
from proxy.http.ranges import UNLIMITED, Part, asked, closing, content_range, introductions
from proxy.http.render import REASONS

Piece = bytes | Part

WHOLE: Final = 4 << 20  # bytes of a body that is kept until several parts can be cut out of it
_serials: Final = count(1)  # of boundaries


class Parts:
    """At most so many `parts` of one answer; `forced`: of answers of backends too, of those one part."""

    __slots__ = ("_forced", "_most")
    steady = True  # for who asks for no part

    def __init__(self, most: int = UNLIMITED, forced: bool = False) -> None:
        self._most = most
        self._forced = forced

    def __call__(self, exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
        """Change the head, and have the body cut."""
        most = self._most
        if self._forced and exchange.backend is not None:
            answer.ranges, most = True, min(most, 1)
        length = answer.length
        if answer.status != 200 or length < 0 or not answer.ranges or not most:
            return below
        if not answer.seeks and length > WHOLE:
            most = 1
        parts = _wanted(exchange, answer, most)
        if parts is None:
            answer.set(b"Accept-Ranges", b"bytes")
            return below
        if not parts:
            return _unsatisfiable(answer, below, exchange.line.method == b"HEAD")
        pieces = _partial(answer, parts)
        if answer.seeks:
            answer.parts = pieces
            return below
        return Sliced(below, pieces)


def _wanted(exchange: Exchange, answer: Answer, most: int) -> list[Part] | None:
    value = exchange.fields.get(b"range")
    if value is None:
        return None
    condition = exchange.fields.get(b"if-range")
    if condition is not None:
        modified = answer.get(b"last-modified")
        known = UNKNOWN if modified is None else parse_date(modified)
        if not same(condition, known, answer.get(b"etag") or b""):
            return None
    return asked(value, answer.length, most)


def _unsatisfiable(answer: Answer, below: Downstream, bodyless: bool) -> Downstream:
    """416, with a page in place of the body."""
    answer.status, answer.reason = 416, REASONS[416]
    text = page(416)
    answer.set(b"Content-Range", b"bytes */%d" % answer.length)
    answer.remove(b"content-type", b"content-encoding", b"etag", b"last-modified")
    answer.add(b"Content-Type", b"text/html")
    answer.length, answer.parts = len(text), []
    return Instead(below, b"" if bodyless else text)


def _partial(answer: Answer, parts: Sequence[Part]) -> list[Piece]:
    """Make the head that of a 206, and say what its body is made of."""
    length = answer.length
    answer.status, answer.reason = 206, REASONS[206]
    answer.remove(b"content-range", b"accept-ranges")
    if len(parts) == 1:
        answer.add(b"Content-Range", content_range(parts[0], length))
        answer.length = parts[0][1] - parts[0][0]
        return [parts[0]]
    boundary = b"%020d" % next(_serials)
    intros = introductions(parts, length, answer.get(b"content-type") or b"", boundary)
    answer.remove(b"content-type")
    answer.add(b"Content-Type", b"multipart/byteranges; boundary=%b" % boundary)
    pieces: list[Piece] = [piece for pair in zip(intros, parts, strict=True) for piece in pair]
    pieces.append(closing(boundary))
    answer.length = sum([len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in pieces])
    return pieces


def slices(pieces: Sequence[Piece], body: bytes) -> bytes:
    """The pieces of a body that is there as a whole."""
    return b"".join([piece if isinstance(piece, bytes) else body[piece[0] : piece[1]] for piece in pieces])


class Instead(Passing):
    """Sends a page instead of a body."""

    __slots__ = ("_page",)

    def __init__(self, below: Downstream, page: bytes) -> None:
        super().__init__(below)
        self._page = page

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """The head, and all of the page."""
        self.below.head(exchange, head, self._page, end)

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """Nothing of this is wanted."""
        if end:
            self.below.body(b"", True)


class Sliced(Passing):
    """Cuts parts out of a body on its way: one at once, several when it is whole."""

    __slots__ = ("_at", "_pieces", "_whole")

    def __init__(self, below: Downstream, pieces: Sequence[Piece]) -> None:
        super().__init__(below)
        self._pieces = pieces
        self._at = 0
        self._whole: list[bytes] = []

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """The head, and what is wanted of the first part of the body."""
        self.below.head(exchange, head, b"" if exchange.line.method == b"HEAD" else self._cut(body, end), end)

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """What is wanted of more of it."""
        data = self._cut(data, end)
        if data or end:
            self.below.body(data, end, trailers)

    def _cut(self, data: bytes, end: bool) -> bytes:
        first = self._pieces[0]
        if isinstance(first, bytes):
            self._whole.append(data)
            return slices(self._pieces, b"".join(self._whole)) if end else b""
        at = self._at
        self._at += len(data)
        return data[max(0, first[0] - at) : max(0, first[1] - at)]
