"""What hosts tell each other about backends, through Redis: whom they leave alone, and nothing else.

Rules: a hint is no order: it hurries the health check of the host that hears it, and its breaker needs one failure only
(`policy.hint`). A hint lives for a few seconds and is said again as long as it is true, so what a dead host has said is
soon forgotten. Backends that are other ones on each host (sockets, loopback) are not spoken of. Without an answer of
Redis nothing is said and nothing heard: it is tried again, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from hashlib import blake2b
from time import monotonic
from typing import Any, Final

from proxy.config.model import Model
from proxy.config.redis import CLUSTER
from proxy.config.redis import Redis as Table
from proxy.policy.breaker import OPEN, PHASE, STATE
from proxy.policy.hint import warn
from proxy.policy.standing import ILL
from proxy.process.checks import Cells, Key
from proxy.shared.arena import Arena
from proxy.shared.breakers import Breakers
from proxy.shared.redis.finding import Finder, missing

EVERY: Final = 1.0  # seconds between two talks
LIVES: Final = 3000  # milliseconds that a hint lives
LOCAL: Final = ("unix:", "127.", "[::1]", "localhost:", "0.0.0.0:")

log = logging.getLogger("frontgate")


class Hints:
    """What this host says and hears. `hurry` hurries the check of a backend, by upstream and address."""

    def __init__(self, arena: Arena, breakers: Breakers, hurry: Callable[[Key], None]) -> None:
        self.arena = arena
        self.breakers = breakers
        self.hurry = hurry
        self.host = secrets.token_hex(8).encode()
        self.heard: set[Key] = set()  # backends that others leave alone, as far as this host has been told
        self.model: Model | None = None
        self.trouble = ""
        self._task: asyncio.Task[None] | None = None

    def adopt(self, model: Model) -> None:
        """Speak of the backends of a Model from now on, in the running loop, if it wants that."""
        before, self.model = self.model, model
        wanted = wants(model)
        if self._task is not None and (not wanted or before is None or before.redis != model.redis):
            self._task.cancel()
            self._task = None
        if wanted and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(model.redis))

    async def close(self) -> None:
        """Say no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    # --- talk -------------------------------------------------------------------------------------------------------

    async def _run(self, table: Table) -> None:
        lacking = missing(CLUSTER)
        if lacking:
            log.error('[redis] hints need %s, which is not installed: pip install "frontgate[redis]"', lacking)
            return
        client: Any = None
        finder = Finder(table)
        try:
            while True:
                try:
                    async with asyncio.timeout(2 * table.connect):
                        client = client or await finder.client()
                        await self.talk(client, table)
                except finder.failures as problem:
                    self._tell(str(problem) or "no answer")
                else:
                    self._tell("")
                await asyncio.sleep(EVERY)
        finally:
            if client is not None:
                with contextlib.suppress(Exception):
                    await client.aclose()

    async def talk(self, client: Any, table: Table) -> None:
        """Say whom this host leaves alone, and hear of whom others do."""
        keys = self.keys()
        out = {key for key in keys if self.out(key)}
        pipeline = client.pipeline() if table.where.kind == CLUSTER else client.pipeline(transaction=False)
        for key in keys:
            if key in out:
                pipeline.set(name(table, key), self.host, px=LIVES)
            else:
                pipeline.get(name(table, key))
        said = await pipeline.execute() if keys else []
        # Where this host has the word itself it does not hear the others', and need not.
        told = {key for key, who in zip(keys, said, strict=True) if isinstance(who, bytes) and who != self.host}
        for key in sorted(told - self.heard):
            self.hear(key)
        self.heard = told

    def hear(self, key: Key) -> None:
        """Another host leaves a backend alone, and has not before."""
        log.info("upstream %s: another host leaves %s alone", *key)
        self.hurry((key[0], key[1].partition("#")[0]))  # servers of one address have one check
        upstream = self.model.upstream.get(key[0]) if self.model is not None else None  # a reload may have removed it
        if upstream is not None and upstream.breaker is not None:
            warn(self.breakers.record(" ".join(key)), upstream.breaker.failures)

    # --- looks ------------------------------------------------------------------------------------------------------

    def keys(self) -> list[Key]:
        """The backends that are the same for all hosts."""
        upstreams = self.model.upstream.items() if self.model is not None else ()
        return [
            (upstream, server.key)
            for upstream, table in upstreams
            for server in table.servers
            if not (server.down or server.resolve or server.address.startswith(LOCAL))
        ]

    def out(self, key: Key) -> bool:
        """Whether this host leaves a backend alone: for a worker's failures, by its checks, or by its breaker."""
        cells = Cells(self.arena, key)
        if cells.shunned(monotonic()) or cells.read() == ILL:
            return True
        if self.model is None or self.model.upstream[key[0]].breaker is None:
            return False
        return self.breakers.record(" ".join(key)).cells[PHASE] & STATE == OPEN

    def _tell(self, trouble: str) -> None:
        """Say it once that Redis is not there for hints, and once that it is again."""
        if trouble and not self.trouble:
            log.warning("redis: no hints are heard from other hosts: %s", trouble)
        elif self.trouble and not trouble:
            log.warning("redis: hints are heard again")
        self.trouble = trouble


def name(table: Table, key: Key) -> str:
    """The key of hints about a backend."""
    hashed = blake2b("\0".join(key).encode(), digest_size=16, key=(table.secret or "").encode()[:64]).hexdigest()
    return f"{table.prefix}:hint:{{{hashed}}}"


def wants(model: Model) -> bool:
    """Whether hints are to be told and heard."""
    return model.redis.url is not None and model.redis.hints and bool(model.upstream)
