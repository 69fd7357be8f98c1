"""How often a key may ask: a sliding window, counted in the memory of this process.

Rules: never more than `limit` requests of a key in ANY `window` seconds, wherever one lets them begin: no double burst
at the edge of a window, as fixed windows give. The window is cut into SLICES and a slice counts until it has left the
window whole, so a place comes free at most one slice (a tenth of the window) later than to the second, and a key costs
a few numbers, not one per request. Refused requests are not counted: who keeps knocking is not shut out for ever.
Memory is bounded by `keys`; the key that asked longest ago is forgotten first.

Each process counts for itself: N workers let N times the limit through. Use redis_limiter.py when that is too much.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

SLICES = 10


class LimiterDown(Exception):
    """Nobody could be asked, and whoever configured the limiter wants requests refused then."""


@dataclass(frozen=True)
class Decision:
    """What a limiter says to one request; times are seconds from now.

    remaining    requests that may still come at once
    reset        until the whole limit is free again, if no more come
    retry_after  until the next request may pass; 0 when this one does
    """

    allowed: bool
    limit: int
    remaining: int
    reset: float
    retry_after: float


class Limiter(Protocol):
    """Whoever can decide."""

    async def take(self, key: str) -> Decision:
        """Count a request of this key, unless it is refused; may raise LimiterDown."""
        ...


class MemoryLimiter:
    """At most `limit` requests of a key in any `window` seconds, for at most `keys` keys."""

    def __init__(
        self, limit: int = 100, window: float = 60.0, *, keys: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if limit < 1 or window <= 0 or keys < 1:
            raise ValueError(f"limit, window and keys must be more than 0 (got {limit}, {window} and {keys})")
        self.limit = limit
        self.window = window
        self.keys = keys
        self._clock = clock
        self._counts: OrderedDict[str, dict[int, int]] = OrderedDict()  # key -> requests by number of the slice

    async def take(self, key: str) -> Decision:
        """Count a request of this key, unless it is refused."""
        return self.decide(key, self._clock())

    def decide(self, key: str, now: float) -> Decision:
        """Decide at a moment, in seconds; moments must not go back."""
        width = self.window / SLICES
        current = int(now // width)
        self._forget(current)
        counts = self._counts.setdefault(key, {})
        self._counts.move_to_end(key)
        for number in [number for number in counts if number < current - SLICES]:
            del counts[number]
        used = sum(counts.values())
        allowed = used < self.limit
        if allowed:
            counts[current] = counts.get(current, 0) + 1
            used += 1
        return Decision(
            allowed,
            self.limit,
            remaining=self.limit - used,
            reset=(max(counts) + SLICES + 1) * width - now,
            retry_after=0.0 if allowed else (min(counts) + SLICES + 1) * width - now,
        )

    def _forget(self, current: int) -> None:
        """Make room: drop one or two keys whose requests are all too old, and the oldest of too many."""
        for _ in range(2):
            oldest = next(iter(self._counts.values()), None)
            if oldest is None or max(oldest) >= current - SLICES:
                break
            self._counts.popitem(last=False)
        while len(self._counts) >= self.keys:
            self._counts.popitem(last=False)

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._counts)
