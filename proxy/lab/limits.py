"""The limit of a scenario at each simulated door: the door's own steps, and what the limit errs by.

Rules: as `build.limits` and `build.redis` make them. What is counted by is always the simulated client. All that counts
for itself has its part of one memory. Whatever passes is weighed against what one exact bucket for all would let pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from proxy import engine
from proxy.lab.redis import Away, Redis
from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.policy.limit.lease import HELD
from proxy.shared import limit as own
from proxy.shared.buckets import Buckets, made
from proxy.shared.redis.counts import UNASKED
from proxy.shared.redis.limit import ON_FAILURE, OneShared, Shared, SharedLimits
from proxy.shared.redis.script import naming
from proxy.verdict import Verdict

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.exchange import Exchange, Observer, Step
    from proxy.lab.doors import Worker
    from proxy.lab.redis import At
    from proxy.lab.scenario import Scenario

MOST: Final = 256 << 20  # bytes for the keys of all doors


def client_of(exchange: Exchange) -> bytes:
    """What is hashed and counted by, whatever a table says: who asks."""
    return exchange.client.address


class Admission:
    """What a limit lets pass, beside what one exact bucket for all would let pass.

    `offered`, `passed` and `exact` are requests; `above` is by how many more than burst and rate allow have passed in
    whichever time that was most, of one key.
    """

    def __init__(self, leaky: Leaky, key: Callable[[Exchange], bytes], clock: Clock) -> None:
        self.leaky = leaky
        self.key = key
        self.clock = clock
        self.offered = self.passed = self.exact = self.above = 0
        self._buckets: dict[bytes, tuple[int, int]] = {}
        self._beyond: dict[bytes, tuple[float, float]] = {}

    def watched(self, step: Step) -> Step:
        """The step of a worker, with what it decides counted."""

        def weighed(exchange: Exchange) -> Verdict:
            self.ask(self.key(exchange))
            verdict = step(exchange)
            if verdict is None:
                self.passes(exchange)
            return verdict

        return weighed

    def ask(self, key: bytes) -> None:
        """A request comes, and one exact bucket is charged with it."""
        self.offered += 1
        now_ms = int(self.clock.now * 1000)
        excess, last = self._buckets.get(key, (-REQUEST, now_ms))
        allowed, excess, last = self.leaky.charge(excess, last, now_ms)
        if allowed:
            self.exact += 1
            self._buckets[key] = excess, last

    def passes(self, exchange: Exchange) -> None:
        """A request passes now."""
        self.passed += 1
        key, now = self.key(exchange), self.clock.now
        beyond, at = self._beyond.get(key, (0.0, now))
        beyond = max(0.0, beyond - (now - at) * self.leaky.rate / REQUEST) + 1.0
        self._beyond[key] = beyond, now
        self.above = max(self.above, int(beyond - self.leaky.burst / REQUEST - 1.0))

    def resume(self, exchange: Exchange) -> None:
        """A request that was parked passes."""
        self.passes(exchange)
        engine.resume(exchange)

    def count_anew(self) -> None:
        """The warm-up is over."""
        self.offered = self.passed = self.exact = self.above = 0


class Limits:
    """The limit of all doors, where `apart` groups of workers count for themselves."""

    def __init__(self, scenario: Scenario, apart: int, clock: Clock, at: At) -> None:
        assert scenario.limit is not None
        self.scenario = scenario
        self.table = table = scenario.limit
        self.apart = apart
        self.clock = clock
        self.leaky = Leaky(table.rate or 1, table.burst * REQUEST, None if table.nodelay else table.delay * REQUEST)
        self.memory = made(min(MOST, max(table.memory, table.memory * apart)))
        self.admission = Admission(self.leaky, client_of, clock)
        self.redis = Redis(scenario.redis, self.leaky, clock, at) if table.shared == "redis" else None
        self.shared: list[Shared] = []
        self.observers: tuple[Observer, ...] = ()
        self.unasked = [0] * len(UNASKED)

    def steps(self, worker: Worker, mark: bytes) -> tuple[Step, ...]:
        """Those of a worker's route; `mark` tells its keys from those of others."""
        table, buckets, rest = self.table, Buckets(self.memory, self.leaky), (worker.clock, worker.parking)
        name = naming("frontgate", "lab", None)

        def key(exchange: Exchange) -> bytes:
            return mark + client_of(exchange)

        limit = own.Limit("lab", key, self.leaky, buckets, [0] * 5, status=table.status, dry_run=table.dry_run)
        resume = self.admission.resume
        if self.redis is None:
            return (self.admission.watched(own.OneLimit(limit, *rest, resume)),)
        away: Any = Away(self.redis, worker.rng)
        shared = Shared(
            limit,
            away,
            lambda key: name(key[len(mark) :]),  # which all have in common
            self.unasked,
            on_failure=ON_FAILURE[table.on_failure or self.scenario.redis.on_failure],
            lease=max(1, table.lease // self.scenario.workers),
        )
        self.shared.append(shared)
        judge = own.Limits((limit,), *rest, resume)
        step = SharedLimits((), (shared,), worker.clock, judge, resume, engine.reply)
        return (self.admission.watched(OneShared(shared, step, worker.clock)),)

    @property
    def bound(self) -> int:
        """By how many requests more than burst and rate allow may pass in any time, as long as Redis decides: what
        doors may hold of batches when it begins."""
        held = sum(shared.lease for shared in self.shared if shared.lease > 1)
        return min(held, self.leaky.rate * HELD // 1000 // REQUEST)

    def tick(self, now_ms: int) -> None:
        """What is periodic."""
        for shared in self.shared:
            shared.tick(now_ms)

    def count_anew(self) -> None:
        """The warm-up is over."""
        self.admission.count_anew()
        self.unasked[:] = [0] * len(UNASKED)
        if self.redis is not None:
            self.redis.count_anew()

    def told(self, seconds: float) -> dict[str, Any]:
        """As JSON has it."""
        admission, redis = self.admission, self.redis
        found: dict[str, Any] = {name: getattr(admission, name) for name in ("offered", "passed", "exact", "above")}
        if redis is None:
            return found
        found |= {
            "bound": self.bound,
            "redis_asked": redis.asked + redis.returned,
            "redis_per_second": round((redis.asked + redis.returned) / seconds, 3),
            "redis_utilisation": round(redis.busy / seconds, 6),
            "late": redis.late,
        }
        return found | dict(zip(UNASKED, self.unasked, strict=True))

    def close(self) -> None:
        """Give back the memory."""
        self.memory.close()
