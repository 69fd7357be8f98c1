"""Pauses, budgets, and what Retry-After says."""

from __future__ import annotations

from random import Random

import pytest

from proxy.policy.retry import FULL, Budget, Retry, retry_after


class Fixed:
    def __init__(self, number):
        self.number = number

    def random(self):
        return self.number


@pytest.mark.parametrize(("made", "wait"), [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (6, 10.0), (60, 10.0)])
def test_the_seeds_pauses(made, wait):
    """0.5 s * 2^n, at most 10 s, +-20 %."""
    for chance, factor in ((0.0, 0.8), (0.5, 1.0), (1.0, 1.2)):
        retry = Retry(base=0.5, cap=10.0, jitter=0.2, rng=Fixed(chance))
        assert retry._wait(made) == pytest.approx(wait * factor)


def test_full_jitter_is_anything_up_to_the_pause():
    retry = Retry(base=1.0, jitter=FULL, rng=Random(1))
    waits = [retry._wait(3) for _ in range(1000)]
    assert 0.0 <= min(waits) < 0.1 and 3.9 < max(waits) < 4.0


def spend(budget, now, requests):
    """How many retries the budget allows, each of which is an attempt more."""
    allowed = 0
    while budget.allows(now, requests + allowed):
        allowed += 1
    return allowed


def test_a_budget_is_a_share_of_the_requests():
    budget = Budget(share=0.2, floor=0)
    assert not budget.allows(0.0, 0)
    assert spend(budget, 1.0, 100) == 20


def test_a_budget_forgets():
    budget = Budget(share=0.2, floor=0)
    assert spend(budget, 1.0, 100) == 20
    assert not budget.allows(20.0, 120)  # the requests of long ago buy nothing


def test_a_floor_is_there_for_a_quiet_upstream():
    budget = Budget(share=0.0, floor=2)
    assert sum(budget.allows(5.0, 0) for _ in range(50)) == 20
    assert budget.allows(10.0, 0)


@pytest.mark.parametrize(("share", "floor", "attempts"), [(0.2, 0, 100), (0.2, 2, 77), (0.0, 3, 0)])
def test_what_is_left_is_what_will_be_allowed(share, floor, attempts):
    budget = Budget(share=share, floor=floor)
    for now in (1.0, 3.5, 4.0, 30.0):
        left = budget.left(now, attempts)
        assert budget.left(now, attempts) == left  # a look costs nothing
        for _ in range(int(left + 1e-9)):
            assert budget.allows(now, attempts)
            attempts += 1
        assert not budget.allows(now, attempts) and budget.left(now, attempts) < 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"3", 3.0),
        (b"0", 0.0),
        (b"Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        (b"Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        (b"soon", 0.0),
        (b"-1", 0.0),
        (b"9" * 50, 999999999.0),
    ],
)
def test_retry_after(value, seconds):
    assert retry_after(value, 10.0) == seconds
