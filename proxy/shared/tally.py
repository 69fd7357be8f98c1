"""A tally: how much of each key is in use now, over all workers of the host: connections of an address, and the like.

Rules: a key is known by a 64-bit hash under the tally's own secret, so nobody can aim at another's count. Each key has
a count per row, that of one worker, and their sum, so that the share of a worker that died can be taken away. A place
whose sum is 0 is free for any key, and until one comes it waits for the last to return. Eight places make a set, and a
key lives in one of the two sets that its hash names, in the emptier one when it comes; both lie in one stripe, and one
robust lock guards a stripe. The rows are the truth: whoever finds that a worker died inside the lock adds them up
anew.

When both sets are full of keys in use a new key is refused, as by nginx when a zone of limit_conn is exhausted: one
that passed uncounted would later give back what was counted for somebody else, and then no limit would hold. It does
not come to that in a tally of the size that `size_for` gives for all connections that the host can have at once.

In memory: a head, the stripes' locks and counts of keys, then the sets: eight hashes, then columns of eight
32-bit counts, two columns side by side so that a count lies as far from its hash in all eight places: first the sums,
then the rows.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import Final

from proxy.shared.lock import HAS_ROBUST, Lock
from proxy.shared.lock import SIZE as LOCK_SIZE
from proxy.shared.memory import Memory

WAYS: Final = 8
HASHES: Final = 8 * WAYS  # bytes of a set's hashes, and of two columns of counts
MARK: Final = b"tallies1"
HEAD: Final = 64  # bytes: the mark, the secret, the number of rows
SECRET: Final = slice(8, 24)
ROWS: Final = slice(24, 32)
STRIPE_SIZE: Final = 2 * LOCK_SIZE  # a lock and, on a cache line of its own, how many keys the stripe has
STRIPES: Final = 64
SUM: Final = HASHES // 4  # how far a sum lies behind its hash, in 32-bit cells
REMEMBERED: Final = 4096  # places of keys that each process remembers; of short keys only, so that this stays small
SHORT: Final = 64

Place = tuple[bytes, int, Lock, int, int]
"""Where a key's counts are or would be: its hash, its stripe, the stripe's lock, the bytes where its two sets begin."""


class Tally:
    """What is in use of each key. `full`: how often this process refused a key because there was no place for it."""

    __slots__ = (
        "counts",
        "find",
        "full",
        "idle",
        "keyed",
        "locks",
        "memory",
        "places",
        "rows",
        "set_size",
        "sets",
        "sets_at",
    )

    def __init__(self, memory: Memory, rows: int) -> None:
        """Use a tally, or make it in fresh memory: not by two processes at once, for each would make its own secret and
        locks; the master makes it before any worker sees it (`made`). ValueError if the memory is too small, or was
        made for another number of rows."""
        self.set_size = set_size(rows)
        stripes = max(1, min(STRIPES, memory.size // (WAYS * self.set_size)))
        self.sets_at = HEAD + stripes * STRIPE_SIZE
        self.sets = (memory.size - self.sets_at) // self.set_size // stripes  # in each stripe
        if self.sets < 1:
            least = HEAD + STRIPE_SIZE + self.set_size
            raise ValueError(f"a tally of {rows} rows needs at least {least} bytes of memory (got {memory.size})")
        self.memory = memory
        fresh = memory.map[: len(MARK)] != MARK
        made_for = rows if fresh else int.from_bytes(memory.map[ROWS], "little")
        if made_for != rows:
            raise ValueError(f"this tally was made for {made_for} rows (got {rows})")
        self.locks = [Lock(memory, HEAD + stripe * STRIPE_SIZE) for stripe in range(stripes)]
        if fresh:
            memory.map[SECRET] = secrets.token_bytes(16)
            memory.map[ROWS] = rows.to_bytes(8, "little")
            memory.map[: len(MARK)] = MARK
        self.keyed = blake2b(digest_size=8, key=memory.map[SECRET])
        self.counts = memoryview(memory.map)[: memory.size // 4 * 4].cast("i")
        self.idle = bytes(self.set_size - HASHES)
        self.find = memory.map.find
        self.rows = tuple(column(row + 1) for row in range(rows))  # how far a row's count lies behind the hash
        self.places: dict[bytes, Place] = {}
        self.full = 0

    @property
    def capacity(self) -> int:
        """How many keys there is room for."""
        return len(self.locks) * self.sets * WAYS

    def take(self, key: bytes, most: int, row: int) -> bool:
        """Count one more of a key for the owner of a row. False, and nothing counted, when the host has `most` in use
        already, or when there is no room for another key."""
        place = self.places.get(key) or self.place(key)
        digest, stripe, lock, first, second = place
        behind = self.rows[row]
        if lock.acquire():
            self.recount(stripe)
        try:
            at = self.find(digest, first, first + HASHES)
            if at < 0 or at & 7:
                at = self.search(digest, first, second)
                if at < 0:
                    at = self.insert(place)
                    if at < 0:
                        return False
            counts = self.counts
            cell = at >> 2
            in_use = counts[cell + SUM]
            if in_use >= most:
                return False
            counts[cell + behind] += 1
            counts[cell + SUM] = in_use + 1
            if not in_use:
                counts[self.keys_cell(stripe)] += 1
            return True
        finally:
            lock.release()

    def give_back(self, key: bytes, row: int) -> None:
        """Count one less of a key for the owner of a row, which took it. What was never taken is not given back."""
        digest, stripe, lock, first, second = self.places.get(key) or self.place(key)
        behind = self.rows[row]
        if lock.acquire():
            self.recount(stripe)
        try:
            at = self.find(digest, first, first + HASHES)
            if at < 0 or at & 7:
                at = self.search(digest, first, second)
                if at < 0:
                    return
            counts = self.counts
            cell = at >> 2
            if counts[cell + behind] > 0:
                counts[cell + behind] -= 1
                self.lower(stripe, cell, 1)
        finally:
            lock.release()

    def count(self, key: bytes) -> int:
        """How many of a key are in use on the host."""
        digest, stripe, lock, first, second = self.places.get(key) or self.place(key)
        if lock.acquire():
            self.recount(stripe)
        try:
            at = self.search(digest, first, second)
            return 0 if at < 0 else self.counts[(at >> 2) + SUM]
        finally:
            lock.release()

    def used(self) -> int:
        """How many keys are in use."""
        return sum(self.counts[self.keys_cell(stripe)] for stripe in range(len(self.locks)))

    def clear(self, row: int) -> None:
        """Take away all that a row has counted. For the master, when the owner of the row is dead, and before another
        owns it."""
        behind = self.rows[row]
        counts = self.counts
        for stripe, lock in enumerate(self.locks):
            if lock.acquire() or not HAS_ROBUST:
                self.recount(stripe)
            try:
                for start in self.starts(stripe):
                    if self.is_idle(start):
                        continue
                    cell = start >> 2
                    ours = counts[cell + behind : cell + behind + 2 * WAYS - 1 : 2].tolist()
                    for way, number in enumerate(ours):
                        if number:
                            counts[cell + 2 * way + behind] = 0
                            self.lower(stripe, cell + 2 * way, number)
            finally:
                lock.release()

    def lower(self, stripe: int, cell: int, number: int) -> None:
        """Lower the sum of the place whose hash is at this cell."""
        in_use = self.counts[cell + SUM] - number
        self.counts[cell + SUM] = in_use
        if not in_use:
            self.counts[self.keys_cell(stripe)] -= 1

    def place(self, key: bytes) -> Place:
        """Work out where a key lives, and remember it if it is short."""
        keyed = self.keyed.copy()
        keyed.update(key)
        number = int.from_bytes(keyed.digest(), "little") or 1  # 0 stands where no key was yet
        rest, stripe = divmod(number, len(self.locks))
        rest, first = divmod(rest, self.sets)
        second = rest % self.sets
        if second == first:
            second = (first + 1) % self.sets
        start = self.sets_at + stripe * self.sets * self.set_size
        place = (
            number.to_bytes(8, "little"),
            stripe,
            self.locks[stripe],
            start + first * self.set_size,
            start + second * self.set_size,
        )
        if len(key) <= SHORT:
            if len(self.places) >= REMEMBERED:
                self.places.clear()
            self.places[key] = place
        return place

    def search(self, digest: bytes, first: int, second: int) -> int:
        """The byte where a hash stands in one of two sets, or -1."""
        for start in (first, second):
            at = self.find(digest, start, start + HASHES)
            while at >= 0:
                if not at & 7:
                    return at
                # The end of one hash and the beginning of the next happen to look like it.
                at = self.find(digest, at + 1, start + HASHES)
        return -1

    def insert(self, place: Place) -> int:
        """Give a key a place in the emptier of its two sets: the byte where its hash stands, or -1 if both are full."""
        digest, _, _, first, second = place
        ours, theirs = self.sums(first), self.sums(second)
        if theirs.count(0) > ours.count(0):
            at = second + 8 * theirs.index(0)
        elif 0 in ours:
            at = first + 8 * ours.index(0)
        else:
            self.full += 1
            return -1
        self.memory.map[at : at + 8] = digest
        return at

    def sums(self, start: int) -> list[int]:
        """The sums of a set."""
        cell = (start >> 2) + SUM
        sums: list[int] = self.counts[cell : cell + 2 * WAYS : 2].tolist()
        return sums

    def is_idle(self, start: int) -> bool:
        """Whether nothing of a set is in use."""
        return self.memory.map[start + HASHES : start + self.set_size] == self.idle

    def starts(self, stripe: int) -> range:
        """The bytes where a stripe's sets begin."""
        start = self.sets_at + stripe * self.sets * self.set_size
        return range(start, start + self.sets * self.set_size, self.set_size)

    def keys_cell(self, stripe: int) -> int:
        """The cell that counts a stripe's keys."""
        return (HEAD + stripe * STRIPE_SIZE + LOCK_SIZE) >> 2

    def recount(self, stripe: int) -> None:
        """Add a stripe's rows up anew, after a worker died while it may have counted."""
        counts = self.counts
        keys = 0
        for start in self.starts(stripe):
            if self.is_idle(start):
                continue
            for cell in range(start >> 2, (start >> 2) + 2 * WAYS, 2):
                in_use = sum([counts[cell + behind] for behind in self.rows])
                counts[cell + SUM] = in_use
                keys += in_use > 0
        counts[self.keys_cell(stripe)] = keys


def column(number: int) -> int:
    """How far a count of this column lies behind its hash, in 32-bit cells. Column 0 has the sums."""
    return SUM + number // 2 * 2 * WAYS + number % 2


def set_size(rows: int) -> int:
    """How many bytes a set has. ValueError without rows."""
    if rows < 1:
        raise ValueError(f"a tally needs at least 1 row (got {rows})")
    return HASHES + (rows + 2) // 2 * HASHES


def size_for(keys: int, rows: int) -> int:
    """How much memory so many keys need to have room at once: twice their places, so that no two sets are full."""
    return HEAD + STRIPES * STRIPE_SIZE + max(2 * STRIPES, -(-2 * keys // WAYS) + STRIPES) * set_size(rows)


def made(size: int, rows: int) -> Memory:
    """Memory of this size with an empty tally in it. ValueError if that is too small."""
    memory = Memory(size)
    try:
        Tally(memory, rows)
    except ValueError:
        memory.close()
        raise
    return memory
