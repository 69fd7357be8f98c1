"""Simulated backends: each works on so many requests at a time, and the others wait in its line.

Rules: a Server is the pool of all policy backends that stand for it, at every door, so the groups lend to it as they
lend to links. What ends is an entry (time, serial, server, work) of the world's heap. A Server carries exchanges
themselves; a Mortal, of scenarios in which anything can go wrong, carries a Job for each attempt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappush
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from proxy import engine, faults
from proxy.exchange import Exchange
from proxy.http.message import ResponseHead

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.faults import Fault
    from proxy.lab.scenario import Machine
    from proxy.policy.chance import Chance

OK: Final = ResponseHead(200, b"OK", ())
COLD: Final = 0.1  # share of its speed that a server begins with

Heap = list[tuple[float, int, Any, Any]]


class Server:
    """One backend that nothing happens to. `worked` are the seconds of service that it has begun, `served` the answers
    that it gave; `spare` takes exchanges that are over, to be used again."""

    __slots__ = (
        "answered", "busy", "clock", "concurrency", "draw", "heap", "idle", "line", "served", "serial", "slowness",
        "spare", "worked",
    )  # fmt: skip

    def __init__(
        self, machine: Machine, draw: Callable[[], float], clock: Clock, heap: Heap, serial: count[int]
    ) -> None:
        self.answered = engine.answered
        self.draw = draw
        self.concurrency = machine.concurrency
        self.slowness = 1.0 / machine.speed
        self.clock = clock
        self.heap = heap
        self.serial = serial
        self.busy = 0
        self.line: deque[Any] = deque()
        self.served = 0
        self.worked = 0.0
        self.idle = ()  # no links are kept
        self.spare: list[Exchange] = []

    def lend(self, exchange: Exchange) -> None:
        """An attempt comes here."""
        if self.busy < self.concurrency:
            self.busy += 1
            self.worked += (time := self.draw() * self.slowness)
            heappush(self.heap, (self.clock.now + time, next(self.serial), self, exchange))
        else:
            self.line.append(exchange)

    def complete(self, exchange: Exchange) -> None:
        """A request has been worked on for its time."""
        if self.line:
            self.worked += (time := self.draw() * self.slowness)
            heappush(self.heap, (self.clock.now + time, next(self.serial), self, self.line.popleft()))
        else:
            self.busy -= 1
        self.served += 1
        self.answered(exchange, OK, b"", True)
        self.spare.append(exchange)

    def rest(self) -> None:
        """Keep no idle links: there are none."""

    def count_anew(self) -> None:
        """The warm-up is over."""
        self.served, self.worked = 0, 0.0

    @property
    def length(self) -> int:
        """Requests that are here."""
        return self.busy + len(self.line)


class Job:
    """One attempt at a Mortal: the exchange's link, so that the engine can break it off."""

    __slots__ = ("begun", "exchange", "server", "time")

    def __init__(self, exchange: Exchange, server: Mortal) -> None:
        self.exchange: Exchange | None = exchange
        self.server = server
        self.begun = False
        self.time = 0.0

    def abort(self) -> None:
        """The door does not want the answer any more."""
        self.exchange = None
        if self.server.cancels:
            self.server.drop(self)

    @property
    def awaited(self) -> bool:
        """Whether the door waits for it: it is the latest attempt of its exchange."""
        link: object = None if self.exchange is None else self.exchange.link
        return link is self

    def hold(self) -> None:
        """There is no body to be held."""

    def release(self) -> None:
        """There is no body."""


class Patience:
    """How long doors wait: `answer` seconds for one attempt's answer (0: any), or until the exchange's deadline.
    `cancels`: what they do not wait for any more is not worked on either."""

    __slots__ = ("answer", "cancels")

    def __init__(self, answer: float = 0.0, cancels: bool = False) -> None:
        self.answer = answer
        self.cancels = cancels


