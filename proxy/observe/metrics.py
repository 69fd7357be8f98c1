"""Counts finished exchanges by route and backend, and says what went wrong.

Rules: observers count in plain integers of this worker (a list cell costs 20 ns, a shared one 60), and `flush` adds
them to the worker's row of the arena at each tick; so a scrape may be 0.1 s behind. What is counted by is bounded by
the configuration: its sites, routes, upstreams and backends; methods that are known, and one word for all others.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from typing import Final, cast

from proxy import faults
from proxy.exchange import Exchange
from proxy.faults import Fault
from proxy.policy import attempts
from proxy.policy.backend import Backend
from proxy.policy.counts import BUCKET_NAMES as BUCKET_NAMES
from proxy.policy.counts import BUCKETS as BUCKETS
from proxy.policy.counts import CLASSES as CLASSES
from proxy.policy.counts import WIDTH, BackendCounts, Times

METHOD_NAMES: Final = ("other", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
_OTHER: Final = 0
_LAST: Final = 5
_METHODS: Final = {name.encode(): place * len(CLASSES) for place, name in enumerate(METHOD_NAMES) if place}

log = logging.getLogger("frontgate")


class FaultCounts:
    """Counts of faults, and a line in the error log for those that an operator can do something about."""

    __slots__ = ("client_level", "counts")

    def __init__(self) -> None:
        self.client_level = logging.DEBUG  # of what clients are to blame for: they could fill the disk
        self.counts: dict[Fault, int] = dict.fromkeys(faults.TABLE.values(), 0)

    def __call__(self, exchange: Exchange) -> None:
        """Count the fault of a finished exchange, if it has one."""
        fault = exchange.fault
        if fault is None:
            return
        self.counts[fault] += 1
        by_client = fault.blame is faults.CLIENT or fault is faults.NO_ROUTE
        level = self.client_level if by_client else logging.ERROR
        log.log(level, "%s: %s", fault.name, fault.reason, extra={"exchange": exchange})


class RouteCounts:
    """Counts of one route, and of the backends that answered it; an observer. `requests` has a cell for each class of
    status of each method. Faults are passed on to those who count them; `touched`: there is something to flush."""

    __slots__ = ("bytes_in", "bytes_out", "durations", "faults", "requests", "touched")

    def __init__(self, faults: FaultCounts) -> None:
        self.faults = faults
        self.requests = [0] * (len(METHOD_NAMES) * len(CLASSES))
        self.durations = Times()
        self.bytes_in = 0
        self.bytes_out = 0
        self.touched = False

    def __call__(self, exchange: Exchange) -> None:
        """Count a finished exchange."""
        started, finished = exchange.started, exchange.finished
        seconds = finished - started
        place = bisect_left(BUCKETS, seconds)
        status = exchange.status // 100
        if status > _LAST:  # a script may say anything up to 999
            status = 0
        self.requests[_METHODS.get(exchange.line.method, _OTHER) + status] += 1
        times = self.durations
        times.cells[place] += 1
        times.seconds += seconds
        self.bytes_in += exchange.body_in
        self.bytes_out += exchange.body_out
        self.touched = True
        tried = exchange.tried
        if tried:
            backend: Backend = tried[-1]  # type: ignore[assignment]  # groups pick no others
            counts = backend.counts
            if counts is None:
                pass
            elif exchange.connected == started and exchange.answered == finished and exchange.source is None:
                counts.plain[status * WIDTH + place] += 1  # on an idle link, and whole at once: all its times are one
                counts.seconds += seconds
                counts.touched = True
            else:
                count_attempts(exchange, counts)
        elif exchange.course is not None:
            count_attempts(exchange, None)
        if exchange.fault is not None:
            self.faults(exchange)

    def classes(self) -> list[int]:
        """Requests by class of status."""
        return [sum(self.requests[place :: len(CLASSES)]) for place in range(len(CLASSES))]


def count_attempts(exchange: Exchange, counts: BackendCounts | None) -> None:
    """Count what the backends of an exchange have answered; `counts` are those of the last that its route has asked."""
    course, connected, answered = exchange.course, exchange.connected, exchange.answered
    if course is not None and course.attempts:
        for one in attempts.all_of(exchange):
            if one is not None and one.answered:
                its = cast("Backend", one.backend).counts
                if its is not None:
                    since = max(one.connect, 0.0)
                    header = max((one.response if one.header < 0.0 else one.header) - since, 0.0)
                    its.answered(one.answered, header, max(one.response - since, header))
    elif counts is not None and answered >= connected >= exchange.attempted > 0.0:
        status = exchange.status if exchange.source is None else exchange.source.status
        counts.answered(status, answered - connected, max(exchange.ended, answered) - connected)
