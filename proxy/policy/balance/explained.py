"""A strategy that says why: it has another one pick, and writes down who was there and what that one's reason was.

Rules: put around a strategy only where picks are to be explained, so that it costs nothing elsewhere. It changes
nothing about the choice: what is seen is seen before it, and asked of the strategy (`why`) behind it. Few candidates
are written down, the chosen one always among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from proxy.policy.standing import KEPT_OUT

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend
    from proxy.policy.balance.strategy import Strategy

MOST: Final = 16  # candidates that are written down
SILENT: Final = "the strategy does not say why"
NOBODY: Final = "no backend can take it"


class Candidate(NamedTuple):
    """A backend as it stood when one was picked; `why` says why it could not be, or nothing. `load` is what is in
    flight per weight."""

    address: str
    state: str
    why: str
    in_flight: int
    max_conns: int
    weight: int
    fails: int
    load: float
    tried: bool


Seen = tuple[str, str, str, int, int, int, int, float, bool]  # a Candidate, in a tenth of the time


class Pick(NamedTuple):
    """A choice at a time of the clock: who was there, who was chosen ("": nobody), and the strategy's reason."""

    at: float
    strategy: str
    chosen: str
    why: str
    candidates: Sequence[Seen]
    left_out: int


Tell = Callable[["Exchange", Pick], None]


class Explained:
    """`base` picks, and `tell` hears of it; `name` is what the configuration calls the strategy."""

    __slots__ = ("backends", "base", "clock", "name", "tell")

    def __init__(self, base: Strategy, backends: Sequence[Backend], clock: Clock, name: str, tell: Tell) -> None:
        self.base = base
        self.backends = tuple(backends)
        self.clock = clock
        self.name = name
        self.tell = tell

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """What the strategy picks."""
        now = self.clock.now
        seen = candidates(self.backends, tried, now)
        chosen = self.base.pick(exchange, tried)
        left_out = 0
        if len(seen) > MOST:
            left_out = len(seen) - MOST
            seen = [one for one in seen if chosen is not None and one[0] == chosen.address][:1] + seen
            del seen[MOST:]
        address = chosen.address if chosen is not None else ""
        self.tell(exchange, Pick(now, self.name, address, reason(self.base, exchange, tried, chosen), seen, left_out))
        return chosen

    def answered(self, exchange: Exchange) -> None:
        """The head of an answer is here."""
        _pass_on(self.base, "answered", exchange)

    def ended(self, exchange: Exchange) -> None:
        """An exchange has finished."""
        _pass_on(self.base, "ended", exchange)

    def left(self, exchange: Exchange) -> None:
        """An exchange has gone on elsewhere."""
        _pass_on(self.base, "left", exchange)


def reason(strategy: Any, exchange: Exchange, tried: Sequence[Backend], chosen: Backend | None) -> str:
    """Why a strategy has chosen so, in words."""
    if chosen is None:
        return NOBODY
    why = getattr(strategy, "why", None)
    return why(exchange, tried, chosen) if why is not None else SILENT


def candidates(backends: Sequence[Backend], tried: Sequence[Backend], now: float) -> list[Seen]:
    """How all backends of a group stand, in their order."""
    alone = len(backends) == 1
    found: list[Seen] = []
    for backend in backends:
        busy = backend.inflight.total()
        state, why = "backup" if backend.backup else "up", ""
        if backend.fails or backend.guarded or backend.down:  # else nothing keeps it out
            state, why = stands(backend, now, alone, busy) or (state, why)
        weight = backend.weight
        load = busy / weight if weight else 0.0
        again = backend in tried if tried else False
        found.append((backend.address, state, why, busy, backend.max_conns, weight, backend.fails, load, again))
    return found


def stands(backend: Backend, now: float, alone: bool, busy: int) -> tuple[str, str] | None:
    """What keeps a backend out, and why in words; None: nothing."""
    if backend.down:
        return ("draining", "bound clients alone") if backend.draining else ("down", "the configuration says down")
    if backend.held:
        return held(backend, now)
    if backend.breaker is not None and backend.breaker.blocks(now):
        return "open", "its breaker is open"
    if not alone and not backend.pardoned and backend.resting(now):
        return "out", f"left alone after {backend.fails} failures: {backend.trouble}"
    if backend.max_conns and busy >= backend.max_conns:
        return "full", f"{busy} of {backend.max_conns} in flight"
    return None


def held(backend: Backend, now: float) -> tuple[str, str]:
    """What others keep a backend out for, as their signs stand now."""
    standing = getattr(backend.upstream, "standing", None)
    if standing is None or backend not in standing.backends:
        return "held", "something else keeps it out"
    signs = standing.signs[standing.backends.index(backend)]
    if signs.drained():
        return "draining", "it is drained or disabled"
    if (health := signs.health()) in KEPT_OUT:
        return "down", KEPT_OUT[health]
    if signs.shunned(now):
        return "out", "another worker leaves it alone for its failures"
    return "held", "it was kept out a moment ago"


def _pass_on(strategy: Any, what: str, exchange: Exchange) -> None:
    heard = getattr(strategy, what, None)
    if heard is not None:
        heard(exchange)
