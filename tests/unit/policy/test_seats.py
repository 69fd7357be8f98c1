"""When a worker is due to be replaced."""

from __future__ import annotations

from proxy.policy.seats import Bounds, allotted, bounds, due


def test_a_jitter_that_is_not_given_is_a_tenth():
    assert bounds(1000, None, 0.0, 0) == Bounds(1000, 100, 0.0, 0)
    assert bounds(1000, 0, 0.0, 0).jitter == 0


def test_workers_get_different_numbers_of_requests_between_the_bounds():
    limits = bounds(100, 50, 0.0, 0)
    found = {allotted(limits, chance / 1000) for chance in range(1000)}
    assert (min(found), max(found), len(found)) == (100, 150, 51)
    assert allotted(bounds(0, 50, 0.0, 0), 0.5) == 0


def test_what_makes_a_worker_due():
    limits = Bounds(100, 0, 60.0, 100 << 20)
    assert due(limits, 100, 99, 59.9, 100 << 20) == ""
    assert due(limits, 100, 100, 0.0, 0) == "has had 100 requests"
    assert due(limits, 100, 0, 60.0, 0) == "is 60 s old"
    assert due(limits, 100, 0, 0.0, (100 << 20) + 1) == "has 100 MB of memory"


def test_without_bounds_nobody_is():
    assert due(Bounds(), 0, 10**9, 1e9, 1 << 50) == ""
