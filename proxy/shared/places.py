"""Where keys live in a table of fixed size that all workers of the host share: hashes, sets, stripes and their locks.

Rules: a key is known by a 64-bit hash under the table's own secret, so nobody can aim at another's place. Eight places
make a set, and a key lives in one of the two sets that its hash names; both lie in one stripe, and one robust lock
guards a stripe. What a place holds besides the hash, and who makes room when both sets are full, is the table's affair.

In memory: a head, the stripes' locks and how many keys each has, then the sets, which begin with their eight hashes.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import Final

from proxy.shared.lock import SIZE as LOCK_SIZE
from proxy.shared.lock import Lock
from proxy.shared.memory import Memory

WAYS: Final = 8
HASHES: Final = 8 * WAYS  # bytes of a set's hashes
HEAD: Final = 64  # bytes: the mark, the secret, and what the table has to remember about itself
MARK_SIZE: Final = 8
SECRET: Final = slice(8, 24)
STRIPE_SIZE: Final = 2 * LOCK_SIZE  # a lock and, on a cache line of its own, how many keys the stripe has
STRIPES: Final = 64
REMEMBERED: Final = 4096  # places of keys that each process remembers; of short keys only, so that this stays small
SHORT: Final = 64

Place = tuple[bytes, int, Lock, int, int]
"""Where a key lives or would live: its hash, its stripe, the stripe's lock, the bytes where its two sets begin."""


class Places:
    """The places of a table. `sets` are those of each stripe, and `places` the keys that this process remembers."""

    __slots__ = ("find", "keyed", "locks", "memory", "places", "set_size", "sets", "sets_at")

    def __init__(self, memory: Memory, mark: bytes, set_size: int, what: str) -> None:
        """Use a table, or make it in fresh memory: not by two processes at once, for each would make its own secret and
        locks; the master makes it before any worker sees it. ValueError, about `what`, if the memory is too small."""
        stripes = max(1, min(STRIPES, memory.size // (WAYS * set_size)))
        self.set_size = set_size
        self.sets_at = HEAD + stripes * STRIPE_SIZE
        self.sets = (memory.size - self.sets_at) // set_size // stripes
        if self.sets < 1:
            least = HEAD + STRIPE_SIZE + set_size
            raise ValueError(f"{what} needs at least {least} bytes of memory (got {memory.size})")
        self.memory = memory
        self.locks = [Lock(memory, HEAD + stripe * STRIPE_SIZE) for stripe in range(stripes)]
        if memory.map[:MARK_SIZE] != mark:
            memory.map[SECRET] = secrets.token_bytes(16)
            memory.map[:MARK_SIZE] = mark
        self.keyed = blake2b(digest_size=8, key=memory.map[SECRET])
        self.find = memory.map.find
        self.places: dict[bytes, Place] = {}

    @property
    def capacity(self) -> int:
        """How many keys there is room for."""
        return len(self.locks) * self.sets * WAYS

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

    def starts(self, stripe: int) -> range:
        """The bytes where a stripe's sets begin."""
        start = self.sets_at + stripe * self.sets * self.set_size
        return range(start, start + self.sets * self.set_size, self.set_size)

    def count_at(self, stripe: int) -> int:
        """The byte where it stands how many keys a stripe has."""
        return HEAD + stripe * STRIPE_SIZE + LOCK_SIZE
