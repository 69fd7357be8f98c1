"""The simulation itself: a heap of what happens next, a clock that is set to it, and doors and backends that act.

Rules: discrete events; nothing happens between two of them. What is due at the same time happens in the order in which
it was planned, so the same seed gives the same result. Requests are exchanges of production, used again when they are
over. Costs grow with the requests times what a pick costs (for most strategies: with the backends), and with doors
times workers times backends in memory (about 1 KB each).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from itertools import accumulate, count
from math import inf, nextafter
from random import Random
from typing import Any, Final

from proxy import engine
from proxy.catalog import Factory
from proxy.clock import Clock, Parking
from proxy.exchange import Exchange
from proxy.http.message import RequestFields, RequestLine
from proxy.lab.arrivals import Arrivals
from proxy.lab.doors import Doors
from proxy.lab.draws import BATCH, drawing
from proxy.lab.recording import Recorder
from proxy.lab.scenario import Event, Scenario
from proxy.lab.servers import Heap, Mortal, Patience, Server
from proxy.lab.wires import Remote, Way
from proxy.parties import Client
from proxy.policy.health import Health
from proxy.timeouts import Timeouts

TICK: Final = 0.1  # seconds between two ticks of a worker
BEGIN: Final = 1000.0  # of the clock: in nginx's arithmetic 0 stands for never
DRAWN: Final = 1 << 18  # times that all backends together draw ahead


class Visitor:
    """Every client's side of every exchange: it takes what it gets."""

    connection: Any = None

    def head(self, exchange: Exchange, head: Any, body: bytes, end: bool) -> None:
        """An answer."""

    def reply(self, exchange: Exchange, reply: Any) -> None:
        """An answer of the door's own."""

    def last(self) -> None:
        """It is the last."""

    def abort(self) -> None:
        """The answer is broken off."""

    def behind(self) -> bool:
        """It takes everything at once."""
        return False

    def done(self) -> None:
        """The exchange is over."""


