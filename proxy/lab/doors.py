"""Simulated doors: workers with the groups, strategies, retries, breakers, queues and limits of production.

Rules: everything that decides is made of the [upstream] table as `build.upstreams` makes it; only what reaches outside
(cells of shared memory, links, checks) is a stand-in. Every chance comes from one seeded source for each worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from math import inf
from random import Random
from typing import TYPE_CHECKING, Any

from proxy import catalog
from proxy.build.backends import fineness, fit, slow_start
from proxy.build.upstreams import fallback, retry
from proxy.catalog import Factory
from proxy.clock import Clock, Parking
from proxy.content.redirect import Unlive
from proxy.exchange import Destination, Exchange, Step
from proxy.lab.flights import Flights
from proxy.lab.limits import Limits, client_of
from proxy.lab.redis import At
from proxy.lab.shares import Bound, DoorQueue, Sign, StaleGauge, WorkerHeads, WorkerSigns
from proxy.policy import subset
from proxy.policy.backend import Backend, LocalGauge
from proxy.policy.balance.sticky import Learning, Sticky
from proxy.policy.breaker import Breaker, LocalRecord, Settings
from proxy.policy.health import Check, beginning
from proxy.policy.retry import Budget
from proxy.policy.routing import Route
from proxy.policy.standing import Standing
from proxy.timeouts import Timeouts
from proxy.upstream.group import Group

if TYPE_CHECKING:
    from proxy.config.upstream import Upstream
    from proxy.lab.scenario import Scenario

Alarm = Callable[[float, Parking], None]
Soon = Callable[[Callable[[], None]], object]


def lab_route(group: Group, table: Upstream, rng: Random, steps: tuple[Step, ...]) -> Route:
    """The route of a worker's exchanges."""
    return Route(
        "lab",
        b"/",
        group,
        steps=steps,
        retry=retry(table.retry, rng),
        timeouts=Timeouts(answer=table.retry.per_try or 0.0, deadline=table.retry.deadline or 0.0),
        max_body=0,
        response_buffering=False,
    )


class Common:
    """What some workers know together: for each of their backends what is in flight and its breaker's record, sessions
    that they have learned, and what a limit counts, of which `mark` is the beginning of the keys."""

    def __init__(self, scenario: Scenario, table: Upstream, places: Sequence[int], mark: bytes) -> None:
        self.mark = mark
        self.bound = Bound()
        self.gauges: dict[int, Any] = {place: StaleGauge() if scenario.stale else LocalGauge() for place in places}
        self.records = {place: LocalRecord() for place in places} if table.breaker is not None else {}


class Door:
    """One door: its `workers`, the `places` of the backends that it knows, and what its checks say of each of these."""

    def __init__(self, places: Sequence[int], check: Check | None) -> None:
        self.places = places
        self.workers: list[Worker] = []
        if check is None:
            self.signs = [Sign()] * len(places)  # nobody ever says anything
        else:
            self.signs = [Sign(beginning(check)) for _ in places]

    def introduce(self) -> None:
        """Have the workers hear of each other's failures."""
        for worker in self.workers:
            for place, signs in enumerate(worker.signs):
                signs.others = [other.backends[place] for other in self.workers if other is not worker]


class Worker:
    """One worker of a door: its group, and the route that leads to it. `fine` is that of the table."""

    def __init__(
        self, table: Upstream, fine: int, common: Common, door: Door, clock: Clock, rng: Random, alarm: Alarm
    ) -> None:
        self.clock, self.table, self.fine = clock, table, fine
        self.parking = parking = Parking(lambda at: alarm(at, self.parking))
        self.rng = rng
        self.places = door.places
        self.backends = [self._backend(place, common) for place in self.places]
        self.signs = [WorkerSigns(sign) for sign in door.signs]
        self.group = Group("lab", self.backends, None, parking)  # type: ignore[arg-type]  # see `balance`
        self.group.budget = Budget(table.retry.budget, table.retry.floor)
        slow = [slow_start(table, table.servers[place]) for place in self.places]
        self.group.standing = Standing(self.backends, self.signs, table.panic, slow)
        self.route: Route

    def _backend(self, place: int, common: Common) -> Backend:
        server = self.table.servers[place]
        backend = Backend(server.address, inflight=common.gauges[place])
        fit(backend, server, self.table, self.fine)
        backend.counted = True
        if self.table.breaker is not None:
            settings = Settings(**self.table.breaker.model_dump())
            backend.breaker = Breaker(settings, common.records[place], self.rng)
        backend.guard()
        return backend

    def balance(self, factory: Factory | None, bound: Bound) -> None:
        """Give its group its strategy, or the one that a factory makes, and what binds clients. ValueError when there
        is none of that name."""
        wanted = catalog.Wanted(self.backends, self.clock, self.rng, self.table, lambda text: client_of)
        self.group.balancer = base = catalog.made(wanted, factory)
        sticky = self.table.sticky
        if sticky is not None:
            kept = sticky.learn.timeout if sticky.learn is not None else sticky.expires
            bound.timeout = kept if isinstance(kept, float) else inf
            learning = Learning(bound, [client_of], at_head=False)  # every answer binds, as cookies do
            self.group.balancer = Sticky(base, self.backends, self.clock, [client_of], learning=learning)

    def join(self, record: Callable[[Exchange], None], steps: tuple[Step, ...], pools: Sequence[Any]) -> None:
        """Be ready: `record` hears of every exchange's end, `pools` are the simulated backends."""
        self.route = lab_route(self.group, self.table, self.rng, steps)
        hears = getattr(self.group.balancer, "ended", None)
        self.route.observers = (record,) if hears is None else (hears, record)
        for backend, place in zip(self.backends, self.places, strict=True):
            backend.pool = pools[place]
        self.group.join()


