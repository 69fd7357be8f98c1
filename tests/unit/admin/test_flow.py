"""Rates and percentiles of numbers that are known."""

from __future__ import annotations

import math

import pytest
from place import standing

from proxy.admin.flow import KEPT, WINDOW, Flow, quantile


def add(host, row, number, *name):
    host.arena.cells(row)[host.arena.column(name)] += number


def test_a_sample_is_what_was_counted_since_the_one_before():
    host = standing()
    flow = Flow(host)
    first = flow.tick(100.0, 5000.0)
    assert first.requests == 0.0 and first.latency.p50 is None and first.connections == 12 and first.in_flight == 3
    add(host, 0, 30, "site", "api", "requests", "2xx")
    add(host, 1, 10, "site", "api", "requests", "5xx")
    add(host, 1, 40, "site", "api", "duration", "0.01")
    add(host, 1, 200_000, "site", "api", "duration_us")
    add(host, 0, 5, "limit", "per_ip", "rejected")
    add(host, 0, 400, "site", "api", "bytes_out")
    second = flow.tick(102.0, 5002.0)
    assert (second.at, second.requests, second.classes["5xx"]) == (5002.0, 20.0, 5.0)
    assert (second.rejected, second.bytes_out, second.latency.mean) == (2.5, 200.0, 0.005)
    assert 0.005 < second.latency.p50 < second.latency.p99 <= 0.01
    assert list(flow.samples) == [first, second]


def test_rates_look_back_over_the_window():
    host = standing()
    flow = Flow(host)
    for second in range(WINDOW + 5):
        add(host, 0, 10 if second < 5 else 2, "backend", "app", "127.0.0.1:8001", "taken")
        add(host, 0, 2, "backend", "app", "127.0.0.1:8001", "header", "0.1")
        flow.tick(float(second), float(second))
    rate, latency = flow.backend("app", "127.0.0.1:8001")
    assert rate == 2.0 and 0.05 < latency.p50 < 0.1
    assert flow.backend("app", "nobody") == (0.0, type(latency)())
    assert flow.site("nobody")[0] == 0.0


def test_it_is_bounded_and_a_counter_that_falls_is_no_negative_rate():
    host = standing()
    flow = Flow(host)
    for second in range(KEPT + 10):
        flow.tick(float(second), float(second))
    assert len(flow.samples) == KEPT
    add(host, 0, -50, "site", "api", "requests", "2xx")
    assert flow.tick(1000.0, 1000.0).requests == 0.0


@pytest.mark.parametrize(
    ("share", "counts", "found"),
    [
        (0.5, [], None),
        (0.5, [(1.0, 0)], None),
        (0.5, [(0.1, 10)], 0.05),
        (0.5, [(0.1, 5), (0.2, 5)], 0.1),
        (0.9, [(0.1, 5), (0.2, 5)], 0.18),
        (0.99, [(0.1, 1), (math.inf, 99)], 0.1),  # nobody knows how far above
        (0.5, [(0.1, 0), (0.2, 4)], 0.15),
    ],
)
def test_quantiles_lie_within_their_bucket(share, counts, found):
    assert quantile(share, counts) == (found if found is None else pytest.approx(found))
