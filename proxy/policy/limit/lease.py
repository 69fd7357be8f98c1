"""Requests of one key of a shared limit that this worker may let pass without asking: taken in batches, spent here.

Rules: pure; integers in thousandths of a request and milliseconds, as in `leaky`. All requests of a batch are charged
when it is taken, so whatever becomes of them, no more pass in all than the shared bucket has granted. The first batch
of a key is one request and each next one twice as large, up to `most`: who asks rarely holds nothing back from others.
What is left when the batch ends is given back less all that has drained since: then the shared bucket never holds less
than it would if exactly the spent requests had been charged. Whoever gets less than he wants, and less than he would
alone, competes with others: he waits before he asks again, twice as long each time, so that all together do not ask
more often than there are batches to have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from proxy.policy.limit.leaky import REQUEST, Leaky

HELD: Final = 1000  # milliseconds that a batch lasts; how much a request may be charged too early
LONGEST: Final = 256  # milliseconds that a worker waits for others before it asks again


class Lease:
    """The batch of one key. `left` requests of it may pass; `asking` while a new one is on its way, for which those in
    `waiting` wait, since `since` at the earliest."""

    __slots__ = ("asking", "at", "denied", "ends", "excess", "left", "pause", "satisfied", "since", "size", "waiting")

    def __init__(self) -> None:
        self.left = 0
        self.excess = 0  # that the next request of the batch had when the batch was taken
        self.at = 0
        self.ends = 0
        self.denied = 0  # no batch is asked for before
        self.size = 0  # that was asked for last
        self.satisfied = True  # and was granted
        self.pause = 0
        self.asking = False
        self.since = 0.0
        self.waiting: list[Callable[[Any], None]] = []

    def next_size(self, most: int, now_ms: int) -> int:
        """How large a batch to ask for now: twice the last one if that was used up in its time, as large if it was not
        granted, else one; and enough for those who wait."""
        wanted = 1
        if now_ms < self.ends:
            wanted = self.size * 2 if self.satisfied else self.size
        self.size = min(most, max(wanted, len(self.waiting)))
        return self.size

    def idle(self, now_ms: int) -> bool:
        """Whether nothing would be lost by forgetting it, but for what is left of the batch."""
        return not self.asking and now_ms >= self.ends and now_ms >= self.denied

    def back(self) -> None:
        """A request of the batch is not used after all."""
        self.left += 1
        self.excess -= REQUEST

    def granted(self, leaky: Leaky, first: int, asked: int, now_ms: int) -> None:
        """A batch has come: the excess of its first request, or -1 minus that of one that there is no room for."""
        fresh, since = not self.ends, now_ms - self.at
        self.at, self.ends, self.denied = now_ms, now_ms + HELD, 0
        self.excess = first if first >= 0 else -1 - first
        self.left = min(asked, max(0, (leaky.burst - self.excess) // REQUEST + 1))
        self.satisfied = self.left == asked
        if self.satisfied:
            self.pause //= 2
            return
        alone = min(leaky.burst // REQUEST + 1, leaky.rate * since // 1_000_000)
        if not fresh and self.left * 2 < alone:
            self.pause = min(LONGEST, max(1, self.pause * 2))
        room_in = -((leaky.burst - self.excess - REQUEST * self.left) * 1000 // leaky.rate)
        self.denied = now_ms + max(room_in, self.pause)

    def spend(self, leaky: Leaky, now_ms: int) -> int | None:
        """One request: its excess as `Buckets.charge` has it, negative when it is rejected; None: ask for a batch."""
        drained = leaky.rate * (now_ms - self.at) // 1000
        if self.left and now_ms < self.ends:
            self.left -= 1
            excess = max(0, self.excess - drained)
            self.excess += REQUEST
            return excess
        if now_ms < self.denied:
            return -1 - max(leaky.burst + 1, self.excess - drained)
        return None

    def rest(self, leaky: Leaky, now_ms: int) -> int:
        """The batch has ended or is not wanted any more: how many requests of it can be given back."""
        left, self.left = self.left, 0
        drained = leaky.rate * max(0, now_ms - self.at) // 1000 + 1
        return max(0, (left * REQUEST - drained) // REQUEST)
