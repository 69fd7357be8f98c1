"""What a worker counts, and where it goes: its plain integers, moved to its row of the arena at each tick.

Rules: one writer per cell, this worker. Only what is in flight at backends that somebody balances by is told to the
arena at once (`Backend.counted`). That a backend is left alone, and that it answers again, is said here, once each.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from proxy.clock import Clock
from proxy.config.model import Model
from proxy.config.site import Route, Site
from proxy.downstream.h2.counts import COUNTED as STREAMS_COUNTED
from proxy.downstream.h2.counts import StreamCounts
from proxy.downstream.shaken import COUNTED as HANDSHAKES_COUNTED
from proxy.downstream.shaken import HandshakeCounts
from proxy.observe.metrics import BUCKET_NAMES, CLASSES, METHOD_NAMES, FaultCounts, RouteCounts
from proxy.observe.spans import Spans
from proxy.policy import seats
from proxy.policy.backend import Backend
from proxy.policy.breaker import CLOSED, OPEN, PROBING, WORDS, Breaker
from proxy.policy.counts import BackendCounts, Times
from proxy.shared.arena import Arena, Name
from proxy.shared.limit import OUTCOMES
from proxy.shared.redis.counts import UNASKED, Counts
from proxy.shared.redis.counts import WORDS as REDIS_WORDS
from proxy.upstream.group import Group

Counted = tuple[str, str, str]  # site, route and upstream; of a site as a whole, the others are ""
Living = dict[tuple[str, str], Backend]  # by upstream and address
BACKEND_WORDS = (
    *("inflight", "taken", "failures", "down_until_ms", "health", "drain", "up_since_ms"),
    *("breaker", "breaker_opened", "breaker_probing", "breaker_closed", "ejections"),
    *("weight", "disabled", "pardons"),  # the operator's, in the keeper's row
)
UPSTREAM_WORDS = ("waits_since_us", "looked_us", "waiting", "queued", "retries", "budget_left")
WORKER_WORDS = (
    *("connections", "accepted", "started", "reading", "writing", "lag_us", "lag_max_us", "looked_us"),
    *("watched_until_ms", "deeds"),  # in the keeper's row: somebody wants to see what goes on; deeds of the operator
)
ANSWERS = tuple((method, name) for method in METHOD_NAMES for name in CLASSES)  # as `RouteCounts.requests` has them
SPANS = ("exported", "dropped", "failed")
TIMES = ("header", "whole", "connect")  # of a backend
GAUGES = (
    "inflight",
    "waits_since_us",
    "looked_us",
    "waiting",
    "budget_left",
    "connections",
    "reading",
    "writing",
    "lag_max_us",
    "left_alone",
)
"""What a worker that has died has no longer."""
COUNTED_AS = {OPEN: "breaker_opened", PROBING: "breaker_probing", CLOSED: "breaker_closed"}
RARELY = 10  # ticks between two looks at what costs a little
WINDOW = 100  # ticks that a longest lag is remembered, at least
NOBODY = "-"  # the site of what belongs to no site: redirects of a listener, requests that cannot be read

log = logging.getLogger("frontgate")


class Ledger:
    """What this worker has counted since the last flush, by route and limit, and the cells it goes to."""

    def __init__(self, arena: Arena, row: int, clock: Clock) -> None:
        self._cells = arena.cells(row)
        self._columns = arena.layout.columns
        self._clock = clock
        self.routes: dict[Counted, RouteCounts] = {}
        self.limits: dict[str, list[int]] = {}
        self.unasked: dict[str, list[int]] = {}  # of shared limits, what was done without Redis
        self.redis: Counts | None = None
        self.faults = FaultCounts()
        self.http2 = StreamCounts()
        self.handshakes = HandshakeCounts()
        self.lags = Times()  # of the loop: how late each tick was
        self._longest = [0.0, 0.0]  # lag in this window and in the one before
        self._ticks = 0
        self._spans: dict[Spans, tuple[int, int, int]] = {}  # what has been added of them
        self.rarely = False  # this is a tick for what costs a little
        self._out: set[Backend] = set()  # backends that are known to be kept out

    def connected(self, change: int) -> None:
        """A connection more (1) or fewer (-1)."""
        self._cells[self._columns["worker", "connections"]] += change
        if change > 0:
            self._cells[self._columns["worker", "accepted"]] += change

    def flush(self, groups: Iterable[Group], leaving: Living) -> None:
        """Add everything to the arena."""
        self._ticks += 1
        self.rarely = self._ticks % RARELY == 1
        for counted, counts in self.routes.items():
            if counts.touched:
                self._flush_route(counted, counts)
        self._flush_lag()
        for limit, outcomes in self.limits.items():
            self._move(("limit", limit), OUTCOMES, outcomes)
        for limit, outcomes in self.unasked.items():
            self._move(("limit", limit), UNASKED, outcomes)
        if self.http2.touched:
            for name, number in self.http2.taken():
                self._add(("http2", name), number)
        for name, number in self.handshakes.taken():
            self._add(("tls", name), number)
        if self.redis is not None:
            self._flush_redis(self.redis)
        for fault, number in self.faults.counts.items():
            if number:
                self._add(("fault", fault.name, "total"), number)
                self.faults.counts[fault] = 0
        for group in groups:
            self._flush_group(group)
            for backend in group.backends:
                self._flush_backend(group.name, backend)
                if len(group.backends) > 1 and (backend.fails or backend in self._out):  # a single one is never out
                    self._watch(group.name, backend)
            for backend in group.members.gone if group.members is not None else ():
                self._flush_backend(group.name, backend)
        for (upstream, _), backend in leaving.items():
            self._flush_backend(upstream, backend)
        # Last: whoever reads this time knows that until then the signs of all backends were seen, and what is in flight
        # was told.
        self._cells[self._columns["worker", "looked_us"]] = int(self._clock.now * 1e6)

    def _flush_route(self, counted: Counted, counts: RouteCounts) -> None:
        """Add to the route's columns, and to those of its site."""
        site, route = ("site", counted[0]), ("route", *counted)
        for name, number in zip(CLASSES, counts.classes(), strict=True):
            self._add((*site, "requests", name), number)
        for place, number in enumerate(counts.requests):
            if number:
                self._add((*route, "requests", *ANSWERS[place]), number)
                counts.requests[place] = 0
        both: tuple[Name, ...] = (site, route) if counted[1] else (site,)
        for one in both:
            self._add((*one, "bytes_in"), counts.bytes_in)
            self._add((*one, "bytes_out"), counts.bytes_out)
            for bound, number in zip(BUCKET_NAMES, counts.durations.cells, strict=True):
                self._add((*one, "duration", bound), number)
            self._add((*one, "duration_us"), int(counts.durations.seconds * 1e6))
        counts.bytes_in = counts.bytes_out = 0
        counts.durations.cells[:] = [0] * len(BUCKET_NAMES)
        counts.durations.seconds = 0.0
        counts.touched = False

    def _flush_redis(self, counts: Counts) -> None:
        """What Redis was asked, and how it stands."""
        for word, number in counts.taken().items():
            self._add(("redis", word), number)
        self._flush_times(("redis",), "duration", counts.times)
        self._cells[self._columns["redis", "waiting"]] = counts.waiting
        self._cells[self._columns["redis", "left_alone"]] = counts.left_alone

    def _flush_group(self, group: Group) -> None:
        place = ("upstream", group.name)
        self._add((*place, "retries"), group.retries)
        group.retries = 0
        queue = group.queue
        if queue is not None:
            self._cells[self._columns[*place, "waiting"]] = len(queue)
            self._add((*place, "queued"), sum(queue.waits.cells))
            self._flush_times(place, "queue", queue.waits)
        if self.rarely:
            left = group.budget.left(self._clock.now, sum(backend.taken for backend in group.backends))
            self._cells[self._columns[*place, "budget_left"]] = int(left)

    def _flush_backend(self, upstream: str, backend: Backend) -> None:
        self._add(("backend", upstream, backend.key, "taken"), backend.taken - backend.reported[0])
        self._add(("backend", upstream, backend.key, "failures"), backend.failures - backend.reported[1])
        backend.reported = (backend.taken, backend.failures)
        if backend.counts is not None and backend.counts.touched:
            self._flush_backend_counts(("backend", upstream, backend.key), backend.counts)
        if isinstance(backend.breaker, Breaker):
            self._flush_breaker(upstream, backend, backend.breaker)
        if not backend.counted:
            self.in_flight(upstream, backend)

    def _flush_backend_counts(self, place: Name, counts: BackendCounts) -> None:
        counts.gather()
        self._move((*place, "answers"), CLASSES, counts.classes)
        for word, times in zip(TIMES, (counts.headers, counts.wholes, counts.connects), strict=True):
            self._flush_times(place, word, times)
        counts.touched = False

    def _flush_times(self, place: Name, word: str, times: Times) -> None:
        self._move((*place, word), BUCKET_NAMES, times.cells)
        if times.seconds:
            self._add((*place, f"{word}_us"), int(times.seconds * 1e6))
            times.seconds = 0.0

    def _flush_lag(self) -> None:
        self._flush_times(("worker",), "lag", self.lags)
        if self._ticks % WINDOW == 0:
            self._longest = [0.0, self._longest[0]]
        self._cells[self._columns["worker", "lag_max_us"]] = int(max(self._longest) * 1e6)

    def _flush_breaker(self, upstream: str, backend: Backend, breaker: Breaker) -> None:
        """Log and count the transitions that this worker has made, and show the state."""
        place = ("backend", upstream, backend.key)
        for event in breaker.events:
            words = WORDS[event.after]
            log.warning("upstream %s: the breaker of %s is %s: %s", upstream, backend.key, words, event.reason)
            self._add((*place, COUNTED_AS[event.after]), 1)
        breaker.events.clear()
        self._cells[self._columns[*place, "breaker"]] = breaker.state

    def _watch(self, upstream: str, backend: Backend) -> None:
        """Say once when a backend is kept out for its failures, and once when it is taken again."""
        judged = backend.max_fails > 0 or backend.breaker is not None
        out = judged and not backend.down and backend.out(self._clock.now)
        until = int((backend.checked + backend.fail_timeout) * 1000) if out else 0
        if not backend.shares:
            self._cells[self._columns["backend", upstream, backend.key, "down_until_ms"]] = until
        if out and backend not in self._out:
            self._out.add(backend)
            self._add(("backend", upstream, backend.key, "ejections"), 1)
            log.warning(
                "upstream %s: %s is left alone for %g s after %d failed attempts: %s",
                upstream,
                backend.key,
                backend.fail_timeout,
                backend.fails,
                backend.trouble,
            )
        elif not backend.fails and backend in self._out:
            self._out.discard(backend)
            log.warning("upstream %s: %s answers again", upstream, backend.key)

    def route(self, counted: Counted) -> RouteCounts:
        """What counts for a route."""
        return self.routes.setdefault(counted, RouteCounts(self.faults))

    def late(self, seconds: float) -> None:
        """A tick was so late: the loop was busy with something else."""
        self.lags.add(seconds)
        if seconds > self._longest[0]:
            self._longest[0] = seconds

    def traced(self, spans: Spans | None) -> None:
        """Add what has become of spans since the last time."""
        if spans is not None:
            found = (spans.exported, spans.dropped, spans.failed)
            before = self._spans.get(spans, (0, 0, 0))
            if found != before:
                for word, number, last in zip(SPANS, found, before, strict=True):
                    self._add(("trace", word), number - last)
                self._spans = {spans: found}

    def in_flight(self, upstream: str, backend: Backend) -> None:
        """Set the cell that the backend's gauge would keep."""
        self._cells[self._columns["backend", upstream, backend.key, "inflight"]] = backend.taken - backend.settled

    def _move(self, prefix: Name, names: Iterable[str], numbers: list[int]) -> None:
        for place, name in enumerate(names):
            if numbers[place]:
                self._add((*prefix, name), numbers[place])
                numbers[place] = 0

    def _add(self, name: Name, number: int) -> None:
        if number:
            self._cells[self._columns[name]] += number


