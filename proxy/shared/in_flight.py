"""The step that bounds requests in flight per key, over all workers of the host, and what gives their places back.

Rules: nginx's limit_conn: a request counts from when it passes the step until it is finished; who is one too many is
rejected at once. An empty key is not limited.
"""

from __future__ import annotations

from proxy.exchange import Exchange
from proxy.policy.limit.keys import Key
from proxy.shared.tally import Tally
from proxy.verdict import Reply, Verdict


class InFlight:
    """One limit as a route uses it; `counts` are what it let pass, what it delayed (nothing) and what it rejected."""

    __slots__ = ("counts", "dry_run", "key", "most", "prefix", "rejection", "row", "tally")

    def __init__(
        self, name: str, key: Key, most: int, tally: Tally, row: int, counts: list[int], status: int, dry_run: bool
    ) -> None:
        self.prefix = b"limit %b " % name.encode()
        self.key = key
        self.most = most
        self.tally = tally
        self.row = row
        self.counts = counts
        self.dry_run = dry_run
        self.rejection = Reply(status, fields=b"Retry-After: 1\r\n")

    def __call__(self, exchange: Exchange) -> Verdict:
        """Count the exchange, or answer it."""
        key = self.key(exchange)
        if not key:
            return None
        if self.tally.take(self.prefix + key, self.most, self.row):
            exchange.holds = (*exchange.holds, self.prefix + key)
            self.counts[0] += 1
            return None
        self.counts[4 if self.dry_run else 2] += 1
        exchange.limit_status = "rejected_dry_run" if self.dry_run else "rejected"
        return None if self.dry_run else self.rejection


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
