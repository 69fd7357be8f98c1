"""What docs/scale.md says of many doors that share a limit by batches, on a small scale."""

from __future__ import annotations

import pytest

from bench.scale import bound, simulate


@pytest.mark.parametrize("rate", [800, 2000])
@pytest.mark.parametrize("lease", [1, 10, 100])
def test_batches_ask_less_and_keep_to_the_bound(rate, lease):
    found = simulate(20, 1000, rate, rate // 5, lease, seconds=5.0)
    assert found.passed <= found.exact
    assert found.most <= bound(20, rate, lease)
    assert found.asked <= (found.offered if lease == 1 else 1.7 * found.offered / lease + 20 * 5 * 8)
    assert found.passed >= 0.97 * found.exact - 20 * lease / 2  # doors hold half a batch each when it ends


def test_without_batches_it_is_exact():
    found = simulate(20, 1000, 300, 50, 1)
    assert (found.passed, found.asked, found.most) == (found.exact, found.offered, 0)


def test_few_doors_with_a_limit_far_below_what_is_asked():
    found = simulate(5, 2000, 20, 40, 10, seconds=10.0)
    assert 0.9 * found.exact <= found.passed <= found.exact and found.asked < 2000