class World:
    """One scenario under one strategy, from its beginning to its end.

    `starts` and `latencies` tell of all requests that went well, in the order in which they ended; `failed` is what
    became of the others, by fault or status. What a `recorder` asks for is in `recording`.
    """

    plain: type[Server] = Server  # what backends are
    mortal: type[Mortal] = Mortal  # what they are where anything can go wrong

    def __init__(
        self, scenario: Scenario, strategy: str, factory: Factory | None = None, recorder: Recorder | None = None
    ) -> None:
        self.scenario = scenario
        self.clock = Clock(BEGIN)
        self.heap: Heap = []
        self.serial = count()
        self.rate = scenario.arriving
        self.starts = array("d")
        self.latencies = array("d")
        self.failed: Counter[str] = Counter()
        self.failures = array("d")  # when those began that failed
        self.arrived = 0
        self.since = BEGIN  # when the warm-up was over
        self.counting = False
        self.open = True
        self.retries_before = 0
        self.doors = Doors(scenario, strategy, self.clock, self._alarm)
        self.servers = self._servers()
        self.doors.open(factory, self._record, self.servers, self.soon, self.at)
        self._visitor: Any = Visitor()
        self._clients = self._known() if self._keyed(strategy, factory) else [self._client(0)]
        method = scenario.method.encode()
        self._line = RequestLine(method, b"/", 1, b"/", b"/", b"")
        self._fields = RequestFields(())
        self._spare: list[Exchange] = []
        for server in self.servers:
            server.spare = self._spare
        self._plan()
        self.recording = recorder.begin(self, strategy) if recorder is not None else None

    # --- what there is ----------------------------------------------------------------------------------------------

    def _servers(self) -> list[Any]:
        scenario, table, patience = self.scenario, self.doors.table, self._patience()
        timed = scenario.timeout or table.retry.per_try or table.retry.deadline
        eventful = bool(timed or scenario.event or self.doors.check or self.rate >= scenario.capacity)
        way = Way(scenario.network, table) if scenario.network else None
        made: list[Any] = []
        ahead = max(16, min(BATCH, DRAWN // len(scenario.backends)))
        for place, machine in enumerate(scenario.backends):
            times = drawing(scenario.draw(place), Random(f"{scenario.seed} service {place}"), ahead).__next__
            if eventful or way is not None or machine.errors or machine.backlog or machine.cold:
                chance = Random(f"{scenario.seed} chance {place}")
                rest = (machine, times, self.clock, self.heap, self.serial, chance, patience)
                made.append(self.mortal(*rest) if way is None else Remote(way, *rest))
            else:
                made.append(self.plain(machine, times, self.clock, self.heap, self.serial))
        return made

    def _patience(self) -> Patience:
        """How long doors wait, as the Runtime has it: an attempt has its own time, or as any read."""
        answer = self.doors.table.retry.per_try or self.scenario.timeout or Timeouts().read
        return Patience(answer, self.scenario.cancels)

    def _keyed(self, strategy: str, factory: Factory | None) -> bool:
        """Whether it matters who asks."""
        table = self.doors.table
        own = factory is not None or ":" in strategy
        return own or "hash" in table.balance or bool(self.scenario.limit or table.sticky)

    def _known(self) -> list[Client]:
        return [self._client(number) for number in range(self.scenario.keys)]

    def _client(self, number: int) -> Client:
        # The number is in the first three octets, for these are what ip_hash looks at.
        packed = bytes((1 + (number >> 16) % 223, number >> 8 & 255, number & 255, 1))
        return Client(".".join(map(str, packed)).encode(), packed, b"http", b"")

    def _plan(self) -> None:
        for event in self.scenario.event:
            self.at(BEGIN + event.at, partial(self._happen, event))
        if self.doors.ticks or self.doors.limits is not None:
            self.at(BEGIN + TICK, self._tick)
        if self.scenario.stale:
            self.at(BEGIN + self.scenario.stale, self._look)
        check = self.doors.check
        if check is not None:
            rng = Random(f"{self.scenario.seed} checks")
            for door in self.doors.each:
                for sign, place in zip(door.signs, door.places, strict=True):
                    health, server = Health(check), self.servers[place]
                    self.at(BEGIN + rng.random() * 0.1, partial(self._check, health, sign, server, rng))

    # --- what happens -----------------------------------------------------------------------------------------------

    def at(self, when: float, call: Callable[[], object]) -> None:
        """Have something happen at a time of the clock."""
        heappush(self.heap, (when, next(self.serial), None, call))

    def soon(self, call: Callable[[], None]) -> None:
        """Have something happen next, at the same time."""
        self.at(self.clock.now, call)

    def _alarm(self, when: float, parking: Parking) -> None:
        self.at(when, lambda: parking.ring(self.clock.now))

    def _tick(self) -> None:
        now = self.clock.now
        self.doors.tick(now)
        if self._going:
            self.at(now + TICK, self._tick)

    def _look(self) -> None:
        """The board is written anew."""
        for common in self.doors.commons:
            for gauge in common.gauges.values():
                gauge.seen = gauge.count
        if self._going:
            self.at(self.clock.now + self.scenario.stale, self._look)

    def _check(self, health: Health, sign: Any, server: Mortal, rng: Random) -> None:
        """A check: it fails at once where nothing listens, and after its timeout where nothing answers."""
        now = self.clock.now
        well = server.up and not server.hung

        def heard() -> None:
            if health.heard(well):
                sign.found(health.state, self.clock.now)

        if server.up and server.hung:
            self.at(now + health.check.timeout, heard)
        else:
            heard()
        if self._going:
            self.at(now + health.check.pause(rng.random()), partial(self._check, health, sign, server, rng))

    def _happen(self, event: Event) -> None:
        for place in event.backends or self.scenario.places:
            server, machine = self.servers[place], self.scenario.backends[place]
            if event.do in ("down", "restart"):
                server.stop()
                if event.do == "restart":
                    self.at(self.clock.now + event.value, server.start)
            elif event.do == "up":
                server.start()
            elif event.do == "hang":
                server.hung = True
            elif event.do == "speed":
                server.slowness = 1.0 / (machine.speed * max(event.value, 1e-9))
            else:
                server.errors = event.value

    @property
    def _going(self) -> bool:
        """Whether requests come or are under way."""
        return self.open or len(self.latencies) + len(self.failures) < self.arrived

    def _record(self, exchange: Exchange) -> None:
        """An exchange has ended."""
        if exchange.fault is None and exchange.status < 400 and exchange.answered:
            self.starts.append(exchange.started)
            self.latencies.append(exchange.finished - exchange.started)
            return
        fault = exchange.fault
        limited = exchange.limit_status == "rejected"
        self.failures.append(exchange.started)
        if exchange.started >= self.since and self.counting:
            status = str(exchange.status) if exchange.answered else "fallback"
            name = "limited" if limited else status if fault is None else fault.name
            self.failed[name] += 1

    # --- the run ----------------------------------------------------------------------------------------------------

    def run(self, progress: Callable[[int], object] | None = None) -> bool:
        """Until all requests are answered, or Ctrl-C: then False, and there is what there is."""
        scenario = self.scenario
        try:
            rng = Random(f"{scenario.seed} arrivals")
            arrivals = Arrivals(scenario.arrivals)
            requests = min(scenario.requests, len(arrivals.times) or scenario.requests)
            warm = int(requests * scenario.warmup)
            for batch in arrivals.batches(self.rate, rng):
                left = requests - self.arrived
                if not self.counting and warm - self.arrived < len(batch):
                    cut = max(0, warm - self.arrived)
                    self._serve(batch[: min(left, cut)])
                    self._begin_to_count()
                    batch, left = batch[cut:], requests - self.arrived
                self._serve(batch[:left])
                if progress is not None:
                    progress(self.arrived)
                if self.arrived >= requests:
                    break
            self.open = False
            self._finish()
        except KeyboardInterrupt:
            return False
        finally:
            self.doors.close()
        return True

    def _begin_to_count(self) -> None:
        self.counting = True
        self.since = nextafter(self.clock.now, inf) if self.arrived else BEGIN  # behind the last of the warm-up
        self.retries_before = self.retries
        for server in self.servers:
            server.count_anew()
        if self.recording is not None:
            self.recording.forget()
        if self.doors.limits is not None:
            self.doors.limits.count_anew()

    @property
    def retries(self) -> int:
        """Attempts beyond the first of each request, ever."""
        return sum(worker.group.retries for worker in self.doors.workers)

    def _serve(self, batch: list[float]) -> None:
        """Have requests come at these times, and everything happen until the last of them has come."""
        heap, clock, spare = self.heap, self.clock, self._spare
        workers, clients = self.doors.workers, self._clients
        several = len(workers) > 1 or len(clients) > 1
        visitor, line, fields, pop = self._visitor, self._line, self._fields, heappop
        route, client = workers[0].route, clients[0]
        send, advance, steps = workers[0].group.send, engine.advance, route.steps
        deadline = route.timeouts.deadline
        arriving = self._chooser() if several else None
        for arrival in batch:
            arrival += BEGIN
            while heap and heap[0][0] <= arrival:
                clock.now, _, server, work = pop(heap)
                if server is None:
                    work()
                else:
                    server.complete(work)
            clock.now = arrival
            if arriving is not None:
                worker, client = arriving()
                route, send, steps = worker.route, worker.group.send, worker.route.steps
            if spare:
                exchange = spare.pop()
                exchange.route = route
                exchange.client = client
                exchange.started = arrival
                exchange.finished = exchange.answered = 0.0
                exchange.tried = ()
            else:
                exchange = Exchange(visitor, client, line, fields, clock, route)
            self.arrived += 1
            if deadline:
                exchange.deadline = arrival + deadline
            if steps:
                exchange.pending = iter(steps)
                exchange.limit_status = ""
                advance(exchange)
            else:
                send(exchange)

    def _chooser(self) -> Callable[[], tuple[Any, Client]]:
        """What says which worker a request comes to, and who asks."""
        workers, clients = self.doors.workers, self._clients
        serial = self.arrived
        rng = Random(f"{self.scenario.seed} choice {serial}")
        chance, many, known = rng.random, len(workers), len(clients)
        if self.scenario.popularity and known > 1:
            bounds = self._bounds()
            return lambda: (workers[int(chance() * many)], clients[bisect_right(bounds, chance() * bounds[-1])])
        if known > 1:
            return lambda: (workers[int(chance() * many)], clients[int(chance() * known)])
        client = clients[0]
        return lambda: (workers[int(chance() * many)], client)

    def _bounds(self) -> list[float]:
        exponent = self.scenario.popularity
        return list(accumulate(float(rank) ** -exponent for rank in range(1, len(self._clients) + 1)))

    def _finish(self) -> None:
        """Until everything that has come has gone."""
        heap, clock = self.heap, self.clock
        while heap and self._going:
            clock.now, _, server, work = heappop(heap)
            if server is None:
                work()
            else:
                server.complete(work)
