"""Counts of sites and faults."""

from __future__ import annotations

import logging

import pytest
from lines import exchange

from proxy import faults
from proxy.observe.metrics import BUCKET_NAMES, CLASSES, METHOD_NAMES, FaultCounts, RouteCounts
from proxy.policy.counts import WIDTH, BackendCounts


def test_a_route():
    counts = RouteCounts(FaultCounts())
    for status in (101, 200, 200, 304, 404, 503, 0):
        counts(exchange(status=status))
    assert counts.touched
    assert dict(zip(CLASSES, counts.classes(), strict=True)) == {
        "other": 1,
        "1xx": 1,
        "2xx": 2,
        "3xx": 1,
        "4xx": 1,
        "5xx": 1,
    }
    assert counts.bytes_in == 21 and counts.bytes_out == 35 and counts.durations.seconds == 7 * 1.5
    assert counts.durations.cells[BUCKET_NAMES.index("2.5")] == 7


@pytest.mark.parametrize(
    ("seconds", "name"), [(0.0, "0.001"), (0.001, "0.001"), (0.0011, "0.0025"), (10.0, "10"), (10.1, "+Inf")]
)
def test_durations_fall_below_their_bound(seconds, name):
    counts = RouteCounts(FaultCounts())
    one = exchange()
    one.started, one.finished = 0.0, seconds
    counts(one)
    assert counts.durations.cells[BUCKET_NAMES.index(name)] == 1


@pytest.mark.parametrize(
    ("method", "word"),
    [(b"GET", "GET"), (b"PATCH", "PATCH"), (b"get", "other"), (b"PROPFIND", "other"), (b"", "other")],
)
def test_methods_are_those_that_are_known_and_one_more(method, word):
    counts = RouteCounts(FaultCounts())
    one = exchange(status=404)
    one.line.method = method
    counts(one)
    cells = [(name, status) for name in METHOD_NAMES for status in CLASSES]
    assert [cells[place] for place, number in enumerate(counts.requests) if number] == [(word, "4xx")]


def counted_backend(one):
    backend = one.tried[-1]
    backend.counts = BackendCounts()
    RouteCounts(FaultCounts())(one)
    backend.counts.gather()
    return backend.counts


def times(histogram):
    return {BUCKET_NAMES[place]: number for place, number in enumerate(histogram.cells) if number}, histogram.seconds


def test_a_backend_that_answers_at_once_on_an_idle_link():
    one = exchange()
    one.connected, one.answered, one.finished = 1000.0, 1000.02, 1000.02
    counts = counted_backend(one)
    assert counts.touched and dict(zip(CLASSES, counts.classes, strict=True))["2xx"] == 1
    assert times(counts.headers) == times(counts.wholes) == ({"0.025": 1}, pytest.approx(0.02))
    assert times(counts.connects) == ({}, 0.0)  # the pool counts those


def test_what_is_gathered_is_counted_once():
    one = exchange(status=503)
    one.connected, one.answered, one.finished = 1000.0, 1000.02, 1000.02
    counts = counted_backend(one)
    counts.gather()
    assert counts.classes[CLASSES.index("5xx")] == sum(counts.classes) == sum(counts.wholes.cells) == 1
    assert len(BUCKET_NAMES) == WIDTH


def test_a_backend_whose_answer_takes_its_time():
    one = exchange(status=201)
    one.connected, one.answered, one.ended, one.finished = 1000.25, 1000.5, 1001.25, 1004.0
    counts = counted_backend(one)
    assert times(counts.headers) == ({"0.25": 1}, 0.25)
    assert times(counts.wholes) == ({"1": 1}, 1.0)  # not until its client had it


def test_a_backend_that_did_not_answer_has_no_times():
    one = exchange(status=502)
    one.answered = 0.0
    counts = counted_backend(one)
    assert not counts.touched and sum(counts.classes) == 0


def test_backends_may_be_left_uncounted():
    one = exchange()
    RouteCounts(FaultCounts())(one)
    assert one.tried[-1].counts is None


@pytest.mark.parametrize("fault", sorted(faults.TABLE.values(), key=lambda fault: fault.name), ids=repr)
def test_faults_are_counted_and_told(fault, caplog):
    caplog.set_level(logging.DEBUG, "frontgate")
    counts = FaultCounts()
    RouteCounts(counts)(exchange(fault=fault))
    assert counts.counts[fault] == 1 and sum(counts.counts.values()) == 1
    record = caplog.records[0]
    quiet = fault.blame is faults.CLIENT or fault is faults.NO_ROUTE
    assert record.levelno == (logging.DEBUG if quiet else logging.ERROR)
    assert fault.name in record.getMessage() and record.exchange.line.target == b"/a?b=c"
