"""Simulated doors: workers with the groups, strategies, retries, breakers, queues and limits of production.

Rules: everything that decides is made of the [upstream] table as `build.upstreams` makes it; only what reaches outside
(cells of shared memory, links, checks) is a stand-in. Every chance comes from one seeded source for each worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from random import Random
from typing import TYPE_CHECKING, Any

from proxy import catalog
from proxy.build.backends import fineness, fit, slow_start
from proxy.build.upstreams import retry
from proxy.clock import Clock, Parking
from proxy.exchange import Exchange, Step
from proxy.http.response import HeaderEdits
from proxy.lab.shares import DoorQueue, Sign, StaleGauge, WorkerHeads, WorkerSigns
from proxy.policy.backend import Backend, LocalGauge
from proxy.policy.balance.strategy import Strategy
from proxy.policy.breaker import Breaker, LocalRecord, Settings
from proxy.policy.health import Check, beginning
from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.policy.retry import Budget
from proxy.policy.standing import UNCHECKED, Standing
from proxy.shared.buckets import Buckets, made
from proxy.shared.limit import Limit, OneLimit
from proxy.timeouts import Timeouts
from proxy.upstream.group import Group

if TYPE_CHECKING:
    from proxy.config.upstream import Upstream
    from proxy.lab.scenario import Scenario

# (backends, clock, chance) -> Strategy: what a strategy of one's own is made by, in the lab and elsewhere.
Factory = Callable[[Sequence[Backend], Clock, Random], Strategy]
Alarm = Callable[[float, Parking], None]
Soon = Callable[[Callable[[], None]], object]


class LabRoute:
    """What an exchange's route is asked for."""

    def __init__(self, group: Group, table: Upstream, rng: Random, steps: tuple[Step, ...]) -> None:
        self.destination = group
        self.steps = steps
        self.observers: tuple[Callable[[Exchange], None], ...] = ()
        self.retry = retry(table.retry, rng)
        self.timeouts = Timeouts(answer=table.retry.per_try or 0.0, deadline=table.retry.deadline or 0.0)
        self.answers = self.composer = self.folder = self.error_logs = None
        self.site = "lab"
        self.site_name = b"lab"
        self.max_body = 0
        self.trailers = False
        self.response_buffering = False
        self.edits = self.request_edits = HeaderEdits((), ())


class Common:
    """What some workers know together: for each backend what is in flight and its breaker's record, and the limit."""

    def __init__(self, scenario: Scenario, table: Upstream) -> None:
        number = len(table.servers)
        self.gauges: list[Any] = [StaleGauge() if scenario.stale else LocalGauge() for _ in range(number)]
        self.records = [LocalRecord() for _ in range(number)] if table.breaker is not None else []
        limit = scenario.limit
        self.memory = made(limit.memory) if limit is not None and limit.rate is not None else None


class Worker:
    """One worker of a door: its group, and the route that leads to it."""

    def __init__(
        self, table: Upstream, common: Common, signs: Sequence[Sign], clock: Clock, rng: Random, alarm: Alarm
    ) -> None:
        self.clock, self.table, self.fine = clock, table, fineness(table)
        self.parking = parking = Parking(lambda at: alarm(at, self.parking))
        self.rng = rng
        self.backends = [self._backend(place, common) for place in range(len(table.servers))]
        self.signs = [WorkerSigns(sign) for sign in signs]
        self.group = Group("lab", self.backends, None, parking)  # type: ignore[arg-type]  # see `balance`
        self.group.budget = Budget(table.retry.budget, table.retry.floor)
        slow = [slow_start(table, server) for server in table.servers]
        self.group.standing = Standing(self.backends, self.signs, table.panic, slow)
        self.route: LabRoute

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

    def balance(self, strategy: str, factory: Factory | None) -> None:
        """Give its group the strategy. ValueError when there is none of that name."""
        if factory is None and ":" in strategy:
            factory = named(strategy)
        if factory is not None:
            self.group.balancer = factory(self.backends, self.clock, self.rng)
            return
        wanted = catalog.Wanted(self.backends, self.clock, self.rng, self.table, lambda text: client_of)
        self.group.balancer = catalog.BALANCE[self.table.balance](wanted)

    def join(self, record: Callable[[Exchange], None], steps: tuple[Step, ...], pools: Sequence[Any]) -> None:
        """Be ready: `record` hears of every exchange's end, `pools` are the simulated backends."""
        self.route = LabRoute(self.group, self.table, self.rng, steps)
        hears = getattr(self.group.balancer, "ended", None)
        self.route.observers = (record,) if hears is None else (hears, record)
        for backend, pool in zip(self.backends, pools, strict=True):
            backend.pool = pool
        self.group.join()