def counters(model: Model) -> list[Name]:
    """Every name that this Model counts under."""
    names: list[Name] = [("worker", word) for word in WORKER_WORDS]
    names += [("worker", "lag", bound) for bound in BUCKET_NAMES]
    names += [("fault", fault.name, "total") for fault in FaultCounts().counts]
    names += [("http2", name) for name in STREAMS_COUNTED]
    names += [("tls", name) for name in HANDSHAKES_COUNTED]
    names += _of_routes(model)
    if model.trace is not None and model.trace.export is not None:
        names += [("trace", word) for word in SPANS]
    for site in (NOBODY, *model.site):
        names += [("site", site, "requests", name) for name in CLASSES]
        names += [("site", site, "duration", name) for name in BUCKET_NAMES]
        names += [("site", site, name) for name in ("duration_us", "bytes_in", "bytes_out")]
    for name, upstream in model.upstream.items():
        names += [("upstream", name, word) for word in UPSTREAM_WORDS]
        names += [("upstream", name, "queue", bound) for bound in BUCKET_NAMES]
        names.append(("upstream", name, "queue_us"))
        for server in upstream.servers:
            place = ("backend", name, server.key)
            names += [(*place, word) for word in BACKEND_WORDS]
            if model.metrics.backends:
                names += [(*place, "answers", status) for status in CLASSES]
                names += [(*place, word, bound) for word in TIMES for bound in BUCKET_NAMES]
                names += [(*place, f"{word}_us") for word in TIMES]
    for name, app in model.app.items():
        names += [("app", name, word) for word in seats.OF_ALL]
        names += [("app", name, str(seat), word) for seat in range(app.crew + 1) for word in seats.WORDS]
    for name in model.limit:
        names += [("limit", name, outcome) for outcome in OUTCOMES]
    shared = [name for name, limit in model.limit.items() if limit.shared == "redis"]
    names += [("limit", name, outcome) for name in shared for outcome in UNASKED]
    if shared:
        names += [("redis", word) for word in (*REDIS_WORDS, "duration_us")]
        names += [("redis", "duration", bound) for bound in BUCKET_NAMES]
    return names


def counted_as(model: Model, site: str, table: Route | None) -> Counted:
    """What the requests of a route count under; without a table they are what no route of the site takes."""
    if not model.metrics.routes:
        return site, "", ""
    return (site, NOBODY, "") if table is None else (site, table.label, table.upstream or "")


def _of_routes(model: Model) -> list[Name]:
    """The columns of all routes, each once."""
    counted = dict.fromkeys(counted_as(model, site, None) for site in (NOBODY, *model.site))
    for name, site in model.site.items():
        counted |= dict.fromkeys(counted_as(model, name, table) for table in _tables(site))
    names: list[Name] = []
    for place in counted:
        names += [("route", *place, "requests", *answer) for answer in ANSWERS]
        if place[1]:
            names += [("route", *place, "duration", bound) for bound in BUCKET_NAMES]
            names += [("route", *place, word) for word in ("duration_us", "bytes_in", "bytes_out")]
    return names


def _tables(scope: Site | Route) -> Iterator[Route]:
    for table in scope.route:
        yield table
        yield from _tables(table)
