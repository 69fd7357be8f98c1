"""A log's requests in the simulation: they come when they came, and each takes its own time wherever it goes.

Rules: a request has the same time, the same answer and the same client under every strategy; what differs is who works
on it, and how long it waits there. A backend that the log shows failing (`Logged.outages`) takes no requests meanwhile.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from ipaddress import ip_address
from math import inf
from random import Random
from typing import Any

from proxy import engine, faults
from proxy.catalog import Factory
from proxy.exchange import Exchange
from proxy.faults import Fault
from proxy.http.message import RequestFields, RequestLine, ResponseHead
from proxy.lab.arrivals import BATCH
from proxy.lab.logs.logged import FAILED, NOBODY, Logged
from proxy.lab.recording import Recorder
from proxy.lab.scenario import Scenario
from proxy.lab.servers import Job, Mortal, Server
from proxy.lab.world import BEGIN, World
from proxy.parties import Client


class Work:
    """What backends are to know of the log: which request an exchange is, its time and the head of its answer."""

    __slots__ = ("heads", "numbers", "statuses", "times")

    def __init__(self, logged: Logged) -> None:
        self.times = logged.times
        known = zip(logged.statuses, logged.places, strict=True)
        self.statuses = array("H", [status if place != NOBODY else 200 for status, place in known])
        self.heads = {status: ResponseHead(status, b"Logged", ()) for status in set(self.statuses)}
        self.numbers: dict[Exchange, int] = {}

    def time(self, exchange: Exchange) -> float:
        """How long a request is worked on."""
        return self.times[self.numbers[exchange]]

    def head(self, exchange: Exchange) -> ResponseHead:
        """What it is answered with."""
        return self.heads[self.statuses[self.numbers[exchange]]]


class LoggedServer(Server):
    """A backend that works on each request for its own time."""

    __slots__ = ("work",)
    work: Work

    def lend(self, exchange: Exchange) -> None:
        """An attempt comes here."""
        if self.busy < self.concurrency:
            self.busy += 1
            self._begin(exchange)
        else:
            self.line.append(exchange)

    def _begin(self, exchange: Exchange) -> None:
        self.worked += (time := self.work.time(exchange) * self.slowness)
        heappush(self.heap, (self.clock.now + time, next(self.serial), self, exchange))

    def complete(self, exchange: Exchange) -> None:
        """A request has been worked on for its time."""
        if self.line:
            self._begin(self.line.popleft())
        else:
            self.busy -= 1
        self.served += 1
        self.answered(exchange, self.work.head(exchange), b"", True)
        if exchange.finished:  # and not sent once more
            self.spare.append(exchange)


class LoggedMortal(Mortal):
    """The same where anything can go wrong."""

    __slots__ = ("work", "works")
    work: Work
    works: dict[Job, float]  # times of the attempts that are not begun

    def take(self, job: Job) -> None:
        """An attempt is here: work on it, now or later."""
        if job.exchange is not None:
            self.works[job] = self.work.time(job.exchange)
        super().take(job)

    def begin(self, job: Job) -> None:
        """Work on a job from now on."""
        time = self.works.pop(job)
        self.draw = lambda: time
        super().begin(job)

    def drop(self, job: Job) -> None:
        """Whoever asked does not wait any more."""
        self.works.pop(job, None)
        super().drop(job)

    def complete(self, job: Job) -> None:
        """A job has been worked on for its time, unless it was dropped or the backend died meanwhile."""
        exchange = job.exchange
        if exchange is None or self.errors or job not in self.running or self.hung:
            super().complete(job)
            return
        self.running.pop(job)
        self.next()
        exchange.link = None
        self.served += 1
        engine.answered(exchange, self.work.head(exchange), b"", True)

    def stop(self, fault: Fault = faults.CLOSED_EARLY) -> None:
        """Go down: whatever is here is broken off."""
        self.works.clear()
        super().stop(fault)


class Rerun(World):
    """A log under one strategy."""

    def __init__(
        self,
        scenario: Scenario,
        logged: Logged,
        strategy: str,
        factory: Factory | None = None,
        recorder: Recorder | None = None,
        impatient: bool = False,
    ) -> None:
        """`impatient`: look at how long doors wait, in any case. ValueError for what a log cannot be played with."""
        if scenario.network:
            raise ValueError("network cannot be said of a replay: the times of the log have it in them")
        self.impatient = impatient
        self.logged = logged
        self.work = Work(logged)
        self.outages = logged.outages()
        super().__init__(scenario, strategy, factory, recorder)
        addresses = [server.address for server in self.doors.table.servers]
        for address, begin, end in self.outages:
            for place in [place for place, own in enumerate(addresses) if own == address]:
                self.at(BEGIN + begin, partial(setattr, self.servers[place], "up", False))
                if end != inf:
                    self.at(BEGIN + end, self.servers[place].start)

    def _servers(self) -> list[Any]:
        scenario, retry, patience = self.scenario, self.doors.table.retry, self._patience()
        timed = scenario.timeout or retry.per_try or retry.deadline
        eventful = bool(timed or scenario.event or self.doors.check or self.outages or self.impatient)
        made: list[Any] = []
        for place, machine in enumerate(scenario.backends):
            server: LoggedServer | LoggedMortal
            rest = (machine, float, self.clock, self.heap, self.serial)
            if eventful or machine.errors or machine.backlog or machine.cold:
                server = LoggedMortal(*rest, Random(f"{scenario.seed} chance {place}"), patience)
                server.works = {}
            else:
                server = LoggedServer(*rest)
            server.work = self.work
            made.append(server)
        return made

    @property
    def overslept(self) -> bool:
        """Whether requests took longer than a door waits, and nobody looked at that: for most logs nobody has to."""
        slow = max(self.latencies, default=0.0) > self._patience().answer
        return slow and isinstance(self.servers[0], LoggedServer)

    def _known(self) -> list[Client]:
        return [_client(name) for name in self.logged.names]

    def _record(self, exchange: Exchange) -> None:
        """An exchange has ended: what the backend said is no failure below 500."""
        self.work.numbers.pop(exchange)
        if exchange.fault is None and exchange.status < FAILED and exchange.limit_status != "rejected":
            self.starts.append(exchange.started)
            self.latencies.append(exchange.finished - exchange.started)
        else:
            super()._record(exchange)

    def run(self, progress: Callable[[int], object] | None = None) -> bool:
        """Until all requests are answered, or Ctrl-C: then False, and there is what there is."""
        number = len(self.logged)
        warm = int(number * self.scenario.warmup)
        try:
            self._replay(0, warm)
            self._begin_to_count()
            for first in range(warm, number, BATCH):
                self._replay(first, min(first + BATCH, number))
                if progress is not None:
                    progress(self.arrived)
            self.open = False
            self._finish()
        except KeyboardInterrupt:
            return False
        finally:
            self.doors.close()
        return True

    def _replay(self, first: int, last: int) -> None:
        """Have some requests come, and everything happen until the last of them has come."""
        heap, clock, spare, numbers = self.heap, self.clock, self._spare, self.work.numbers
        workers, clients, several = self.doors.workers, self._clients, len(self._clients) > 1
        many, chance, visitor = len(workers), Random(f"{self.scenario.seed} choice {first}").random, self._visitor
        lines, fields = self._lines(), RequestFields(())
        deadline, starts, logged = workers[0].route.timeouts.deadline, self.logged.starts, self.logged
        for number in range(first, last):
            arrival = BEGIN + starts[number]
            while heap and heap[0][0] <= arrival:
                clock.now, _, server, work = heappop(heap)
                if server is None:
                    work()
                else:
                    server.complete(work)
            clock.now = arrival
            worker = workers[int(chance() * many)] if many > 1 else workers[0]
            client = clients[logged.clients[number]] if several else clients[0]
            line = lines[logged.methods[number]]
            if spare:
                exchange = spare.pop()
                exchange.route, exchange.client, exchange.line = worker.route, client, line
                exchange.started, exchange.tried = arrival, ()
                exchange.finished = exchange.answered = 0.0
            else:
                exchange = Exchange(visitor, client, line, fields, clock, worker.route)
            numbers[exchange] = number
            self.arrived += 1
            if deadline:
                exchange.deadline = arrival + deadline
            if worker.route.steps:
                exchange.pending = iter(worker.route.steps)
                exchange.limit_status = ""
                engine.advance(exchange)
            else:
                worker.group.send(exchange)

    def _lines(self) -> list[RequestLine]:
        return [
            RequestLine(verb.encode("latin-1", "replace"), b"/", 1, b"/", b"/", b"") for verb in self.logged.verbs[:256]
        ]


def _client(name: str) -> Client:
    try:
        packed = ip_address(name).packed
    except ValueError:
        packed = b""
    return Client(name.encode(), packed, b"http", b"")
