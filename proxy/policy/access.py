"""Who may come in by address (nginx's allow and deny).

Rules: those of ngx_http_access_module: the first rule that holds decides. A request that we make ourselves is not
weighed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.exchange import Exchange
from proxy.policy.intervals import Interval, Intervals, interval
from proxy.policy.script import course_of
from proxy.verdict import Reply, Verdict

FORBIDDEN: Final = Reply(403)
EVERYBODY: Final = ("0.0.0.0/0", "::/0")


class Rules:
    """Rules in order: whether each allows, and whom: a network, "unix" or "all"."""

    __slots__ = ("_networks", "_unix")

    def __init__(self, rules: Sequence[tuple[bool, str]]) -> None:
        """ValueError for what is no network."""
        entries: list[tuple[Interval, bool]] = []
        self._unix: bool | None = None
        for allowed, whom in reversed(rules):  # the first one is to lie on top
            if whom in ("unix", "all"):
                self._unix = allowed
            if whom != "unix":
                entries += [(interval(text), allowed) for text in (EVERYBODY if whom == "all" else (whom,))]
        self._networks = Intervals(entries)

    def of(self, exchange: Exchange) -> bool | None:
        """Whether the client may come in; None: no rule speaks of it."""
        packed = exchange.client.packed
        return self._networks.get(packed) if packed else self._unix

    def __call__(self, exchange: Exchange) -> Verdict:
        """As a step of a route that asks for nothing else."""
        if self.of(exchange) is not False or (exchange.course is not None and exchange.course.inner):
            return None
        return refused(exchange)


def refused(exchange: Exchange) -> Reply:
    """The answer to whom the rules keep out."""
    course_of(exchange).note("error", "access forbidden by rule")
    return FORBIDDEN
