"""What a worker counts, and where it goes: its plain integers, moved to its row of the arena at each tick.

Rules: one writer per cell, this worker. Only what is in flight at backends that somebody balances by is told to the
arena at once (`Backend.counted`). That a backend is left alone, and that it answers again, is said here, once each.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from proxy.clock import Clock
from proxy.config.model import Model
from proxy.observe.metrics import BUCKET_NAMES, CLASSES, FaultCounts, SiteCounts
from proxy.policy.backend import Backend
from proxy.policy.breaker import CLOSED, OPEN, PROBING, WORDS, Breaker
from proxy.shared.arena import Arena, Name
from proxy.shared.limit import OUTCOMES
from proxy.upstream.group import Group

Living = dict[tuple[str, str], Backend]  # by upstream and address
BACKEND_WORDS = (
    *("inflight", "taken", "failures", "down_until_ms", "health", "drain", "up_since_ms"),
    *("breaker", "breaker_opened", "breaker_probing", "breaker_closed"),
)
UPSTREAM_WORDS = ("waits_since_us", "looked_us", "waiting", "queued", "queued_us", "retries")
COUNTED_AS = {OPEN: "breaker_opened", PROBING: "breaker_probing", CLOSED: "breaker_closed"}
NOBODY = "-"  # the site of what belongs to no site: redirects of a listener, requests that cannot be read

log = logging.getLogger("frontgate")


class Ledger:
    """What this worker has counted since the last flush, by site and limit, and the cells it goes to."""

    def __init__(self, arena: Arena, row: int, clock: Clock) -> None:
        self._cells = arena.cells(row)
        self._columns = arena.layout.columns
        self._clock = clock
        self.sites: dict[str, SiteCounts] = {}
        self.limits: dict[str, list[int]] = {}
        self.faults = FaultCounts()
        self._out: set[Backend] = set()  # backends that are known to be kept out

    def connected(self, change: int) -> None:
        """A connection more (1) or fewer (-1)."""
        self._cells[self._columns["worker", "connections"]] += change
        if change > 0:
            self._cells[self._columns["worker", "accepted"]] += change

    def flush(self, groups: Iterable[Group], leaving: Living) -> None:
        """Add everything to the arena."""
        for site, counts in self.sites.items():
            self._move(("site", site, "requests"), CLASSES, counts.classes)
            self._move(("site", site, "duration"), BUCKET_NAMES, counts.durations)
            self._add(("site", site, "duration_us"), int(counts.seconds * 1e6))
            self._add(("site", site, "bytes_in"), counts.bytes_in)
            self._add(("site", site, "bytes_out"), counts.bytes_out)
            counts.seconds, counts.bytes_in, counts.bytes_out = 0.0, 0, 0
        for limit, outcomes in self.limits.items():
            self._move(("limit", limit), OUTCOMES, outcomes)
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

    def _flush_group(self, group: Group) -> None:
        place = ("upstream", group.name)
        self._add((*place, "retries"), group.retries)
        group.retries = 0
        queue = group.queue
        if queue is not None:
            self._cells[self._columns[*place, "waiting"]] = len(queue)
            self._add((*place, "queued"), queue.passed)
            self._add((*place, "queued_us"), int(queue.waited * 1e6))
            queue.passed, queue.waited = 0, 0.0

    def _flush_backend(self, upstream: str, backend: Backend) -> None:
        self._add(("backend", upstream, backend.key, "taken"), backend.taken - backend.reported[0])
        self._add(("backend", upstream, backend.key, "failures"), backend.failures - backend.reported[1])
        backend.reported = (backend.taken, backend.failures)
        if isinstance(backend.breaker, Breaker):
            self._flush_breaker(upstream, backend, backend.breaker)
        if not backend.counted:
            self.in_flight(upstream, backend)

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
        out = not backend.down and backend.out(self._clock.now)
        until = int((backend.checked + backend.fail_timeout) * 1000) if out else 0
        if not backend.shares:
            self._cells[self._columns["backend", upstream, backend.key, "down_until_ms"]] = until
        if out and backend not in self._out:
            self._out.add(backend)
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
    names: list[Name] = [("worker", "connections"), ("worker", "accepted"), ("worker", "started")]
    names += [("worker", "reading"), ("worker", "writing")]
    names += [("fault", fault.name, "total") for fault in FaultCounts().counts]
    for site in (NOBODY, *model.site):
        names += [("site", site, "requests", name) for name in CLASSES]
        names += [("site", site, "duration", name) for name in BUCKET_NAMES]
        names += [("site", site, name) for name in ("duration_us", "bytes_in", "bytes_out")]
    for name, upstream in model.upstream.items():
        names += [("upstream", name, word) for word in UPSTREAM_WORDS]
        for server in upstream.servers:
            names += [("backend", name, server.key, word) for word in BACKEND_WORDS]
    for limit in model.limit:
        names += [("limit", limit, outcome) for outcome in OUTCOMES]
    return names