class Mortal:
    """One backend that may be slow, cold, down, hang, refuse, or answer with errors.

    `up` is false while it takes no connections, `hung` while it answers nobody; `since` is when it last started.
    """

    __slots__ = (
        "backlog", "busy", "cancels", "chance", "clock", "cold", "concurrency", "draw", "error", "errors", "heap",
        "hung", "idle", "line", "patience", "running", "serial", "served", "since", "slowness", "spare", "up",
        "watched", "watching", "worked",
    )  # fmt: skip

    def __init__(
        self,
        machine: Machine,
        draw: Callable[[], float],
        clock: Clock,
        heap: Heap,
        serial: count[int],
        chance: Chance,
        patience: Patience,
    ) -> None:
        self.draw = draw
        self.clock = clock
        self.heap = heap
        self.serial = serial
        self.chance = chance
        self.patience = patience
        self.cancels = patience.cancels
        self.concurrency = machine.concurrency
        self.slowness = 1.0 / machine.speed
        self.errors = machine.errors
        self.error = ResponseHead(machine.error_status, b"Error", ())
        self.backlog = machine.backlog
        self.cold = machine.cold
        self.since = -machine.cold
        self.line: deque[Job] = deque()
        self.running: dict[Job, None] = {}  # in the order in which they were begun
        self.busy = self.served = 0
        self.worked = 0.0
        self.up, self.hung = True, False
        self.watched: deque[tuple[float, Job]] = deque()  # until when an answer is waited for: later ones longer
        self.watching = False
        self.idle = ()
        self.spare: list[Exchange] = []

    def lend(self, exchange: Exchange) -> None:
        """An attempt comes here."""
        if not self.up or (self.backlog and len(self.line) >= self.backlog):
            # Refused in the next turn, as a socket would be: whoever picked is done with his own bookkeeping then.
            heappush(self.heap, (self.clock.now, next(self.serial), None, lambda: self.refuse(exchange)))
            return
        job = Job(exchange, self)
        exchange.link = job  # type: ignore[assignment]  # as much of one as the engine asks for
        self.watch(job, self.clock.now)
        self.take(job)

    def take(self, job: Job) -> None:
        """An attempt is here: work on it, now or later."""
        if self.busy < self.concurrency and not self.hung:
            self.busy += 1
            self.begin(job)
        else:
            self.line.append(job)

    def watch(self, job: Job, since: float) -> None:
        """The door waits for an answer since then. There is one alarm for all, for most are answered long before."""
        exchange, answer = job.exchange, self.patience.answer
        if exchange is not None and exchange.deadline > 0.0 and not 0.0 < since + answer <= exchange.deadline:
            heappush(self.heap, (exchange.deadline, next(self.serial), None, lambda: self.expire(job)))
        if not answer:
            return
        watched = self.watched
        while watched and not watched[0][1].awaited:
            watched.popleft()
        watched.append((since + answer, job))
        if not self.watching:
            self.watching = True
            heappush(self.heap, (since + answer, next(self.serial), None, self.ring))

    def ring(self) -> None:
        """Somebody may have waited long enough."""
        watched = self.watched
        while watched and (watched[0][0] <= self.clock.now or not watched[0][1].awaited):
            self.expire(watched.popleft()[1])
        self.watching = bool(watched)
        if watched:
            heappush(self.heap, (watched[0][0], next(self.serial), None, self.ring))

    def begin(self, job: Job) -> None:
        """Work on a job from now on."""
        time = self.draw() * self.slowness
        if self.cold and self.clock.now < self.since + self.cold:
            time /= COLD + (1.0 - COLD) * (self.clock.now - self.since) / self.cold
        self.worked += time
        job.begun = True
        job.time = self.clock.now + time
        self.running[job] = None
        heappush(self.heap, (job.time, next(self.serial), self, job))

    def complete(self, job: Job) -> None:
        """A job has been worked on for its time, unless it was dropped or the backend died meanwhile."""
        if job not in self.running or self.hung:
            return
        self.running.pop(job, None)
        self.next()
        exchange = job.exchange
        if exchange is None:
            return  # nobody waits for it any more: it was worked on in vain
        if self.errors and self.chance.random() < self.errors:
            self.answer(job, exchange, self.error)
            return
        self.served += 1
        self.answer(job, exchange, OK)

    def answer(self, job: Job, exchange: Exchange, head: ResponseHead) -> None:
        """Answer a job's exchange."""
        exchange.link = None
        engine.answered(exchange, head, b"", True)

    def next(self) -> None:
        """One place is free."""
        if self.line:
            self.begin(self.line.popleft())
        else:
            self.busy -= 1

    def drop(self, job: Job) -> None:
        """Whoever asked does not wait any more."""
        if not job.begun:
            self.line.remove(job)
        elif job in self.running:
            self.running.pop(job, None)
            self.worked -= max(0.0, job.time - self.clock.now)
            if not self.hung:
                self.next()

    def refuse(self, exchange: Exchange) -> None:
        """No connection is taken."""
        engine.failed(exchange, faults.CONNECT_REFUSED)

    def expire(self, job: Job) -> None:
        """The door has waited long enough."""
        exchange = job.exchange
        if exchange is not None and job.awaited:
            late = 0.0 < exchange.deadline <= self.clock.now
            engine.failed(exchange, faults.DEADLINE if late else faults.READ_TIMEOUT)

    def stop(self, fault: Fault = faults.CLOSED_EARLY) -> None:
        """Go down: whatever is here is broken off."""
        self.up = False
        jobs = [*self.running, *self.line]
        for job in self.running:
            self.worked -= max(0.0, job.time - self.clock.now)
        self.running.clear()
        self.line.clear()
        self.busy = 0
        for job in sorted(jobs, key=lambda job: job.time):
            awaited, exchange, job.exchange = job.awaited, job.exchange, None
            if exchange is not None and awaited:
                exchange.link = None
                engine.failed(exchange, fault)

    def start(self) -> None:
        """Come back, cold."""
        if self.hung:
            self.hung = False
            lost, self.busy = list(self.running), 0
            self.running.clear()
            for job in lost:
                job.exchange = None  # whatever it was at is lost; its door waits for as long as it waits
        if not self.up:
            self.up, self.since = True, self.clock.now
        while self.line and self.busy < self.concurrency:
            self.busy += 1
            self.begin(self.line.popleft())

    def rest(self) -> None:
        """Keep no idle links: there are none."""

    def count_anew(self) -> None:
        """The warm-up is over."""
        self.served, self.worked = 0, 0.0

    @property
    def length(self) -> int:
        """Requests that are here."""
        return self.busy + len(self.line)
