"""The time, read once per event by the rooms with I/O and looked at by everybody else; and what waits for a time.

Rules: `now` is monotonic and in seconds; nobody below the rooms with I/O reads a clock of the system, so the laboratory
and the tests can turn it by hand. One reading serves everything that one event causes (a reading costs 40 ns). Nothing
that waits owns a timer of the loop: deadlines stand in the things themselves, and the wheel looks at them.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Final, Protocol

NEVER: Final = float("inf")


class Clock:
    """Monotonic seconds (`now`) and the wall clock's seconds since 1970 at the same instant (`now + epoch`).

    `date` is the rendered Date field line of this second and `local` its local time as nginx's logs have it, both kept
    up by whoever ticks.
    """

    __slots__ = ("date", "epoch", "local", "now")

    def __init__(self, now: float = 0.0, epoch: float = 0.0) -> None:
        self.now = now
        self.epoch = epoch
        self.date = b""
        self.local = b"-"

    @property
    def wall(self) -> float:
        """Seconds since 1970."""
        return self.now + self.epoch


class Timed(Protocol):
    """Something with a deadline. It moves `due` as it likes, at the cost of one store."""

    due: float

    def expired(self, now: float) -> None:
        """`due` has passed. Move it, or leave the wheel."""


class Wheel:
    """Looks at the deadlines of its things, a part of them at each tick, so each is noticed at most one turn late.

    With 5 spokes and a tick each 100 ms a deadline is seen within half a second, and 10,000 idle connections cost
    2,000 looks a tick (about 60 us).
    """

    __slots__ = ("_next", "_spokes", "_turn")

    def __init__(self, spokes: int = 5) -> None:
        self._spokes: list[set[Timed]] = [set() for _ in range(spokes)]
        self._next = 0
        self._turn = 0

    def add(self, thing: Timed) -> None:
        """Watch a thing from now on."""
        self._spokes[self._next].add(thing)
        self._next = (self._next + 1) % len(self._spokes)

    def discard(self, thing: Timed) -> None:
        """Watch it no longer."""
        for spoke in self._spokes:
            spoke.discard(thing)

    def all(self) -> list[Timed]:
        """Everything that it watches now."""
        return [thing for spoke in self._spokes for thing in spoke]

    def tick(self, now: float) -> None:
        """Look at the next spoke and tell what has expired."""
        self._turn = (self._turn + 1) % len(self._spokes)
        late = [thing for thing in self._spokes[self._turn] if thing.due <= now]
        for thing in late:
            thing.expired(now)


class Parking:
    """Waits for points in time, with one alarm for all who wait (`set_alarm(at)` must lead to `ring(now)`)."""

    __slots__ = ("_alarm", "_order", "_set_alarm", "_waiting")

    def __init__(self, set_alarm: Callable[[float], None]) -> None:
        self._set_alarm = set_alarm
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._alarm = NEVER

    def __len__(self) -> int:
        return len(self._waiting)

    def park(self, until: float, wake: Callable[[], None]) -> None:
        """Call `wake` at `until` (the clock's seconds); those of the same time in the order they came."""
        heappush(self._waiting, (until, next(self._order), wake))
        if until < self._alarm:
            self._alarm = until
            self._set_alarm(until)

    def ring(self, now: float) -> None:
        """Wake all whose time has come, and set the alarm for the next."""
        self._alarm = NEVER
        waiting = self._waiting
        while waiting and waiting[0][0] <= now:
            heappop(waiting)[2]()
        if waiting and waiting[0][0] < self._alarm:
            self._alarm = waiting[0][0]
            self._set_alarm(self._alarm)
