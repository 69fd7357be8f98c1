"""Which backends a door knows, where it is not to know them all: the same ones for the same door, whoever asks.

Rules: pure; it follows from the doors' numbers and the backends' names, so nobody has to tell anybody. By turns
(Google's deterministic subsetting: Beyer et al. 2016, Site Reliability Engineering, chapter 20) as many doors as it
takes to deal out all backends once share a shuffle of them, so the numbers of doors that know any two backends differ
by one at most, as long as `size` divides the backends. By lot (rendezvous hashing: Thaler and Ravishankar 1998) a door
knows those that hash highest together with it: a backend that comes or goes changes one place of the doors that knew
it, or know it then, and nothing else; but how many doors know one is left to chance. Each door has its backends in an
order of its own, or else those who begin with their first would all begin with the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from heapq import nlargest
from typing import Final

Subsets = Callable[[int], list[int]]
"""The places of the backends that a door knows, in the order in which it knows them."""


def by_turns(names: Sequence[str], size: int) -> Subsets:
    """Deterministic: doors 0, 1, 2 ... deal out a shuffle of the backends, then the next one, and so on. Backends that
    are left over when `size` does not divide them are left out of a round, others in each."""
    count = max(1, len(names) // size)
    labels = [name.encode() for name in names]
    rounds: dict[int, list[int]] = {}

    def known(door: int) -> list[int]:
        turn, part = divmod(door, count)
        if turn not in rounds:
            rounds.clear()  # doors are asked about in their order
            scores = scored(turn, labels)
            rounds[turn] = sorted(range(len(labels)), key=scores.__getitem__)
        return rounds[turn][part * size : (part + 1) * size]

    return known


def by_lot(names: Sequence[str], size: int) -> Subsets:
    """By the highest hash of door and backend."""
    labels = [name.encode() for name in names]

    def known(door: int) -> list[int]:
        scores = scored(door, labels)
        return nlargest(size, range(len(labels)), key=scores.__getitem__)

    return known


def scored(number: int, labels: Sequence[bytes]) -> list[bytes]:
    """A hash of a number and each label."""
    begun = blake2b(number.to_bytes(8, "little"), digest_size=8)
    found = []
    for label in labels:
        one = begun.copy()
        one.update(label)
        found.append(one.digest())
    return found


KINDS: Final[dict[str, Callable[[Sequence[str], int], Subsets]]] = {"deterministic": by_turns, "rendezvous": by_lot}
