"""How long a slot waits for its next worker."""

from __future__ import annotations

import pytest

from proxy.policy.backoff import Backoff


def test_the_first_short_life_costs_nothing_and_further_ones_double_up_to_ten_seconds():
    backoff = Backoff()
    delays = [backoff.died(0.2) for _ in range(10)]
    assert delays == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0])
    assert [backoff.died(0.0) for _ in range(5000)][-1] == 10.0  # no overflow


def test_a_long_life_wipes_the_slate_and_a_middling_one_does_not():
    backoff = Backoff()
    for _ in range(4):
        backoff.died(0.5)
    assert backoff.died(5.0) == pytest.approx(0.4)
    assert backoff.died(0.999) == pytest.approx(0.8)
    assert backoff.died(10.0) == 0.0
    assert backoff.died(0.5) == 0.0
    assert backoff.died(0.5) == pytest.approx(0.1)
