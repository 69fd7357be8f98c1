"""What stands in shared memory of an application's seats: what the door's workers go by, and what others are shown.

Rules: the supervisor writes into its own row alone. A column of a configuration that is gone stays, and stays readable.
"""

from __future__ import annotations

import time
from time import monotonic

from proxy.policy import seats
from proxy.policy.standing import AWAITED, UNCHECKED, UNPROVEN, WELL
from proxy.shared.arena import Arena, Name

ASLEEP = 2.0  # seconds without a look after which a worker of the door counts for nothing: it is stopped, or dead


class Cells:
    """The cells of one seat."""

    def __init__(self, arena: Arena, app: str, number: int, address: str) -> None:
        self.arena = arena
        self.address = address
        self._seat = ("app", app, str(number))
        self._backend = ("backend", app, address)

    # --- what the door's workers go by ------------------------------------------------------------------------------

    def open(self) -> None:
        """Requests may come."""
        self._write((*self._backend, "drain"), 0)
        self._write((*self._backend, "health"), WELL)

    def shut(self, awaited: bool = False) -> None:
        """Nobody is there; `awaited`: for so short a time that requests had better wait."""
        self._write((*self._backend, "health"), AWAITED if awaited else UNPROVEN)
        self._write((*self._backend, "drain"), 0)

    def drain(self) -> None:
        """No new requests may come."""
        self._write((*self._backend, "drain"), 1)

    def is_open(self) -> bool:
        """Whether requests come, as it stands there."""
        return self._read((*self._backend, "health")) == WELL

    def seen(self, since: float) -> bool:
        """Whether all workers of the door have looked at the cells since then (monotonic seconds)."""
        looks = list(self.arena.over_rows(("worker", "looked_us")))[: self.arena.supervisor]
        awake = (monotonic() - ASLEEP) * 1e6
        return all(look > since * 1e6 for look in looks if look >= awake)

    def in_flight(self) -> int:
        """Requests that it has at this time."""
        return self._total("inflight")

    def taken(self) -> int:
        """Requests that it has had, with those of the workers before it."""
        return self._total("taken")

    # --- what others are shown --------------------------------------------------------------------------------------

    def __getitem__(self, word: str) -> int:
        return self._read((*self._seat, word))

    def __setitem__(self, word: str, number: int) -> None:
        self._write((*self._seat, word), number)

    def state(self, state: int) -> None:
        """In what state the seat is from now on."""
        self["state"] = state
        self["since_ms"] = int(time.time() * 1000)
        if state in (seats.VACANT, seats.BROKEN):
            self["pid"] = self["memory"] = 0

    def _total(self, word: str) -> int:
        name = (*self._backend, word)
        return self.arena.total(name) if name in self.arena.layout else 0

    def _read(self, name: Name) -> int:
        if name not in self.arena.layout:
            return 0
        return int(self.arena.cells(self.arena.supervisor)[self.arena.column(name)])

    def _write(self, name: Name, number: int) -> None:
        if name in self.arena.layout:
            self.arena.cells(self.arena.supervisor)[self.arena.column(name)] = number


def hold(arena: Arena, app: str, addresses: list[str]) -> None:
    """Keep requests from seats that nobody has spoken of. For the master, before the door's workers see them."""
    cells = arena.cells(arena.supervisor)
    for address in addresses:
        column = arena.column(("backend", app, address, "health"))
        if cells[column] == UNCHECKED:
            cells[column] = UNPROVEN
