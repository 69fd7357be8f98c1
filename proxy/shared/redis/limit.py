"""The step that limits requests with buckets that several hosts share: asks Redis, parks, and resumes with the answer.

Rules: those of `shared.limit`, and its words: a route may have limits of this host beside shared ones. Limits of this
host are charged first, then all shared ones are asked at once; if any rejects, what the others have been charged is
given back. While Redis does not decide, each limit does what `on_failure` says, at once. An answer that comes when the
client has gone is dropped: a request was charged and is no more, as in nginx.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from proxy.clock import Clock
from proxy.exchange import Exchange
from proxy.policy.limit.lease import HELD, Lease
from proxy.shared.limit import Limit, Limits
from proxy.shared.redis.counts import UNASKED
from proxy.shared.redis.pipe import Command, Heard, Refused
from proxy.shared.redis.script import CHARGING, REFUNDING, Call
from proxy.shared.redis.store import Store
from proxy.verdict import PARKED, Reply, Verdict

OPEN, SHUT, LOCAL = range(len(UNASKED))
ON_FAILURE: Final = {"open": OPEN, "shut": SHUT, "local": LOCAL}
SHUT_FIELDS: Final = b"Retry-After: 1\r\n"
LEASES: Final = 65536  # keys of a limit with batches at a time, in a worker; others are asked for one by one


class Charged(NamedTuple):
    """What a shared limit says of a request: `excess` as `Buckets.charge` has it, and who has said it."""

    limit: Shared
    key: bytes
    excess: int
    by: int  # REDIS, or one of OPEN, SHUT and LOCAL


REDIS: Final = -1
Then = Callable[[Charged], None]


class Shared:
    """A limit as a route uses it, with its bucket in Redis. `counts` are what this worker did without Redis, in the
    order of UNASKED. With a `lease`, so many requests of a key are taken at a time at most."""

    __slots__ = ("_charge", "_looks", "_name", "_refund", "counts", "lease", "leases", "limit", "on_failure", "store")

    def __init__(
        self,
        limit: Limit,
        store: Store,
        name: Callable[[bytes], bytes],
        counts: list[int],
        *,
        on_failure: int = LOCAL,
        lease: int = 1,
    ) -> None:
        self.limit = limit
        self.store = store
        self.counts = counts
        self.on_failure = on_failure
        self.lease = lease
        self.leases: dict[bytes, Lease] = {}
        self._looks: deque[tuple[int, bytes]] = deque()  # when to look at each key's batch
        self._name = name
        leaky = limit.leaky
        self._charge = Call(CHARGING, leaky.rate, leaky.burst, 1)
        self._refund = Call(REFUNDING, 1)

    def charge(self, key: bytes, then: Then) -> Charged | None:
        """What is said of a request of this key; None: `then` will be called with it."""
        if self.lease > 1:
            return self._lent(key, then)
        name = self._name(key)

        def heard(found: Heard) -> None:
            then(self.unasked(key) if isinstance(found, Refused) else Charged(self, key, found, REDIS))

        if self.store.ask(Command(self._charge.of(name), name, CHARGING, heard)):
            return None
        return self.unasked(key)

    def unasked(self, key: bytes) -> Charged:
        """What holds when Redis does not decide."""
        do = self.on_failure
        self.counts[do] += 1
        excess = 0
        if do == LOCAL:
            excess = self.limit.charge(key, int(self.store.clock.now * 1000))
        return Charged(self, key, excess, do)

    def refund(self, one: Charged) -> None:
        """Take back what was charged for a request that another limit has rejected."""
        if one.by == LOCAL:
            self.limit.buckets.refund(one.key)
        elif one.by == REDIS and self.lease > 1 and one.key in self.leases:
            self.leases[one.key].back()
        elif one.by == REDIS:
            self._give_back(one.key, 1)

    def tick(self, now_ms: int) -> None:
        """Give back what is left of batches that have ended, and forget keys that nobody asks with."""
        looks = self._looks
        while looks and looks[0][0] <= now_ms:
            _, key = looks.popleft()
            lease = self.leases[key]
            if lease.idle(now_ms):
                self._end(key, lease, now_ms)
            else:
                looks.append((now_ms + HELD, key))

    def retire(self, now_ms: int) -> None:
        """This limit is used no more: give back all."""
        for key, lease in list(self.leases.items()):
            self._end(key, lease, now_ms)
        self._looks.clear()

    # --- batches ----------------------------------------------------------------------------------------------------

    def _lent(self, key: bytes, then: Then) -> Charged | None:
        store = self.store
        now_ms = int(store.clock.now * 1000)
        lease = self.leases.get(key)
        if lease is None:
            lease = Lease()
            if len(self.leases) < LEASES:
                self.leases[key] = lease
                self._looks.append((now_ms + HELD, key))
        excess = None if lease.asking else lease.spend(self.limit.leaky, now_ms)
        if excess is not None:
            return Charged(self, key, excess, REDIS)
        if store.full() or not (lease.asking or self._ask(key, lease, now_ms, store.clock.now)):
            return self.unasked(key)
        store.joined += 1
        lease.waiting.append(then)
        return None

    def _ask(self, key: bytes, lease: Lease, now_ms: int, since: float) -> bool:
        """Ask for a batch, for those who wait since then."""
        back = lease.rest(self.limit.leaky, now_ms)
        if back:
            self._give_back(key, back)
        leaky, name = self.limit.leaky, self._name(key)
        size = lease.next_size(self.lease, now_ms) if key in self.leases else 1

        def heard(found: Heard) -> None:
            self._granted(key, lease, size, found)

        command = Command(Call(CHARGING, leaky.rate, leaky.burst, size).of(name), name, CHARGING, heard)
        lease.asking = self.store.ask(command, since)
        lease.since = since
        return lease.asking

    def _granted(self, key: bytes, lease: Lease, asked: int, found: Heard) -> None:
        """A batch has come, or none: tell those who wait for it, and ask again if it was not enough."""
        now_ms = int(self.store.clock.now * 1000)
        lease.asking = False
        waiting, lease.waiting = lease.waiting, []
        self.store.joined -= len(waiting)
        said: list[int] = []
        if not isinstance(found, Refused):
            lease.granted(self.limit.leaky, found, asked, now_ms)
            while len(said) < len(waiting) and (excess := lease.spend(self.limit.leaky, now_ms)) is not None:
                said.append(excess)
        more = waiting[len(said) :]
        if more and not isinstance(found, Refused):
            lease.waiting = more
            if self._ask(key, lease, now_ms, lease.since):
                self.store.joined += len(more)
                more = []
            else:
                lease.waiting = []
        for then, excess in zip(waiting, said, strict=False):
            then(Charged(self, key, excess, REDIS))
        for then in more:
            then(self.unasked(key))

    def _end(self, key: bytes, lease: Lease, now_ms: int) -> None:
        """Forget a batch, and give back what can be."""
        self.leases.pop(key, None)
        back = lease.rest(self.limit.leaky, now_ms)
        if back:
            self._give_back(key, back)

    def _give_back(self, key: bytes, number: int) -> None:
        name = self._name(key)
        call = self._refund if number == 1 else Call(REFUNDING, number)
        self.store.ask(Command(call.of(name), name, REFUNDING, nothing))


def nothing(heard: Heard) -> None:
    """Nobody waits for this."""


class Waiting:
    """A request whose shared limits have been asked."""

    __slots__ = ("_step", "charged", "exchange", "left", "parked")

    def __init__(self, step: SharedLimits, exchange: Exchange, charged: list[tuple[Limit, bytes, int]]) -> None:
        self._step = step
        self.exchange = exchange
        self.charged = charged
        self.left: list[Charged] = []
        self.parked = 0

    def heard(self, one: Charged) -> None:
        """A limit has answered."""
        self.left.append(one)
        self.parked -= 1
        if not self.parked:
            self._step.conclude(self)


class SharedLimits:
    """All rates of a route of which some are shared, as one step. `resume` continues a parked exchange, and `answer`
    answers it."""

    __slots__ = ("_answer", "_clock", "_limits", "_own", "_resume", "_shared")

    def __init__(
        self,
        own: Sequence[Limit],
        shared: Sequence[Shared],
        clock: Clock,
        limits: Limits,
        resume: Callable[[Exchange], None],
        answer: Callable[[Exchange, Reply], None],
    ) -> None:
        """`own` are the limits of this host, and `limits` judges in the words of all."""
        self._own = tuple(own)
        self._shared = tuple(shared)
        self._clock = clock
        self._limits = limits
        self._resume = resume
        self._answer = answer

    def __call__(self, exchange: Exchange) -> Verdict:
        """Let the exchange pass, park it until all limits have answered, or answer it."""
        now_ms = int(self._clock.now * 1000)
        charged: list[tuple[Limit, bytes, int]] = []
        for limit in self._own:
            key = limit.key(exchange)
            if key:
                excess = limit.charge(key, now_ms)
                charged.append((limit, key, excess))
                if excess < 0 and not limit.dry_run:
                    return self._limits.judge(exchange, charged)
        waiting = Waiting(self, exchange, charged)
        for shared in self._shared:
            key = shared.limit.key(exchange)
            if key:
                one = shared.charge(key, waiting.heard)
                if one is None:
                    waiting.parked += 1
                else:
                    waiting.left.append(one)
        return PARKED if waiting.parked else self.verdict(waiting)

    def conclude(self, waiting: Waiting) -> None:
        """All limits have answered."""
        exchange = waiting.exchange
        if exchange.finished:
            return
        verdict = self.verdict(waiting)
        if verdict is None:
            self._resume(exchange)
        elif isinstance(verdict, Reply):
            self._answer(exchange, verdict)

    def verdict(self, waiting: Waiting) -> Verdict:
        """What follows; a rejection that counts is the last of what is judged, and all else is given back."""
        exchange, charged = waiting.exchange, waiting.charged
        against = None
        for one in waiting.left:
            if one.by == SHUT and not one.limit.limit.dry_run:
                against = one
                break
            if one.excess < 0 and not one.limit.limit.dry_run and against is None:
                against = one
        if against is None:
            charged += [(one.limit.limit, one.key, one.excess) for one in waiting.left]
            return self._limits.judge(exchange, charged)
        for one in waiting.left:
            if one.excess >= 0 and one is not against:
                one.limit.refund(one)
        if against.by != SHUT:
            return self._limits.judge(exchange, [*charged, (against.limit.limit, against.key, against.excess)])
        for limit, key, excess in charged:
            if excess >= 0:
                limit.buckets.refund(key)
        exchange.limit_status = "rejected"
        return Reply(503, fields=SHUT_FIELDS)


class OneShared:
    """The limit of a route that has one, which is shared, as a step: the common case, without the bookkeeping of
    several. What a batch still has is spent here."""

    __slots__ = (
        "_by_address",
        "_clock",
        "_counts",
        "_delay",
        "_key",
        "_leaky",
        "_leases",
        "_plain",
        "_shared",
        "_step",
    )

    def __init__(self, shared: Shared, step: SharedLimits, clock: Clock) -> None:
        """`step` does all that is not as usual."""
        limit = shared.limit
        self._shared = shared
        self._step = step
        self._clock = clock
        self._key = limit.key
        self._by_address = limit.by_address
        self._counts = limit.counts
        self._leaky = limit.leaky
        self._leases = shared.leases
        self._delay = limit.leaky.burst if limit.leaky.delay is None else limit.leaky.delay
        self._plain = limit.headers != "always"

    def __call__(self, exchange: Exchange) -> Verdict:
        """Let the exchange pass, park it until the limit has answered, or answer it."""
        key = exchange.client.packed if self._by_address else b""
        if len(key) != 4:
            key = self._key(exchange)
            if not key:
                return None
        lease = self._leases.get(key)
        if lease is not None and not lease.asking:
            excess = lease.spend(self._leaky, int(self._clock.now * 1000))
            if excess is not None:
                if 0 <= excess <= self._delay and self._plain:
                    self._counts[0] += 1
                    exchange.limit_status = "passed"
                    return None
                waiting = Waiting(self._step, exchange, [])
                waiting.left.append(Charged(self._shared, key, excess, REDIS))
                return self._step.verdict(waiting)
        waiting = Waiting(self._step, exchange, [])
        one = self._shared.charge(key, waiting.heard)
        if one is None:
            waiting.parked = 1
            return PARKED
        waiting.left.append(one)
        return self._step.verdict(waiting)
