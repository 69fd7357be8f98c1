"""Counts of sites and faults."""

from __future__ import annotations

import logging

import pytest
from lines import exchange

from proxy import faults
from proxy.observe.metrics import BUCKET_NAMES, CLASSES, FaultCounts, SiteCounts


def test_a_site():
    counts = SiteCounts(FaultCounts())
    for status in (101, 200, 200, 304, 404, 503, 0):
        counts(exchange(status=status))
    assert dict(zip(CLASSES, counts.classes, strict=True)) == {
        "other": 1,
        "1xx": 1,
        "2xx": 2,
        "3xx": 1,
        "4xx": 1,
        "5xx": 1,
    }
    assert counts.bytes_in == 21 and counts.bytes_out == 35 and counts.seconds == 7 * 1.5
    assert counts.durations[BUCKET_NAMES.index("2.5")] == 7


@pytest.mark.parametrize(
    ("seconds", "name"), [(0.0, "0.001"), (0.001, "0.001"), (0.0011, "0.0025"), (10.0, "10"), (10.1, "+Inf")]
)
def test_durations_fall_below_their_bound(seconds, name):
    counts = SiteCounts(FaultCounts())
    one = exchange()
    one.started, one.finished = 0.0, seconds
    counts(one)
    assert counts.durations[BUCKET_NAMES.index(name)] == 1


@pytest.mark.parametrize("fault", sorted(faults.TABLE.values(), key=lambda fault: fault.name), ids=repr)
def test_faults_are_counted_and_told(fault, caplog):
    caplog.set_level(logging.DEBUG, "frontgate")
    counts = FaultCounts()
    SiteCounts(counts)(exchange(fault=fault))
    assert counts.counts[fault] == 1 and sum(counts.counts.values()) == 1
    record = caplog.records[0]
    quiet = fault.blame is faults.CLIENT or fault is faults.NO_ROUTE
    assert record.levelno == (logging.DEBUG if quiet else logging.ERROR)
    assert fault.name in record.getMessage() and record.exchange.line.target == b"/a?b=c"
