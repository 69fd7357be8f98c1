"""The body of a large file on its way to the client: the Link of its exchange, read as the client takes it.

Rules: at most a part is in memory. It stops when it is held and goes on when it is released; after TURN bytes others
have their turn. The descriptor is closed with the last byte, or when the client has gone. A file that has become
shorter breaks the answer off, so that nobody takes it for whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from proxy import engine, faults
from proxy.exchange import Exchange
from proxy.http.answer import Answer

PART: Final = (64 << 10) + 1  # bytes that are read at once: as many as make a transport full
TURN: Final = 4 << 20  # bytes until others have their turn

Piece = bytes | tuple[int, int]
Soon = Callable[[Callable[[], None]], object]


class FileBody:
    """What is left to be sent: bytes as they are and (begin, end) of the file, the last first."""

    __slots__ = ("_busy", "_descriptor", "_exchange", "_held", "_pieces", "_size", "_soon", "_waits")

    def __init__(self, exchange: Exchange, descriptor: int, size: int, soon: Soon) -> None:
        self._exchange = exchange
        self._descriptor = descriptor
        self._size = size
        self._pieces: list[Piece] = []
        self._soon = soon
        self._held = False
        self._busy = True  # `pump` is at work further up the stack
        self._waits = False  # its next turn is arranged for
        exchange.link = self

    def start(self, answer: Answer) -> None:
        """Send the head, and what of the file its parts are."""
        engine.through(self._exchange, answer, b"", False)
        parts = answer.parts
        self._pieces = [(0, self._size)] if parts is None else parts[::-1] or [b""]
        self._busy = False
        self.pump()

    def body(self, data: bytes, end: bool) -> None:
        """A request body: nobody wants it."""

    def hold(self) -> None:
        """The client does not keep up."""
        self._held = True

    def release(self) -> None:
        """It does again."""
        self._held = False
        if not self._waits:
            self.pump()

    def abort(self) -> None:
        """The client has gone."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def pump(self) -> None:
        """Send as much as goes."""
        if self._busy:
            return
        self._busy = True
        turn = 0
        while not self._held and self._descriptor >= 0 and turn < TURN:
            turn += self._next()
        self._busy = False
        if turn >= TURN and self._descriptor >= 0 and not self._held:
            self._waits = True
            self._soon(self._go_on)

    def _go_on(self) -> None:
        self._waits = False
        self.pump()

    def _next(self) -> int:
        """Send the next of it; how many bytes that were."""
        piece = self._pieces.pop()
        if isinstance(piece, bytes):
            self._send(piece)
            return len(piece)
        begin, end = piece
        if end - begin > PART:
            took = self._exchange.downstream.send_file(self._descriptor, begin, min(end - begin - 1, TURN))
            if took:  # never all of it: the end is told with the last byte
                self._pieces.append((begin + took, end))
                return took
        try:
            data = os.pread(self._descriptor, min(PART, end - begin), begin)
        except OSError:
            data = b""
        if not data:  # it has become shorter
            engine.failed(self._exchange, faults.TRUNCATED)
            return 0
        if begin + len(data) < end:
            self._pieces.append((begin + len(data), end))
        self._send(data)
        return len(data)

    def _send(self, data: bytes) -> None:
        exchange = self._exchange
        if self._pieces:
            if data:
                exchange.downstream.body(data, False)
            return
        self.abort()
        exchange.link = None
        exchange.downstream.body(data, True)
        engine.ended(exchange)
