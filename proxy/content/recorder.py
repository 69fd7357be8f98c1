"""Takes down what a client gets of a small file that has been through filters, so that it can be sent again at once.

Rules: only where the filters make the same of the same file for everybody, which they say themselves (`steady`).
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.content.filter import Passing
from proxy.exchange import Downstream, Exchange
from proxy.http.answer import Answer
from proxy.http.message import ResponseHead


class Recorder(Passing):
    """Passes all on, and tells `keep` of the head and the whole body, which has a length now."""

    __slots__ = ("_body", "_head", "_keep")

    def __init__(self, below: Downstream, keep: Callable[[ResponseHead, bytes], None]) -> None:
        super().__init__(below)
        self._keep = keep
        self._head: ResponseHead | None = None
        self._body: list[bytes] = []

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """The head, and the first of the body."""
        self._head = head
        self._take(body, end)
        self.below.head(exchange, head, body, end)

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """More of it; one with trailers is not kept."""
        if trailers:
            self._head = None
        self._take(data, end)
        self.below.body(data, end, trailers)

    def _take(self, data: bytes, end: bool) -> None:
        self._body.append(data)
        head = self._head
        if end and head is not None and head.status == 200:
            whole = b"".join(self._body)
            answer = Answer.of(head)
            answer.length = len(whole)
            self._keep(answer.sealed(), whole)
