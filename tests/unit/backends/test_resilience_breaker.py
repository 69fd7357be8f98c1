"""The circuit breaker, with a clock that the test turns."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.resilience import CircuitBreaker, CircuitOpen, State


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Service:
    """A breaker, its clock, and what it told its listener."""

    def __init__(self, **settings: object) -> None:
        self.clock = Clock()
        self.told: list[str] = []
        self.breaker = CircuitBreaker(
            "payments",
            **{"on": ConnectionError, "clock": self.clock, "listeners": (self.hear,), **settings},  # type: ignore[arg-type]
        )

    def hear(self, breaker: CircuitBreaker, before: State, after: State) -> None:
        assert breaker.state is after
        self.told.append(f"{before.value} -> {after.value}")

    def call(self, error: BaseException | None = None) -> None:
        """One call, which ends like this."""
        with self.breaker.attempt():
            if error is not None:
                raise error

    def fail(self, times: int = 1, error: BaseException | None = None) -> None:
        for _ in range(times):
            with pytest.raises(type(error or ConnectionError())):
                self.call(error or ConnectionError())

    def refused(self) -> float:
        """A call is refused; gives its retry_after."""
        with pytest.raises(CircuitOpen) as raised:
            self.call()
        assert raised.value.name == "payments"
        return raised.value.retry_after

    def opened(self) -> Service:
        self.fail(self.breaker.failures)
        assert self.breaker.state is State.OPEN
        return self


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    service = Service(failures=3)
    service.fail(2)
    service.call()  # a success starts the count again
    service.fail(2)
    assert service.breaker.state is State.CLOSED
    service.fail()
    assert service.breaker.state is State.OPEN
    assert service.refused() == 30.0
    service.clock.now += 10
    assert service.refused() == 20.0
    assert service.told == ["closed -> open"]


def test_it_opens_when_a_part_fails() -> None:
    service = Service(failures=5, ratio=0.5, window=10)
    for _ in range(4):
        service.fail()
        service.call()
    assert service.breaker.state is State.CLOSED  # 4 of 8, too few calls to judge
    service.fail()
    assert service.breaker.state is State.CLOSED
    service.fail()
    assert service.breaker.state is State.OPEN  # 6 of 10


def test_the_ratio_may_be_left_out() -> None:
    service = Service(failures=5, ratio=None, window=4)
    for _ in range(50):
        service.fail(4)
        service.call()
    assert service.breaker.state is State.CLOSED


def test_only_chosen_errors_count() -> None:
    for on in (ConnectionError, (ConnectionError, TimeoutError), lambda error: str(error) == "503"):
        service = Service(on=on, failures=1)
        service.fail(20, ValueError("404"))
        assert service.breaker.state is State.CLOSED
    service.fail(1, ValueError("503"))
    assert service.breaker.state is State.OPEN


def test_one_probe_at_a_time_and_its_success_closes() -> None:
    service = Service().opened()
    service.clock.now += 30
    with service.breaker.attempt():
        assert service.breaker.state is State.PROBING
        assert [0 < service.refused() <= 1 for _ in range(10)] == [True] * 10
    assert service.breaker.state is State.CLOSED
    service.call()
    assert service.told == ["closed -> open", "open -> probing", "probing -> closed"]


def test_a_failed_probe_opens_for_the_whole_time_again() -> None:
    service = Service(recovery=7.0).opened()
    service.clock.now += 7
    service.fail()
    assert service.refused() == 7.0
    assert service.told[-2:] == ["open -> probing", "probing -> open"]


def test_a_probe_that_is_answered_with_another_error_closes() -> None:
    service = Service().opened()
    service.clock.now += 30
    service.fail(1, KeyError())
    assert service.breaker.state is State.CLOSED


def test_a_crowd_of_concurrent_callers_makes_one_probe() -> None:
    service = Service().opened()
    service.clock.now += 30
    calls: list[int] = []

    async def run() -> list[object]:
        gate = asyncio.Event()

        @service.breaker
        async def charge(number: int) -> int:
            calls.append(number)
            await gate.wait()
            return number

        tasks = [asyncio.create_task(charge(number)) for number in range(20)]
        while sum(task.done() for task in tasks) < 19:
            await asyncio.sleep(0)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(run())
    assert calls == [0]
    assert results[0] == 0
    assert all(isinstance(result, CircuitOpen) for result in results[1:])
    assert service.breaker.state is State.CLOSED


def test_a_cancelled_probe_gives_its_place_back() -> None:
    service = Service().opened()
    service.clock.now += 30

    @service.breaker
    async def hang() -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        task = asyncio.create_task(hang())
        await asyncio.sleep(0)
        assert service.refused() > 0
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert service.breaker.state is State.OPEN
    service.call()  # the next caller probes at once
    assert service.breaker.state is State.CLOSED


def test_cancelled_calls_do_not_count() -> None:
    service = Service(failures=1)
    service.fail(20, asyncio.CancelledError())
    assert service.told == []


def test_cancelled_calls_do_not_end_a_row_either() -> None:
    service = Service(failures=2)
    service.fail()
    service.fail(1, asyncio.CancelledError())
    service.fail()
    assert service.breaker.state is State.OPEN


def test_a_probe_that_hangs_does_not_shut_the_breaker_for_ever() -> None:
    service = Service(recovery=30.0, patience=60.0).opened()
    service.clock.now += 30
    hanging = service.breaker.attempt()
    hanging.__enter__()
    service.clock.now += 59.5
    assert service.refused() == 0.5
    service.clock.now += 0.5
    assert service.refused() == 30.0  # counted as failed
    service.clock.now += 30
    with service.breaker.attempt():
        hanging.__exit__(None, None, None)  # too late: nobody listens
        assert service.breaker.state is State.PROBING
        assert service.refused() > 0
    assert service.breaker.state is State.CLOSED


def test_late_verdicts_of_calls_from_before_are_not_heard() -> None:
    service = Service(failures=1)
    good, bad = service.breaker.attempt(), service.breaker.attempt()
    good.__enter__()
    bad.__enter__()
    service.fail()
    good.__exit__(None, None, None)
    assert service.breaker.state is State.OPEN  # an old success proves nothing
    service.clock.now += 29
    with pytest.raises(ConnectionError):
        bad.__exit__(ConnectionError, ConnectionError(), None)
        raise ConnectionError
    assert service.refused() == 1.0  # and an old failure prolongs nothing


def test_a_listener_that_fails_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    def wrong(*_: object) -> None:
        raise ValueError("my fault")

    service = Service(failures=1)
    service.breaker.listeners = (wrong, service.hear)
    with caplog.at_level(logging.INFO):
        service.fail()
    assert service.told == ["closed -> open"]
    assert "payments: the circuit is open" in caplog.text
    assert "my fault" in caplog.text


def test_the_decorator_keeps_name_and_result_and_wants_a_coroutine_function() -> None:
    breaker = Service().breaker

    @breaker
    async def charge(order: int, *, twice: bool = False) -> int:
        """Charge it."""
        return order * (2 if twice else 1)

    assert asyncio.run(charge(4, twice=True)) == 8
    assert (charge.__name__, charge.__doc__) == ("charge", "Charge it.")
    with pytest.raises(TypeError, match="coroutine"):
        breaker(lambda: None)  # type: ignore[arg-type, return-value]


def test_it_goes_by_the_monotonic_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    breaker = CircuitBreaker("x", on=OSError, failures=1)
    with pytest.raises(OSError, match=r"^$"), breaker.attempt():
        raise OSError
    monkeypatch.setattr("time.time", lambda: 4e9)  # somebody sets the clock of the host
    with pytest.raises(CircuitOpen), breaker.attempt():
        pass


@given(
    st.lists(st.tuples(st.sampled_from(["good", "bad", "cancelled", "begin", "end"]), st.floats(0, 50)), max_size=60)
)
def test_there_is_never_more_than_one_probe(steps: list[tuple[str, float]]) -> None:
    service = Service(failures=2, patience=1e9)
    ends = {"good": None, "bad": ConnectionError(), "cancelled": asyncio.CancelledError()}
    probes: list[object] = []
    for step, seconds in steps:
        service.clock.now += seconds
        probing = service.breaker.state is State.PROBING
        assert probing == bool(probes)
        try:
            if step == "begin" and service.breaker.state is State.OPEN:
                attempt = service.breaker.attempt()
                attempt.__enter__()
                probes.append(attempt)
            elif step == "end" and probes:
                probes.pop().__exit__(None, None, None)  # type: ignore[attr-defined]
            elif step in ends:
                service.call(ends[step])
                assert not probing
        except CircuitOpen as refused:
            assert 0 < refused.retry_after <= 30
            assert service.breaker.state is not State.CLOSED
        except (ConnectionError, asyncio.CancelledError):
            assert not probing
