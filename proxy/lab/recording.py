"""What a run remembers of what went on in it: how many requests were at each backend, time after time, and why each
request of a window went where it went.

Rules: nothing is recorded unless somebody asks, and a run that is recorded goes as it would without. Samples are taken
at even times; when there are too many, neighbours become one, so a long run needs no more memory than a short one.
Decisions are told by production's `policy.balance.explained`, put around the strategies for the time of the window.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from proxy.policy.balance.explained import Explained, Pick

if TYPE_CHECKING:
    from proxy.exchange import Exchange
    from proxy.lab.world import World

SAMPLES: Final = 480  # that are wanted of a run; up to twice as many are kept
NUMBERS: Final = 1_000_000  # that are kept in all, however many backends there are
FEWEST: Final = 32  # samples, nevertheless
DECISIONS: Final = 400  # requests that are explained

Watcher = Callable[["World"], object]


class Recorder(NamedTuple):
    """What is to be remembered: samples, the decisions in `window` (from and to, seconds from the beginning). Every
    `pause` seconds of the simulation `watcher` sees the world."""

    window: tuple[float, float] | None = None
    watcher: Watcher | None = None
    pause: float = 1.0

    def begin(self, world: World, strategy: str) -> Recording:
        """Remember what goes on in a world that has not begun."""
        return Recording(world, self, strategy)


class Sample(NamedTuple):
    """The world at a time (seconds from the beginning) or over some: requests at each backend; the seconds of service
    that each has begun since the sample before, and the answers it gave; requests that wait in their lines, in the
    longest one, and at the doors."""

    at: float
    lengths: array[float]
    work: array[float]
    answers: array[float]
    waiting: float
    longest: float
    queued: float


class Decision:
    """Where one request went and why: its `number` among those that came, its picks, and what became of it."""

    __slots__ = ("at", "client", "number", "outcome", "picks", "taken")

    def __init__(self, number: int, at: float, client: str) -> None:
        self.number = number
        self.at = at
        self.client = client
        self.picks: list[Pick] = []
        self.outcome = ""  # a status, or the name of a fault; "" while it is under way
        self.taken = 0.0  # seconds until its end


class Recording:
    """What was recorded: `samples`, each over `every` seconds; `decisions` of the window, `left_out` more of it."""

    def __init__(self, world: World, wanted: Recorder, strategy: str) -> None:
        self.world = world
        self.strategy = strategy
        self.wanted = wanted
        self.begin = world.clock.now
        self.samples: list[Sample] = []
        seconds = max(1e-6, world.scenario.requests / world.rate)
        number = len(world.servers)
        self.most = max(FEWEST, min(2 * SAMPLES, NUMBERS // (3 * number)))
        self.every = 2.0 * seconds / self.most
        self.decisions: list[Decision] = []
        self.left_out = 0
        self._open: dict[Any, Decision] = {}
        self._worked = array("d", bytes(8 * number))
        self._served = array("d", bytes(8 * number))
        self._closing = False
        world.at(self.begin + self.every, self._sample)
        if wanted.watcher is not None:
            world.at(self.begin, self._look)
        if wanted.window is not None:
            begin, end = wanted.window
            world.at(self.begin + begin, self._explain)
            world.at(self.begin + end, self._close)

    # --- samples ----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        if self.wanted.watcher is not None:
            self.wanted.watcher(self.world)
            self._again(self.wanted.pause, self._look)

    def _again(self, pause: float, what: Callable[[], None]) -> None:
        """Have something happen again while there is something to be seen."""
        world = self.world
        if world.open or len(world.latencies) + len(world.failures) < world.arrived:
            world.at(world.clock.now + pause, what)

    def _sample(self) -> None:
        world, servers = self.world, self.world.servers
        work = array(
            "d", [max(0.0, server.worked - before) for server, before in zip(servers, self._worked, strict=True)]
        )
        answers = array("d", [server.served - before for server, before in zip(servers, self._served, strict=True)])
        self.forget()
        lengths = array("d", [server.length for server in servers])
        queued = sum(len(one.group.queue) for one in world.doors.workers if one.group.queue is not None)
        lines = [len(server.line) for server in servers]
        now = world.clock.now - self.begin
        self.samples.append(Sample(now, lengths, work, answers, float(sum(lines)), float(max(lines)), float(queued)))
        if len(self.samples) >= self.most:
            pairs = zip(self.samples[::2], self.samples[1::2], strict=False)
            self.samples = [_joined(first, second) for first, second in pairs]
            self.every *= 2.0
        self._again(self.every, self._sample)

    def forget(self) -> None:
        """Count what servers do from what they have counted until now."""
        for place, server in enumerate(self.world.servers):
            self._worked[place] = server.worked
            self._served[place] = server.served

    # --- decisions --------------------------------------------------------------------------------------------------

    def _explain(self) -> None:
        for worker in self.world.doors.workers:
            group: Any = worker.group
            group.balancer = Explained(group.balancer, worker.backends, worker.clock, self.strategy, self._picked)
            worker.route.observers = (*worker.route.observers, self._ended)

    def _close(self) -> None:
        self._closing = True
        self._fall_silent()

    def _fall_silent(self) -> None:
        """Once the window is over and all of its requests are."""
        if not self._closing or self._open:
            return
        for worker in self.world.doors.workers:
            group: Any = worker.group
            if isinstance(group.balancer, Explained):
                group.balancer = group.balancer.base
                worker.route.observers = tuple(one for one in worker.route.observers if one != self._ended)

    def _picked(self, exchange: Exchange, pick: Pick) -> None:
        decision = self._open.get(exchange)
        if decision is None:
            began = exchange.started - self.begin
            if self._closing or self.wanted.window is None or began < self.wanted.window[0]:
                return  # it began before the window or after
            if len(self.decisions) >= DECISIONS:
                self.left_out += not exchange.tried
                return
            decision = Decision(self.world.arrived, began, exchange.client.address.decode())
            self._open[exchange] = decision
            self.decisions.append(decision)
        decision.picks.append(pick)

    def _ended(self, exchange: Exchange) -> None:
        decision = self._open.pop(exchange, None)
        if decision is not None:
            fault = exchange.fault
            decision.outcome = fault.name if fault is not None else str(exchange.status)
            decision.taken = exchange.finished - exchange.started
            self._fall_silent()


def _joined(first: Sample, second: Sample) -> Sample:
    """Two neighbours as one: means of what is, sums of what was done."""
    return Sample(
        second.at,
        array("d", [0.5 * (a + b) for a, b in zip(first.lengths, second.lengths, strict=True)]),
        array("d", [a + b for a, b in zip(first.work, second.work, strict=True)]),
        array("d", [a + b for a, b in zip(first.answers, second.answers, strict=True)]),
        0.5 * (first.waiting + second.waiting),
        max(first.longest, second.longest),
        0.5 * (first.queued + second.queued),
    )
