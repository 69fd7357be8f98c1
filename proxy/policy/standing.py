"""How the backends of a group stand: by checks, the other workers' votes, the operator; and how weight comes back.

Rules: pure; looked at once a tick, not per request. What is drained gets nothing new. Ill is whoever the keeper's
checks say so of, or whom another worker keeps out for its failures. When fewer than `panic` percent of the backends are
well, or none, illness is ignored, for all of them cannot be: something else is wrong, and trying is better than
refusing (Envoy's panic threshold). A backend that has never passed a mandatory check gets nothing in any case. Whoever
is well again has a tenth of its weight at first and the rest over `slow_start` seconds (Envoy's slow start, linear).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from proxy.policy.backend import Backend

# What checks say
UNCHECKED: Final = 0
WELL: Final = 1
ILL: Final = 2
UNPROVEN: Final = 3  # a mandatory check was never passed

FINE: Final = 100  # with slow start, weights count in hundredths
LEAST: Final = 0.1  # share of the weight that a backend begins with


class Signs(Protocol):
    """What others say of a backend; cells of shared memory in production."""

    def health(self) -> int:
        """What checks say."""

    def drained(self) -> bool:
        """Whether the operator drains it."""

    def shunned(self, now: float) -> bool:
        """Whether another worker keeps it out at this time."""


class Standing:
    """The standing of one group's backends; `full` are their whole weights."""

    __slots__ = ("_since", "backends", "full", "panic", "signs", "slow_start")

    def __init__(self, backends: Sequence[Backend], signs: Sequence[Signs], panic: int, slow_start: float) -> None:
        self.backends = tuple(backends)
        self.signs = tuple(signs)
        self.panic = panic
        self.slow_start = slow_start
        self.full = [backend.weight for backend in backends]
        self._since: dict[Backend, float] = {}  # since when those are well that were not

    def look(self, now: float) -> None:
        """Find out who is held, and how much weight everybody has."""
        health = [signs.health() for signs in self.signs]
        alone = len(self.backends) == 1
        ill = [
            said == ILL or (not alone and signs.shunned(now)) for said, signs in zip(health, self.signs, strict=True)
        ]
        able = [not backend.down and said != UNPROVEN for backend, said in zip(self.backends, health, strict=True)]
        well = sum(can and not sick for can, sick in zip(able, ill, strict=True))
        ignored = well == 0 or well * 100 < self.panic * sum(able)
        for place, backend in enumerate(self.backends):
            unwell = health[place] == UNPROVEN or (ill[place] and not ignored)
            held = unwell or self.signs[place].drained()
            if held is not backend.held:
                backend.held = held
                backend.guard()
            if backend.breaker is not None:
                backend.breaker.flush(now)
            if self.slow_start:
                self._weigh(place, backend, now, held or backend.out(now))

    def _weigh(self, place: int, backend: Backend, now: float, out: bool) -> None:
        full = self.full[place]
        if out:
            self._since[backend] = now
        since = self._since.get(backend)
        if since is None:
            return
        share = max(LEAST, (now - since) / self.slow_start)
        if share >= 1.0:
            del self._since[backend]
            backend.weight = full
        else:
            backend.weight = max(1, int(full * share))
            backend.effective = backend.weight
