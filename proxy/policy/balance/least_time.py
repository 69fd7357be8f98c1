"""The least estimated time, exactly as nginx does it (ngx_http_upstream_least_time_module.c).

Rules: a backend's time is the moving average (5 % for the newest) of how long its successful answers took, to their
head or to their last byte, in milliseconds. It halves for each `fail_timeout` without a request, so that the slow are
tried again; with `inflight` it is at least the average age of what is unanswered. Times are rounded up to 20 ms, so
that those who are close take turns, and above 5 s all are equal. The least time * (1 + in flight) / weight is picked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from proxy.policy.balance.least_conn import in_turn
from proxy.policy.balance.random_two import RandomTwo
from proxy.policy.balance.strategy import ONLY, InGroups, of

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend
    from proxy.policy.chance import Chance

SLOWEST: Final = 5000  # milliseconds
STEP: Final = 20  # milliseconds
NEWEST: Final = 0.05  # share of the newest time in the average


def average(before: int, newest: int) -> int:
    """The moving average after another time; the first stands alone."""
    return int(0.5 + newest * NEWEST + before * (1 - NEWEST)) if before else newest


class Times:
    """What is known of one backend, in milliseconds; `waiting` are unanswered, and `begun` the sum of when they were
    sent, in seconds."""

    __slots__ = ("age", "answer", "begun", "waiting")

    def __init__(self) -> None:
        self.answer = 0
        self.age = 0
        self.waiting = 0
        self.begun = 0.0


class LeastTime(InGroups):
    """The backend that will be done first, as far as one can tell. `times` are those of a strategy before this one."""

    __slots__ = ("flying", "inflight", "last_byte", "times")

    def __init__(
        self,
        backends: Sequence[Backend],
        clock: Clock,
        rng: Chance | None = None,
        last_byte: bool = False,
        inflight: bool = False,
    ) -> None:
        super().__init__(backends, clock, rng)
        self.last_byte = last_byte
        self.inflight = inflight
        self.times = {backend: Times() for backend in backends}
        self.flying: dict[Exchange, tuple[Times, float]] = {}

    def adopt(self, before: LeastTime) -> None:
        """Go on with what a strategy before this one knew."""
        self.times.update({backend: times for backend, times in before.times.items() if backend in self.times})

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """The backend with the least estimated time, or None."""
        if self.inflight:
            self.left(exchange)
        backend = self._best(tried)
        if backend is not None and self.inflight:
            times = self.times[backend]
            self.flying[exchange] = times, self.clock.now
            times.waiting += 1
            times.begun += self.clock.now
        return backend

    def _best(self, tried: Sequence[Backend]) -> Backend | None:
        now = self.clock.now
        if (only := self.alone) is not None:
            return only if only not in tried and only.eligible(now, alone=True) else None
        for backends in self.groups:
            costs = [(self.cost(one), one) for one in backends if one not in tried and one.eligible(now)]
            if not costs:
                continue
            least, best = costs[0]
            for cost, one in costs:
                if cost * best.nominal < least * one.nominal:
                    least, best = cost, one
            equals = [one for cost, one in costs if cost * best.nominal == least * one.nominal]
            return best if len(equals) == 1 else in_turn(equals)
        return None

    def why(self, exchange: Exchange, tried: Sequence[Backend], chosen: Backend) -> str:
        """Why it has just chosen so."""
        if self.alone is not None:
            return ONLY
        number, busy = len(self.among(chosen, tried)), chosen.inflight.total()
        known = f"{self.times[chosen].answer} ms on average" if self.times[chosen].answer else "not measured yet"
        return f"the least time {of(number)}: {known}, {busy} in flight, weight {chosen.nominal}"

    def cost(self, backend: Backend) -> int:
        """The estimated time until it is done with one request more, in milliseconds."""
        times, now = self.times[backend], self.clock.now
        time = times.answer
        idle = now - backend.checked
        if idle > backend.fail_timeout:
            time >>= int(idle / (backend.fail_timeout + 1))
        if times.waiting:
            times.age = average(times.age, int((now - times.begun / times.waiting) * 1000))
            time = max(time, times.age)
        time = SLOWEST if time > SLOWEST else time + STEP - time % STEP
        return time * (1 + backend.inflight.total())

    def left(self, exchange: Exchange) -> None:
        """Somebody waits no longer for an answer."""
        found = self.flying.pop(exchange, None)
        if found is not None:
            times, begun = found
            times.waiting -= 1
            times.begun = times.begun - begun if times.waiting else 0.0

    def answered(self, exchange: Exchange) -> None:
        """The head of an answer is here."""
        if not self.last_byte:
            self.left(exchange)

    def ended(self, exchange: Exchange) -> None:
        """An exchange has finished; the time of a success counts."""
        self.left(exchange)
        if exchange.fault is not None or not exchange.answered or not exchange.tried:
            return
        times = self.times.get(exchange.tried[-1])  # type: ignore[call-overload]  # a backend of this group or another
        if times is not None:
            until = exchange.ended if self.last_byte else exchange.answered
            times.answer = average(times.answer, max(0, int((until - exchange.attempted) * 1000)))


class LeastTimeOfTwo(RandomTwo):
    """The lesser estimated time of two by lot."""

    __slots__ = ("times",)

    def __init__(self, backends: Sequence[Backend], clock: Clock, rng: Chance, last_byte: bool = False) -> None:
        self.times = LeastTime(backends, clock, rng, last_byte)
        super().__init__(backends, clock, rng, self.times.cost)

    def adopt(self, before: LeastTimeOfTwo) -> None:
        """Go on with what a strategy before this one knew."""
        self.times.adopt(before.times)

    def ended(self, exchange: Exchange) -> None:
        """An exchange has finished."""
        self.times.ended(exchange)

    def why(self, exchange: Exchange, tried: Sequence[Backend], chosen: Backend) -> str:
        """Why it has just chosen so."""
        if not self.weights:
            return self.round_robin.why(exchange, tried, chosen)
        answer, busy = self.times.times[chosen].answer, chosen.inflight.total()
        return f"two were drawn by lot, and it takes no longer: {answer} ms on average, {busy} in flight"
