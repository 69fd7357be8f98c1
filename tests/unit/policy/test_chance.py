"""Balancers by lot: in proportion, never the same twice, and the better of two."""

from __future__ import annotations

from random import Random as Rng

import pytest

from proxy.clock import Clock
from proxy.policy.balance.peak_ewma import PENALTY, PeakEwma
from proxy.policy.balance.random_two import Random, RandomTwo
from tests.unit.policy.words import Asking, backends


def test_one_draw_is_in_proportion_to_the_weights():
    balancer = Random(backends(1, 3), Clock(1000.0), Rng(7))
    drawn = "".join(balancer.pick(Asking(), ()).address for _ in range(4000))
    assert 900 < drawn.count("a") < 1100


@pytest.mark.parametrize("kind", [Random, RandomTwo, PeakEwma])
def test_what_cannot_be_picked_is_drawn_again(kind):
    group = backends(1, 1, 1)
    group[0].down = True
    balancer = kind(group, Clock(1000.0), Rng(7))
    assert {balancer.pick(Asking(), ()).address for _ in range(50)} == {"b", "c"}
    assert {balancer.pick(Asking(), (group[1],)).address for _ in range(20)} == {"c"}
    assert balancer.pick(Asking(), group) is None


@pytest.mark.parametrize("kind", [Random, RandomTwo, PeakEwma])
def test_one_that_is_left_is_found_by_round_robin(kind):
    group = backends(*[1] * 60)
    for backend in group[1:]:
        backend.down = True
    assert kind(group, Clock(1000.0), Rng(7)).pick(Asking(), ()) is group[0]


def test_the_less_busy_of_two():
    group = backends(1, 1)
    group[0].inflight.add(1)
    balancer = RandomTwo(group, Clock(1000.0), Rng(7))
    assert {balancer.pick(Asking(), ()).address for _ in range(50)} == {"b"}
    group[0].nominal, group[1].nominal = 3, 1
    group[1].inflight.add(1)  # 1/3 against 1/1
    assert {balancer.pick(Asking(), ()).address for _ in range(50)} == {"a"}


def answered(backend, clock, seconds):
    exchange = Asking()
    exchange.tried, exchange.fault, exchange.attempted = (backend,), None, clock.now
    exchange.answered = exchange.ended = clock.now + seconds
    return exchange


def test_peaks_count_at_once_and_sink_slowly():
    clock = Clock(1000.0)
    group = backends(1, 1)
    balancer = PeakEwma(group, clock, Rng(7))
    for backend in group:
        balancer.ended(answered(backend, clock, 0.01))
    balancer.ended(answered(group[0], clock, 1.0))
    assert balancer.load(group[0]) == 1_000_000 and balancer.load(group[1]) == pytest.approx(10_000, abs=1)
    assert {balancer.pick(Asking(), ()).address for _ in range(20)} == {"b"}
    clock.now += 10.0
    assert 350_000 < balancer.load(group[0]) < 380_000


def test_a_newcomer_is_tried_by_one_at_a_time():
    group = backends(1, 1)
    balancer = PeakEwma(group, Clock(1000.0), Rng(7))
    assert balancer.load(group[0]) == 0
    group[0].inflight.add(1)
    assert balancer.load(group[0]) > PENALTY


def test_a_failure_teaches_nothing():
    clock = Clock(1000.0)
    group = backends(1, 1)
    balancer = PeakEwma(group, clock, Rng(7))
    exchange = answered(group[0], clock, 5.0)
    exchange.fault = object()
    balancer.ended(exchange)
    assert balancer.load(group[0]) == 0
