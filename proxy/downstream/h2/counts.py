"""What a worker counts of HTTP/2, over all its connections.

Rules: plain integers, which the ledger adds to the arena and takes back. KINDS of floods are the words of the gate.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

KINDS: Final = ("control", "reset", "window_update", "continuation", "timeout")
WORDS: Final = ("connections", "streams", "resets_client", "resets_own", "refused", "goaways")
COUNTED: Final = (*WORDS, *(f"flood_{kind}" for kind in KINDS))
"""The names of all columns."""


class StreamCounts:
    """`connections` and `streams` that were begun; streams that the client has reset, that we have for what it did, and
    that were `refused` as one too many; `goaways` with an error; connections that were ended for each kind of flood,
    or ("timeout") for fields or settings that did not come."""

    __slots__ = ("connections", "floods", "goaways", "refused", "resets_client", "resets_own", "streams")

    def __init__(self) -> None:
        self.connections = 0
        self.streams = 0
        self.resets_client = 0
        self.resets_own = 0
        self.refused = 0
        self.goaways = 0
        self.floods = dict.fromkeys(KINDS, 0)

    def flood(self, kind: str) -> None:
        """A connection is ended for too much of something, or for what has not come."""
        self.floods[kind] += 1

    @property
    def touched(self) -> bool:
        """Whether there is anything to be taken."""
        return bool(self.streams or self.connections or self.goaways or self.resets_own or self.resets_client)

    def taken(self) -> Iterator[tuple[str, int]]:
        """What was counted since this was asked last."""
        for word in WORDS:
            yield word, getattr(self, word)
            setattr(self, word, 0)
        for kind, number in self.floods.items():
            yield f"flood_{kind}", number
            self.floods[kind] = 0
