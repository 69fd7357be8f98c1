"""The step that limits requests: charges buckets that all workers share, and rejects or parks what exceeds.

Rules: nginx's (ngx_http_limit_req_module): every limit of a route must let a request pass, the longest delay wins; if
one rejects, those before it are refunded. A dry run charges and counts but lets everything pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from proxy.clock import Clock, Parking
from proxy.exchange import Exchange, Step
from proxy.policy.limit.keys import Key
from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.policy.script import course_of
from proxy.shared.buckets import Buckets
from proxy.shared.offenders import Offenders
from proxy.verdict import PARKED, Reply, Verdict

OUTCOMES = ("passed", "delayed", "rejected", "dry_delayed", "dry_rejected")
BELOW: Final = {"error": "warn", "warn": "notice", "notice": "info", "info": "debug"}
Resume = Callable[[Exchange], None]
Charge = tuple["Limit", bytes, int]  # a limit, the key that was charged, and what `Buckets.charge` said


class Limit:
    """One limit as a route uses it; `counts` are its outcomes in this worker, in the order of OUTCOMES.

    `headers`: which responses carry RateLimit fields (draft-ietf-httpapi-ratelimit-headers): "rejected", "always",
    "never", or "none", which leaves Retry-After out, too. `alone`: no other worker uses the buckets. `log` is the level
    at which the error log tells of rejections; of delays it tells one level below. `offenders` hear whom it rejects.
    """

    __slots__ = (
        "alone",
        "buckets",
        "by_address",
        "charge",
        "counts",
        "dry_run",
        "headers",
        "key",
        "leaky",
        "log",
        "name",
        "offenders",
        "policy",
        "status",
    )

    def __init__(
        self,
        name: str,
        key: Key,
        leaky: Leaky,
        buckets: Buckets,
        counts: list[int],
        *,
        status: int = 429,
        dry_run: bool = False,
        headers: str = "rejected",
        alone: bool = False,
        by_address: bool = False,
        log: str | None = None,
        offenders: Offenders | None = None,
    ) -> None:
        self.name = name
        self.offenders = offenders
        self.key = key
        self.leaky = leaky
        self.buckets = buckets
        self.alone = alone
        self.charge = buckets.charge_alone if alone else buckets.charge
        self.counts = counts
        self.status = status
        self.dry_run = dry_run
        self.headers = headers
        self.by_address = by_address
        self.log = log
        quota = leaky.burst // REQUEST + 1
        window = max(1, -(-quota * REQUEST // leaky.rate))
        self.policy = b'RateLimit-Policy: "%b";q=%d;w=%d\r\n' % (name.encode(), quota, window)

    def fields(self, excess: int) -> bytes:
        """The RateLimit fields at this excess."""
        leaky = self.leaky
        left = b'RateLimit: "%b";r=%d;t=%d\r\n' % (self.name.encode(), leaky.remaining(excess), leaky.reset(excess))
        return self.policy + left

    def rejection(self, excess: int) -> Reply:
        """The answer to a request that would have led to this excess."""
        if self.headers == "none":
            return Reply(self.status)
        fields = b"Retry-After: %d\r\n" % self.leaky.retry_after(excess)
        return Reply(self.status, fields=fields if self.headers == "never" else fields + self.fields(excess))

    def tell(self, exchange: Exchange, what: str, excess: int, comma: str = "") -> None:
        """Have the error log say, in nginx's words, what becomes of a request with this excess."""
        if self.log is not None:
            dry = ", dry run" if self.dry_run else ""
            level = BELOW[self.log] if comma else self.log
            whole, rest = divmod(excess, REQUEST)
            course_of(exchange).note(level, f'{what}{dry}, excess: {whole}.{rest:03d}{comma} by zone "{self.name}"')


