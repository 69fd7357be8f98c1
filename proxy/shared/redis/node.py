"""One server that decides: the connection to it, the circuit that keeps requests from waiting for it, and its mending.

Rules: a node is usable when it has a pipe, and then its circuit is closed. What opens the circuit also closes the pipe,
so answers of before never come. A task beside the requests tries to reach it again, with pauses, and the last thing
that it tries is what requests will ask, within their deadline: a server that is only slow is not taken back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from proxy.policy.limit.circuit import Circuit
from proxy.shared.redis.finding import Address
from proxy.shared.redis.pipe import Command, Pipe, Refused
from proxy.shared.redis.script import CHARGING, Call, packed

if TYPE_CHECKING:
    from proxy.shared.redis.store import Store

PING: Final = packed(b"PING")
TRIAL: Final = Call(CHARGING, 1_000_000, 0, 1)  # of a bucket that is gone after a millisecond
GONE: Final = ("READONLY", "MASTERDOWN", "LOADING", "NOAUTH", "NOPERM")  # errors of a server that is not ours to ask

log = logging.getLogger("frontgate")


class Node:
    """A server; `find` says where it is now. `key` is one that it decides about, b"" when that is not known."""

    def __init__(self, store: Store, find: Callable[[], Awaitable[Address]], key: bytes) -> None:
        self.store = store
        self.find = find
        self.key = key
        self.address: Address | None = None
        self.circuit = Circuit(store.table.failures, store.table.recovery, Random())
        self.pipe: Pipe | None = None
        self.tried = asyncio.Event()
        self.trouble = ""  # why it cannot be asked, as it was last told to the log
        self._task: asyncio.Task[None] | None = None

    # --- decisions --------------------------------------------------------------------------------------------------

    def take(self, command: Command) -> bool:
        """Ask it; False when it cannot be asked, or when too many wait for it."""
        pipe = self.pipe
        if pipe is None or len(pipe.row) >= self.store.most:
            return False
        command.at = self
        pipe.send(command)
        return True

    def heard(self, command: Command, answer: Any) -> None:
        """What became of a command."""
        if type(answer) is int:
            if command.then is not None:  # in time; who always answers too late is not well
                self.circuit.row = 0
            self.store.over(command, answer)
        elif isinstance(answer, Refused):
            self.store.over(command, answer)
        else:
            self.store.troubled(self, command, str(answer))

    def refused(self, command: Command, reason: str) -> None:
        """It has said an error that only waiting or an operator can mend."""
        if reason.split(" ", 1)[0] in GONE:
            self.circuit.row = self.circuit.failures
        if self.circuit.failed():
            self.leave(reason)
        self.store.over(command, Refused(reason))

    def late(self) -> None:
        """A command has not been answered in time."""
        if self.circuit.failed():
            self.leave(f"no answer within {self.store.table.deadline * 1000:g} ms")

    # --- the connection ---------------------------------------------------------------------------------------------

    def leave(self, reason: str) -> None:
        """Have no more to do with this connection."""
        if self.pipe is not None:
            self.pipe.give_up(reason)

    def lost(self, pipe: Pipe, reason: str) -> None:
        """A connection has ended."""
        if pipe is self.pipe:
            self.pipe = None
            self.circuit.trip()
            self.tell(reason)
            self.store.counts.opened += 1
            self.store.failing(self)
            self.mend()

    def mend(self) -> None:
        """Try to reach it until that goes well, in the running loop."""
        if self.pipe is None and self._task is None and not self.store.closed:
            self._task = asyncio.get_running_loop().create_task(self._mend())

    def close(self) -> None:
        """Ask it no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        pipe, self.pipe = self.pipe, None
        if pipe is not None:
            pipe.give_up("it is asked no more")

    def tell(self, trouble: str) -> None:
        """Say it once in the log when it cannot be asked, and once when it can again; `trouble` is ""  then."""
        place = self.address or self.store.name
        if trouble and not self.trouble:
            log.warning("redis %s is left alone: %s; until it answers, %s", place, trouble, self.store.meanwhile)
        elif self.trouble and not trouble:
            log.warning("redis %s answers again", place)
        self.trouble = trouble

    async def _mend(self) -> None:
        await self.store.finder.learn()
        while True:
            try:
                async with asyncio.timeout(self.store.table.connect):
                    pipe = await self._reach()
            except self.store.finder.failures as problem:
                self.tell(str(problem) or "no answer when it was tried")
                self.store.failing(self)
            else:
                break
            self.tried.set()
            await asyncio.sleep(self.circuit.pause())
        self.pipe = pipe
        self.circuit.close()
        self.tell("")
        self._task = None
        self.tried.set()

    async def _reach(self) -> Pipe:
        """A connection over which a decision came in time."""
        self.address = await self.find()
        pipe = await self.store.finder.dial(self.address, self._made)
        try:
            asked = monotonic()
            await pipe.ask(TRIAL.of(self.key) if self.key else PING)
            took = monotonic() - asked
            if took > self.store.table.deadline:
                raise TimeoutError(f"it answers in {took * 1000:.0f} ms")
        except BaseException:
            pipe.give_up("it is not asked")
            raise
        return pipe

    def _made(self) -> Pipe:
        return Pipe(self.store.clock, self.store.soon, self.heard, self.lost)
