"""The step that bounds requests in flight per key, over all workers of the host, and what gives their places back.

Rules: nginx's limit_conn: a request counts from when it passes the step until it is finished; who is one too many is
rejected at once. An empty key is not limited.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.exchange import Exchange, Step
from proxy.policy.limit.keys import Key
from proxy.policy.script import course_of
from proxy.shared.offenders import Offenders
from proxy.shared.tally import Tally
from proxy.verdict import Reply, Verdict


class InFlight:
    """One limit as a route uses it; `counts` are what it let pass, what it delayed (nothing) and what it rejected.
    `log` is the level at which the error log tells of rejections. Without `fields` an answer does not say Retry-After.
    """

    __slots__ = (
        "counts", "dry_run", "key", "log", "most", "name", "offenders", "prefix", "rejection", "row", "tally"
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        key: Key,
        most: int,
        tally: Tally,
        row: int,
        counts: list[int],
        status: int,
        dry_run: bool,
        *,
        log: str | None = None,
        fields: bool = True,
        offenders: Offenders | None = None,
    ) -> None:
        self.name = name
        self.offenders = offenders
        self.prefix = b"limit %b " % name.encode()
        self.key = key
        self.most = most
        self.tally = tally
        self.row = row
        self.counts = counts
        self.dry_run = dry_run
        self.log = log
        self.rejection = Reply(status, fields=b"Retry-After: 1\r\n" if fields else b"")

    def __call__(self, exchange: Exchange) -> Verdict:
        """Count the exchange, or answer it."""
        key = self.key(exchange)
        if not key:
            return None
        if self.tally.take(self.prefix + key, self.most, self.row):
            exchange.holds = (*exchange.holds, self.prefix + key)
            self.counts[0] += 1
            return None
        return self._rejected(exchange, key)

    def _rejected(self, exchange: Exchange, key: bytes) -> Verdict:
        course = course_of(exchange)
        self.counts[4 if self.dry_run else 2] += 1
        course.values["limit_req_status"] = exchange.limit_status.upper().encode() or None  # not of our making
        exchange.limit_status = "rejected_dry_run" if self.dry_run else "rejected"
        course.values["limit_conn_status"] = exchange.limit_status.upper().encode()
        if self.log is not None:
            dry = ", dry run," if self.dry_run else ""
            course.note(self.log, f'limiting connections{dry} by zone "{self.name}"')
        if self.offenders is not None and not self.dry_run:
            self.offenders.offended(exchange, self.name, key)
        return None if self.dry_run else self.rejection


class OnceHeld:
    """A step around others where routes lead to each other: a request is counted once, as in nginx, whatever routes it
    takes, and requests that we make ourselves for it are not counted when it is."""

    __slots__ = ("_step",)

    def __init__(self, step: Step) -> None:
        self._step = step

    def __call__(self, exchange: Exchange) -> Verdict:
        """Count it, if nobody has."""
        course = exchange.course
        if exchange.holds or (course is not None and "limit_conn_status" in course.values):
            return None
        return self._step(exchange)


class Together:
    """Several limits as one step."""

    __slots__ = ("_limits",)

    def __init__(self, limits: Sequence[InFlight]) -> None:
        self._limits = tuple(limits)

    def __call__(self, exchange: Exchange) -> Verdict:
        """Count the exchange under each, or answer it."""
        for limit in self._limits:
            verdict = limit(exchange)
            if verdict is not None:
                return verdict
        return None


class GiveBack:
    """The observer that gives the places of a finished exchange back."""

    __slots__ = ("row", "tally")

    def __init__(self, tally: Tally, row: int) -> None:
        self.tally = tally
        self.row = row

    def __call__(self, exchange: Exchange) -> None:
        """The exchange is finished."""
        for key in exchange.holds:
            self.tally.give_back(key, self.row)
        exchange.holds = ()