class Doors:
    """All doors of a scenario: `each` of them, and the `workers` of all."""

    def __init__(self, scenario: Scenario, strategy: str, clock: Clock, alarm: Alarm) -> None:
        self.scenario = scenario
        self.clock = clock
        self.table = table = scenario.table(strategy)
        self.check = _check(table)
        self.commons: list[Common] = []
        self.workers: list[Worker] = []
        self.each: list[Door] = []
        self.limits: Limits | Flights | None = None
        self.fallback = _fallback(table)
        self.bound = Bound()
        known, fine = self._known(), fineness(table)
        for place in range(scenario.doors):
            door = Door(known(place), self.check)
            for number in range(scenario.workers):
                common = self._common(door, number)
                rng = Random(f"{scenario.seed} worker {place} {number}")
                door.workers.append(Worker(table, fine, common, door, clock, rng, alarm))
            if scenario.shared != "worker" and scenario.workers > 1:
                door.introduce()
            self.workers += door.workers
            self.each.append(door)

    def _known(self) -> Callable[[int], Sequence[int]]:
        """The places of the backends that a door knows."""
        scenario, servers = self.scenario, self.table.servers
        if not scenario.subset:
            return lambda door: range(len(servers))
        return subset.KINDS[scenario.subset_by]([server.key for server in servers], scenario.subset)

    def _common(self, door: Door, number: int) -> Common:
        shared = self.scenario.shared
        if not self.commons or shared == "worker" or (shared == "door" and not number):
            places = self.scenario.places if shared == "all" else door.places
            self.commons.append(Common(self.scenario, self.table, places, b"%d " % len(self.commons)))
        return self.commons[-1]

    def open(
        self,
        factory: Factory | None,
        record: Callable[[Exchange], None],
        pools: Sequence[Any],
        soon: Soon,
        at: At,
    ) -> None:
        """Be ready for requests."""
        if self.scenario.limit is not None:
            made = Limits(self.scenario, len(self.commons), self.clock, at) if self.scenario.limit.rate else None
            self.limits = made or Flights(self.scenario)
        for place, worker in enumerate(self.workers):
            worker.group.fallback = self.fallback
            common = self.commons[min(place // self._together, len(self.commons) - 1)]
            worker.balance(factory, common.bound if self.table.sticky and self.table.sticky.learn else self.bound)
            worker.join(record, () if self.limits is None else self.limits.steps(worker, common.mark), pools)
            if self.limits is not None:
                worker.route.observers = (*self.limits.observers, *worker.route.observers)
        if self.queues:
            for door in self.each:
                self._line_up(door.workers, soon)

    @property
    def _together(self) -> int:
        """How many workers have a Common between them."""
        return len(self.workers) // len(self.commons)

    @property
    def queues(self) -> bool:
        """Whether requests wait at the door when all backends are full."""
        return self.table.queue.size > 0 and any(server.max_conns for server in self.table.servers)

    @cached_property
    def ticks(self) -> bool:
        """Whether anything of the groups is periodic."""
        table = self.table
        slow = any(slow_start(table, server) for server in table.servers)
        votes = self.scenario.workers > 1 and any(server.max_fails for server in table.servers)
        return bool(self.queues or slow or votes or table.panic or table.breaker or self.check)

    def tick(self, now: float) -> None:
        """What is periodic."""
        if self.ticks:
            for worker in self.workers:
                worker.group.tick(now)
        if self.limits is not None:
            self.limits.tick(int(now * 1000))

    def _line_up(self, workers: list[Worker], soon: Soon) -> None:
        rows, queue = [0] * len(workers), self.table.queue
        lines: list[DoorQueue] = []
        alone = self.scenario.shared == "worker"
        for row, worker in enumerate(workers):
            heads = WorkerHeads([0], 0) if alone else WorkerHeads(rows, row)
            line = DoorQueue(queue.size, queue.timeout, worker.clock, heads, (), worker.group, soon)
            line.lines, line.later = lines, soon
            lines.append(line)
            worker.group.queue = line
            worker.group.join()

    def close(self) -> None:
        """Give back what the limits were kept in."""
        if self.limits is not None:
            self.limits.close()


def _fallback(table: Upstream) -> Destination | None:
    if table.fallback is not None:
        return fallback(table.fallback, {})
    return Unlive("lab") if table.unavailable == 502 else None


def _check(table: Upstream) -> Check | None:
    if table.health is None:
        return None
    found = table.health
    return Check(
        interval=found.interval, timeout=found.timeout, rise=found.rise, fall=found.fall, jitter=found.jitter,
        mandatory=found.mandatory,
    )  # fmt: skip
