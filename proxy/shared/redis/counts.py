"""What a worker counts of its Redis, until the ledger takes it."""

from __future__ import annotations

from typing import Final

from proxy.policy.counts import Times

UNASKED: Final = ("redis_open", "redis_shut", "redis_local")
"""Outcomes of a shared limit that Redis did not decide, by what was done instead."""
FAILURES: Final = ("late", "refused", "full")
"""Decisions that came too late, that were refused or broken off, and that were not asked for as too many waited."""
ADDED: Final = ("answered", *FAILURES, "opened")
WORDS: Final = (*ADDED, "waiting", "left_alone")
"""Columns: decisions that came in time, those that did not, how often a circuit has opened; and, as of now, how many
requests wait and how many nodes are left alone."""


class Counts:
    """The numbers, by the same words; `times` are those of the decisions that came in time."""

    __slots__ = ("answered", "full", "late", "left_alone", "opened", "refused", "times", "waiting")

    def __init__(self) -> None:
        self.answered = self.late = self.refused = self.full = self.opened = 0
        self.waiting = self.left_alone = 0
        self.times = Times()

    def took(self, seconds: float) -> None:
        """A decision came after so long."""
        self.answered += 1
        self.times.add(seconds)

    def taken(self) -> dict[str, int]:
        """What has been added since this was asked last, without the times."""
        found = {word: int(getattr(self, word)) for word in ADDED}
        for word in ADDED:
            setattr(self, word, 0)
        return found