def named(text: str) -> Factory:
    """The factory of "package.module:factory". ValueError with a sentence."""
    module, _, name = text.partition(":")
    try:
        factory: Factory = getattr(import_module(module), name)
    except (ImportError, AttributeError) as problem:
        raise ValueError(f'there is no strategy "{text}": {problem}') from None
    return factory


def client_of(exchange: Exchange) -> bytes:
    """What is hashed, whatever a table says: who asks."""
    return exchange.client.address


class Doors:
    """All doors of a scenario: `workers` of all of them; `signs` of each door, by backend."""

    def __init__(self, scenario: Scenario, strategy: str, clock: Clock, alarm: Alarm) -> None:
        self.scenario = scenario
        self.table = table = scenario.table(strategy)
        self.check = _check(table)
        self.commons: list[Common] = []
        self.signs: list[list[Sign]] = []
        self.workers: list[Worker] = []
        self.of_door: list[list[Worker]] = []
        for door in range(scenario.doors):
            signs = [Sign(beginning(self.check) if self.check else UNCHECKED) for _ in table.servers]
            self.signs.append(signs)
            self.of_door.append([])
            for number in range(scenario.workers):
                common = self._common(door, number)
                rng = Random(f"{scenario.seed} worker {door} {number}")
                worker = Worker(table, common, signs, clock, rng, alarm)
                self.workers.append(worker)
                self.of_door[-1].append(worker)
            self._introduce(self.of_door[-1])

    def _common(self, door: int, number: int) -> Common:
        shared = self.scenario.shared
        if not self.commons or shared == "worker" or (shared == "door" and not number):
            self.commons.append(Common(self.scenario, self.table))
        return self.commons[-1]

    def _introduce(self, workers: list[Worker]) -> None:
        """Have the workers of a door hear of each other's failures."""
        if self.scenario.shared == "worker":
            return
        for worker in workers:
            for place, signs in enumerate(worker.signs):
                signs.others = [other.backends[place] for other in workers if other is not worker]

    def open(
        self,
        strategy: str,
        factory: Factory | None,
        record: Callable[[Exchange], None],
        pools: Sequence[Any],
        soon: Soon,
        resume: Callable[[Exchange], None],
    ) -> None:
        """Be ready for requests."""
        for place, worker in enumerate(self.workers):
            worker.balance(strategy, factory)
            common = self.commons[min(place // self._together, len(self.commons) - 1)]
            worker.join(record, self._steps(common, worker, resume), pools)
        if self.queues:
            for workers in self.of_door:
                self._line_up(workers, soon)

    @property
    def _together(self) -> int:
        """How many workers have a Common between them."""
        return len(self.workers) // len(self.commons)

    @property
    def queues(self) -> bool:
        """Whether requests wait at the door when all backends are full."""
        return self.table.queue.size > 0 and any(server.max_conns for server in self.table.servers)

    @property
    def ticks(self) -> bool:
        """Whether anything is periodic."""
        table = self.table
        slow = any(slow_start(table, server) for server in table.servers)
        votes = self.scenario.workers > 1 and any(server.max_fails for server in table.servers)
        return bool(self.queues or slow or votes or table.panic or table.breaker or self.check)

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

    def _steps(self, common: Common, worker: Worker, resume: Callable[[Exchange], None]) -> tuple[Step, ...]:
        table = self.scenario.limit
        if table is None or common.memory is None:
            return ()
        leaky = Leaky(table.rate or 1, table.burst * REQUEST, None if table.nodelay else table.delay * REQUEST)
        limit = Limit(
            "lab", client_of, leaky, Buckets(common.memory, leaky), [0] * 5, status=table.status, dry_run=table.dry_run
        )
        return (OneLimit(limit, worker.clock, worker.parking, resume),)

    def close(self) -> None:
        """Give back what the limits were kept in."""
        for common in self.commons:
            if common.memory is not None:
                common.memory.close()


def _check(table: Upstream) -> Check | None:
    if table.health is None:
        return None
    found = table.health
    return Check(
        interval=found.interval, timeout=found.timeout, rise=found.rise, fall=found.fall, jitter=found.jitter,
        mandatory=found.mandatory,
    )  # fmt: skip
