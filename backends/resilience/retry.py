"""Retry: call again what failed in passing, a little later each time. A thin layer over tenacity.

Rules: the errors worth a second try are named by whoever calls (`on`), since nobody else knows which of them pass by
themselves: a 404 does not, a refused connection may. Waits double and are spread by chance, so that callers that failed
together do not come back together. When the attempts, the time or the budget are spent, the last error is raised as it
was. Cancellation is never retried. Retry only what may happen twice: a payment needs an idempotency key first. A call
needs a time limit of its own; without one there is nothing to retry.

    retry = Retry(on=(ConnectionError, TimeoutError))

    @retry
    async def rates() -> Rates: ...

    order = await retry.call(lambda: payments.order(number))
"""

from __future__ import annotations

import functools
import inspect
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar, cast

import tenacity

from .errors import Chosen, chooser

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


class Budget:
    """Retries that all calls together may make: `ratio` for each call, and `floor` a second besides.

    When everything fails, three attempts each would be three times the load on what is already down; with a budget of
    0.2 it is 1.2 times. `saved` is the most that can be saved up and so be spent at once; it begins full. Share one
    Budget among all that call the same service. May be used from several threads.
    """

    def __init__(
        self,
        ratio: float = 0.2,
        floor: float = 1.0,
        *,
        saved: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ratio = ratio
        self.floor = floor
        self.saved = saved
        self._clock = clock
        self._left = saved
        self._then = clock()
        self._lock = threading.Lock()

    def earn(self) -> None:
        """A call begins."""
        with self._lock:
            self._left = min(self.saved, self._left + self.ratio)

    def spend(self) -> bool:
        """Take one retry; False when none is left."""
        with self._lock:
            now = self._clock()
            self._left = min(self.saved, self._left + (now - self._then) * self.floor)
            self._then = now
            if self._left < 1.0:
                return False
            self._left -= 1.0
            return True


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How to retry: a decorator for functions and coroutine functions, and `call` for anything awaitable.

    on        the errors that are worth another attempt: a class, several, or a function of the error
    attempts  calls in all, the first one included
    base      seconds before the first retry; doubled for each one after it
    cap       the most it grows to
    jitter    0.2 spreads a wait by +-20 %; "full" picks any wait from 0 up to it, which spreads a crowd best
    within    seconds since the first attempt after which no further one begins; a running one is not cut short
    budget    retries that all calls together may make; None is without end
    """

    on: Chosen
    attempts: int = 3
    base: float = 0.5
    cap: float = 10.0
    jitter: float | Literal["full"] = 0.2
    within: float | None = None
    budget: Budget | None = None
    chance: Callable[[float, float], float] = random.uniform

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts must be 1 or more (got {self.attempts})")
        if self.jitter != "full" and not (isinstance(self.jitter, int | float) and 0 <= self.jitter <= 1):
            raise ValueError(f'jitter must be "full" or from 0 to 1 (got {self.jitter!r})')

    def wait(self, failed: int) -> float:
        """Pick the seconds to wait after so many failed attempts (1 or more)."""
        seconds = min(self.cap, self.base * 2.0 ** min(failed - 1, 60))  # beyond 2**60 every cap is reached
        if self.jitter == "full":
            return self.chance(0.0, seconds)
        return seconds * self.chance(1.0 - self.jitter, 1.0 + self.jitter)

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Decorate a function or a coroutine function."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function!r} is a generator: what it has given out cannot be taken back")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def again_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                return await self.call(functools.partial(function, *args, **kwargs))

            return cast("Callable[P, T]", again_async)

        @functools.wraps(function)
        def again(*args: P.args, **kwargs: P.kwargs) -> T:
            self._earn()
            result = tenacity.Retrying(**self._settings(name_of(function)))(function, *args, **kwargs)
            if inspect.iscoroutine(result):
                result.close()
                raise TypeError(f"{function!r} gives a coroutine: write it with `async def`, or use Retry.call")
            return result

        return again

    async def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await what the function gives, and call it again when that fails."""

        async def attempt() -> T:
            return await function()

        self._earn()
        return await tenacity.AsyncRetrying(**self._settings(name_of(function)))(attempt)

    def _earn(self) -> None:
        if self.budget is not None:
            self.budget.earn()

    def _settings(self, name: str) -> dict[str, Any]:
        """Say all this in tenacity's words."""
        chosen = chooser(self.on)
        # Asked in this order, and only when there would be a retry: the budget comes last, for asking spends.
        stop: list[Any] = [tenacity.stop_after_attempt(self.attempts)]
        if self.within is not None:
            stop.append(tenacity.stop_before_delay(self.within))
        if self.budget is not None:
            spend = self.budget.spend
            stop.append(lambda _: not spend())
        return {
            "retry": tenacity.retry_if_exception(chosen),
            "wait": lambda state: self.wait(state.attempt_number),
            "stop": tenacity.stop_any(*stop),
            "before_sleep": functools.partial(tell, name),
            "reraise": True,  # the error itself, not tenacity's wrapping
        }


def name_of(function: Callable[..., object]) -> str:
    """Name a function for the log."""
    inner = function.func if isinstance(function, functools.partial) else function
    return getattr(inner, "__qualname__", None) or repr(inner)


def tell(name: str, state: tenacity.RetryCallState) -> None:
    """Log that there will be another attempt."""
    error = state.outcome.exception() if state.outcome else None
    log.warning("%s failed (attempt %d: %r), again in %.2f s", name, state.attempt_number, error, state.upcoming_sleep)
