"""Smooth weighted round robin, exactly as nginx does it (ngx_http_upstream_get_peer).

Rules: at every pick each backend that can be picked gains its effective weight as credit; the richest is picked (the
earlier one of equals) and pays what all have gained. So weights 5, 1, 1 give a a b a c a a and not a a a a a b c.
A weight that failures have lowered recovers by 1 each time the backend is considered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from proxy.policy.balance.strategy import ONLY, InGroups, of

if TYPE_CHECKING:
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend

POOREST: Final = -(1 << 62)  # less than any credit


class RoundRobin(InGroups):
    """Backends in turn, in proportion to their weights."""

    __slots__ = ()

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """The next backend in turn, or None."""
        if (only := self.alone) is not None:
            return only if only not in tried and only.eligible(self.clock.now, alone=True) else None
        for backends in self.groups:
            best = None
            most = POOREST
            total = 0
            for backend in backends:
                # What can keep a backend out is looked at first and cheaply; most of the time it is nothing.
                if (tried or backend.fails or backend.guarded or backend.down) and (
                    backend in tried or not backend.eligible(self.clock.now)
                ):
                    continue
                effective = backend.effective
                backend.current = credit = backend.current + effective
                total += effective
                if effective < backend.weight:
                    backend.effective = effective + 1
                if credit > most:
                    most = credit
                    best = backend
            if best is not None:
                best.current = most - total
                return best
        return None

    def why(self, exchange: Exchange, tried: Sequence[Backend], chosen: Backend) -> str:
        """Why it has just chosen so: who is picked has paid what all had gained, so its credit was that much more."""
        if self.alone is not None:
            return ONLY
        others = self.among(chosen, tried)
        gained = sum(one.effective for one in others)
        credit = chosen.current + gained
        return f"its turn: credit {credit} is the most {of(len(others))} (weight {chosen.weight} of {gained})"
