"""Whom limits reject most: a few keys for each limit, counted by the space-saving sketch.

Rules: written on a rejection alone, so those who keep to their limits pay nothing. MOST keys are kept for a limit; a
new one takes the place of the least, and what that had is how much too high its count may be (Metwally, Agrawal and El
Abbadi 2005). So whoever is rejected more often than one time in MOST is always there. Keys that are too long are cut.
"""

from __future__ import annotations

from typing import Final

from proxy.exchange import Exchange
from proxy.policy.script import course_of
from proxy.shared.journal import Sheet
from proxy.shared.records import LONGEST, Offence

MOST: Final = 64  # keys of a limit
TOLD: Final = 20  # keys of a limit that are written down
LIMITED_BY: Final = (
    "limited by"  # what a Course calls the limit that has rejected its exchange; no variable is called so
)


class Offenders:
    """The keys of one worker, by limit."""

    __slots__ = ("_changed", "_limits")

    def __init__(self) -> None:
        self._limits: dict[str, dict[bytes, list[float]]] = {}  # key -> times, excess, when last (seconds since 1970)
        self._changed = False

    def offended(self, exchange: Exchange, limit: str, key: bytes) -> None:
        """A limit rejects an exchange, which is to remember it."""
        course_of(exchange).values[LIMITED_BY] = limit.encode()
        self.count(limit, key, exchange.clock.wall)

    def count(self, limit: str, key: bytes, wall: float) -> None:
        """A limit rejects a key."""
        keys = self._limits.get(limit)
        if keys is None:
            keys = self._limits[limit] = {}
        self._changed = True
        key = key[:LONGEST]
        known = keys.get(key)
        if known is not None:
            known[0] += 1
            known[2] = wall
            return
        excess = 0.0
        if len(keys) >= MOST:
            least = min(keys, key=lambda one: keys[one][0])
            excess = keys.pop(least)[0]
        keys[key] = [excess + 1, excess, wall]

    def top(self, limit: str, most: int = TOLD) -> list[Offence]:
        """The keys that a limit rejects most, most first."""
        keys = self._limits.get(limit, {})
        ranked = sorted(keys.items(), key=lambda pair: pair[1][0], reverse=True)
        return [Offence(key, int(times), int(excess), last) for key, (times, excess, last) in ranked[:most]]

    def write(self, sheet: Sheet) -> None:
        """Write down what has changed; fewer keys of each limit where not all have room."""
        if not self._changed:
            return
        self._changed = False
        most = TOLD
        while most and not sheet.write(
            tuple((name, tuple(tuple(one) for one in self.top(name, most))) for name in self._limits)
        ):
            most //= 2
