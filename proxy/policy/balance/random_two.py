"""By lot, exactly as nginx does it (ngx_http_upstream_random_module.c): one draw, or the better of two.

Rules: a backend is drawn in proportion to its weight; one that cannot be picked is drawn again, up to 20 times, then
round robin decides. Of two different ones the second is taken unless it has more in flight per weight (or costs more,
where the caller says what a backend costs). Two choices are what makes the longest queue short (Mitzenmacher 2001).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from proxy.policy.balance.round_robin import RoundRobin

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend
    from proxy.policy.chance import Chance

MISSES: Final = 20

Cost = Callable[["Backend"], int]  # what is compared per weight


def busy(backend: Backend) -> int:
    """What is in flight."""
    return backend.inflight.total()


class Random:
    """Any backend, in proportion to the weights."""

    __slots__ = ("bounds", "clock", "primaries", "rng", "round_robin", "weights")

    def __init__(self, backends: Sequence[Backend], clock: Clock, rng: Chance) -> None:
        self.clock = clock
        self.rng = rng
        self.round_robin = RoundRobin(backends, clock, rng)
        self.primaries = self.round_robin.groups[0]
        self.bounds = list(accumulate(backend.nominal for backend in self.primaries))
        self.weights = self.bounds[-1] if len(self.primaries) > 1 else 0

    def drawn(self) -> Backend:
        """One by lot."""
        return self.primaries[bisect_right(self.bounds, self.rng.randrange(self.weights))]

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """A backend by lot, or None."""
        for _ in range(MISSES + 1 if self.weights else 0):
            backend = self.drawn()
            if backend not in tried and backend.eligible(self.clock.now):
                return backend
        return self.round_robin.pick(exchange, tried)

    def why(self, exchange: Exchange, tried: Sequence[Backend], chosen: Backend) -> str:
        """Why it has just chosen so."""
        if not self.weights:
            return self.round_robin.why(exchange, tried, chosen)
        return f"drawn by lot, with weight {chosen.nominal} of {self.weights}"


class RandomTwo(Random):
    """The better of two by lot."""

    __slots__ = ("cost",)

    def __init__(self, backends: Sequence[Backend], clock: Clock, rng: Chance, cost: Cost = busy) -> None:
        super().__init__(backends, clock, rng)
        self.cost = cost

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """The less busy of two backends, or None."""
        first = None
        for _ in range(MISSES + 2 if self.weights else 0):
            backend = self.drawn()
            if backend is first or backend in tried or not backend.eligible(self.clock.now):
                continue
            if first is None:
                first = backend
                continue
            worse = self.cost(backend) * first.nominal > self.cost(first) * backend.nominal
            return first if worse else backend
        return self.round_robin.pick(exchange, tried)

    def why(self, exchange: Exchange, tried: Sequence[Backend], chosen: Backend) -> str:
        """Why it has just chosen so; which other was drawn nobody remembers."""
        if not self.weights:
            return self.round_robin.why(exchange, tried, chosen)
        busy = chosen.inflight.total()
        return f"two were drawn by lot, and it is not the busier one: {busy} in flight per weight {chosen.nominal}"
