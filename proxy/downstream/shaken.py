"""What a worker counts of TLS handshakes, over all its listeners.

Rules: plain integers, which the ledger adds to the arena and takes back. Who speaks no TLS, proves a name to an
authority, or goes before it has said anything is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

KINDS: Final = ("full", "resumed")
REASONS: Final = ("timeout", "closed", "refused", "displaced", "tls")
COUNTED: Final = (*KINDS, *(f"failed_{reason}" for reason in REASONS))
"""The names of all columns."""


class HandshakeCounts:
    """Handshakes that have come to their end, `full` or `resumed`, and those that `failed`: that took too long, whose
    client went, for whom no site was there or no protocol, that gave their place to another, or by any other error of
    TLS."""

    __slots__ = ("failed", "full", "resumed")

    def __init__(self) -> None:
        self.full = 0
        self.resumed = 0
        self.failed = dict.fromkeys(REASONS, 0)

    def done(self, resumed: bool) -> None:
        """One has come to its end."""
        if resumed:
            self.resumed += 1
        else:
            self.full += 1

    def fail(self, reason: str) -> None:
        """One has failed."""
        self.failed[reason] += 1

    def taken(self) -> Iterator[tuple[str, int]]:
        """What was counted since this was asked last."""
        yield "full", self.full
        yield "resumed", self.resumed
        self.full = self.resumed = 0
        for reason, number in self.failed.items():
            yield f"failed_{reason}", number
            self.failed[reason] = 0
