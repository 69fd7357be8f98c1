"""The zone of a limit: the leaky buckets of all its keys, in memory of a fixed size that all workers of the host share.

Rules: a bucket is a hash, the time of its last request and its excess; a key lives in the emptier of its two sets when
it comes, so that the zone fills evenly (see `shared.places`). When both are full the oldest of the sixteen goes. A
worker killed inside a stripe's lock leaves at most one bucket half written, which is still a bucket. Times are
milliseconds of the host's monotonic clock.

In memory, in each set: eight hashes (0 is free), eight times, eight excesses.
"""

from __future__ import annotations

from typing import Final

from proxy.policy.limit.leaky import LONG_AGO, REQUEST, Leaky
from proxy.shared.memory import Memory
from proxy.shared.places import HASHES, REMEMBERED, WAYS, Place, Places

SET_SIZE: Final = 3 * HASHES  # bytes
MARK: Final = b"buckets1"


class Buckets(Places):
    """The leaky buckets of one limit."""

    __slots__ = ("burst", "cells", "known", "leaky", "rate")

    def __init__(self, memory: Memory, leaky: Leaky) -> None:
        """Use a zone, or make it in fresh memory: not by two processes at once (`made`). ValueError if the memory is
        too small."""
        super().__init__(memory, MARK, SET_SIZE, "a limit")
        self.leaky = leaky
        self.rate = leaky.rate
        self.burst = leaky.burst
        self.known: dict[bytes, tuple[int, int]] = {}  # of keys in `places`: hash, and the cell where it was seen last
        self.cells = memoryview(memory.map)[: memory.size // 8 * 8].cast("q")

    def charge(self, key: bytes, now_ms: int) -> int:
        """Ask for one request: the excess after it, or when it is rejected -1 minus the excess it would have led to.

        A rejected request changes nothing.
        """
        _, stripe, lock, _, _ = self.places.get(key) or self.place(key)
        if lock.acquire():
            self.recount(stripe)
        try:
            return self.charge_alone(key, now_ms)
        finally:
            lock.release()

    def charge_alone(self, key: bytes, now_ms: int) -> int:
        """The same without the lock, for a door with one worker: there is nobody to keep out."""
        cells = self.cells
        known = self.known.get(key)
        if known is not None and cells[known[1]] == known[0]:
            cell = known[1]
        else:
            cell = self.cell(key)
            if cell < 0:
                self.insert(self.places.get(key) or self.place(key), now_ms)
                return 0
        # Leaky.charge, written out: the call and its tuple would cost a third of all this. A test holds them together.
        ms = now_ms - cells[cell + 8]
        if ms < 0:
            ms = 1 if ms < LONG_AGO else 0
        excess = cells[cell + 16] + REQUEST - self.rate * ms // 1000
        if excess < 0:
            excess = 0
        if excess > self.burst:
            return -1 - excess
        cells[cell + 16] = excess
        if ms:
            cells[cell + 8] = now_ms
        return excess

    def cell(self, key: bytes) -> int:
        """The cell where a key's hash stands, or -1."""
        digest, _, _, first, second = self.places.get(key) or self.place(key)
        at = self.search(digest, first, second)
        if at >= 0 and key in self.places:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[key] = (int.from_bytes(digest, "little", signed=True), at >> 3)
        return at >> 3

    def refund(self, key: bytes) -> None:
        """Take back what was charged for a request that another limit has rejected.

        An excess below 0 stands for the credit of the first request, which the key has not used yet after all.
        """
        digest, stripe, lock, first, second = self.places.get(key) or self.place(key)
        if lock.acquire():
            self.recount(stripe)
        try:
            at = self.search(digest, first, second)
            if at >= 0:
                cell = (at >> 3) + 2 * WAYS
                self.cells[cell] = max(-REQUEST, self.cells[cell] - REQUEST)
        finally:
            lock.release()

    def used(self) -> int:
        """How many keys are remembered."""
        return sum(self.cells[self.count_at(stripe) >> 3] for stripe in range(len(self.locks)))

    def insert(self, place: Place, now_ms: int) -> None:
        """Make a bucket with no excess, in the emptier of the two sets or instead of the oldest."""
        cells = self.cells
        digest, stripe, _, first, second = place
        first >>= 3
        second >>= 3
        ours, theirs = cells[first : first + WAYS].tolist(), cells[second : second + WAYS].tolist()
        if theirs.count(0) > ours.count(0):
            cell = second + theirs.index(0)
        elif 0 in ours:
            cell = first + ours.index(0)
        else:
            cell = min((*range(first, first + WAYS), *range(second, second + WAYS)), key=lambda at: cells[at + WAYS])
        if cells[cell]:
            cells[cell] = 0  # killed from here on, we leave a free place and not somebody's bucket with our numbers
        else:
            cells[self.count_at(stripe) >> 3] += 1
        cells[cell + WAYS] = now_ms
        cells[cell + 2 * WAYS] = 0
        self.memory.map[cell * 8 : cell * 8 + 8] = digest

    def recount(self, stripe: int) -> None:
        """Count a stripe's buckets anew, after a worker died while it may have been counting."""
        free = sum(self.cells[at >> 3 : (at >> 3) + WAYS].tolist().count(0) for at in self.starts(stripe))
        self.cells[self.count_at(stripe) >> 3] = self.sets * WAYS - free


def made(size: int) -> Memory:
    """Memory of this size with an empty zone in it. ValueError if that is too small."""
    memory = Memory(size)
    try:
        Buckets(memory, Leaky(1))
    except ValueError:
        memory.close()
        raise
    return memory
