"""A backend's life: taken, settled, failed, configured anew."""

from __future__ import annotations

from proxy.policy.backend import Backend


def test_taken_and_settled_are_counted():
    backend = Backend("a")
    backend.take(1.0)
    backend.take(1.0)
    backend.settle(2.0, failed=False, counts=True)
    assert (backend.taken, backend.settled, backend.inflight.total()) == (2, 1, 1)


def test_failures_lower_the_weight_not_below_nothing():
    backend = Backend("a", weight=5, max_fails=2)
    for expected in (3, 1, 0, 0):
        backend.take(1.0)
        backend.settle(1.0, failed=True, counts=True)
        assert backend.effective == expected
    assert backend.fails == 4
    assert backend.accessed == backend.checked == 1.0


def test_what_does_not_count_is_not_heard_of():
    backend = Backend("a")
    backend.take(20.0)
    backend.settle(20.0, failed=True, counts=False)
    assert (backend.fails, backend.effective, backend.accessed) == (0, 1, 0.0)
    assert backend.inflight.total() == 0


def test_success_before_the_window_has_passed_does_not_absolve():
    backend = Backend("a", max_fails=2)
    backend.take(100.0)
    backend.take(100.0)
    backend.settle(100.0, failed=True, counts=True)
    backend.settle(101.0, failed=False, counts=True)
    assert backend.fails == 1


def test_max_fails_0_never_keeps_it_out():
    backend = Backend("a", max_fails=0)
    for _ in range(9):
        backend.take(1.0)
        backend.settle(1.0, failed=True, counts=True)
    assert backend.eligible(1.0)
    assert backend.effective == 1


def test_alone_it_is_eligible_until_down_or_full():
    backend = Backend("a", max_conns=1)
    backend.take(1.0)
    backend.settle(1.0, failed=True, counts=True)
    assert not backend.eligible(1.0)
    assert backend.eligible(1.0, alone=True)
    backend.take(1.0)
    assert not backend.eligible(1.0, alone=True)
    backend.settle(1.0, failed=False, counts=True)
    backend.down = True
    assert not backend.eligible(1.0, alone=True)


def test_no_more_than_max_conns_are_taken():
    backend = Backend("a", max_conns=2)
    assert [backend.take(50.0), backend.take(51.0), backend.take(52.0)] == [True, True, False]
    assert (backend.taken, backend.inflight.total(), backend.checked) == (2, 2, 50.0)
    backend.settle(53.0, failed=False, counts=True)
    assert backend.take(54.0) and backend.taken == 3


def test_configured_anew_it_keeps_its_life():
    options = {"max_fails": 3, "fail_timeout": 5.0, "max_conns": 7, "backup": True, "down": True}
    backend = Backend("a", weight=4, max_fails=2)
    backend.take(1.0)
    backend.settle(1.0, failed=True, counts=True)
    backend.take(1.0)
    backend.current = 3
    backend.configure(weight=4, **options)
    assert (backend.effective, backend.current, backend.fails, backend.inflight.total()) == (2, 3, 1, 1)
    assert {name: getattr(backend, name) for name in options} == options
    backend.configure(weight=2, **options)
    assert (backend.weight, backend.effective, backend.current, backend.fails) == (2, 2, 0, 1)
