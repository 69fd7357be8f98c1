"""What the simulation foresees of a run of the real door, with the requests that it is made of.

Rules: the real run gets the same arrivals from the same clients, and each request takes the same time at whichever
backend it comes to (common random numbers), so that the two differ by what the simulation does not know, and little by
chance.
What a request takes while nothing else goes on (network, door, timers: `overhead`) is added to each request; where
places are bounded at the door (`max_conns`), to the time that it holds its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Any, Final, NamedTuple

from proxy.exchange import Exchange
from proxy.lab.arrivals import Arrivals
from proxy.lab.draws import draw
from proxy.lab.scenario import Scenario
from proxy.lab.servers import Job, Mortal, Server
from proxy.lab.world import BEGIN, World
from proxy.parties import Client

NOBODY: Final = b"127.0.0.1"  # who asks where that does not matter


class Ended(NamedTuple):
    """A request that went well: when it came, in seconds from the beginning, how long it took, and who answered."""

    start: float
    latency: float
    backend: int


class Given(Server):
    """A Server whose service times are the requests'."""

    __slots__ = ("time_of",)
    time_of: Callable[[Exchange | None], float]

    def lend(self, exchange: Exchange) -> None:
        """An attempt comes here."""
        self.draw = partial(self.time_of, exchange)
        super().lend(exchange)

    def complete(self, exchange: Exchange) -> None:
        """A request has been worked on for its time."""
        if self.line:
            self.draw = partial(self.time_of, self.line[0])
        super().complete(exchange)


class GivenMortal(Mortal):
    """The same where anything can go wrong."""

    __slots__ = ("time_of",)
    time_of: Callable[[Exchange | None], float]

    def begin(self, job: Job) -> None:
        """Work on a job from now on."""
        self.draw = partial(self.time_of, job.exchange)
        super().begin(job)


class Foreseen(World):
    """A World that remembers who asked, and who answered: `ended` are the requests that went well; of the others,
    `failures_at` has when they came and the status that they got."""

    plain = Given
    mortal = GivenMortal

    def __init__(self, scenario: Scenario, strategy: str, overhead: float = 0.0) -> None:
        self.asked: list[bytes] = []
        self.ended: list[Ended] = []
        self.failures_at: list[tuple[float, int]] = []
        super().__init__(scenario, strategy)
        servers = self.doors.table.servers
        self.places = {server.key: place for place, server in enumerate(servers)}
        bounds = [server.max_conns for server in servers]
        self.after, held = overhead, 0.0
        if self.doors.queues and all(
            0 < bound <= one.concurrency for bound, one in zip(bounds, scenario.backends, strict=True)
        ):
            self.after = 0.0
            held = overhead
        self.numbers: dict[Exchange, int] = {}
        works = work(scenario)
        for one, server in zip(scenario.backends, self.servers, strict=True):
            server.time_of = self._time_of(works[one.service or scenario.service], held / server.slowness)
        for worker in self.doors.workers:
            worker.route.steps = (self._number, *worker.route.steps)

    def _number(self, exchange: Exchange) -> None:
        """A step: the request has its number from now on."""
        self.numbers[exchange] = self.arrived - 1

    def _time_of(self, times: Sequence[float], more: float) -> Callable[[Exchange | None], float]:
        """What says how long a backend works on a request; one that nobody waits for any more is like the first."""
        numbers = self.numbers
        return lambda exchange: more + times[0 if exchange is None else numbers[exchange]]

    def _record(self, exchange: Exchange) -> None:
        """An exchange has ended."""
        before = len(self.latencies)
        super()._record(exchange)
        if len(self.latencies) > before:
            backend: Any = exchange.tried[-1]
            took = exchange.finished - exchange.started + self.after
            self.ended.append(Ended(exchange.started - BEGIN, took, self.places[backend.key]))
        else:
            self.failures_at.append((exchange.started - BEGIN, exchange.status))

    def _chooser(self) -> Callable[[], tuple[Any, Client]]:
        """What says which worker a request comes to, and who asks."""
        choose = super()._chooser()

        def remembered() -> tuple[Any, Client]:
            found = choose()
            self.asked.append(found[1].address)
            return found

        return remembered

    @property
    def clients(self) -> list[bytes]:
        """Who asks, request by request."""
        return self.asked or [NOBODY] * self.arrived

    @property
    def crowd(self) -> int:
        """Requests that were there at a time, at most."""
        ends: list[float] = []
        most = 0
        for start, latency, _ in sorted(self.ended):
            while ends and ends[0] <= start:
                heappop(ends)
            heappush(ends, start + latency)
            most = max(most, len(ends))
        return most


def work(scenario: Scenario) -> dict[str, list[float]]:
    """How long each request takes at a usual backend, by the service times that backends have."""
    texts = {one.service or scenario.service for one in scenario.backends}
    return {text: draw(text).batch(Random(f"{scenario.seed} service"), scenario.requests) for text in texts}


def times(scenario: Scenario) -> list[float]:
    """When the requests of a scenario come, in seconds from the beginning, as a World has them come."""
    found: list[float] = []
    for batch in Arrivals(scenario.arrivals).batches(scenario.arriving, Random(f"{scenario.seed} arrivals")):
        found += batch
        if len(found) >= scenario.requests:
            break
    return found[: scenario.requests]
