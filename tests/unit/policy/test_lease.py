"""Batches of a shared limit: how they grow, what they let pass, and that no more passes than one bucket would allow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.policy.limit.lease import HELD, Lease

LEAKY = Leaky(1000, 9000, None)


def test_each_batch_is_twice_the_last_up_to_the_most():
    lease, now = Lease(), 0
    sizes = []
    for _ in range(6):
        size = lease.next_size(20, now)
        sizes.append(size)
        lease.granted(Leaky(10**6, 10**6), 0, size, now)
        while lease.spend(LEAKY, now) is not None:
            pass
    assert sizes == [1, 2, 4, 8, 16, 20]
    assert lease.next_size(20, now + HELD) == 1
    lease.waiting = [print] * 5
    assert lease.next_size(20, now + HELD) == 5 and lease.next_size(3, now + HELD) == 3


def test_each_request_has_the_excess_it_would_have_had():
    lease = Lease()
    lease.granted(LEAKY, 2000, 4, 100)
    assert [lease.spend(LEAKY, now) for now in (100, 100, 600, 1099)] == [2000, 3000, 3500, 4001]
    assert lease.spend(LEAKY, 1099) is None


def test_a_bucket_that_is_nearly_full_grants_less_and_a_full_one_is_not_asked_for_a_while():
    lease = Lease()
    lease.granted(LEAKY, 8000, 10, 0)
    assert [lease.spend(LEAKY, 0), lease.spend(LEAKY, 0), lease.spend(LEAKY, 0)] == [8000, 9000, -10_001]
    lease = Lease()
    lease.granted(LEAKY, -1 - 10_000, 1, 0)
    assert lease.spend(LEAKY, 0) == -10_001 and lease.spend(LEAKY, 999) == -9002
    assert lease.spend(LEAKY, 1000) is None


def test_a_batch_ends():
    lease = Lease()
    lease.granted(LEAKY, 0, 5, 0)
    assert lease.spend(LEAKY, HELD) is None and not lease.idle(HELD - 1) and lease.idle(HELD)


@pytest.mark.parametrize(("after", "left"), [(0, 4), (999, 4), (1000, 3), (3999, 1), (4000, 0), (9000, 0)])
def test_what_is_left_is_given_back_less_what_has_drained(after, left):
    lease = Lease()
    lease.granted(LEAKY, 0, 5, 0)
    assert lease.rest(LEAKY, after) == left
    assert lease.rest(LEAKY, after) == 0


class Bucket:
    """The shared bucket, as the script keeps it."""

    def __init__(self, leaky):
        self.leaky = leaky
        self.kept = None

    def charge(self, wanted, now):
        if self.kept is None:
            first, last = 0, now
        else:
            allowed, first, last = self.leaky.charge(*self.kept, now)
            if not allowed:
                return -1 - first
        granted = min(wanted, (self.leaky.burst - first) // REQUEST + 1)
        self.kept = (first + REQUEST * (granted - 1), last)
        return first

    def refund(self, number):
        if self.kept is not None:
            self.kept = (max(-REQUEST, self.kept[0] - REQUEST * number), self.kept[1])


class Doors:
    """Doors that share a bucket by batches of `most`."""

    def __init__(self, leaky, most, number):
        self.leaky, self.most = leaky, most
        self.bucket = Bucket(leaky)
        self.leases = [Lease() for _ in range(number)]
        self.passed = []
        self.asked = 0

    def request(self, door, now):
        lease = self.leases[door]
        excess = lease.spend(self.leaky, now)
        if excess is None:
            self.bucket.refund(lease.rest(self.leaky, now))
            size = lease.next_size(self.most, now)
            lease.granted(self.leaky, self.bucket.charge(size, now), size, now)
            self.asked += 1
            excess = lease.spend(self.leaky, now)
        if excess >= 0:
            self.passed.append(now)
        return excess >= 0


EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400)), min_size=1, max_size=120)


@given(
    events=EVENTS,
    rate=st.integers(500, 100_000),
    burst=st.integers(0, 40),
    most=st.integers(1, 30),
)
def test_no_more_pass_than_the_bound_says(events, rate, burst, most):
    """In any time from a to b pass at most burst + 1 + rate x (b - a) and what doors held at a: no more than all their
    batches together, and no more than drains in the time for which they may hold one."""
    leaky = Leaky(rate, burst * REQUEST, None)
    doors, now = Doors(leaky, most, 4), 0
    for door, pause in events:
        now += pause
        doors.request(door, now)
    passed = doors.passed
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            exact = burst + 1 + rate * (passed[last] - start) / 1e6
            held = min(4 * most, rate * HELD / 1e6)
            assert last - first + 1 <= exact + held + 1e-9


@given(events=EVENTS, burst=st.integers(0, 40), most=st.integers(1, 30))
def test_from_a_rest_no_more_pass_than_one_bucket_would_let(events, burst, most):
    leaky = Leaky(1000, burst * REQUEST, None)
    doors, now = Doors(leaky, most, 4), 0
    for door, pause in events:
        now += pause
        doors.request(door, now)
    for number, at in enumerate(doors.passed, 1):
        assert number <= burst + 1 + (at - doors.passed[0]) / 1000


def test_whoever_competes_waits_longer_each_time_and_less_when_he_gets_all():
    leaky = Leaky(10**6, 999 * REQUEST, None)  # a request a millisecond, a thousand at once
    lease, pauses = Lease(), []
    lease.granted(leaky, 0, 1, 0)
    for now in range(1000, 11_000, 1000):
        lease.spend(leaky, now)
        lease.granted(leaky, leaky.burst, 100, now)  # one of a hundred, where a second alone would leave a thousand
        pauses.append(lease.denied - now)
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 256]
    lease.granted(leaky, 0, 100, 12_000)
    assert lease.pause == 128 and lease.denied == 0


def test_whoever_is_alone_never_waits_for_others():
    leaky = Leaky(10**6, 9 * REQUEST, None)
    lease, bucket, passed = Lease(), Bucket(leaky), 0
    for now in range(2000):
        for _ in range(3):  # three times the rate
            excess = lease.spend(leaky, now)
            if excess is None:
                size = lease.next_size(64, now)
                lease.granted(leaky, bucket.charge(size, now), size, now)
                excess = lease.spend(leaky, now)
            passed += excess is not None and excess >= 0
    assert 2000 <= passed <= 2010 and lease.pause == 0
