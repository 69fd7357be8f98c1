"""least_time: averages, forgetting, what is unanswered, and turns among equals."""

from __future__ import annotations

from random import Random

import pytest

from proxy.clock import Clock
from proxy.policy.balance.least_time import SLOWEST, LeastTime, LeastTimeOfTwo, average
from tests.unit.policy.words import Asking, backends


def ended(backend, clock, head, whole=None, fault=None):
    """An exchange whose answer took so many seconds."""
    exchange = Asking()
    exchange.tried, exchange.fault, exchange.attempted = (backend,), fault, clock.now
    exchange.answered = clock.now + head
    exchange.ended = clock.now + (head if whole is None else whole)
    return exchange


@pytest.fixture
def clock():
    return Clock(1000.0)


def fresh(*weights, clock):
    group = backends(*weights)
    for backend in group:
        backend.checked = clock.now
    return group


def test_the_first_time_stands_and_the_others_weigh_a_twentieth():
    assert average(0, 400) == 400
    assert average(400, 0) == 380
    assert average(100, 110) == 101  # 100.5, rounded


def test_the_faster_is_picked_until_it_has_more_to_do(clock):
    group = fresh(1, 1, clock=clock)
    balancer = LeastTime(group, clock)
    balancer.ended(ended(group[0], clock, 0.015))
    balancer.ended(ended(group[1], clock, 0.050))
    assert balancer.cost(group[0]) == 20 and balancer.cost(group[1]) == 60
    group[0].inflight.add(2)
    assert balancer.pick(Asking(), ()).address in "ab" and balancer.cost(group[0]) == 60
    group[0].inflight.add(1)
    assert balancer.pick(Asking(), ()) is group[1]


def test_weights_divide_the_time(clock):
    group = fresh(1, 4, clock=clock)
    balancer = LeastTime(group, clock)
    balancer.ended(ended(group[0], clock, 0.030))
    balancer.ended(ended(group[1], clock, 0.070))
    assert balancer.pick(Asking(), ()) is group[1]  # 40/1 against 80/4


def test_those_who_are_close_take_turns(clock):
    group = fresh(1, 1, clock=clock)
    balancer = LeastTime(group, clock)
    balancer.ended(ended(group[0], clock, 0.021))
    balancer.ended(ended(group[1], clock, 0.039))
    assert "".join(balancer.pick(Asking(), ()).address for _ in range(4)) == "abab"


def test_very_slow_ones_are_equal(clock):
    group = fresh(1, 1, clock=clock)
    balancer = LeastTime(group, clock)
    balancer.ended(ended(group[0], clock, 6.0))
    balancer.ended(ended(group[1], clock, 60.0))
    assert balancer.cost(group[0]) == balancer.cost(group[1]) == SLOWEST


def test_a_slow_one_is_tried_again_after_a_while(clock):
    group = fresh(1, 1, clock=clock)
    balancer = LeastTime(group, clock)
    balancer.ended(ended(group[0], clock, 1.0))
    clock.now += 11.0
    assert balancer.cost(group[0]) == 520
    clock.now += 11.0
    assert balancer.cost(group[0]) == 260


@pytest.mark.parametrize(("last_byte", "expected"), [(False, 20), (True, 320)])
def test_the_head_or_the_last_byte(clock, last_byte, expected):
    group = fresh(1, 1, clock=clock)
    balancer = LeastTime(group, clock, None, last_byte)
    balancer.ended(ended(group[0], clock, 0.010, 0.3000001))
    assert balancer.cost(group[0]) == expected


def test_failures_teach_nothing(clock):
    group = fresh(1, 1, clock=clock)
    balancer = LeastTime(group, clock)
    balancer.ended(ended(group[0], clock, 1.0, fault=object()))
    assert balancer.cost(group[0]) == 20


def test_what_is_unanswered_counts_with_its_age(clock):
    group = fresh(1, 1, clock=clock)
    balancer = LeastTime(group, clock, None, False, True)
    first = Asking()
    assert balancer.pick(first, ()) is group[0]
    clock.now += 2.0
    assert balancer.cost(group[0]) == 2020 and balancer.pick(Asking(), ()) is group[1]
    balancer.answered(first)  # it is not unanswered any more
    assert balancer.cost(group[0]) == 20
    assert balancer.times[group[0]].waiting == 0


def test_an_attempt_elsewhere_is_no_longer_waited_for_here(clock):
    group = fresh(1, 1, clock=clock)
    balancer = LeastTime(group, clock, None, False, True)
    exchange = Asking()
    first = balancer.pick(exchange, ())
    second = balancer.pick(exchange, (first,))
    assert balancer.times[first].waiting == 0 and balancer.times[second].waiting == 1
    balancer.left(exchange)
    assert balancer.times[second].waiting == 0 and not balancer.flying


def test_a_successor_goes_on_with_what_was_known(clock):
    group = fresh(1, 1, clock=clock)
    before = LeastTime(group, clock)
    before.ended(ended(group[0], clock, 0.5))
    after = LeastTime(group[:1], clock)
    after.adopt(before)
    assert after.cost(group[0]) == before.cost(group[0]) == 520


def test_of_two_by_lot(clock):
    group = fresh(1, 1, clock=clock)
    balancer = LeastTimeOfTwo(group, clock, Random(7))
    balancer.ended(ended(group[0], clock, 0.5))
    assert {balancer.pick(Asking(), ()).address for _ in range(30)} == {"b"}
