"""A tally: how much of each key is in use now, over all workers of the host: connections of an address, and the like.

Rules: each key has a count per row, that of one worker, and their sum, so that the share of a worker that died can be
taken away. A place whose sum is 0 is free for any key, and until one comes it waits for the last to return; a key takes
one in the emptier of its two sets (see `shared.places`). The rows are the truth: whoever finds that a worker died
inside the lock adds them up anew.

When both sets are full of keys in use a new key is refused, as by nginx when a zone of limit_conn is exhausted: one
that passed uncounted would later give back what was counted for somebody else, and then no limit would hold. It does
not come to that in a tally of the size that `size_for` gives for all connections that the host can have at once.

In memory, in each set: eight hashes, then columns of eight 32-bit counts, two columns side by side so that a count lies
as far from its hash in all eight places: first the sums, then the rows.
"""

from __future__ import annotations

from typing import Final

from proxy.shared.lock import HAS_ROBUST
from proxy.shared.memory import Memory
from proxy.shared.places import HASHES, HEAD, MARK_SIZE, STRIPE_SIZE, STRIPES, WAYS, Place, Places

MARK: Final = b"tallies1"
ROWS: Final = slice(24, 32)  # of the head: for how many rows it was made
SUM: Final = HASHES // 4  # how far a sum lies behind its hash, in 32-bit cells


class Tally(Places):
    """What is in use of each key. `full`: how often this process refused a key because there was no place for it."""

    __slots__ = ("counts", "full", "idle", "rows")

    def __init__(self, memory: Memory, rows: int) -> None:
        """Use a tally, or make it in fresh memory: not by two processes at once (`made`). ValueError if the memory is
        too small, or was made for another number of rows."""
        size = set_size(rows)
        made_for = int.from_bytes(memory.map[ROWS], "little") if memory.map[:MARK_SIZE] == MARK else rows
        if made_for != rows:
            raise ValueError(f"this tally was made for {made_for} rows (got {rows})")
        super().__init__(memory, MARK, size, f"a tally of {rows} rows")
        memory.map[ROWS] = rows.to_bytes(8, "little")
        self.counts = memoryview(memory.map)[: memory.size // 4 * 4].cast("i")
        self.idle = bytes(size - HASHES)
        self.rows = tuple(column(row + 1) for row in range(rows))  # how far a row's count lies behind the hash
        self.full = 0

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
                counts[self.count_at(stripe) >> 2] += 1
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
        return sum(self.counts[self.count_at(stripe) >> 2] for stripe in range(len(self.locks)))

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
            self.counts[self.count_at(stripe) >> 2] -= 1

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
        counts[self.count_at(stripe) >> 2] = keys


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
