"""Ends the streams of a worker that goes, before its time is over: WebSockets by a Close frame, event streams behind an
event.

Rules: each has a time of its own, by chance within the share FIRST to LAST of the time that is left when it is first
seen, so that clients do not all come again at once, and those whom the others would only wait for go on for a while.
What cannot be ended well is cut when all is over. Nothing here costs those who do not go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final

from proxy.upstream.link import Link

FIRST: Final = 0.3
LAST: Final = 0.9


class Farewells:
    """Says farewell with a `code` to the streams among `things()`, all before `end` on the clock."""

    def __init__(self, things: Callable[[], Iterable[Any]], end: float, code: int, rng: Random | None = None) -> None:
        self.things = things
        self.end = end
        self.code = code
        self.rng = rng or Random()
        self.due: dict[Link, float] = {}

    def tick(self, now: float) -> None:
        """Say what is due."""
        streams = [thing for thing in self.things() if isinstance(thing, Link) and thing.lasting]
        left = self.end - now
        self.due = {one: self.due.get(one) or now + left * self.rng.uniform(FIRST, LAST) for one in streams}
        for one, due in self.due.items():
            if due <= now:
                one.farewell(self.code)


def lasting(things: Iterable[Any]) -> Callable[[], list[Link]]:
    """Those streams among things that last now, as long as they do: their links may carry others later."""
    streams = [(one, one.exchange) for one in things if isinstance(one, Link) and one.lasting]
    return lambda: [link for link, exchange in streams if link.exchange is exchange]
