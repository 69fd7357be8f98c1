"""Who is held, when illness is ignored, and how weight comes back."""

from __future__ import annotations

import pytest

from proxy.policy.backend import Backend
from proxy.policy.breaker import Breaker, LocalRecord, Settings
from proxy.policy.standing import AWAITED, FINE, ILL, UNCHECKED, UNPROVEN, WELL, Standing

CONFIGURED = {"weight": 1, "max_fails": 1, "fail_timeout": 5.0, "max_conns": 0, "backup": False, "down": False}


class Signs:
    """What others say, set by the test."""

    def __init__(self, health=UNCHECKED, drained=False, shunned=False):
        self.said, self.is_drained, self.is_shunned = health, drained, shunned
        self.since = 0.0

    def health(self):
        return self.said

    def drained(self):
        return self.is_drained

    def shunned(self, now):
        return self.is_shunned

    def recovered(self):
        return self.since


def held(*signs, panic=0):
    """Which of so many backends are held, by place."""
    backends = [Backend(str(place)) for place in range(len(signs))]
    Standing(backends, signs, panic, 0.0).look(10.0)
    assert all(backend.guarded is backend.held for backend in backends)
    return [place for place, backend in enumerate(backends) if backend.held]


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ([Signs(), Signs(WELL)], []),
        ([Signs(ILL), Signs(WELL)], [0]),
        ([Signs(shunned=True), Signs()], [0]),
        ([Signs(drained=True), Signs()], [0]),
        ([Signs(UNPROVEN), Signs()], [0]),
        ([Signs(ILL), Signs(ILL)], []),  # never the last
        ([Signs(ILL), Signs(shunned=True)], []),
        ([Signs(shunned=True)], []),  # the only one is not kept out for failures
        ([Signs(ILL)], []),
        ([Signs(UNPROVEN), Signs(UNPROVEN)], [0, 1]),  # but nobody is tried who was never well
        ([Signs(UNPROVEN), Signs(ILL)], [0]),
        ([Signs(AWAITED), Signs(AWAITED)], [0, 1]),
        ([Signs(AWAITED), Signs(ILL)], [0]),
        ([Signs(drained=True)], [0]),
        ([Signs(drained=True), Signs(ILL)], [0]),  # whoever can be asked at all is asked
        ([Signs(drained=True), Signs(shunned=True)], [0]),
        ([Signs(drained=True), Signs(ILL), Signs(WELL)], [0, 1]),
    ],
)
def test_who_is_held(signs, expected):
    assert held(*signs) == expected


def test_who_is_awaited():
    signs = [Signs(AWAITED), Signs(AWAITED, drained=True), Signs(UNPROVEN), Signs(WELL)]
    backends = [Backend(str(place)) for place in range(len(signs))]
    standing = Standing(backends, signs, 0, 0.0)
    standing.look(10.0)
    assert [backend.awaited for backend in backends] == [True, False, False, False]
    signs[0].said = WELL
    standing.look(10.1)
    assert not backends[0].awaited and not backends[0].held


def test_panic():
    signs = [Signs(ILL), Signs(ILL), Signs(WELL)]
    assert held(*signs, panic=0) == [0, 1]
    assert held(*signs, panic=33) == [0, 1]
    assert held(*signs, panic=50) == []


def test_weight_comes_back_slowly_but_not_at_the_start():
    signs = Signs()
    backend, other = Backend("a", weight=2 * FINE), Backend("b", weight=FINE)
    standing = Standing([backend, other], [signs, Signs()], 0, 10.0)
    standing.look(0.0)
    assert backend.weight == 200
    signs.said = ILL
    standing.look(1.0)
    assert backend.held
    signs.said = WELL
    weights = []
    for now in (1.5, 2.0, 6.0, 10.9, 11.1, 20.0):
        standing.look(now)
        weights.append(backend.weight)
    assert weights == [20, 20, 100, 198, 200, 200] and other.weight == 100 and not backend.held


def test_weight_comes_back_after_failures_too():
    backend = Backend("a", weight=FINE, max_fails=1, fail_timeout=10.0)
    standing = Standing([backend, Backend("b", weight=FINE)], [Signs(), Signs()], 0, 10.0)
    backend.take(100.0)
    backend.settle(100.0, failed=True, counts=True)
    standing.look(109.9)
    standing.look(111.0)
    assert backend.weight < FINE
    standing.look(122.0)
    assert backend.weight == FINE


def test_who_is_blocked_by_its_breaker_is_nobody_to_ask():
    """Else the one that is ill would stay out while there is nobody but it."""
    backends = [Backend("a"), Backend("b")]
    backends[0].breaker = Breaker(Settings(failures=1, recovery=10.0), LocalRecord())
    standing = Standing(backends, [Signs(WELL), Signs(ILL)], 0, 0.0)
    standing.look(10.0)
    assert [one.held for one in backends] == [False, True]
    backends[0].breaker.failure(10.0, backends[0].breaker.claim(10.0))
    standing.look(10.1)
    assert [one.held for one in backends] == [False, False]
    standing.look(20.5)
    assert [one.held for one in backends] == [False, True]  # a probe may begin


@pytest.mark.parametrize(("panic", "out"), [(0, 3), (25, 3), (26, 0), (50, 0)])
def test_in_panic_this_workers_own_failures_are_forgiven(panic, out):
    backends = [Backend(str(place)) for place in range(4)]
    standing = Standing(backends, [Signs(WELL) for _ in backends], panic, 0.0)
    for backend in backends[:3]:
        backend.take(100.0)
        backend.settle(100.0, failed=True, counts=True)
    standing.look(100.5)
    assert sum(backend.out(100.5) for backend in backends) == out
    standing.look(111.0)
    assert not any(backend.pardoned for backend in backends)


def test_who_is_drained_counts_in_no_share():
    """Two of four drained, one of the others ill: half of those who may be asked are well."""
    assert held(Signs(drained=True), Signs(drained=True), Signs(ILL), Signs(WELL), panic=50) == [0, 1, 2]
    assert held(Signs(drained=True), Signs(drained=True), Signs(ILL), Signs(WELL), panic=51) == [0, 1]


def grown(slow_start):
    """A backend with slow start, and another."""
    backends = [Backend("a"), Backend("b")]
    for backend in backends:
        backend.configure(**CONFIGURED, fine=FINE if slow_start else 1)
    signs = Signs(WELL)
    return backends[0], signs, Standing(backends, [signs, Signs(WELL)], 0, slow_start)


def test_weight_goes_on_growing_over_a_reload():
    backend, _, standing = grown(100.0)
    backend.take(1000.0)
    backend.settle(1000.0, failed=True, counts=True)
    standing.look(1005.0)
    standing.look(1055.0)
    assert backend.weight == 50
    backend.configure(**CONFIGURED, fine=FINE)
    assert backend.weight == 50
    later = Standing([backend, Backend("b")], [Signs(WELL), Signs(WELL)], 0, 100.0)
    later.look(1080.0)
    assert backend.weight == 75
    backend.configure(**CONFIGURED)  # slow start is taken away
    assert backend.weight == backend.effective == 1


def test_a_worker_that_is_born_meanwhile_knows_since_when_a_backend_is_well():
    backend, signs, standing = grown(100.0)
    signs.since = 970.0
    standing.look(1000.0)
    assert backend.weight == 30
    standing.look(1070.0)
    assert backend.weight == FINE
