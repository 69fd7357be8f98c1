"""What nginx's two hashes have in common: where a number falls, and the way from there when that cannot be picked.

Rules: a number falls on a primary in proportion to the weights, those that are down included. The way is gone anew from
its start at every attempt instead of being kept with the exchange; a step that found a backend for an earlier attempt
was no miss then and is none now. After more than MISSES, round robin decides.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from proxy.policy.balance.round_robin import RoundRobin

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend
    from proxy.policy.chance import Chance

MISSES: Final = 20


class Walk:
    """Primaries by numbers; `weights` is 0 where there are fewer than two."""

    __slots__ = ("bounds", "clock", "primaries", "round_robin", "weights")

    def __init__(self, backends: Sequence[Backend], clock: Clock, rng: Chance | None = None) -> None:
        self.clock = clock
        self.round_robin = RoundRobin(backends, clock, rng)
        self.primaries = self.round_robin.groups[0]
        self.bounds = list(accumulate(backend.nominal for backend in self.primaries))
        self.weights = self.bounds[-1] if len(self.primaries) > 1 else 0

    def at(self, value: int) -> Backend:
        """Where a number falls."""
        return self.primaries[bisect_right(self.bounds, value % self.weights)]

    def along(self, values: Iterable[int], exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """The first on the way of these numbers that can be picked, or one in its stead, or None."""
        found = list(tried)
        misses = 0
        for value in values:
            backend = self.at(value)
            if backend in found:
                found.remove(backend)
            elif backend not in tried and backend.eligible(self.clock.now):
                return backend
            else:
                misses += 1
                if misses > MISSES:
                    break
        return self.round_robin.pick(exchange, tried)


def told(whose: str, first: Backend, chosen: Backend) -> str:
    """Why `chosen`, where the hash falls on `first`."""
    if first is chosen:
        return f"the hash of {whose} falls on it"
    return f"the hash of {whose} falls on {first.address}, which cannot be picked; hashed on it falls here"
