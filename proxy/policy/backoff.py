"""How long to wait before a child that died is replaced: not at all, unless it dies at birth again and again.

Rules: pure arithmetic; seconds.
"""

from __future__ import annotations

from typing import Final

SHORT: Final = 1.0  # a life shorter than this is a crash at start
LONG: Final = 10.0  # a life this long wipes the slate clean
FIRST: Final = 0.1
MOST: Final = 10.0


class Backoff:
    """The memory of one slot: how many lives shorter than `short` seconds it has seen in a row."""

    __slots__ = ("short", "short_lives")

    def __init__(self, short: float = SHORT) -> None:
        self.short = short
        self.short_lives = 0

    def died(self, lived: float) -> float:
        """The seconds to wait after a life of that many: 0, then after further short lives 0.1, 0.2 ... 10."""
        if lived >= LONG:
            self.short_lives = 0
        elif lived < self.short:
            self.short_lives += 1
        if self.short_lives < 2:
            return 0.0
        return float(min(MOST, FIRST * 2.0 ** min(self.short_lives - 2, 16)))
