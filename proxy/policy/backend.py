"""One address that can answer, and its live state: weights, failures, what is in flight.

Rules: the state and its arithmetic are nginx's (ngx_http_upstream_round_robin.c), so that its documentation and
everybody's experience hold here. A backend that was picked is taken, and settled exactly once for every time it was
taken. What is in flight is counted by a gauge that all workers of the host share; everything else is this worker's own.
Times are the clock's monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from proxy.policy.counts import BackendCounts

NO_TICKET: Final = 0  # of a breaker: none was taken


class Gauge(Protocol):
    """How many exchanges are in flight at a backend, over all workers of the host."""

    def add(self, n: int) -> None:
        """Count `n` more, or fewer when negative, for this worker."""

    def claim(self, most: int) -> bool:
        """Count one more unless the sum is `most` already; of several workers who want the last place one gets it."""

    def total(self) -> int:
        """The sum over all workers."""


class Breaker(Protocol):
    """What keeps attempts away from a backend that keeps failing, as a Backend sees it (`policy.breaker`)."""

    def blocks(self, now: float) -> bool:
        """Whether no attempt may begin."""

    def claim(self, now: float) -> int:
        """An attempt wants to begin: its ticket, which is NO_TICKET when it may not."""

    def settle(self, now: float, ticket: int, cause: str | int, counts: bool) -> None:
        """The attempt has ended with a fault or status; `counts`: it says something about the backend."""

    def answered(self, now: float, ticket: int, status: int) -> int:
        """The attempt's answer has begun with this status: the ticket of what is left of it."""

    def flush(self, now: float) -> None:
        """A tick: tell the other workers what has been counted."""


