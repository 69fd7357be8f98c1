"""Retry and its budget: what is tried again, how often, and after how long. Waits are 0 or only calculated."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.resilience import Budget, CircuitBreaker, CircuitOpen, Retry


def failing(times: int, error: BaseException) -> tuple[list[int], Callable[..., Awaitable[str]]]:
    """A coroutine function that fails so many times, and the list of its calls."""
    calls: list[int] = []

    async def function(*args: Any) -> str:
        calls.append(len(calls) + 1)
        if len(calls) <= times:
            raise error
        return f"done {args}"

    return calls, function


def test_a_coroutine_function_is_tried_until_it_succeeds() -> None:
    calls, function = failing(2, ConnectionError())
    assert asyncio.run(Retry(on=ConnectionError, base=0)(function)(1, 2)) == "done (1, 2)"
    assert len(calls) == 3


def test_a_function_is_tried_until_it_succeeds() -> None:
    calls = []

    @Retry(on=(OSError, ValueError), base=0)
    def function(word: str, *, end: str) -> str:
        """Says it."""
        calls.append(word)
        if len(calls) < 3:
            raise (OSError, ValueError)[len(calls) % 2]
        return word + end

    assert function("a", end="b") == "ab"
    assert len(calls) == 3
    assert (function.__name__, function.__doc__) == ("function", "Says it.")


def test_call_awaits_what_a_lambda_gives() -> None:
    calls, function = failing(1, TimeoutError())
    assert asyncio.run(Retry(on=TimeoutError, base=0).call(lambda: function(7))) == "done (7,)"
    assert len(calls) == 2


def test_the_last_error_comes_out_as_it_was() -> None:
    error = ConnectionError("gone")
    calls, function = failing(9, error)
    with pytest.raises(ConnectionError) as raised:
        asyncio.run(Retry(on=ConnectionError, attempts=4, base=0)(function)())
    assert raised.value is error
    assert len(calls) == 4


def test_other_errors_are_not_retried() -> None:
    for on in (ConnectionError, (ConnectionError, TimeoutError), lambda error: "again" in str(error)):
        calls, function = failing(9, ValueError("no"))
        with pytest.raises(ValueError, match="no"):
            asyncio.run(Retry(on=on, base=0)(function)())
        assert len(calls) == 1


def test_a_function_may_look_at_the_error() -> None:
    calls, function = failing(1, ValueError("503"))
    asyncio.run(Retry(on=lambda error: str(error) in ("502", "503"), base=0)(function)())
    assert len(calls) == 2


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(1)])
def test_what_says_stop_is_never_retried(error: BaseException) -> None:
    asked = []
    calls, function = failing(9, error)

    async def run() -> None:
        with pytest.raises(type(error)):
            await Retry(on=lambda error: bool(asked.append(error)) or True, base=0)(function)()

    asyncio.run(run())
    assert (len(calls), asked) == (1, [])


def test_even_all_that_is_an_exception_leaves_cancellation_alone() -> None:
    began = []

    @Retry(on=BaseException, attempts=2, base=0)  # type: ignore[arg-type]
    async def function() -> None:
        began.append(1)
        await asyncio.Event().wait()

    async def run() -> None:
        task = asyncio.create_task(function())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,), timeout=5)
        assert task.cancelled()

    asyncio.run(run())
    assert began == [1]


def test_a_cancel_while_waiting_ends_the_wait() -> None:
    calls, function = failing(9, ConnectionError())

    async def run() -> None:
        task = asyncio.create_task(Retry(on=ConnectionError, base=1000, cap=1000).call(function))
        while not calls:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert len(calls) == 1


def test_the_waits_of_the_seed() -> None:
    """0.5 s x 2^n, at most 10 s, +-20 %."""
    lowest = Retry(on=OSError, chance=lambda low, high: low)
    highest = Retry(on=OSError, chance=lambda low, high: high)
    plain = Retry(on=OSError, jitter=0)
    assert [plain.wait(failed) for failed in range(1, 8)] == [0.5, 1, 2, 4, 8, 10, 10]
    assert [lowest.wait(failed) for failed in (1, 2, 9)] == pytest.approx([0.4, 0.8, 8])
    assert [highest.wait(failed) for failed in (1, 2, 9)] == pytest.approx([0.6, 1.2, 12])


@given(st.integers(1, 100_000), st.randoms(use_true_random=False))
def test_full_jitter_spreads_from_nothing_to_all(failed: int, chance: random.Random) -> None:
    retry = Retry(on=OSError, jitter="full", chance=chance.uniform)
    assert 0 <= retry.wait(failed) <= min(10, 0.5 * 2 ** min(failed - 1, 10))


def test_jitter_is_there_unless_it_is_taken_away() -> None:
    assert len({Retry(on=OSError).wait(1) for _ in range(50)}) > 10
    assert len({Retry(on=OSError, jitter="full").wait(1) for _ in range(50)}) > 10


def test_nothing_begins_behind_the_time_allowed() -> None:
    calls, function = failing(9, ConnectionError())
    began = time.monotonic()
    with pytest.raises(ConnectionError):
        asyncio.run(Retry(on=ConnectionError, attempts=9, base=60, cap=60, within=30)(function)())
    assert len(calls) == 1
    assert time.monotonic() - began < 10  # it did not wait either


def test_each_retry_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    @Retry(on=ConnectionError, base=0)
    async def fetch() -> None:
        raise ConnectionError("gone")

    with caplog.at_level(logging.WARNING), pytest.raises(ConnectionError):
        asyncio.run(fetch())
    assert len(caplog.records) == 2
    assert "fetch failed (attempt 1: ConnectionError('gone')), again in 0.00 s" in caplog.text


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"jitter": 1.5}, {"jitter": "half"}, {"jitter": -0.1}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Retry(on=OSError, **wrong)


def test_what_cannot_be_retried_is_refused() -> None:
    async def pieces() -> Any:
        yield 1

    with pytest.raises(TypeError, match="generator"):
        Retry(on=OSError)(pieces)
    _, function = failing(0, OSError())
    with pytest.raises(TypeError, match=r"Retry\.call"):
        Retry(on=OSError)(lambda: function())()


# --- budget -----------------------------------------------------------------------------------------------------------


def test_a_budget_bounds_the_load_when_everything_fails() -> None:
    calls, function = failing(10_000, ConnectionError())
    retry = Retry(on=ConnectionError, base=0, budget=Budget(0.2, floor=0, saved=10))

    async def run() -> None:
        for _ in range(500):
            with pytest.raises(ConnectionError):
                await retry.call(function)

    asyncio.run(run())
    assert 500 + 100 <= len(calls) <= 500 + 10 + 100  # without it: 1500


def test_functions_and_coroutine_functions_earn_and_spend_alike() -> None:
    calls: list[str] = []

    def function() -> None:
        calls.append("function")
        raise OSError

    async def coroutine() -> None:
        calls.append("coroutine")
        raise OSError

    for number, call in enumerate((lambda retry: retry(function)(), lambda retry: asyncio.run(retry(coroutine)()))):
        budget = Budget(0.5, floor=0, saved=1)
        assert budget.spend()  # nothing is left
        for _ in range(8):
            with pytest.raises(OSError, match=r"^$"):
                call(Retry(on=OSError, base=0, budget=budget))
        assert calls == ["function"] * 12 + ["coroutine"] * 12 * number  # every other call is retried once


def test_a_budget_is_only_spent_on_retries() -> None:
    budget = Budget(0, floor=0, saved=1)
    for function in (failing(0, OSError())[1], failing(1, ValueError())[1]):
        with contextlib.suppress(ValueError):
            asyncio.run(Retry(on=OSError, base=0, budget=budget).call(function))
    with pytest.raises(OSError, match=r"^$"):
        asyncio.run(Retry(on=OSError, attempts=1, base=0, budget=budget).call(failing(1, OSError())[1]))
    assert budget.spend()
    assert not budget.spend()


def test_the_floor_comes_back_with_time() -> None:
    now = [0.0]
    budget = Budget(0, floor=2, saved=4, clock=lambda: now[0])
    assert [budget.spend() for _ in range(5)] == [True] * 4 + [False]
    now[0] += 0.5
    assert [budget.spend() for _ in range(2)] == [True, False]
    now[0] += 1000
    assert [budget.spend() for _ in range(5)] == [True] * 4 + [False]


def test_retry_and_breaker_together_stop_when_the_circuit_opens() -> None:
    calls, function = failing(9, ConnectionError())
    breaker = CircuitBreaker("x", on=ConnectionError, failures=2)
    with pytest.raises(CircuitOpen):
        asyncio.run(Retry(on=ConnectionError, attempts=9, base=0)(breaker(function))())
    assert len(calls) == 2
