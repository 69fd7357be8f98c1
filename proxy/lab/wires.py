"""Simulated backends that are some way off: a round trip for each request, one or two more for a new connection.

Rules: links are kept as `upstream.pool` keeps them, the warmest first and no longer than `keepalive_timeout`, by each
worker for itself. A backend that is down refuses at once; one that goes down breaks off what it has.
"""

from __future__ import annotations

from collections import defaultdict, deque
from heapq import heappush
from typing import TYPE_CHECKING, Any

from proxy.lab.servers import Job, Mortal

if TYPE_CHECKING:
    from proxy.config.upstream import Upstream
    from proxy.exchange import Exchange
    from proxy.http.message import ResponseHead


class Way:
    """How far backends are: `round_trip` seconds, `dialling` seconds more for a new connection, of which `keepalive`
    idle ones are kept for `idle` seconds."""

    __slots__ = ("dialling", "idle", "keepalive", "round_trip")

    def __init__(self, round_trip: float, table: Upstream) -> None:
        self.round_trip = round_trip
        self.dialling = round_trip * (1 if table.tls is None else 2)  # TCP's, and TLS 1.3's (RFC 8446 section 2)
        self.keepalive = table.keepalive
        self.idle = table.keepalive_timeout


class Remote(Mortal):
    """A backend behind a network; `dialled` are the connections that were made to it."""

    __slots__ = ("dialled", "kept", "way")

    def __init__(self, way: Way, *rest: Any) -> None:
        super().__init__(*rest)
        self.way = way
        self.dialled = 0
        self.kept: defaultdict[Any, deque[float]] = defaultdict(deque)  # until when, by the worker's own backend

    def lend(self, exchange: Exchange) -> None:
        """An attempt begins at a door."""
        way, now = self.way, self.clock.now
        if not self.up:
            self.later(way.round_trip, lambda: self.refuse(exchange))
            return
        job = Job(exchange, self)
        exchange.link = job  # type: ignore[assignment]  # as much of one as the engine asks for
        connected = now if self.warm(exchange.backend) else now + way.dialling
        self.watch(job, connected)
        self.later(connected - now + way.round_trip / 2, lambda: self.arrive(job))

    def later(self, seconds: float, call: Any) -> None:
        """Have something happen in so many seconds."""
        heappush(self.heap, (self.clock.now + seconds, next(self.serial), None, call))

    def warm(self, backend: object) -> bool:
        """Take a link that is kept; False, and it is dialled, when there is none."""
        kept = self.kept[backend]
        if kept and kept[-1] > self.clock.now:
            kept.pop()
            return True
        kept.clear()  # the others are colder
        self.dialled += 1
        return False

    def arrive(self, job: Job) -> None:
        """A request is here, unless its door has given it up."""
        exchange = job.exchange
        if exchange is None or not job.awaited:
            return
        if not self.up or (self.backlog and len(self.line) >= self.backlog):
            exchange.link = None
            self.later(self.way.round_trip / 2, lambda: self.refuse(exchange))
        else:
            self.take(job)

    def drop(self, job: Job) -> None:
        """Whoever asked does not wait any more; what is on its way is looked at when it arrives."""
        if job.begun or job in self.line:
            super().drop(job)

    def answer(self, job: Job, exchange: Exchange, head: ResponseHead) -> None:
        """An answer sets out."""
        self.later(self.way.round_trip / 2, lambda: self.heard(job, exchange, head))

    def heard(self, job: Job, exchange: Exchange, head: ResponseHead) -> None:
        """An answer is at its door, which may have given it up meanwhile."""
        if not job.awaited:
            return
        kept = self.kept[exchange.backend]
        if len(kept) < self.way.keepalive:
            kept.append(self.clock.now + self.way.idle)
        super().answer(job, exchange, head)

    def stop(self, *rest: Any) -> None:
        """Go down: whatever is here, and every link, is broken off."""
        self.kept.clear()
        super().stop(*rest)

    def count_anew(self) -> None:
        """The warm-up is over."""
        super().count_anew()
        self.dialled = 0
