"""Requests that wait because every backend of an upstream has as many in flight as it may have.

Rules: first come, first served, over all workers of the host. Each worker shows in its cell since when its oldest
request waits (the clock is the host's, so times compare); a place that becomes free goes to the oldest of all, and a
worker that sees it free but is not the one to have it rings the other's bell. Whoever comes while somebody waits waits
too. A request that waits holds no task and no timer: the queue is looked at when a place becomes free, when its bell
rings, and at each tick for those who have waited too long.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from proxy import engine, faults
from proxy.clock import Clock
from proxy.exchange import Exchange

NOBODY: Final = 0


class Heads(Protocol):
    """Since when each worker's oldest request waits, in microseconds of the host's clock; 0: nobody waits there."""

    def set(self, since: int) -> None:
        """What this worker says."""

    def oldest(self) -> int:
        """The row of the worker with the oldest, or -1."""

    def row(self) -> int:
        """This worker's own."""


class Queue:
    """The line of one upstream in one worker: at most `size` exchanges, none for longer than `timeout` seconds.

    `serve(exchange)` tries to give an exchange to a backend and says whether it could; `soon` calls something in the
    loop's next turn.
    """

    __slots__ = (
        "_line",
        "_scheduled",
        "bells",
        "clock",
        "heads",
        "passed",
        "serve",
        "size",
        "soon",
        "timeout",
        "waited",
    )

    def __init__(
        self,
        size: int,
        timeout: float,
        clock: Clock,
        heads: Heads,
        bells: Sequence[int],
        serve: Callable[[Exchange], bool],
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self.size = size
        self.timeout = timeout
        self.clock = clock
        self.heads = heads
        self.bells = bells
        self.serve = serve
        self.soon = soon
        self._line: dict[Exchange, float] = {}
        self._scheduled = False
        self.passed = 0  # exchanges that have waited, ever
        self.waited = 0.0  # seconds that they have waited, together

    def __len__(self) -> int:
        return len(self._line)

    def busy(self) -> bool:
        """Whether somebody waits, in whichever worker: then nobody may go first."""
        return bool(self._line) or self.heads.oldest() >= 0

    def join(self, exchange: Exchange) -> None:
        """Wait, or be refused when too many do."""
        if len(self._line) >= self.size:
            engine.failed(exchange, faults.QUEUE_FULL)
            return
        self._line[exchange] = self.clock.now
        exchange.queue = self
        if len(self._line) == 1:
            self._show()

    def leave(self, exchange: Exchange) -> None:
        """Whoever waited has gone, or is served."""
        since = self._line.pop(exchange, None)
        exchange.queue = None
        if since is not None:
            self._out(exchange, since)

    def freed(self) -> None:
        """A backend can take one more: look soon, when whoever freed it is done with its own bookkeeping."""
        if not self._scheduled and self.busy():
            self._scheduled = True
            self.soon(self.look)

    def look(self) -> None:
        """Serve as many as can be, the oldest of the host first."""
        self._scheduled = False
        while self._line and self.heads.oldest() == self.heads.row():
            exchange, since = next(iter(self._line.items()))
            if not self.serve(exchange):
                return
            if exchange in self._line:  # else it has ended in `serve`, and left by itself
                self._line.pop(exchange)
                exchange.queue = None
                self._out(exchange, since)
        other = self.heads.oldest()
        if other >= 0 and other != self.heads.row():
            with contextlib.suppress(OSError):  # its count is full of rings that it has not heard yet
                os.eventfd_write(self.bells[other], 1)

    def tick(self, now: float) -> None:
        """Let those go who have waited too long, and look again: a bell may have been missed."""
        while self._line:
            exchange, since = next(iter(self._line.items()))
            if now - since < self.timeout:
                break
            self.leave(exchange)
            engine.failed(exchange, faults.QUEUE_TIMEOUT)
        if self._line:
            self.look()

    def move(self, successor: Queue | None) -> None:
        """A reload: everybody goes to the line of the new configuration, in order, or hears that there is none."""
        line, self._line = self._line, {}
        self._show()
        for exchange, since in line.items():
            exchange.queue = None
            if successor is None or exchange.finished:
                engine.failed(exchange, faults.NO_BACKEND)
            else:
                successor._line[exchange] = since
                exchange.queue = successor
        if successor is not None:
            successor._show()
            successor.freed()

    def _out(self, exchange: Exchange, since: float) -> None:
        waited = self.clock.now - since
        exchange.queued += waited
        self.passed += 1
        self.waited += waited
        self._show()

    def _show(self) -> None:
        for since in self._line.values():
            self.heads.set(max(1, int(since * 1e6)))
            return
        self.heads.set(NOBODY)
