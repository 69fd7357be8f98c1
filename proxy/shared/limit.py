"""The step that limits requests: charges buckets that all workers share, and rejects or parks what exceeds.

Rules: nginx's (ngx_http_limit_req_module): every limit of a route must let a request pass, the longest delay wins; if
one rejects, those before it are refunded. A dry run charges and counts but lets everything pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from proxy.clock import Clock, Parking
from proxy.exchange import Exchange
from proxy.policy.limit.keys import Key
from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.shared.buckets import Buckets
from proxy.verdict import PARKED, Reply, Verdict

OUTCOMES = ("passed", "delayed", "rejected", "dry_delayed", "dry_rejected")
Resume = Callable[[Exchange], None]


class Limit:
    """One limit as a route uses it; `counts` are its outcomes in this worker, in the order of OUTCOMES.

    `headers`: which responses carry RateLimit fields (draft-ietf-httpapi-ratelimit-headers): "rejected", "always" or
    "never".
    """

    __slots__ = ("buckets", "counts", "dry_run", "headers", "key", "leaky", "name", "policy", "status")

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
    ) -> None:
        self.name = name
        self.key = key
        self.leaky = leaky
        self.buckets = buckets
        self.counts = counts
        self.status = status
        self.dry_run = dry_run
        self.headers = headers
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
        fields = b"Retry-After: %d\r\n" % self.leaky.retry_after(excess)
        return Reply(self.status, fields=fields if self.headers == "never" else fields + self.fields(excess))


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
        wait = 0
        charged: list[tuple[Limit, bytes]] = []
        for limit in self._limits:
            key = limit.key(exchange)
            if not key:
                continue
            excess = limit.buckets.charge(key, now_ms)
            if excess < 0:
                excess = -1 - excess
                if limit.dry_run:
                    limit.counts[4] += 1
                    exchange.limit_status = "rejected_dry_run"
                    continue
                for other, taken in charged:
                    other.buckets.refund(taken)
                limit.counts[2] += 1
                exchange.limit_status = "rejected"
                return limit.rejection(excess)
            charged.append((limit, key))
            wait = max(wait, self._passed(exchange, limit, excess))
        if not wait:
            return None
        self._parking.park(self._clock.now + wait / 1000, partial(self._resume, exchange))
        return PARKED

    def _passed(self, exchange: Exchange, limit: Limit, excess: int) -> int:
        """Count a request that a limit lets pass; the milliseconds it has to wait."""
        wait = limit.leaky.delay_ms(excess)
        if limit.headers == "always":
            exchange.extra_fields += limit.fields(excess)
        if not wait:
            limit.counts[0] += 1
            exchange.limit_status = exchange.limit_status or "passed"
        elif limit.dry_run:
            limit.counts[3] += 1
            exchange.limit_status = "delayed_dry_run"
            wait = 0
        else:
            limit.counts[1] += 1
            exchange.limit_status = "delayed"
        return wait
