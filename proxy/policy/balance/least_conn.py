"""Least connections, weighted, exactly as nginx does it (ngx_http_upstream_get_least_conn_peer).

Rules: the backend with the fewest exchanges in flight per weight is picked, compared by cross-multiplication so that
nothing is rounded; in flight means over all workers. Among equals smooth weighted round robin decides, and only they
gain and pay credit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from proxy.policy.balance.round_robin import POOREST
from proxy.policy.balance.strategy import ONLY, InGroups, of

if TYPE_CHECKING:
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend


class LeastConn(InGroups):
    """The backend with the fewest exchanges in flight per weight."""

    __slots__ = ()

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """The least busy backend, or None."""
        if (only := self.alone) is not None:
            return only if only not in tried and only.eligible(self.clock.now, alone=True) else None
        for backends in self.groups:
            best = None
            least = weight = 0
            equals: list[Backend] | None = None
            for backend in backends:
                if (tried or backend.fails or backend.guarded or backend.down) and (
                    backend in tried or backend.out(self.clock.now)
                ):
                    continue
                busy = backend.inflight.total()
                if backend.max_conns and busy >= backend.max_conns:
                    continue
                if best is not None:
                    here, there = busy * weight, least * backend.weight
                    if here > there:
                        continue
                    if here == there:
                        if equals is None:
                            equals = [best, backend]
                        else:
                            equals.append(backend)
                        continue
                best, least, weight, equals = backend, busy, backend.weight, None
            if best is not None:
                return best if equals is None else in_turn(equals)
        return None

    def why(self, exchange: Exchange, tried: Sequence[Backend], chosen: Backend) -> str:
        """Why it has just chosen so, before the choice is in flight itself."""
        if self.alone is not None:
            return ONLY
        others = self.among(chosen, tried)
        busy = chosen.inflight.total()
        equals = sum(one.inflight.total() * chosen.weight == busy * one.weight for one in others) - 1
        turn = f"; {equals} more have as few, and it is its turn" if equals > 0 else ""
        return f"{busy} in flight per weight {chosen.weight} is the least {of(len(others))}{turn}"


def in_turn(equals: list[Backend]) -> Backend:
    """The one whose turn it is by smooth weighted round robin; all of them can be picked."""
    best = equals[0]
    most = POOREST
    total = 0
    for backend in equals:
        effective = backend.effective
        backend.current = credit = backend.current + effective
        total += effective
        if effective < backend.weight:
            backend.effective = effective + 1
        if credit > most:
            most = credit
            best = backend
    best.current = most - total
    return best
