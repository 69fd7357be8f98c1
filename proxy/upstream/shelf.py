"""Idle links that several backends may keep together, and how old any may become (nginx: `keepalive`).

Rules: when one more would be too many, the one goes that has been idle longest, whosever it is. A link that is too old,
or has carried enough, is not kept when it comes back; nobody closes it before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.upstream.link import Link
    from proxy.upstream.pool import Pool


class Shelf:
    """At most `most` idle links in all its pools (0: no bound)."""

    __slots__ = ("most", "pools")

    def __init__(self, most: int) -> None:
        self.most = most
        self.pools: list[Pool] = []

    def join(self, pool: Pool) -> None:
        """A pool keeps its idle links here from now on."""
        if pool.shelf is not None and pool in pool.shelf.pools:
            pool.shelf.pools.remove(pool)
        pool.shelf = self
        self.pools.append(pool)

    def leave(self, pool: Pool) -> None:
        """A pool is closed."""
        if pool in self.pools:
            self.pools.remove(pool)

    def make_room(self) -> None:
        """Let go of the coldest link, if one more were too many."""
        if self.most and sum(pool.idle for pool in self.pools) >= self.most:
            coldest = [link for pool in self.pools if (link := pool.coldest()) is not None]
            if coldest:
                min(coldest, key=lambda link: link.due - link.pool.idle_time).close()


def spent(link: Link, requests: int, lifetime: float, now: float) -> bool:
    """Whether a link has carried enough, or is too old to be kept; 0 is no bound."""
    return bool((requests and link.used >= requests) or (lifetime and now - link.opened > lifetime))
