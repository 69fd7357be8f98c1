"""The zone of a limit, with real processes."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.policy.limit.leaky import Leaky
from proxy.shared.buckets import SET_SIZE, Buckets
from proxy.shared.memory import Memory
from proxy.shared.places import HEAD, STRIPE_SIZE

TEN_MEGABYTES = 10 * 1024 * 1024


def zone(size=65536, rate=10_000, burst=20_000, delay=None):
    return Buckets(Memory(size), Leaky(rate, burst, delay))


def reap(children):
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def test_30_at_once_of_10_per_second_and_burst_20_pass_21():
    buckets = zone()
    heard = [buckets.charge(b"key", 0) for _ in range(30)]
    assert heard == [*range(0, 21_000, 1_000)] + [-21_001] * 9
    assert buckets.used() == 1


def test_keys_do_not_share():
    buckets = zone(burst=0)
    assert buckets.charge(b"one", 0) == 0
    assert buckets.charge(b"two", 0) == 0
    assert buckets.charge(b"one", 0) == -1_001
    assert buckets.charge(b"k" * 5_000, 0) == 0
    assert buckets.charge(b"k" * 5_000, 0) == -1_001
    assert buckets.used() == 3


@settings(max_examples=200, deadline=None)
@given(
    rate=st.integers(1, 10**6),
    burst=st.integers(0, 30_000),
    steps=st.lists(st.one_of(st.integers(-70_000, 5_000), st.integers(0, 200)), max_size=60),
)
def test_one_key_is_charged_like_leaky(rate, burst, steps):
    leaky = Leaky(rate, burst, None)
    buckets = Buckets(Memory(4096), leaky)
    now = excess = 0
    last = None
    for step in [0, *steps]:
        now += step
        if last is None:
            accepted, after, at = True, 0, now
        else:
            accepted, after, at = leaky.charge(excess, last, now)
        assert buckets.charge(b"key", now) == (after if accepted else -1 - after)
        if accepted:
            excess, last = after, at


def test_workers_share_a_bucket():
    buckets = zone()
    told, tells = os.pipe()
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            passed = sum(buckets.charge(b"10.0.0.1", 5) >= 0 for _ in range(2_500))
            os.write(tells, bytes((passed,)))
            os._exit(0)
        children.append(child)
    assert reap(children) == [0] * 4
    assert sum(os.read(told, 4)) == 21
    os.close(told)
    os.close(tells)


def test_a_worker_killed_inside_a_stripe_does_not_stop_the_others():
    buckets = zone(size=HEAD + STRIPE_SIZE + 2 * SET_SIZE)
    assert len(buckets.locks) == 1
    buckets.charge(b"before", 0)
    told, tells = os.pipe()
    child = os.fork()
    if not child:
        buckets.locks[0].acquire()
        buckets.cells[buckets.count_at(0) >> 3] = 99  # it died while it counted
        os.write(tells, b"1")
        signal.pause()
    os.read(told, 1)
    os.kill(child, signal.SIGKILL)
    assert reap([child]) == [-signal.SIGKILL]
    assert buckets.charge(b"before", 0) == 1_000
    assert buckets.charge(b"after", 0) == 0
    assert buckets.used() == 2
    os.close(told)
    os.close(tells)


def test_workers_killed_at_any_moment_leave_a_zone_that_works():
    buckets = zone(size=4096, rate=1, burst=10**9)
    for turn in range(20):
        told, tells = os.pipe()
        child = os.fork()
        if not child:
            number = 0
            while True:
                number += 1
                buckets.charge(number.to_bytes(4, "big"), number)
                if number == 20 + turn:
                    os.write(tells, b"1")
        os.read(told, 1)
        os.kill(child, signal.SIGKILL)
        reap([child])
        os.close(told)
        os.close(tells)
        key = b"turn %d" % turn
        assert buckets.charge(key, 10**6) == 0
        assert buckets.charge(key, 10**6) == 1_000
    for stripe in range(len(buckets.locks)):
        counted = buckets.cells[buckets.count_at(stripe) >> 3]
        buckets.recount(stripe)
        assert buckets.cells[buckets.count_at(stripe) >> 3] == counted


def test_200000_addresses_are_remembered_in_10_megabytes():
    buckets = zone(size=TEN_MEGABYTES, rate=1, burst=0)
    addresses = [number.to_bytes(4, "big") for number in range(0x0A000000, 0x0A000000 + 200_000)]
    charge = buckets.charge
    assert all(charge(address, 1_000) == 0 for address in addresses)
    assert buckets.used() == 200_000
    assert all(charge(address, 1_000) == -1_001 for address in addresses)


def test_when_full_the_oldest_goes():
    buckets = zone(size=HEAD + STRIPE_SIZE + 2 * SET_SIZE, rate=1, burst=0)
    assert buckets.capacity == 16
    for number in range(16):
        assert buckets.charge(b"%d" % number, 100 + (number * 7) % 16) == 0
    assert buckets.used() == 16
    assert buckets.charge(b"new", 500) == 0
    assert buckets.used() == 16
    again = [number for number in range(16) if buckets.charge(b"%d" % number, 110) < 0]
    assert again[0] == 1  # number 0 was the oldest and is new again, which has cost the next oldest its place
    assert buckets.charge(b"new", 500) == -1_001


def test_refund_takes_a_request_back():
    buckets = zone(burst=2_000)
    for _ in range(3):
        assert buckets.charge(b"key", 0) >= 0
    assert buckets.charge(b"key", 0) < 0
    buckets.refund(b"key")
    assert buckets.charge(b"key", 0) == 2_000
    buckets.refund(b"nobody")
    assert buckets.used() == 1


def test_a_refunded_first_request_leaves_the_next_one_free():
    buckets = zone(burst=0)
    assert buckets.charge(b"key", 0) == 0
    buckets.refund(b"key")
    buckets.refund(b"key")  # not more than what one request has cost
    assert buckets.charge(b"key", 0) == 0
    assert buckets.charge(b"key", 0) == -1_001


def test_who_attaches_finds_the_same_buckets():
    buckets = zone(burst=0)
    assert buckets.charge(b"key", 0) == 0
    other = Buckets(Memory(buckets.memory.size, os.dup(buckets.memory.fd)), Leaky(10_000, 5_000, None))
    assert other.charge(b"key", 0) == 1_000
    assert other.used() == 1


def test_a_hash_that_only_looks_like_one_across_two_is_passed_over():
    buckets = zone(size=HEAD + STRIPE_SIZE + 2 * SET_SIZE)
    digest, stripe, _, first, _second = buckets.place(b"key")
    buckets.memory.map[first + 4 : first + 12] = digest
    buckets.cells[buckets.count_at(stripe) >> 3] = 2
    assert buckets.charge(b"key", 9) == 0
    assert buckets.charge(b"key", 9) == 1_000
    assert buckets.used() == 3


def test_too_little_memory_is_refused():
    with pytest.raises(ValueError, match="a limit needs at least"):
        zone(size=HEAD + STRIPE_SIZE)


def test_a_key_that_had_to_go_is_not_charged_in_the_place_of_another():
    buckets = zone(size=HEAD + STRIPE_SIZE + 2 * SET_SIZE, rate=1, burst=5_000)
    charge = buckets.charge_alone
    assert [charge(b"old", 0), charge(b"old", 0), charge(b"old", 0)] == [0, 1_000, 2_000]
    for number in range(16):  # all of them younger: the old one has to go
        assert charge(b"%d" % number, 100 + number) == 0
    assert charge(b"old", 200) == 0, "what another has used up"
    assert charge(b"15", 200) == 1_000
