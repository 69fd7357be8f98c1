"""Whether an attempt that failed is made once more, and when: causes, idempotency, pauses, deadline, budget.

Rules: pure. What has had an effect may not have it twice (RFC 9110 section 9.2.2): a request is repeated if its method
is idempotent, if not one byte of it was sent, or if the configuration says that repeating is safe. The budget bounds
what retries add to the load of an upstream that is in trouble: a share of its recent requests, and a floor so that a
quiet one has retries at all (Finagle's RetryBudget, here with sums that fade instead of a window). Pauses are
exponential with full jitter ("Exponential Backoff and Jitter", AWS 2015), or within a share around their length.
"""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from proxy.http.target import IDEMPOTENT

if TYPE_CHECKING:
    from proxy.exchange import Exchange
    from proxy.http.message import ResponseHead
    from proxy.policy.chance import Chance

NO: Final = -1.0  # not once more
MEMORY: Final = 10.0  # seconds over which a budget forgets
FULL: Final = -1.0  # jitter: anything from nothing to the whole pause


class Budget:
    """How many retries an upstream bears: `share` of its requests of about the last MEMORY seconds, and `floor` a
    second besides. One per upstream and worker."""

    __slots__ = ("_at", "_requests", "_retries", "_seen", "floor", "share")

    def __init__(self, share: float = 0.2, floor: int = 10) -> None:
        self.share = share
        self.floor = floor
        self._at = 0.0
        self._seen = 0
        self._requests = self._retries = 0.0

    def allows(self, now: float, attempts: int) -> bool:
        """Take one retry from the budget; `attempts` is how many the upstream has had in all, retries included."""
        passed = now - self._at
        fading = max(0.0, 1.0 - passed / MEMORY)
        recent = min(1.0, MEMORY / passed) if passed > 0 else 1.0
        self._requests = self._requests * fading + (attempts - self._seen) * recent
        self._retries *= fading
        self._at, self._seen = now, attempts
        if self._retries + 1 > self.share * (self._requests - self._retries) + self.floor * MEMORY:
            return False
        self._retries += 1
        return True

    def left(self, now: float, attempts: int) -> float:
        """How many retries it bears at this time; the arguments as above. Changes nothing."""
        passed = now - self._at
        fading = max(0.0, 1.0 - passed / MEMORY)
        recent = min(1.0, MEMORY / passed) if passed > 0 else 1.0
        requests = self._requests * fading + (attempts - self._seen) * recent
        retries = self._retries * fading
        return max(0.0, self.share * (requests - retries) + self.floor * MEMORY - retries)


class Retry:
    """What is tried once more on a route.

    `causes` are kinds of faults (see `faults`), `statuses` those of answers; `attempts` bounds the attempts of one
    exchange (0: every backend once); none begins behind the exchange's deadline. When `cautious`, what has failed at
    two backends that had it is not given to a third: it may be the request that fells them.
    The n-th pause is `base` * 2^(n-1) seconds, at most `cap`, with `jitter` as a share around it or FULL.
    """

    __slots__ = (
        "attempts", "base", "cap", "causes", "cautious", "jitter", "key", "non_idempotent", "rng", "statuses", "within"
    )  # fmt: skip

    def __init__(
        self,
        on: Iterable[str | int] = ("connect", "closed"),
        *,
        attempts: int = 0,
        cautious: bool = False,
        non_idempotent: bool = False,
        idempotency_key: bool = False,
        within: float = 0.0,
        base: float = 0.0,
        cap: float = 10.0,
        jitter: float = FULL,
        rng: Chance | None = None,
    ) -> None:
        self.causes = frozenset(cause for cause in on if isinstance(cause, str))
        self.statuses = frozenset(cause for cause in on if isinstance(cause, int))
        self.attempts = attempts
        self.cautious = cautious
        self.non_idempotent = non_idempotent
        self.key = idempotency_key
        self.within = within  # seconds after the request's beginning that no attempt begins behind; 0.0: no bound
        self.base = base
        self.cap = cap
        self.jitter = jitter
        self.rng = rng

    def repeatable(self, exchange: Exchange, unsent: bool = False) -> bool:
        """Whether another attempt can neither repeat an effect nor lack a byte."""
        if exchange.replied or exchange.streamed:
            return False
        return (
            unsent
            or self.non_idempotent
            or exchange.line.method in IDEMPOTENT
            or (self.key and exchange.fields.get(b"idempotency-key") is not None)
        )

    def pause(self, exchange: Exchange, sent: bool = False) -> float:
        """Seconds to wait before the next attempt, or NO when the attempts or the time are used up; `sent`: the backend
        had the request, and failed."""
        made = len(exchange.tried)
        if self.attempts and made >= self.attempts:
            return NO
        before = exchange.fault  # that of the attempt before
        if sent and self.cautious and before is not None and before.health and not before.unsent:
            return NO
        wait = self._wait(made) if self.base else 0.0
        return self._in_time(exchange, wait)

    def asked(self, exchange: Exchange, head: ResponseHead) -> float:
        """The same when the backend has answered and may have said Retry-After: at least as long as it says; NO when
        that is longer than `cap`."""
        wait = self.pause(exchange)
        field = head.get(b"retry-after")
        if wait == NO or field is None:
            return wait
        said = retry_after(field, exchange.clock.wall)
        return NO if said > self.cap else self._in_time(exchange, max(wait, said))

    def _in_time(self, exchange: Exchange, wait: float) -> float:
        begins = exchange.clock.now + wait
        late = 0.0 < exchange.deadline <= begins or 0.0 < self.within <= begins - exchange.started
        return NO if late else wait

    def _wait(self, made: int) -> float:
        length = min(self.cap, self.base * 2.0 ** min(made - 1, 30))
        chance = self.rng.random() if self.rng is not None else 0.5
        if self.jitter == FULL:
            return length * chance
        return length * (1.0 + self.jitter * (2.0 * chance - 1.0))


def retry_after(value: bytes, wall: float) -> float:
    """Seconds that a Retry-After field asks for (RFC 9110 section 10.2.3: a number or a date); 0 for nonsense."""
    text = value.decode("latin-1")
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - wall)
    except (ValueError, TypeError, OverflowError):
        return 0.0
