"""The base of filters over bodies: a Downstream between an answer and its client that passes everything on.

Rules: a filter inherits from it and overrides what it changes, mostly `head` and `body`. It keeps no bytes behind an
`end`, passes that on exactly once, and delegates all else, so that backpressure and the end of the exchange pass
through. A filter of a connection's downstream is made for one answer and gone with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.exchange import Downstream, Exchange
from proxy.parties import Connection

if TYPE_CHECKING:
    from proxy.http.message import ResponseHead
    from proxy.verdict import Reply


class Passing:
    """Passes everything on to the Downstream `below`."""

    __slots__ = ("below",)

    def __init__(self, below: Downstream) -> None:
        self.below = below

    @property
    def connection(self) -> Connection:
        """The connection it came on."""
        return self.below.connection

    def last(self) -> None:
        """The connection ends with the answer."""
        self.below.last()

    def part(self) -> None:
        """The connection ends."""
        self.below.part()

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """A final head, and the first part of the body."""
        self.below.head(exchange, head, body, end)

    def interim(self, exchange: Exchange, head: ResponseHead) -> None:
        """A 1xx response."""
        self.below.interim(exchange, head)

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """More of the body."""
        self.below.body(data, end, trailers)

    def send_file(self, descriptor: int, begin: int, size: int) -> int:
        """Part of a file: none, since what passes is to be seen."""
        return 0

    def reply(self, exchange: Exchange, reply: Reply) -> None:
        """An answer of our own, whole."""
        self.below.reply(exchange, reply)

    def abort(self) -> None:
        """Break off."""
        self.below.abort()

    def hold(self) -> None:
        """Stop reading the request body."""
        self.below.hold()

    def release(self) -> None:
        """Read on."""
        self.below.release()

    def behind(self) -> bool:
        """Whether something is left of an answer that is whole."""
        return self.below.behind()

    def accept(self, whole: bool = False) -> None:
        """A backend takes the request now."""
        self.below.accept(whole)

    def upgrade(self, exchange: Exchange, head: ResponseHead, rest: bytes) -> None:
        """Become a tunnel."""
        self.below.upgrade(exchange, head, rest)

    def done(self) -> None:
        """The exchange has finished."""
        self.below.done()
