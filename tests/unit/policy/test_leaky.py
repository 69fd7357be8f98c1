"""The leaky bucket on nginx's vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.limit.leaky import Leaky


def walk(leaky, times):
    """What happens to one key: (accepted, excess) for each request; the first is free."""
    excess, last = 0, times[0]
    heard = [(True, 0)]
    for now in times[1:]:
        accepted, after, at = leaky.charge(excess, last, now)
        heard.append((accepted, after))
        if accepted:
            excess, last = after, at
    return heard


def test_burst_20_nodelay_passes_21_of_30():
    heard = walk(Leaky(10_000, 20_000, None), [0] * 30)
    assert [accepted for accepted, _ in heard] == [True] * 21 + [False] * 9
    assert heard[20] == (True, 20_000)
    assert heard[21:] == [(False, 21_000)] * 9


def test_burst_12_delay_8():
    leaky = Leaky(5_000, 12_000, 8_000)
    heard = walk(leaky, [0] * 14)
    assert [leaky.delay_ms(excess) for accepted, excess in heard if accepted] == [0] * 9 + [200, 400, 600, 800]
    assert not heard[13][0]


def test_no_burst():
    heard = walk(Leaky(10_000), [0, 50, 99, 100, 150, 200])
    assert heard == [(True, 0), (False, 500), (False, 10), (True, 0), (False, 500), (True, 0)]


def test_a_clock_that_goes_back():
    leaky = Leaky(10_000, 20_000, None)
    assert leaky.charge(5_000, 100_000, 99_000) == (True, 6_000, 100_000)  # a little: no time has passed
    assert leaky.charge(5_000, 100_000, 40_000) == (True, 6_000, 100_000)
    assert leaky.charge(5_000, 100_000, 39_999) == (True, 5_990, 39_999)  # more than a minute: one millisecond


def test_the_time_is_kept_at_the_same_millisecond_and_on_rejection():
    leaky = Leaky(10_000, 1_000, None)
    assert leaky.charge(0, 7, 7) == (True, 1_000, 7)
    assert leaky.charge(1_000, 7, 50) == (False, 1_570, 7)


@pytest.mark.parametrize("numbers", [(0, 0, 0), (1, -1, 0), (1, 0, -1)])
def test_senseless_limits_are_refused(numbers):
    with pytest.raises(ValueError, match="rate above 0"):
        Leaky(*numbers)


def test_what_the_client_hears():
    leaky = Leaky(10_000, 20_000, None)
    assert leaky.remaining(0) == 20
    assert leaky.remaining(19_001) == 0
    assert leaky.reset(0) == 0
    assert leaky.reset(20_000) == 2
    assert leaky.reset(20_001) == 3
    assert leaky.retry_after(21_000) == 1
    assert Leaky(100).retry_after(1_000) == 10
    assert leaky.delay_ms(20_000) == 0
    assert Leaky(10_000, 20_000).delay_ms(1_500) == 150


@given(
    rate=st.integers(1, 10**7),
    burst=st.integers(0, 10**6),
    excess=st.integers(0, 10**6),
    passed=st.integers(0, 10**6),
)
def test_who_comes_back_after_retry_after_is_accepted(rate, burst, excess, passed):
    leaky = Leaky(rate, burst, None)
    accepted, would, _ = leaky.charge(min(excess, burst), 0, passed)
    if not accepted:
        later = passed + 1000 * leaky.retry_after(would)
        assert leaky.charge(min(excess, burst), 0, later)[0]


@given(rate=st.integers(1, 10**7), burst=st.integers(0, 10**5))
def test_as_many_as_remain_are_accepted_at_once(rate, burst):
    leaky = Leaky(rate, burst, None)
    remaining = leaky.remaining(0)
    excess = 0
    for _ in range(remaining):
        accepted, excess, _ = leaky.charge(excess, 5, 5)
        assert accepted
    assert not leaky.charge(excess, 5, 5)[0]
