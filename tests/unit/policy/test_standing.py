"""Who is held, when illness is ignored, and how weight comes back."""

from __future__ import annotations

import pytest

from proxy.policy.backend import Backend
from proxy.policy.standing import FINE, ILL, UNCHECKED, UNPROVEN, WELL, Standing


class Signs:
    """What others say, set by the test."""

    def __init__(self, health=UNCHECKED, drained=False, shunned=False):
        self.said, self.is_drained, self.is_shunned = health, drained, shunned

    def health(self):
        return self.said

    def drained(self):
        return self.is_drained

    def shunned(self, now):
        return self.is_shunned


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
        ([Signs(drained=True)], [0]),
        ([Signs(drained=True), Signs(ILL)], [0, 1]),
    ],
)
def test_who_is_held(signs, expected):
    assert held(*signs) == expected


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
