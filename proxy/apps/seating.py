"""The seats of an application: who comes up in one, who has died and comes again, who was found there.

Rules: a seat is free, or somebody sits in it (`tenants`), or is to come again (`retries`). A worker that dies by itself
is replaced in its own seat at once, then after longer and longer pauses while it does not live. A seat is shut in
shared memory before anything else is done with it, and open only while a worker in it is ready. Requests wait for the
next one (`awaited`) if it is begun soon, and until it does not come up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from random import Random
from time import monotonic
from typing import Any, Final, NamedTuple

from proxy.apps.cells import Cells
from proxy.apps.command import command, environment
from proxy.apps.process import Process
from proxy.apps.tenant import Tenant
from proxy.config.app import App, seat
from proxy.policy import seats
from proxy.policy.backoff import Backoff
from proxy.shared.arena import Arena

SHORT: Final = 10.0  # seconds; who dies sooner after it was ready has crashed at its start
SOON: Final = 1.0  # seconds; requests wait for who is started no later than that

log = logging.getLogger("frontgate")


class Means(NamedTuple):
    """What all applications share: shared memory, where its folders are, what tells workers that the master is gone,
    what files they make may be open to, and where their output goes."""

    arena: Arena
    runtime: str
    lifeline: int
    umask: int
    say: Callable[[str], None]
    rng: Random


class Seating:
    """The workers of one [app.NAME], by seat in `tenants`; `retries` are those who are dead and come again."""

    def __init__(self, name: str, table: App, means: Means) -> None:
        self.name = name
        self.table = table
        self.means = means
        self.tenants: dict[int, Tenant] = {}
        self.retries: dict[int, asyncio.Task[None]] = {}
        self.said: dict[str, Any] = {}  # what a gunicorn.conf.py says
        self.bounds = seats.Bounds()
        self.lost = 0  # generation of the youngest that has died by itself
        self.closing = False
        self._backoffs: dict[int, Backoff] = {}
        self._place = ("app", name)

    @property
    def up(self) -> bool:
        """Whether anybody serves."""
        return any(one.ready_at and one.alive for one in self.tenants.values())

    # --- one worker -------------------------------------------------------------------------------------------------

    async def _start(self, number: int, awaited: bool = False) -> str:
        """Have a worker come up in a free seat, for which requests may wait; "" or why it does not, and the seat is
        free again."""
        cells, means = self._cells(number), self.means
        name = f"{self.name}.{number}"
        cells.shut(awaited)
        with contextlib.suppress(OSError):
            os.unlink(cells.address.removeprefix("unix:"))
        try:
            process = Process.start(
                command(self.table, cells.address, self.said),
                environment(self.table, name),
                self.table.folder,
                means.lifeline,
                means.umask,
            )
        except (OSError, ValueError) as error:
            cells.shut()
            return f"cannot be started: {error}"
        self._write("generation", self._generation() + 1)
        for word, value in (
            ("pid", process.pid),
            ("generation", self._generation()),
            ("born_ms", int(time.time() * 1000)),
            ("taken", cells.taken()),
            ("wanted", seats.allotted(self.bounds, means.rng.random())),
        ):
            cells[word] = value
        cells.state(seats.STARTING)
        tenant = self.tenants[number] = Tenant(process, number, cells, name, self.table, means.say)
        try:
            problem = await tenant.ready()
        except asyncio.CancelledError:
            process.kill()
            self.tenants.pop(number, None)
            raise
        if problem or tenant.leaving:
            await tenant.stop()
            self.tenants.pop(number, None)
            return problem or "was told to go"
        self._serve(tenant)
        return ""

    def _serve(self, tenant: Tenant) -> None:
        """It gets requests from now on."""
        tenant.cells.state(seats.SERVING)
        tenant.cells.open()
        log.info("%s (process %d) serves", self._called(tenant.seat), tenant.process.pid)
        tenant.process.ended.add_done_callback(lambda ended: self._ended(tenant))

    def _ended(self, tenant: Tenant) -> None:
        """A worker that served is gone: was that wanted?"""
        if tenant.leaving or self.closing or self.tenants.get(tenant.seat) is not tenant:
            return
        del self.tenants[tenant.seat]
        lived = monotonic() - tenant.ready_at
        self.lost = max(self.lost, tenant.generation)
        pause = self._pause(tenant.seat, lived)
        tenant.cells.shut(awaited=pause <= SOON)
        tenant.cells["restarts"] += 1
        when = f"in {pause:.1f} s" if pause else "at once"
        words = "%s (process %d) %s after %.1f s; it is replaced %s"
        log.error(words, self._called(tenant.seat), tenant.process.pid, tenant.why(), lived, when)
        self._later(tenant.seat, pause, awaited=pause <= SOON)

    def _pause(self, number: int, lived: float) -> float:
        """The seconds before the next attempt in a seat, after a life that long."""
        return self._backoffs.setdefault(number, Backoff(SHORT)).died(lived)

    def _later(self, number: int, pause: float, awaited: bool = False) -> None:
        """Have a worker come up in a seat after a pause, and again and again until one does; `awaited`: requests wait
        for the first."""
        self._cells(number).state(seats.BROKEN)

        async def again(pause: float, awaited: bool) -> None:
            while True:
                await asyncio.sleep(pause)
                problem = await self._start(number, awaited)
                if not problem:
                    break
                awaited = False
                self._cells(number).state(seats.BROKEN)
                pause = self._pause(number, 0.0)
                log.error("%s %s; the next attempt is in %.1f s", self._called(number), problem, pause)
            self.retries.pop(number, None)

        self.retries[number] = asyncio.create_task(again(pause, awaited))

    async def _forget(self, number: int) -> None:
        """Let a seat be free in which somebody was to come again."""
        task = self.retries.pop(number, None)
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        if number in self.tenants:
            await self.tenants.pop(number).stop()
        self._cells(number).state(seats.VACANT)

    async def _adopt(self, number: int) -> None:
        """Keep a worker that another supervisor has started and that serves; end any other."""
        cells = self._cells(number)
        pid, state = cells["pid"], cells["state"]
        process = Process.found(pid, cells.address, self.means.lifeline) if pid else None
        if process is None:
            cells.shut()
            cells.state(seats.VACANT)
            return
        tenant = Tenant(process, number, cells, f"{self.name}.{number}", self.table, self.means.say)
        if state == seats.SERVING and cells.is_open():
            tenant.ready_at = monotonic()
            self.tenants[number] = tenant
            self._serve(tenant)
        else:
            if state == seats.DRAINING:
                await tenant.drained()
            await tenant.stop()

    # --- words and numbers ------------------------------------------------------------------------------------

    def _cells(self, number: int) -> Cells:
        return Cells(self.means.arena, self.name, number, seat(self.means.runtime, self.name, number))

    def _called(self, number: int) -> str:
        return f"app {self.name}: worker {number}"

    def _spare(self) -> int | None:
        """The free seat."""
        seated = range(self.table.crew + 1)
        return next((one for one in seated if one not in self.tenants and one not in self.retries), None)

    def _generation(self) -> int:
        name = (*self._place, "generation")
        arena = self.means.arena
        return int(arena.cells(arena.supervisor)[arena.column(name)])

    def _write(self, word: str, number: int) -> None:
        arena = self.means.arena
        arena.cells(arena.supervisor)[arena.column((*self._place, word))] = number

    def _add(self, word: str) -> None:
        arena = self.means.arena
        arena.cells(arena.supervisor)[arena.column((*self._place, word))] += 1
