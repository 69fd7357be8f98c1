"""How many handshakes of TLS a worker has in hand at a time, over all its listeners.

Rules: whoever has a place here has OpenSSL's memory and may cost its time; whoever has none waits with nothing but a
socket, its first message unread. When all places are taken, the one who has been here longest gives way, if that is
longer than SPARED: a client that goes on is done by then, and one that says no more would hold the others up. Of those
who wait the last comes first: under a flood it is the one who is still there, and in a line the silent would be before
it; the others wait as long as their own time lasts. That it came to this is said in the error log, once a second.
"""

from __future__ import annotations

import logging
from typing import Final, Protocol

SPARED: Final = 1.0  # seconds

log = logging.getLogger("frontgate")


class Visitor(Protocol):
    """A connection before its handshake, or in it."""

    def come_in(self) -> None:
        """There is a place now: begin."""

    def give_way(self) -> None:
        """Close at once, and leave."""


class Porch:
    """The places, of which there are `most` (0: any number)."""

    __slots__ = ("_inside", "_outside", "_said", "most")

    def __init__(self, most: int = 0) -> None:
        self.most = most
        self._inside: dict[Visitor, float] = {}  # and since when; the one that came first is first
        self._outside: dict[Visitor, None] = {}
        self._said = 0.0

    @property
    def inside(self) -> int:
        """How many have a place."""
        return len(self._inside)

    @property
    def outside(self) -> int:
        """How many wait for one."""
        return len(self._outside)

    def enter(self, visitor: Visitor, now: float) -> bool:
        """Whether a handshake may begin; else it waits, and hears when it may, perhaps at once."""
        if not self._outside and (not self.most or len(self._inside) < self.most):
            self._inside[visitor] = now
            return True
        self._outside[visitor] = None
        if now - self._said >= 1.0:
            self._said = now
            log.warning("%d handshakes are in hand, as many as may be: a client waits for its own", len(self._inside))
        self.press(now)
        return False

    def press(self, now: float) -> None:
        """Have those give way who have been here too long, as long as somebody waits."""
        waiting = len(self._outside)
        while waiting and self._inside:
            oldest, since = next(iter(self._inside.items()))
            if since > now - SPARED:
                break
            waiting -= 1
            oldest.give_way()
            self._drop(oldest, now)
        self._call_in(now)

    def leave(self, visitor: Visitor, now: float) -> None:
        """A handshake is over, or will never be."""
        self._drop(visitor, now)
        if self._outside:
            self._call_in(now)

    def _drop(self, visitor: Visitor, now: float) -> None:
        self._inside.pop(visitor, None)
        self._outside.pop(visitor, None)

    def _call_in(self, now: float) -> None:
        while self._outside and (not self.most or len(self._inside) < self.most):
            visitor, _ = self._outside.popitem()
            self._inside[visitor] = now
            visitor.come_in()
