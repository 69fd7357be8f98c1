"""Requests that wait because every backend of an upstream has as many in flight as it may have.

Rules: first come, first served, over all workers of the host. Each worker shows in its cell since when its oldest
request waits (the clock is the host's, so times compare); a place that becomes free goes to the oldest of all, and a
worker that sees it free but is not the one to have it rings the other's bell. Whoever comes while somebody waits waits
too, except for a worker that does not come for its places. Another attempt waits beside the line: it has waited before,
so it is looked at first, but it may be for one backend only, so nobody waits for it. A request that waits holds no task
and no timer: the queue is looked at when a place becomes free, when its bell rings, and at each tick for those who have
waited too long.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from proxy import faults
from proxy.clock import Clock
from proxy.exchange import Exchange
from proxy.faults import Fault
from proxy.policy.counts import Times

NOBODY: Final = 0
GRACE: Final = 1.0  # seconds


class Heads(Protocol):
    """Since when each worker's oldest request waits, in microseconds of the host's clock; 0: nobody waits there."""

    def set(self, since: int, now: float) -> None:
        """What this worker says, at a time of the clock."""

    def oldest(self, now: float, longest: float) -> int:
        """The row of the worker with the oldest, or -1. What has waited for more than `longest` seconds at another, or
        at one that has not said anything lately, does not count."""

    def row(self) -> int:
        """This worker's own."""


class Waiting(Protocol):
    """The upstream that a queue belongs to."""

    def serve(self, exchange: Exchange) -> bool:
        """Take an exchange out of the line that a backend can take, or that nobody ever will; False: it waits on."""

    def turn_away(self, exchange: Exchange, fault: Fault) -> None:
        """Have somebody else answer an exchange, that no backend will for this reason."""


class Queue:
    """The line of one upstream in one worker: at most `size` exchanges, none for longer than `timeout` seconds.

    `soon` calls something in the loop's next turn.
    """

    __slots__ = (
        "_again",
        "_line",
        "_scheduled",
        "bells",
        "clock",
        "heads",
        "size",
        "soon",
        "timeout",
        "upstream",
        "waits",
    )

    def __init__(
        self,
        size: int,
        timeout: float,
        clock: Clock,
        heads: Heads,
        bells: Sequence[int],
        upstream: Waiting,
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self.size = size
        self.timeout = timeout
        self.clock = clock
        self.heads = heads
        self.bells = bells
        self.upstream = upstream
        self.soon = soon
        self._line: dict[Exchange, float] = {}
        self._again: dict[Exchange, float] = {}  # the other attempts
        self._scheduled = False
        self.waits = Times()

    def __len__(self) -> int:
        return len(self._line) + len(self._again)

    def busy(self) -> bool:
        """Whether somebody is in line, in whichever worker: then nobody may go first."""
        return bool(self._line) or self._oldest() >= 0

    def join(self, exchange: Exchange) -> None:
        """Wait, or be refused when too many do."""
        if len(self) >= self.size:
            self.upstream.turn_away(exchange, faults.QUEUE_FULL)
            return
        exchange.queue = self
        if exchange.tried or exchange.fresh:
            self._again[exchange] = self.clock.now
            return
        self._line[exchange] = self.clock.now
        if len(self._line) == 1:
            self._show()

    def leave(self, exchange: Exchange) -> None:
        """Whoever waited has gone, or is served."""
        since = self._line.pop(exchange, None)
        if since is None:
            since = self._again.pop(exchange, None)
        else:
            self._show()
        exchange.queue = None
        if since is not None:
            waited = self.clock.now - since
            exchange.queued += waited
            self.waits.add(waited)

    def freed(self) -> None:
        """A backend can take one more: look soon, when whoever freed it is done with its own bookkeeping."""
        if not self._scheduled and (self._again or self.busy()):
            self._scheduled = True
            self.soon(self.look)

    def look(self) -> None:
        """Serve as many as can be, the oldest of the host first."""
        self._scheduled = False
        for exchange in tuple(self._again):
            if exchange.queue is self:  # else it has gone while another was served
                self.upstream.serve(exchange)
        while self._line and self._oldest() == self.heads.row():
            if not self.upstream.serve(next(iter(self._line))):
                return
        other = self._oldest()
        if other >= 0 and other != self.heads.row():
            self.ring(other)

    def ring(self, row: int) -> None:
        """Have another worker look."""
        with contextlib.suppress(OSError):  # its count is full of rings that it has not heard yet
            os.eventfd_write(self.bells[row], 1)

    def tick(self, now: float) -> None:
        """Let those go who have waited too long, and look again: a bell may have been missed."""
        for exchange in [one for line in (self._again, self._line) for one in line if 0.0 < one.deadline <= now]:
            if exchange.queue is self:  # else it has gone while another was told
                self.leave(exchange)
                self.upstream.turn_away(exchange, faults.DEADLINE)
        for line in (self._again, self._line):
            while line:
                exchange, since = next(iter(line.items()))
                if now - since < self.timeout:
                    break
                self.leave(exchange)
                self.upstream.turn_away(exchange, faults.QUEUE_TIMEOUT)
        if self._line or self._again:
            self._show()
            self.look()

    def configure(self, size: int, timeout: float) -> None:
        """Go by other bounds from now on; whoever waits keeps its place."""
        self.size = size
        self.timeout = timeout

    def dissolve(self, send: Callable[[Exchange], None]) -> None:
        """There is a line no longer: everybody is sent, in order."""
        for exchange in (*self._again, *self._line):
            if exchange.queue is self:  # else it has gone while another was sent
                self.leave(exchange)
                send(exchange)

    def _oldest(self) -> int:
        """The row of the worker whose turn it is, or -1. Nobody waits for much longer than he may: who seems to is in
        a line that nobody looks after."""
        return self.heads.oldest(self.clock.now, self.timeout + GRACE)

    def _show(self) -> None:
        for since in self._line.values():
            self.heads.set(max(1, int(since * 1e6)), self.clock.now)
            return
        self.heads.set(NOBODY, self.clock.now)