class LocalGauge:
    """A gauge of one process, for tests and the laboratory."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def add(self, n: int) -> None:
        """Count `n` more, or fewer when negative."""
        self.count += n

    def claim(self, most: int) -> bool:
        """Count one more unless there are `most` already."""
        if self.count >= most:
            return False
        self.count += 1
        return True

    def total(self) -> int:
        """What has been counted."""
        return self.count


class Backend:
    """One address that can answer.

    `weight` is configured; `effective` is what is left of it after failures and `current` the credit of smooth round
    robin. `max_fails` failures within `fail_timeout` seconds keep the backend out for as long (0: never); `max_conns`
    bounds what is in flight (0: no bound). `accessed` is the time of the last failure, `checked` that of the last
    failure or of the first attempt after it had been kept out. `pool` belongs to the upstream and lends links.
    `nominal` is the weight as the configuration has it and `whole` the same in the parts that `weight` counts in, which
    is less for a while after `unwell`, the time when the backend was last seen to be kept out (0: never; `standing`).
    `held` is set while something else keeps it out (checks, the other workers' votes, the operator: see `standing`),
    `awaited` while it is held because it comes again at once, `pardoned` while its failures do not, and `guarded` while
    anything at all but failures and `down` has to be asked before it is picked.
    """

    __slots__ = (
        "accessed",
        "address",
        "awaited",
        "backup",
        "breaker",
        "checked",
        "counted",
        "counts",
        "current",
        "down",
        "draining",
        "effective",
        "fail_timeout",
        "failures",
        "fails",
        "freed",
        "guarded",
        "held",
        "inflight",
        "key",
        "label",
        "max_conns",
        "max_fails",
        "nominal",
        "pardoned",
        "pool",
        "reported",
        "server",
        "settled",
        "shares",
        "sid",
        "taken",
        "trouble",
        "unwell",
        "upstream",
        "weight",
        "whole",
    )

    def __init__(
        self,
        address: str,
        *,
        weight: int = 1,
        max_fails: int = 1,
        fail_timeout: float = 10.0,
        max_conns: int = 0,
        backup: bool = False,
        down: bool = False,
        inflight: Gauge | None = None,
        pool: Any = None,
    ) -> None:
        self.address = address
        self.label = address.encode()
        self.key = address  # what it counts under, in its upstream
        self.shares = False  # it counts there together with others, which a name stands for
        self.server = address  # as the configuration writes it; a consistent hash goes by it
        self.sid = b""  # what `sticky` calls it
        self.draining = False  # it is `down` but for those who are bound to it
        self.weight = weight
        self.nominal = self.whole = weight
        self.effective = weight
        self.current = 0
        self.max_fails = max_fails
        self.fail_timeout = fail_timeout
        self.max_conns = max_conns
        self.backup = backup
        self.down = down
        self.fails = 0
        self.failures = 0  # attempts that failed, ever
        self.trouble = ""  # what the last failure was, in words
        self.reported = (0, 0)  # of `taken` and `failures`, what has been added to the host's counters
        self.accessed = 0.0
        self.checked = 0.0
        self.inflight: Gauge = LocalGauge() if inflight is None else inflight
        self.counted = True  # what is in flight is told to the gauge at once: somebody decides by it
        self.taken = 0
        self.settled = 0
        self.pool = pool
        self.upstream: Any = None  # the group that it belongs to
        self.breaker: Breaker | None = None
        self.counts: BackendCounts | None = None  # its times and answers, where they are counted
        self.freed: Callable[[], None] | None = None  # whom to tell that it can take one more
        self.held = False
        self.awaited = False
        self.pardoned = False
        self.unwell = 0.0
        self.guarded = max_conns > 0

    def __repr__(self) -> str:
        return f"<Backend {self.address}>"

    def out(self, now: float, alone: bool = False) -> bool:
        """Whether it is down, or kept out for its failures or otherwise; `alone`, as the only backend of its group,
        failures do not keep it out."""
        if self.down or self.held:
            return True
        if not alone and 0 < self.max_fails <= self.fails and not self.pardoned and self.resting(now):
            return True
        return self.breaker is not None and self.breaker.blocks(now)

    def resting(self, now: float) -> bool:
        """Whether it has failed too often to be asked already."""
        return 0 < self.max_fails <= self.fails and now - self.checked <= self.fail_timeout

    def full(self) -> bool:
        """Whether as much is in flight as it may have, at this instant: `take` finds out who gets the last place."""
        return 0 < self.max_conns <= self.inflight.total()

    def eligible(self, now: float, alone: bool = False) -> bool:
        """Whether an attempt may go here; `alone` as above."""
        return not self.out(now, alone) and (not self.max_conns or self.inflight.total() < self.max_conns)

    def take(self, now: float) -> bool:
        """An attempt begins; False, and nothing is taken, when another worker has got the last place of `max_conns`.

        If it is the first after the backend was kept out, the others wait for its outcome.
        """
        if self.max_conns:
            if not self.inflight.claim(self.max_conns):
                return False
        elif self.counted:
            self.inflight.add(1)
        self.taken += 1
        if now - self.checked > self.fail_timeout:
            self.checked = now
        return True

    def settle(self, now: float, failed: bool, counts: bool, ticket: int = NO_TICKET, cause: str | int = "") -> None:
        """An attempt has ended; when it does not count, passive health hears neither of a failure nor of a success.

        The breaker decides by the cause, a kind of fault or the status of the answer.
        """
        self.settled += 1
        if self.counted:
            self.inflight.add(-1)
        if self.freed is not None:
            self.freed()
        if self.breaker is not None:
            self.breaker.settle(now, ticket, cause, counts)
        if failed:
            self.failures += 1
        if not counts:
            return
        if failed:
            self.fails += 1
            self.accessed = self.checked = now
            if self.max_fails:
                self.effective = max(0, self.effective - self.weight // self.max_fails)
        elif self.accessed < self.checked:
            # Taken after the last failure had been waited out, and it went well: nginx's "mark peer live".
            self.fails = 0

    def answered(self, now: float, ticket: int, status: int) -> int:
        """The answer to an attempt has begun and may go on for hours: its breaker need not wait for the end. Gives the
        ticket of what is left of the attempt."""
        return ticket if self.breaker is None else self.breaker.answered(now, ticket, status)

    def configure(
        self,
        *,
        weight: int,
        max_fails: int,
        fail_timeout: float,
        max_conns: int,
        backup: bool,
        down: bool,
        fine: int = 1,
    ) -> None:
        """Take over what a new configuration says and keep the live state: failures, counts, links in use.

        Credit and lost weight are kept only if the weight stays: in other proportions they would mean something else.
        Weights are counted in `fine` parts of one.
        """
        whole = weight * fine
        if whole != self.whole or (fine == 1 and self.weight != whole):
            self.whole = self.weight = self.effective = whole
            self.current = 0
        self.nominal = weight
        self.max_fails = max_fails
        self.fail_timeout = fail_timeout
        self.max_conns = max_conns
        self.backup = backup
        self.down = down
        self.guard()

    def guard(self) -> None:
        """Find out whether strategies have to ask before they pick it."""
        self.guarded = self.max_conns > 0 or self.held or self.breaker is not None
