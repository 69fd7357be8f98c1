"""Which backends a door knows."""

from __future__ import annotations

from collections import Counter
from math import exp, sqrt

import pytest

from proxy.policy.subset import KINDS, by_lot, by_turns

NAMES = [f"10.0.{place >> 8}.{place & 255}:8000" for place in range(1000)]


def doors_of(subsets, doors):
    """How many doors know each backend."""
    known = Counter(place for door in range(doors) for place in subsets(door))
    return [known[place] for place in range(len(NAMES))]


@pytest.mark.parametrize("kind", KINDS)
def test_a_door_knows_as_many_as_it_is_to_and_always_the_same(kind):
    subsets = KINDS[kind](NAMES, 20)
    for door in (0, 1, 49, 50, 999):
        known = subsets(door)
        assert len(known) == len(set(known)) == 20 and known != sorted(known)
        assert KINDS[kind](NAMES, 20)(door) == known
    assert subsets(1) != subsets(0)


def test_by_turns_all_backends_are_known_by_as_many_doors():
    subsets = by_turns(NAMES, 20)
    assert set(doors_of(subsets, 100)) == {2}
    assert set(doors_of(subsets, 75)) == {1, 2}
    first, second = ({frozenset(subsets(door)) for door in range(begin, begin + 50)} for begin in (0, 50))
    assert first.isdisjoint(second)


def test_what_does_not_fit_is_left_out_of_each_round_anew():
    counts = Counter(doors_of(by_turns(NAMES, 300), 300))  # 100 rounds of 3 doors, which leave 100 out
    assert min(counts) > 70 and max(counts) <= 100
    assert sorted(by_turns(NAMES[:5], 10)(7)) == [0, 1, 2, 3, 4]


def test_by_lot_backends_are_known_as_balls_fall_into_bins():
    """100 doors draw 20 of 1,000 each: Poisson of mean 2, nearly. None know e^-2 of them, and by the union bound more
    than 11 know any with a chance below 1 % (Raab and Steger 1998, Balls into Bins)."""
    counts = doors_of(by_lot(NAMES, 20), 100)
    nobody = counts.count(0) / 1000
    assert nobody == pytest.approx(exp(-2), abs=3 * sqrt(exp(-2) / 1000))
    assert 5 <= max(counts) <= 11
    assert sum(counts) == 2000


def test_by_lot_a_backend_that_goes_changes_one_place_of_those_who_knew_it():
    before, after = by_lot(NAMES, 20), by_lot(NAMES[:-1], 20)
    moved = 0
    for door in range(200):
        lost = set(before(door)) - set(after(door))
        assert lost <= {999} and len(set(after(door)) - set(before(door))) == len(lost)
        moved += len(lost)
    assert 0 < moved < 20  # 4 are expected
