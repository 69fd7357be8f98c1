"""The limit of requests in flight of a scenario at each simulated door: its own step, as `build.limits` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from proxy.lab.limits import client_of
from proxy.shared.in_flight import GiveBack, InFlight
from proxy.shared.limit import OUTCOMES
from proxy.shared.tally import Tally, made, size_for

if TYPE_CHECKING:
    from proxy.exchange import Step
    from proxy.lab.doors import Worker
    from proxy.lab.scenario import Scenario

ROOM: Final = 1 << 17  # requests in flight that are counted at a time


class Flights:
    """The places that clients have; `observers` give them back."""

    def __init__(self, scenario: Scenario) -> None:
        assert scenario.limit is not None
        self.table = scenario.limit
        self.memory = made(size_for(ROOM, 1), 1)
        self.tally = Tally(self.memory, 1)
        self.counts = [0] * len(OUTCOMES)
        self.before = list(self.counts)
        self.observers = (GiveBack(self.tally, 0),)

    def steps(self, worker: Worker, mark: bytes) -> tuple[Step, ...]:
        """Those of a worker's route; `mark` tells its keys from those of others."""
        table, name = self.table, f"lab {mark.decode()}"
        row, most = 0, table.in_flight or 1
        return (InFlight(name, client_of, most, self.tally, row, self.counts, table.status, table.dry_run),)

    def tick(self, now_ms: int) -> None:
        """Nothing is periodic."""

    def count_anew(self) -> None:
        """The warm-up is over."""
        self.before = list(self.counts)

    def told(self, seconds: float) -> dict[str, Any]:
        """As JSON has it."""
        counted = [now - before for now, before in zip(self.counts, self.before, strict=True)]
        return {"offered": sum(counted), "passed": counted[0]}

    def close(self) -> None:
        """Give back the memory."""
        self.memory.close()
