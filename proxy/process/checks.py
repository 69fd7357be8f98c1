"""The active health checks of a host: one task per backend that has any; results go to the keeper's row of the arena.

Rules: a check begins at once, spread over a second so that they do not fall together, and then at its interval. A
reload leaves the checks alone that stay the same; what is no longer checked has no opinion left in the arena. A keeper
that takes over from a dead one goes on from the states it finds there, so its birth makes nobody healthy or sick. When
a worker keeps a backend out that checks believe to be up, the next check does not wait for its interval.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from random import Random
from time import monotonic
from typing import Final

from proxy.config.model import Model
from proxy.config.tls import BackendTls
from proxy.config.upstream import Health as Wanted
from proxy.policy.health import Check, Health
from proxy.policy.introduced import OURSELVES
from proxy.policy.standing import ILL, UNCHECKED, UNPROVEN, WELL
from proxy.shared.arena import Arena, Name
from proxy.upstream.probe import probe
from proxy.upstream.resolve import Resolver

SPREAD: Final = 1.0  # seconds within which the first checks begin
LOOK: Final = 0.2  # seconds between two looks at the workers' votes
SOONEST: Final = 1.0  # seconds between the starts of two checks that votes have hurried

Key = tuple[str, str]  # upstream and address
Asking = Callable[[str, Check, Resolver | None], Awaitable[str]]

log = logging.getLogger("frontgate")


def check_of(wanted: Wanted, tls: BackendTls | None = None, header: bytes = b"") -> Check:
    """A configured check, of backends with which TLS is spoken so, if at all, behind a PROXY header if there is one.

    Its words have been looked at when the configuration was read.
    """
    ranges = [(int(first), int(last or first)) for first, _, last in (one.partition("-") for one in wanted.status)]
    return Check(
        wanted.path,
        wanted.host,
        tuple(ranges),
        None if wanted.body is None else re.compile(wanted.body),
        wanted.interval,
        wanted.timeout,
        wanted.rise,
        wanted.fall,
        wanted.jitter,
        wanted.mandatory,
        tls,
        header,
    )


def checks_of(model: Model) -> dict[Key, Check]:
    """The checks that a Model asks for; servers that are never used are not checked."""
    return {
        (name, server.address): check_of(upstream.health, upstream.tls, OURSELVES[upstream.proxy_protocol])
        for name, upstream in model.upstream.items()
        if upstream.health is not None
        for server in upstream.servers
        if not server.down
    }


def hold_unproven(arena: Arena, wanted: Mapping[Key, Check]) -> None:
    """Hold the backends that no check has spoken of and whose check is mandatory, before the keeper gets to it.

    For the master, before workers see a configuration: else they would use such backends until the keeper begins.
    """
    for key, check in wanted.items():
        cells = Cells(arena, key)
        if check.mandatory and cells.read() == UNCHECKED:
            cells.write(UNPROVEN)


class Cells:
    """The cells of one backend: the keeper's own, and the workers' votes. Columns that are not there are empty."""

    def __init__(self, arena: Arena, key: Key) -> None:
        self.arena = arena
        self.key = key

    def _name(self, word: str) -> Name:
        return ("backend", *self.key, word)

    def read(self) -> int:
        """The state that stands there."""
        name = self._name("health")
        if name not in self.arena.layout:
            return UNCHECKED
        return int(self.arena.cells(self.arena.keeper)[self.arena.column(name)])

    def write(self, state: int, since_ms: int | None = None) -> None:
        """Say what the state is; `since_ms`, if given, since when it is up after it was not (0: ever)."""
        cells, layout = self.arena.cells(self.arena.keeper), self.arena.layout
        if since_ms is not None and (since := self._name("up_since_ms")) in layout:
            cells[layout.column(since)] = since_ms  # first: whoever reads that it is up finds since when
        if (name := self._name("health")) in layout:
            cells[layout.column(name)] = state

    def shunned(self, now: float) -> bool:
        """Whether any worker keeps the backend out at this time."""
        name = self._name("down_until_ms")
        return name in self.arena.layout and max(self.arena.over_rows(name)) > int(now * 1000)


class Watch:
    """The checks of one backend, again and again."""

    def __init__(self, key: Key, check: Check, checks: Checks, fresh: bool) -> None:
        """`fresh`: this check is not the one that has found the state that stands in the arena."""
        self.upstream, self.address = key
        self.check = check
        self.checks = checks
        self.cells = Cells(checks.arena, key)
        self.health = Health(check, self.cells.read(), fresh)
        self.hurry = asyncio.Event()
        self.cells.write(self.health.state)
        self.task = asyncio.get_running_loop().create_task(self.run())

    async def run(self) -> None:
        """Check until cancelled."""
        rng = self.checks.rng
        await asyncio.sleep(rng.random() * min(self.check.interval, SPREAD))
        while True:
            started = monotonic()
            self.hurry.clear()
            try:
                self.heard(await self.checks.ask(self.address, self.check, self.checks.resolver))
            except Exception:  # ours, and no reason to think anything of the backend
                log.exception("upstream %s: the check of %s failed itself", self.upstream, self.address)
            await self.rest(started, started + self.check.pause(rng.random()))

    async def rest(self, started: float, due: float) -> None:
        """Wait for the time of the next check, or for a vote, but not less than SOONEST after the last."""
        try:
            async with asyncio.timeout(due - monotonic()):
                await self.hurry.wait()
        except TimeoutError:
            return
        await asyncio.sleep(min(due, started + SOONEST) - monotonic())

    def vote(self, now: float) -> None:
        """Hurry if a worker keeps it out and checks have not noticed."""
        if self.health.up and not self.hurry.is_set() and self.cells.shunned(now):
            self.hurry.set()

    def heard(self, trouble: str) -> None:
        """Take in the result of a check, and tell everybody when it changes something."""
        health, before, row = self.health, self.health.state, self.health.streak + 1
        if not health.heard(not trouble):
            if health.state == UNPROVEN and health.streak == 1:
                log.warning("upstream %s: %s gets no traffic yet: it %s", self.upstream, self.address, trouble)
            return
        if health.up:
            self.cells.write(WELL, 0 if before == UNCHECKED else int(monotonic() * 1000))
            log.log(
                logging.WARNING if before == ILL else logging.INFO,
                "upstream %s: %s is up: %s",
                self.upstream,
                self.address,
                times(row, "good") if before == ILL else "its first check was good",
            )
        else:
            self.cells.write(ILL, 0)
            log.warning("upstream %s: %s is down: it %s (%s)", self.upstream, self.address, trouble, times(row, "bad"))


def times(count: int, kind: str) -> str:
    """So many checks."""
    return f"one {kind} check" if count == 1 else f"{count} {kind} checks in a row"


class Checks:
    """All checks of the host. `ask` makes one, and says what is wrong or nothing."""

    def __init__(self, arena: Arena, rng: Random, resolver: Resolver | None = None, ask: Asking = probe) -> None:
        self.arena = arena
        self.rng = rng
        self.resolver = resolver
        self.ask = ask
        self.watches: dict[Key, Watch] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._begun = False  # before, what stands in the arena was found by a keeper that is dead

    def adopt(self, wanted: Mapping[Key, Check]) -> None:
        """Check these backends from now on, in the running loop."""
        kept = {key: one for key, one in self.watches.items() if wanted.get(key) == one.check}
        for key, one in self.watches.items():
            if key not in kept:
                self._leaving.add(one.task)
                one.task.add_done_callback(self._leaving.discard)
                one.task.cancel()
        for key in self._spoken_of():
            if key not in wanted:
                Cells(self.arena, key).write(UNCHECKED, 0)
        fresh = self._begun
        self.watches = {key: kept.get(key) or Watch(key, check, self, fresh) for key, check in wanted.items()}
        self._begun = True
        if self.watches and self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())

    def hurry(self, key: Key) -> None:
        """Check a backend that is believed to be up sooner than its interval says: somebody has trouble with it."""
        watch = self.watches.get(key)
        if watch is not None and watch.health.up:
            watch.hurry.set()

    async def close(self) -> None:
        """Check no more. What has been found stays in the arena, for the next keeper and until then for the workers."""
        tasks = [*self._leaving, *(one.task for one in self.watches.values())]
        tasks += [self._looking] if self._looking is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.watches, self._looking = {}, None
        if self.resolver is not None:
            await self.resolver.close()

    def _spoken_of(self) -> Iterable[Key]:
        """The backends that have a state in the arena, whoever wrote it."""
        return [
            (name[1], name[2])
            for name in self.arena.layout.under("backend")
            if name[-1] == "health" and Cells(self.arena, (name[1], name[2])).read() != UNCHECKED
        ]

    async def _look(self) -> None:
        """Look at the workers' votes now and then."""
        while self.watches:
            await asyncio.sleep(LOOK)
            now = monotonic()
            for one in self.watches.values():
                one.vote(now)
        self._looking = None
