"""When certificates are ordered, by a clock that is turned by hand."""

from __future__ import annotations

from random import Random

import pytest

from proxy.policy import renewal
from proxy.policy.renewal import DAY, HOUR, MINUTE, Life, Plan

BEGAN = 1_800_000_000.0
LIFE = Life(BEGAN, BEGAN + 90 * DAY)


class Middle:
    """Chance without chance."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


def known(life=LIFE, chance=None):
    plan = Plan()
    renewal.know(plan, life, chance or Middle())
    return plan


def test_without_a_certificate_it_is_ordered_at_once():
    assert renewal.due(Plan(), None, BEGAN)


@pytest.mark.parametrize("days", [90, 45, 6.6])
def test_without_advice_it_is_renewed_a_little_before_two_thirds_of_its_life(days):
    life = Life(BEGAN, BEGAN + days * DAY)
    for seed in range(100):
        plan = known(life, Random(seed))
        assert days * DAY * (2 / 3 - 1 / 50) <= plan.at - BEGAN <= days * DAY * 2 / 3
        assert not renewal.due(plan, life, plan.at - 1) and renewal.due(plan, life, plan.at)


def test_the_time_is_chosen_once_for_each_certificate():
    plan = known()
    at = plan.at
    renewal.know(plan, LIFE, Random(1))
    assert plan.at == at
    renewal.know(plan, Life(BEGAN + DAY, BEGAN + 91 * DAY), Random(1))
    assert plan.at != at and plan.window is None


def test_advice_goes_before_but_not_into_the_last_twentieth():
    plan = known()
    renewal.advised(plan, BEGAN, Middle(), (BEGAN + 10 * DAY, BEGAN + 12 * DAY))
    assert plan.at == BEGAN + 11 * DAY
    assert renewal.due(plan, LIFE, BEGAN + 11 * DAY) and not renewal.due(plan, LIFE, BEGAN + 11 * DAY - 1)
    renewal.advised(plan, BEGAN, Middle(), (LIFE.ends - DAY, LIFE.ends + DAY))
    assert not renewal.due(plan, LIFE, LIFE.ends - 4.6 * DAY) and renewal.due(plan, LIFE, LIFE.ends - 4.4 * DAY)


def test_advice_that_is_always_of_the_past_does_not_have_us_order_without_end():
    now, plan = BEGAN + DAY, known()
    renewal.advised(plan, now, Middle(), (BEGAN - 2 * DAY, BEGAN - DAY))
    assert renewal.due(plan, LIFE, now)  # the first time it may be meant so: a certificate that is to be revoked
    fresh = Life(now, now + 90 * DAY)
    renewal.got(plan, now, fresh, Middle(), "http-01")
    renewal.advised(plan, now, Middle(), (BEGAN - 2 * DAY, BEGAN - DAY))
    assert not renewal.due(plan, fresh, now) and not renewal.due(plan, fresh, now + renewal.SPACE - 1)
    assert renewal.due(plan, fresh, now + renewal.SPACE)
    assert renewal.due(plan, fresh, now - DAY + 2 * HOUR)  # a clock that was set back
    plan.wanted = True
    assert renewal.due(plan, fresh, now + 1)


def test_a_certificate_that_has_come_by_another_way_ends_what_failed():
    plan = known()
    renewal.failed(plan, BEGAN + DAY, Middle(), "it was broken off")
    renewal.know(plan, LIFE, Middle())
    assert plan.failures == 1
    renewal.know(plan, Life(BEGAN + DAY, BEGAN + 91 * DAY), Middle())
    assert plan.failures == 0 and not plan.error


def test_the_same_advice_does_not_move_the_time_and_other_advice_does():
    plan, chance = known(), Random(3)
    renewal.advised(plan, BEGAN, chance, (BEGAN + 10 * DAY, BEGAN + 12 * DAY))
    at = plan.at
    renewal.advised(plan, BEGAN + HOUR, chance, (BEGAN + 10 * DAY, BEGAN + 12 * DAY))
    renewal.advised(plan, BEGAN + HOUR, chance, None)
    assert plan.at == at
    renewal.advised(plan, BEGAN + HOUR, chance, (BEGAN - 2 * DAY, BEGAN - DAY))  # revoked soon, perhaps
    assert renewal.due(plan, LIFE, BEGAN + HOUR)


@pytest.mark.parametrize(("wait", "later"), [(0, MINUTE), (HOUR, HOUR), (400 * DAY, DAY)])
def test_advice_is_asked_for_again_when_the_authority_says_within_reason(wait, later):
    plan = Plan()
    assert renewal.asks(plan, BEGAN)
    renewal.advised(plan, BEGAN, Middle(), None, wait)
    assert plan.ask == BEGAN + later
    assert not renewal.asks(plan, BEGAN + later - 1) and renewal.asks(plan, BEGAN + later)
    assert renewal.asks(plan, BEGAN - 10 * DAY)  # the clock was set back


def test_attempts_come_after_a_minute_then_less_often_and_never_end():
    plan, now, gaps = Plan(), BEGAN, []
    for _ in range(60):
        renewal.failed(plan, now, Middle(), "no")
        assert not renewal.due(plan, None, plan.again - 1)
        gaps.append(plan.again - now)
        now = plan.again
        assert renewal.due(plan, None, now)
    assert gaps[:5] == pytest.approx([60, 120, 120, 300, 600])
    assert gaps == sorted(gaps) and gaps[-1] == pytest.approx(6 * HOUR)
    assert now - BEGAN > 7 * DAY


def test_attempts_are_spread():
    gaps = set()
    for seed in range(50):
        plan = Plan()
        renewal.failed(plan, 0.0, Random(seed), "no")
        assert 54 <= plan.again <= 66
        gaps.add(plan.again)
    assert len(gaps) == 50


def test_an_authority_may_have_us_wait_within_reason():
    plan = Plan()
    renewal.failed(plan, BEGAN, Middle(), "rate limited", wait=2 * HOUR)
    assert plan.again == BEGAN + 2 * HOUR
    renewal.failed(plan, BEGAN, Middle(), "rate limited", wait=1e12)
    assert plan.again == BEGAN + 7 * DAY


def test_success_forgets_failures():
    plan = Plan()
    renewal.failed(plan, BEGAN, Middle(), "no")
    assert renewal.rehearses(plan)
    renewal.got(plan, BEGAN, LIFE, Middle(), "tls-alpn-01")
    assert not plan.failures and not renewal.rehearses(plan) and not renewal.due(plan, LIFE, BEGAN + DAY)
    assert renewal.kinds(plan, ("http-01", "tls-alpn-01")) == ("tls-alpn-01", "http-01")


def test_whoever_asks_gets_one_but_not_before_the_authority_allows_it():
    plan = known()
    plan.wanted = True
    assert renewal.due(plan, LIFE, BEGAN + DAY)
    renewal.failed(plan, BEGAN + DAY, Middle(), "no", wait=HOUR)
    plan.wanted = True
    assert not renewal.due(plan, LIFE, BEGAN + DAY + HOUR - 1)
    renewal.failed(plan, BEGAN + 2 * DAY, Middle(), "no")
    assert not renewal.due(plan, LIFE, BEGAN + 2 * DAY + 1)
    plan.wanted = True
    assert renewal.due(plan, LIFE, BEGAN + 2 * DAY + 1)


def test_a_clock_that_jumps_ahead_costs_one_attempt():
    plan = Plan()
    renewal.failed(plan, BEGAN, Middle(), "no", wait=DAY)
    assert renewal.due(plan, None, BEGAN + 365 * DAY)
    assert renewal.due(known(), LIFE, BEGAN + 365 * DAY)


def test_a_clock_that_is_set_back_keeps_nobody_waiting_for_longer_than_was_meant():
    plan = Plan()
    renewal.failed(plan, BEGAN, Middle(), "no")
    for back in (30, 50):
        assert not renewal.due(plan, None, BEGAN - back)
    for back in (HOUR, DAY, 365 * DAY):
        assert renewal.due(plan, None, BEGAN - back)


def test_a_clock_that_is_far_behind_orders_nothing_it_would_not_believe():
    assert not renewal.due(known(), LIFE, BEGAN - 2 * DAY)
    plan = known()
    plan.at = BEGAN - 3 * DAY
    assert not renewal.due(plan, LIFE, BEGAN - 2 * DAY)
    assert renewal.due(plan, LIFE, BEGAN)
