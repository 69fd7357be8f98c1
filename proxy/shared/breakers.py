"""The records of all breakers of a host, in memory that the master makes and every worker shares.

Rules: a record is known by a hash of its name, so whoever is forked later or reads a new configuration finds the same
one and its state. It is never given up: the table has room for all backends that the host will ever have until it is
restarted. One lock guards the table, and one each record; a worker killed inside either leaves what works, since the
hash that makes a place somebody's is written last, and a record has that order in itself (`policy.breaker`).

In memory: the table's lock, then the records: a lock, the hash of the name (0 is free), the cells.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from proxy.policy.breaker import CELLS
from proxy.shared.lock import SIZE as LOCK_SIZE
from proxy.shared.lock import Lock
from proxy.shared.memory import Memory

CAPACITY: Final = 1024
HEAD: Final = LOCK_SIZE
CELL: Final = 8  # bytes
CACHE_LINE: Final = 64
RECORD_SIZE: Final = -(-(LOCK_SIZE + CELL + CELLS * CELL) // CACHE_LINE) * CACHE_LINE


class SharedRecord:
    """A record in shared memory, as `policy.breaker` wants it."""

    __slots__ = ("cells", "lock")

    def __init__(self, cells: memoryview, lock: Lock) -> None:
        self.cells = cells
        self.lock = lock

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *raised: object) -> None:
        self.lock.release()


class Breakers:
    """The table: `capacity` records. Made by the master before it forks, and attached or inherited by the others."""

    __slots__ = ("capacity", "lock", "memory", "numbers")

    def __init__(self, memory: Memory, capacity: int = CAPACITY) -> None:
        """Use a table, or make it in fresh memory: not by two processes at once. ValueError if that is too small."""
        needed = self.size(capacity)
        if memory.size < needed:
            raise ValueError(f"{capacity} breakers need {needed} bytes of memory (got {memory.size})")
        self.memory = memory
        self.capacity = capacity
        self.lock = Lock(memory, 0)
        self.numbers = memoryview(memory.map)[:needed].cast("q")

    @staticmethod
    def size(capacity: int = CAPACITY) -> int:
        """How many bytes of memory that many records need."""
        return HEAD + capacity * RECORD_SIZE

    def used(self) -> int:
        """How many records are somebody's."""
        first = (HEAD + LOCK_SIZE) // CELL
        return sum(1 for digest in self.numbers[first :: RECORD_SIZE // CELL] if digest)

    def record(self, name: str) -> SharedRecord:
        """The record of this name, that of an upstream and an address; a fresh one if there is none yet.

        ValueError when all are taken.
        """
        digest = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little", signed=True) or 1
        self.lock.acquire()
        try:
            for step in range(self.capacity):
                at = HEAD + (digest + step) % self.capacity * RECORD_SIZE
                known = self.numbers[(at + LOCK_SIZE) // CELL]
                if known in (0, digest):
                    return self._at(at, digest)
        finally:
            self.lock.release()
        raise ValueError(
            f"there is room for the breakers of {self.capacity} backends, and all have been used: "
            "restart frontgate so that it forgets those that are gone"
        )

    def _at(self, at: int, digest: int) -> SharedRecord:
        """The record at an offset, made somebody's by this if it was not."""
        lock = Lock(self.memory, at)
        cell = (at + LOCK_SIZE) // CELL
        self.numbers[cell] = digest
        return SharedRecord(self.numbers[cell + 1 : cell + 1 + CELLS], lock)
