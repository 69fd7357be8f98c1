"""One worker of an application in its seat, from its start to its end.

Rules: it is told to go only after the door's workers have been seen to send it nothing new, and after what it has is
answered or its time is over. Nobody else ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from time import monotonic
from typing import Final

from proxy.apps.cells import Cells
from proxy.apps.output import Output
from proxy.apps.process import Process
from proxy.config.app import App, Readiness
from proxy.policy import seats
from proxy.policy.health import Check
from proxy.upstream.probe import probe

STEP: Final = 0.02  # seconds between two looks
ASK_EVERY: Final = 0.2  # seconds between two questions whether it is ready
HEARD_WITHIN: Final = 5.0  # seconds in which the door's workers see what the cells say, at the latest


class Tenant:
    """A worker. `table` is what it was started with; `seat` its number; `leaving`, that its end is wanted."""

    def __init__(
        self, process: Process, seat: int, cells: Cells, name: str, table: App, say: Callable[[str], None]
    ) -> None:
        self.process = process
        self.seat = seat
        self.cells = cells
        self.name = name
        self.table = table
        self.generation = cells["generation"]
        self.born = monotonic() - max(0.0, time.time() - cells["born_ms"] / 1000)
        self.ready_at = 0.0  # 0.0: it is not
        self.leaving = False
        self.patience = 0.0  # until when it is not replaced for its age and so on: it could not be
        self._output = Output(process.output, name, say)
        process.ended.add_done_callback(lambda ended: self._end())

    def _end(self) -> None:
        self._output.close()
        self.process.deaf()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not self.process.ended.done()

    # --- coming up --------------------------------------------------------------------------------------------------

    async def ready(self) -> str:
        """Wait until it is; "" when it is, or why it will not be, in words that follow its name."""
        within = self.table.ready_within
        try:
            async with asyncio.timeout(within):
                problem = await self._said() or await self._answered()
        except TimeoutError:
            return f"was not ready within {within:g} s"
        if not problem:
            self.ready_at = monotonic()
        return problem

    async def _said(self) -> str:
        """Wait until its server says that it has come up."""
        heard = asyncio.Event()
        self.process.hear(heard.set)
        waiting = asyncio.create_task(heard.wait())
        await asyncio.wait((waiting, self.process.ended), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return "" if heard.is_set() else self.why()

    async def _answered(self) -> str:
        """Wait until it answers well, if it is to be asked."""
        if self.table.ready is None:
            return ""
        check = question(self.table.ready)
        while self.alive:
            if not await probe(self.cells.address, check, None):
                return ""
            await asyncio.sleep(ASK_EVERY)
        return self.why()

    def why(self) -> str:
        """Why it is gone, in words that follow its name."""
        ending = self.process.ended.result()
        hints = {"exit code 3": " (its startup failed)", "exit code 1": " (it could not be loaded)"}
        if ending.startswith("killed"):
            return f"was {ending}"
        return f"left with {ending}{hints.get(ending, '') if not self.ready_at else ''}"

    # --- going ------------------------------------------------------------------------------------------------------

    async def noticed(self) -> None:
        """Wait until the door's workers have seen what the cells say."""
        begun = monotonic()
        while self.alive and not self.cells.seen(begun) and monotonic() < begun + HEARD_WITHIN:
            await asyncio.sleep(STEP)

    async def drained(self) -> None:
        """Have it get no new requests, and wait for those that it has, as long as they may take."""
        self.leaving = True
        self.cells.drain()
        self.cells.state(seats.DRAINING)
        begun = monotonic()
        await self.noticed()
        while self.alive and self.cells.in_flight() > 0 and monotonic() < begun + self.table.drain:
            await asyncio.sleep(STEP)

    async def stop(self) -> None:
        """Have it go; kill it if it does not."""
        self.leaving = True
        if self.alive:
            self.cells.state(seats.STOPPING)
            self.process.signal(signal.SIGTERM)
            await asyncio.wait((self.process.ended,), timeout=self.table.stop)
        if self.alive:
            self.process.kill()
            await self.process.ended
        with contextlib.suppress(OSError):  # Gunicorn leaves it, so does whoever is killed
            os.unlink(self.cells.address.removeprefix("unix:"))
        self.cells.shut()
        self.cells.state(seats.VACANT)


def question(ready: Readiness) -> Check:
    """What a worker is asked."""
    ranges = [(int(first), int(last or first)) for first, _, last in (one.partition("-") for one in ready.status)]
    return Check(ready.path, ready.host, tuple(ranges), timeout=ready.timeout)
