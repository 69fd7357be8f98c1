"""Chance, as decisions are given it."""

from __future__ import annotations

from typing import Protocol


class Chance(Protocol):
    """The part of `random.Random` that policies use; a seeded one makes a simulation repeatable."""

    def random(self) -> float:
        """A number from 0.0 up to but not including 1.0."""

    def randrange(self, stop: int, /) -> int:
        """An integer from 0 up to but not including `stop`."""
