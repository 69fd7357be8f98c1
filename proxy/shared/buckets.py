"""The zone of a limit: the leaky buckets of all its keys, in memory of a fixed size that all workers of the host share.

Rules: a key is known by a 64-bit hash under the zone's own secret, so nobody can aim at another's bucket. A bucket is a
hash, the time of its last request and its excess; eight make a set, and a key lives in one of the two sets that its
hash names, in the emptier one when it comes, so that the zone fills evenly. When both are full the oldest of the
sixteen goes. Both sets lie in one stripe, and one robust lock guards a stripe: a worker killed inside it leaves at most
one bucket half written, which is still a bucket. Times are milliseconds of the host's monotonic clock.

In memory: a head, the stripes' locks and counts, then the sets: eight hashes (0 is free), eight times, eight excesses.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import Final

from proxy.policy.limit.leaky import LONG_AGO, REQUEST, Leaky
from proxy.shared.lock import SIZE as LOCK_SIZE
from proxy.shared.lock import Lock
from proxy.shared.memory import Memory

WAYS: Final = 8
SET_CELLS: Final = 3 * WAYS
SET_SIZE: Final = 8 * SET_CELLS
MARK: Final = b"buckets1"
HEAD: Final = 64  # bytes: the mark, the secret
SECRET: Final = slice(8, 24)
STRIPE_SIZE: Final = 2 * LOCK_SIZE  # a lock and, on a cache line of its own, how many buckets the stripe has
STRIPES: Final = 64
REMEMBERED: Final = 4096  # places of keys that each process remembers; of short keys only, so that this stays small
SHORT: Final = 64


Place = tuple[bytes, int, Lock, int, int]
"""Where a key's bucket is or would be: its hash, its stripe, the stripe's lock, the bytes where its two sets begin."""


class Buckets:
    """The leaky buckets of one limit."""

    __slots__ = ("burst", "cells", "find", "keyed", "leaky", "locks", "memory", "places", "rate", "sets", "sets_at")

    def __init__(self, memory: Memory, leaky: Leaky) -> None:
        """Use a zone, or make it in fresh memory: not by two processes at once, for each would make its own secret and
        locks; the master makes it before any worker sees it (`made`). ValueError if the memory is too small."""
        stripes = max(1, min(STRIPES, memory.size // (WAYS * SET_SIZE)))
        self.sets_at = HEAD + stripes * STRIPE_SIZE
        self.sets = (memory.size - self.sets_at) // SET_SIZE // stripes  # in each stripe
        if self.sets < 1:
            raise ValueError(
                f"a limit needs at least {HEAD + STRIPE_SIZE + SET_SIZE} bytes of memory (got {memory.size})"
            )
        self.memory = memory
        self.leaky = leaky
        self.rate = leaky.rate
        self.burst = leaky.burst
        self.locks = [Lock(memory, HEAD + stripe * STRIPE_SIZE) for stripe in range(stripes)]
        if memory.map[: len(MARK)] != MARK:
            memory.map[SECRET] = secrets.token_bytes(16)
            memory.map[: len(MARK)] = MARK
        self.keyed = blake2b(digest_size=8, key=memory.map[SECRET])
        self.cells = memoryview(memory.map)[: memory.size // 8 * 8].cast("q")
        self.find = memory.map.find
        self.places: dict[bytes, Place] = {}

    @property
    def capacity(self) -> int:
        """How many buckets there is room for."""
        return len(self.locks) * self.sets * WAYS

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
        place = self.places.get(key) or self.place(key)
        digest, _, _, first, second = place
        at = self.find(digest, first, first + 64)
        if at < 0 or at & 7:
            at = self.search(digest, first, second)
            if at < 0:
                self.insert(place, now_ms)
                return 0
        cells = self.cells
        cell = at >> 3
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
        return sum(self.cells[self.count_cell(stripe)] for stripe in range(len(self.locks)))

    def place(self, key: bytes) -> Place:
        """Work out where a key lives, and remember it if it is short."""
        keyed = self.keyed.copy()
        keyed.update(key)
        number = int.from_bytes(keyed.digest(), "little") or 1  # 0 means a free place
        rest, stripe = divmod(number, len(self.locks))
        rest, first = divmod(rest, self.sets)
        second = rest % self.sets
        if second == first:
            second = (first + 1) % self.sets
        start = self.sets_at + stripe * self.sets * SET_SIZE
        place = (
            number.to_bytes(8, "little"),
            stripe,
            self.locks[stripe],
            start + first * SET_SIZE,
            start + second * SET_SIZE,
        )
        if len(key) <= SHORT:
            if len(self.places) >= REMEMBERED:
                self.places.clear()
            self.places[key] = place
        return place

    def search(self, digest: bytes, first: int, second: int) -> int:
        """The byte where a hash stands in one of two sets, or -1."""
        for start in (first, second):
            at = self.find(digest, start, start + 8 * WAYS)
            while at >= 0:
                if not at & 7:
                    return at
                # The end of one hash and the beginning of the next happen to look like it.
                at = self.find(digest, at + 1, start + 8 * WAYS)
        return -1

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
            cells[self.count_cell(stripe)] += 1
        cells[cell + WAYS] = now_ms
        cells[cell + 2 * WAYS] = 0
        self.memory.map[cell * 8 : cell * 8 + 8] = digest

    def count_cell(self, stripe: int) -> int:
        """The cell that counts a stripe's buckets."""
        return (HEAD + stripe * STRIPE_SIZE + LOCK_SIZE) >> 3

    def recount(self, stripe: int) -> None:
        """Count a stripe's buckets anew, after a worker died while it may have been counting."""
        start = (self.sets_at >> 3) + stripe * self.sets * SET_CELLS
        sets = range(start, start + self.sets * SET_CELLS, SET_CELLS)
        free = sum(self.cells[at : at + WAYS].tolist().count(0) for at in sets)
        self.cells[self.count_cell(stripe)] = self.sets * WAYS - free


def made(size: int) -> Memory:
    """Memory of this size with an empty zone in it. ValueError if that is too small."""
    memory = Memory(size)
    try:
        Buckets(memory, Leaky(1))
    except ValueError:
        memory.close()
        raise
    return memory
