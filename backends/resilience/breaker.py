"""Circuit breaker: while a service is known to be down, calls of it fail at once instead of queueing up behind it.

Rules: closed, calls pass; open, they are refused with CircuitOpen; when `recovery` seconds are over ONE call may try
(probing) and all others are still refused until it has ended. A chosen error (`on`) is a failure; a result or any other
error is a success, for the other side did answer; a cancelled call is neither, and gives the probe back. The verdict of
a call that began before the last change is not heard. One breaker per server called, one event loop per breaker: no
locks, and nothing is awaited between look and deed.

    payments = CircuitBreaker("payments", on=(ConnectionError, TimeoutError))

    @payments
    async def charge(order: Order) -> Receipt: ...

    with payments.attempt():  # the same as a block
        await client.post(...)
"""

from __future__ import annotations

import enum
import functools
import inspect
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeAlias, TypeVar

from .errors import Chosen, chooser

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


class State(enum.Enum):
    """What a breaker lets through: all, nothing, or one call to see."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


Listener: TypeAlias = Callable[["CircuitBreaker", State, State], None]  # the breaker, its old and its new state


class CircuitOpen(Exception):
    """The call was not made; `retry_after` says in how many seconds (more than 0) it is worth another try."""

    def __init__(self, name: str, retry_after: float) -> None:
        super().__init__(f"{name} is known to be down; ask again in {retry_after:.1f} s")
        self.name = name
        self.retry_after = retry_after


class CircuitBreaker:
    """The breaker of one service.

    on        the errors that count as failures: a class, several, or a function of the error
    failures  so many in a row open it; a success starts the count again
    ratio     when such a part of the last `window` calls failed it opens too, for a service that fails every other
              time and so never often in a row; None: do not look at it
    recovery  seconds it stays open before it lets one call probe
    patience  seconds after which a probe that has not ended counts as failed, so that one hanging call cannot keep
              the breaker shut for ever
    listeners called at every change, besides the log; what they raise is logged and goes no further
    """

    def __init__(
        self,
        name: str,
        *,
        on: Chosen,
        failures: int = 5,
        ratio: float | None = 0.5,
        window: int = 20,
        recovery: float = 30.0,
        patience: float = 60.0,
        listeners: tuple[Listener, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if failures < 1 or window < 1:
            raise ValueError(f"failures and window must be 1 or more (got {failures} and {window})")
        self.name = name
        self.failures = failures
        self.ratio = ratio
        self.recovery = recovery
        self.patience = patience
        self.listeners = listeners
        self.state = State.CLOSED
        self._chosen = chooser(on)
        self._clock = clock
        self._in_a_row = 0
        self._recent: deque[bool] = deque(maxlen=window)  # True: failed
        self._due = 0.0  # open: when a call may probe; probing: when the probe is given up
        self._age = 0  # grows with every change: a call that is older has nothing to say

    def __call__(self, function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        """Decorate a coroutine function."""
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"{function!r} is no coroutine function: use `attempt` around what it does")

        @functools.wraps(function)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            with self.attempt():
                return await function(*args, **kwargs)

        return guarded

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Make one call in this block; raises CircuitOpen, before anything of it runs, when calls are refused."""
        age = self._enter()
        try:
            yield
        except Exception as error:
            self._leave(age, failed=self._chosen(error))
            raise
        except BaseException:  # cancelled, or the program ends: no verdict
            self._release(age)
            raise
        self._leave(age, failed=False)

    def _enter(self) -> int:
        """Let a call pass or refuse it; gives the age that its verdict must come with."""
        if self.state is State.CLOSED:
            return self._age
        now = self._clock()
        if self.state is State.PROBING and now >= self._due:
            self._open(now)
        if self.state is State.PROBING:
            # Nobody knows when the probe ends, only that it decides: look again soon.
            raise CircuitOpen(self.name, max(0.001, min(1.0, self.recovery, self._due - now)))
        if now < self._due:
            raise CircuitOpen(self.name, self._due - now)
        self._change(State.PROBING, due=now + self.patience)
        return self._age

    def _leave(self, age: int, *, failed: bool) -> None:
        """Hear a call's verdict."""
        if age != self._age:
            return
        if self.state is State.PROBING:
            if failed:
                self._open(self._clock())
            else:
                self._change(State.CLOSED)
            return
        self._recent.append(failed)
        self._in_a_row = self._in_a_row + 1 if failed else 0
        if failed and (self._in_a_row >= self.failures or self._too_many()):
            self._open(self._clock())

    def _release(self, age: int) -> None:
        """A call ended without a verdict: was it the probe, the next caller may probe at once."""
        if age == self._age and self.state is State.PROBING:
            self._change(State.OPEN, due=self._clock())

    def _too_many(self) -> bool:
        recent = self._recent
        return self.ratio is not None and len(recent) == recent.maxlen and sum(recent) >= self.ratio * len(recent)

    def _open(self, now: float) -> None:
        self._change(State.OPEN, due=now + self.recovery)

    def _change(self, state: State, due: float = 0.0) -> None:
        """Go over to another state with clean counts, and tell everybody."""
        before, self.state = self.state, state
        self._due = due
        self._age += 1
        self._in_a_row = 0
        self._recent.clear()
        level = logging.WARNING if state is State.OPEN else logging.INFO
        log.log(level, "%s: the circuit is %s", self.name, state.value)
        for listener in self.listeners:
            try:
                listener(self, before, state)
            except Exception:
                log.exception("%s: a listener failed", self.name)
