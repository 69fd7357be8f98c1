"""A strategy of one's own, kept to what every strategy promises: what it picks can take the request.

Rules: it may know nothing of health, of places or of what was tried. What it picks although that cannot take the
request, round_robin picks in its stead among those that can; so it does when the strategy raises or picks something
else than one of its backends, and then `wrong` is told. When it picks None, nobody is picked. Whatever else one
asks, the strategy answers itself; what goes wrong there is told too, and is no affair of the request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from proxy.policy.balance.explained import SILENT
from proxy.policy.balance.round_robin import RoundRobin

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend
    from proxy.policy.balance.strategy import Strategy

HEARS: Final = ("answered", "ended", "left")


class Own:
    """`base` picks; `name` is what the configuration calls it."""

    def __init__(
        self,
        name: str,
        base: Strategy,
        backends: Sequence[Backend],
        clock: Clock,
        wrong: Callable[[BaseException], None],
    ) -> None:
        self.name = name
        self.base = base
        self.clock = clock
        self.wrong = wrong
        self.known = frozenset(backends)
        self.house = RoundRobin(backends, clock)
        self.stood_in = False  # at the last pick

    def __getattr__(self, name: str) -> Any:
        """`answered`, `ended` and `left`, if the strategy has them, and its own."""
        if name == "base":
            raise AttributeError(name)  # it is not there yet
        found = getattr(self.base, name)
        return partial(self._hear, found) if name in HEARS else found

    def _hear(self, hears: Callable[[Exchange], object], exchange: Exchange) -> None:
        """Tell the strategy of an exchange that has to go on whatever the strategy makes of it."""
        try:
            hears(exchange)
        except (Exception, SystemExit) as error:
            self.wrong(error)

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """What the strategy picks, if that can be."""
        self.stood_in = False
        try:
            chosen = self.base.pick(exchange, tried)
            if chosen is None:
                return None
            if chosen not in self.known:
                raise ValueError(f"{self.name} picked {chosen!r}, which is none of its backends")
            if chosen not in tried and chosen.eligible(self.clock.now, len(self.known) == 1):
                return chosen
        except (Exception, SystemExit) as error:
            self.wrong(error)
        self.stood_in = True
        return self.house.pick(exchange, tried)

    def why(self, exchange: Exchange, tried: Sequence[Backend], chosen: Backend) -> str:
        """Why it has just chosen so."""
        if self.stood_in:
            return f"{self.name} picked none that can take it; {self.house.why(exchange, tried, chosen)}"
        why = getattr(self.base, "why", None)
        if why is None:
            return SILENT
        try:
            return str(why(exchange, tried, chosen))
        except (Exception, SystemExit) as error:
            self.wrong(error)
            return SILENT

    def adopt(self, before: Own) -> None:
        """Go on with what a strategy before this one knew, if both are the same and it can."""
        adopt = getattr(self.base, "adopt", None)
        if adopt is not None and before.name == self.name:
            try:
                adopt(before.base)
            except (Exception, SystemExit) as error:
                self.wrong(error)
