"""An application: as many workers as it is to have, replaced one at a time, and never before the next one is ready.

Rules: of its seats one is free; whoever is replaced goes on serving until somebody in that seat is ready, so code that
does not come up changes nothing. Replacements happen one after the other; who dies by itself is the affair of
`seating`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from time import monotonic
from typing import Any, Final

from proxy.apps.gunicorn import look
from proxy.apps.seating import Means, Seating
from proxy.apps.tenant import Tenant
from proxy.config.app import App
from proxy.policy import seats

PATIENCE: Final = 30.0  # seconds until somebody is to be replaced again who could not be

log = logging.getLogger("frontgate")


class Application(Seating):
    """All that is done with the workers of one [app.NAME] together."""

    def __init__(self, name: str, table: App, means: Means) -> None:
        super().__init__(name, table, means)
        self.turn = asyncio.Lock()  # one replacement after the other
        self._tasks: set[asyncio.Task[None]] = set()

    # --- beginning and end ------------------------------------------------------------------------------------------

    async def begin(self) -> list[str]:
        """Have all workers come up, but for those that another supervisor has left; what kept any from it."""
        async with self.turn:  # whoever is asked to roll meanwhile waits
            problem = await self._look()
            for number in range(self.table.crew + 1):
                await self._adopt(number)
            if problem:
                return [problem]
            for tenant in sorted(self.tenants.values(), key=lambda one: one.generation)[: -self.table.crew]:
                await self._let_go(tenant)  # that supervisor was about to
            spare = [number for number in range(self.table.crew + 1) if number not in self.tenants]
            wanted = spare[: self.table.crew - len(self.tenants)]
            problems = await asyncio.gather(*(self._start(number) for number in wanted))
            for number, one in zip(wanted, problems, strict=True):
                if one and not self.closing:
                    log.error("%s %s", self._called(number), one)
                    self._later(number, self._pause(number, 0.0))
            return [one for one in problems if one]

    async def become(self, table: App) -> str:
        """Be as another table says, with workers that are started anew, one after the other; "" or why not."""
        async with self.turn:
            first = self._generation() + 1
            self.table = table
            problem = await self._look()
            if problem:
                return self._kept(problem)
            await self._shrink()
            await self._grow()
            return await self._roll(first)

    async def end(self, drained: bool = False) -> None:
        """Have all workers go; `drained`, when they have answered what they have."""
        self.closing = True
        for task in (*self.retries.values(), *self._tasks):
            task.cancel()
        tenants = list(self.tenants.values())
        for tenant in tenants:
            tenant.leaving = True
        if drained:
            await asyncio.gather(*(tenant.drained() for tenant in tenants))
        await asyncio.gather(*(tenant.stop() for tenant in tenants))
        for number in self.retries:
            self._cells(number).state(seats.VACANT)
        self.tenants.clear()
        self.retries.clear()

    # --- the roll ---------------------------------------------------------------------------------------------------

    async def roll(self) -> str:
        """Start all workers anew, one after the other; "" or why that was given up, with the others as they were."""
        async with self.turn:
            first = self._generation() + 1
            problem = await self._look()
            if problem:
                return self._kept(problem)
            await self._grow()  # nobody is missing, unless nobody could be started at the beginning
            return await self._roll(first)

    def _kept(self, problem: str) -> str:
        """Say that nothing is replaced, and why."""
        log.error("app %s: a worker %s; those of before stay in service", self.name, problem)
        return problem

    async def _roll(self, first: int) -> str:
        """Replace all that are older than a generation."""
        begun = monotonic()
        problem = ""
        for number in tuple(self.retries):
            if number not in self.retries:  # it has come again by itself, while another was waited for
                continue
            await self._forget(number)
            problem = await self._start(number)
            if problem:
                self._later(number, self._pause(number, 0.0))
                break
        while not problem and not self.closing:
            old = [one for _, one in sorted(self.tenants.items()) if one.generation < first and not one.leaving]
            if not old:
                break
            problem = await self._replace(old[0])
            if not problem and self.lost >= first:
                problem = "has died again as soon as it was ready"
        self._write("rolled_ms", int(time.time() * 1000))
        self._add("rollbacks" if problem else "rolls")
        if problem:
            kept = sum(one.generation < first for one in self.tenants.values())
            words = f"{kept} worker{'' if kept == 1 else 's'} of before stay{'s' if kept == 1 else ''} in service"
            log.error("app %s: the new code does not come up: a worker %s; %s", self.name, problem, words)
        else:
            log.info("app %s: all workers are new, after %.1f s", self.name, monotonic() - begun)
        return problem

    async def _replace(self, old: Tenant) -> str:
        """Have another worker take the place of one; "" or why it cannot."""
        number = self._spare()
        if number is None:
            return "finds no free seat"
        problem = await self._start(number)
        if not problem:
            if number in self.tenants:
                await self.tenants[number].noticed()  # else whoever looks just then may find both of them closed
            await self._let_go(old)
        return problem

    async def _let_go(self, tenant: Tenant) -> None:
        """Have a worker answer what it has, and go."""
        if tenant.seat in self.retries:  # it has died in the meantime
            await self._forget(tenant.seat)
        elif self.tenants.get(tenant.seat) is tenant:
            await tenant.drained()
            await tenant.stop()
            self.tenants.pop(tenant.seat, None)

    async def _shrink(self) -> None:
        """Let go of who is too much; the door has forgotten the seats beyond the last."""
        gone = [one for one in (*self.tenants, *self.retries) if one > self.table.crew]
        there = sorted(set(self.tenants) | set(self.retries))
        kept = [one for one in there if one not in gone]
        gone += kept[self.table.crew :]
        await asyncio.gather(
            *(self._let_go(self.tenants[one]) if one in self.tenants else self._forget(one) for one in gone)
        )

    async def _grow(self) -> None:
        """Start who is missing."""
        free = [one for one in range(self.table.crew + 1) if one not in self.tenants and one not in self.retries]
        wanted = free[: max(0, len(free) - 1)]
        for number, problem in zip(wanted, await asyncio.gather(*map(self._start, wanted)), strict=True):
            if problem:
                log.error("%s %s", self._called(number), problem)
                self._later(number, self._pause(number, 0.0))

    # --- age, requests, memory --------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Look how the workers are; replace one for which it is time."""
        now = monotonic()
        for tenant in tuple(self.tenants.values()):
            if not tenant.alive or tenant.leaving or not tenant.ready_at:
                continue
            memory = tenant.cells["memory"] = tenant.process.memory()
            had = tenant.cells.taken() - tenant.cells["taken"]
            reason = seats.due(self.bounds, tenant.cells["wanted"], had, now - tenant.born, memory)
            if reason and now >= tenant.patience and not self.turn.locked() and not self.closing:
                self._run(self._recycle(tenant, reason))
                return

    async def _recycle(self, tenant: Tenant, reason: str) -> None:
        async with self.turn:
            if not tenant.alive or tenant.leaving:
                return
            log.info("%s %s: it is replaced", self._called(tenant.seat), reason)
            problem = await self._replace(tenant)
            if problem:
                tenant.patience = monotonic() + PATIENCE
                log.error("%s stays in service: the worker that was to take its place %s", tenant.name, problem)
            else:
                self._cells(tenant.seat)["recycled"] += 1

    # --- what it goes by --------------------------------------------------------------------------------------------

    async def _look(self) -> str:
        """See what a gunicorn.conf.py says; "" or why it cannot be read."""
        table = self.table
        self.said = {}
        if table.server != "uvicorn":
            try:
                self.said = await look(table)
            except (OSError, ValueError) as error:
                return f"cannot be started: {error}"
        requests = table.max_requests or int(self.said.get("max_requests", 0))
        jitter = table.max_requests_jitter
        if jitter is None and not table.max_requests and requests:
            jitter = int(self.said.get("max_requests_jitter", 0))
        self.bounds = seats.bounds(requests, jitter, table.max_age, table.max_memory)
        return ""

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
