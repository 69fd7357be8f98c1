"""Makes what a worker shares with other hosts: the Redis of the configuration, and the limits whose buckets are there.

Rules: a Redis whose table stays the same lives on over reloads, with its connection and its circuit.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from proxy import engine
from proxy.build.place import Place
from proxy.config.model import Model
from proxy.exchange import Step
from proxy.ledger import Ledger
from proxy.shared.limit import Limit, Limits
from proxy.shared.redis.counts import UNASKED
from proxy.shared.redis.finding import missing
from proxy.shared.redis.limit import ON_FAILURE, OneShared, Shared, SharedLimits
from proxy.shared.redis.script import naming
from proxy.shared.redis.store import Store


class Sharing:
    """The Redis of a Runtime, if it has one, and all limits of its routes that are shared."""

    def __init__(self, model: Model, place: Place, ledger: Ledger, previous: Sharing | None) -> None:
        """ValueError with a sentence when the extra is not installed, or issuers of certificates cannot be had."""
        self.model = model
        self.place = place
        self.ledger = ledger
        self.limits: list[Shared] = []
        self.store: Store | None = None
        used = any(limit.shared == "redis" for limit in model.limit.values())
        if not used or model.redis.url is None:
            return
        lacking = missing(model.redis.where.kind)
        if lacking:
            raise ValueError(f'[redis] needs {lacking}, which is not installed: pip install "frontgate[redis]"')
        before = previous.store if previous is not None else None
        if before is not None and before.table == model.redis:
            self.store = before
        else:
            self.store = Store(model.redis, place.clock, place.parking, place.soon, ledger.redis)
        ledger.redis = self.store.counts

    async def warm(self) -> None:
        """Begin to reach Redis; returns when that was tried once, whatever came of it."""
        if self.store is not None:
            await self.store.warm()

    def step(self, limits: Sequence[Limit]) -> Step | None:
        """The step that charges these limits; None: none of them is shared."""
        store, tables = self.store, self.model.limit
        if store is None or not any(tables[one.name].shared == "redis" for one in limits):
            return None
        place = self.place
        shared = [self._shared(one, store) for one in limits if tables[one.name].shared == "redis"]
        own = [one for one in limits if tables[one.name].shared != "redis"]
        self.limits += shared
        judge = Limits(limits, place.clock, place.parking, engine.resume)
        step = SharedLimits(own, shared, place.clock, judge, engine.resume, engine.reply)
        return OneShared(shared[0], step, place.clock) if len(limits) == 1 else step

    def tick(self) -> None:
        """What is periodic."""
        if self.store is not None:
            self.store.tick()
            for one in self.limits:
                one.tick(int(self.place.clock.now * 1000))

    def close(self) -> None:
        """The end of the worker."""
        if self.store is not None:
            self.store.close()

    def retire(self, successor: Sharing) -> None:
        """Give back what was taken, and go, unless the successor has the same Redis."""
        store = self.store
        if store is None:
            return
        for one in self.limits:
            one.retire(int(self.place.clock.now * 1000))
        if successor.store is not store:
            store.counts.waiting = store.counts.left_alone = 0  # a successor's own ones follow
            store.leave()

    def _shared(self, limit: Limit, store: Store) -> Shared:
        table, redis = self.model.limit[limit.name], self.model.redis
        counts = self.ledger.unasked.setdefault(limit.name, [0] * len(UNASKED))
        return Shared(
            limit,
            store,
            naming(redis.prefix, limit.name, redis.secret),
            counts,
            on_failure=ON_FAILURE[table.on_failure or redis.on_failure],
            lease=max(1, table.lease // (self.model.workers or len(os.sched_getaffinity(0)))),
        )
