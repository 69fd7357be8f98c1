"""Where a Runtime lives: what this worker process has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from proxy.clock import Clock, Parking, Wheel
from proxy.shared.arena import Arena
from proxy.shared.breakers import Breakers
from proxy.shared.diary import Diary
from proxy.shared.memory import Memory
from proxy.shared.tally import Tally


def at_once(call: Callable[[], None]) -> None:
    """For a Runtime without a loop."""
    call()


class Place:
    """`zones` is shared memory by name, that of the limits; `breakers` is the table of the host's breakers and `tally`
    what is in use there; `bells` are the descriptors that wake each worker, and `soon` calls something in the loop's
    next turn; `diary` is where exchanges are written down, if anywhere."""

    __slots__ = ("arena", "bells", "breakers", "clock", "diary", "parking", "row", "soon", "tally", "wheel", "zones")

    def __init__(
        self,
        clock: Clock,
        wheel: Wheel,
        parking: Parking,
        arena: Arena,
        row: int,
        zones: Mapping[str, Memory],
        breakers: Breakers,
        tally: Tally,
        bells: Sequence[int] = (),
        soon: Callable[[Callable[[], None]], object] = at_once,
        diary: Diary | None = None,
    ) -> None:
        self.clock = clock
        self.wheel = wheel
        self.parking = parking
        self.arena = arena
        self.row = row
        self.zones = zones
        self.breakers = breakers
        self.tally = tally
        self.bells = bells
        self.soon = soon
        self.diary = diary
