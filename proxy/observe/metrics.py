"""Counts finished exchanges by site, and says what went wrong.

Rules: observers count in plain integers of this worker (a list cell costs 20 ns, a shared one 60), and `flush` adds
them to the worker's row of the arena at each tick; so a scrape may be 0.1 s behind.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from typing import Final

from proxy import faults
from proxy.exchange import Exchange
from proxy.faults import Fault

# Upper bounds in seconds, those that the Go and Python clients of Prometheus begin with.
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BUCKET_NAMES: Final = (*map("{:g}".format, BUCKETS), "+Inf")
CLASSES: Final = ("other", "1xx", "2xx", "3xx", "4xx", "5xx")

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


class SiteCounts:
    """Counts of one site; an observer of its routes. Faults are passed on to those who count them."""

    __slots__ = ("bytes_in", "bytes_out", "classes", "durations", "faults", "seconds")

    def __init__(self, faults: FaultCounts) -> None:
        self.faults = faults
        self.classes = [0] * len(CLASSES)
        self.durations = [0] * len(BUCKET_NAMES)
        self.seconds = 0.0
        self.bytes_in = 0
        self.bytes_out = 0

    def __call__(self, exchange: Exchange) -> None:
        """Count a finished exchange."""
        seconds = exchange.finished - exchange.started
        self.classes[exchange.status // 100] += 1
        self.durations[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds
        self.bytes_in += exchange.body_in
        self.bytes_out += exchange.body_out
        if exchange.fault is not None:
            self.faults(exchange)
