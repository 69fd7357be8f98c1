"""When a store that decides for us is left alone, and when it is tried again.

Rules: pure. It opens after some failures in a row, so that requests stop waiting for what does not come; it never lets
a request try: that is done beside them, first soon and then at longer and longer pauses, and what tries closes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.policy.chance import Chance

FIRST: Final = 0.1  # share of `recovery` before the first try
JITTER: Final = 0.2  # share of a pause around its length, so that workers and hosts do not try all at once


class Circuit:
    """A circuit, open at first: nobody has reached the store yet. `opened` counts how often it has opened since."""

    __slots__ = ("failures", "open", "opened", "recovery", "rng", "row", "tries")

    def __init__(self, failures: int, recovery: float, rng: Chance | None = None) -> None:
        """It opens after `failures` in a row; `recovery` is the longest pause between two tries, in seconds."""
        self.failures = failures
        self.recovery = recovery
        self.rng = rng
        self.open = True
        self.opened = 0
        self.row = 0
        self.tries = 0

    def well(self) -> None:
        """A command was answered."""
        self.row = 0

    def failed(self) -> bool:
        """A command was not answered well; True when that opens the circuit."""
        self.row += 1
        return self.row >= self.failures and self.trip()

    def trip(self) -> bool:
        """Open at once: the connection is gone. False when it was open before."""
        if self.open:
            return False
        self.open = True
        self.opened += 1
        self.tries = 0
        return True

    def close(self) -> None:
        """A try went well."""
        self.open = False
        self.row = self.tries = 0

    def pause(self) -> float:
        """Seconds until the next try; each is twice the one before, up to `recovery`."""
        pause = min(self.recovery, self.recovery * FIRST * 2.0 ** min(self.tries, 32))
        self.tries += 1
        if self.rng is not None:
            pause *= 1.0 + JITTER * (2.0 * self.rng.random() - 1.0)
        return pause