class OneLimit:
    """The limit of a route that has one, as a step: the common case, without the bookkeeping of several."""

    __slots__ = (
        "_alone", "_buckets", "_by_address", "_clock", "_counts", "_delay", "_key", "_limit", "_limits", "_plain"
    )  # fmt: skip

    def __init__(self, limit: Limit, clock: Clock, parking: Parking, resume: Resume) -> None:
        self._limit = limit
        self._limits = Limits((limit,), clock, parking, resume)
        self._clock = clock
        self._key = limit.key
        self._by_address = limit.by_address  # the key of an IPv4 client is its address: no need to ask
        self._buckets = limit.buckets
        self._alone = limit.alone
        self._counts = limit.counts
        self._delay = limit.leaky.burst if limit.leaky.delay is None else limit.leaky.delay
        self._plain = limit.headers != "always"

    def __call__(self, exchange: Exchange) -> Verdict:
        """Let the exchange pass, park it until its delay is over, or answer it."""
        key = exchange.client.packed if self._by_address else b""
        if len(key) != 4:
            key = self._key(exchange)
            if not key:
                return None
        now_ms = int(self._clock.now * 1000)
        excess = self._buckets.charge_alone(key, now_ms) if self._alone else self._buckets.charge(key, now_ms)
        if 0 <= excess <= self._delay and self._plain:
            self._counts[0] += 1
            exchange.limit_status = "passed"
            return None
        return self._limits.judge(exchange, ((self._limit, key, excess),))


class Once:
    """A step around another where routes lead to each other: a request is charged once, as in nginx, whatever routes
    it takes, and requests that we make ourselves for it are not charged when it was."""

    __slots__ = ("_step",)

    def __init__(self, step: Step) -> None:
        self._step = step

    def __call__(self, exchange: Exchange) -> Verdict:
        """Charge it, if nobody has."""
        return None if exchange.limit_status else self._step(exchange)


class Limits:
    """All limits of a route, as one step. `resume` continues a parked exchange."""

    __slots__ = ("_clock", "_limits", "_parking", "_resume")

    def __init__(self, limits: Sequence[Limit], clock: Clock, parking: Parking, resume: Resume) -> None:
        self._limits = tuple(limits)
        self._clock = clock
        self._parking = parking
        self._resume = resume

    def __call__(self, exchange: Exchange) -> Verdict:
        """Let the exchange pass, park it until its delay is over, or answer it."""
        now_ms = int(self._clock.now * 1000)
        charged: list[Charge] = []
        for limit in self._limits:
            key = limit.key(exchange)
            if key:
                excess = limit.charge(key, now_ms)
                charged.append((limit, key, excess))
                if excess < 0 and not limit.dry_run:
                    break
        return self.judge(exchange, charged)

    def judge(self, exchange: Exchange, charged: Sequence[Charge]) -> Verdict:
        """What follows from the charges; only the last may be a rejection that counts."""
        if charged and charged[-1][2] < 0 and not charged[-1][0].dry_run:
            return self._rejected(exchange, charged)
        wait = 0
        for limit, _, excess in charged:
            if excess >= 0:
                wait = max(wait, self._passed(exchange, limit, excess))
            else:
                limit.counts[4] += 1
                limit.tell(exchange, "limiting requests", -1 - excess)
                exchange.limit_status = "rejected_dry_run"
        if not wait:
            return None
        self._parking.park(self._clock.now + wait / 1000, partial(self._resume, exchange))
        return PARKED

    def _rejected(self, exchange: Exchange, charged: Sequence[Charge]) -> Reply:
        *others, (limit, key, excess) = charged
        for other, paid, taken in others:
            if taken >= 0:
                other.buckets.refund(paid)
        limit.counts[2] += 1
        limit.tell(exchange, "limiting requests", -1 - excess)
        if limit.offenders is not None:
            limit.offenders.offended(exchange, limit.name, key)
        exchange.limit_status = "rejected"
        return limit.rejection(-1 - excess)

    def _passed(self, exchange: Exchange, limit: Limit, excess: int) -> int:
        """Count a request that a limit lets pass; the milliseconds it has to wait."""
        wait = limit.leaky.delay_ms(excess)
        if limit.headers == "always":
            exchange.extra_fields += limit.fields(excess)
        if not wait:
            limit.counts[0] += 1
            exchange.limit_status = exchange.limit_status or "passed"
            return 0
        limit.tell(exchange, "delaying request", excess, ",")
        if limit.dry_run:
            limit.counts[3] += 1
            exchange.limit_status = "delayed_dry_run"
            wait = 0
        else:
            limit.counts[1] += 1
            exchange.limit_status = "delayed"
        return wait
