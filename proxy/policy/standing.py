"""How the backends of a group stand: by checks, the other workers' votes, the operator; and how weight comes back.

Rules: pure; looked at once a tick, not per request. What is drained gets nothing new. Ill is whoever the keeper's
checks say so of, or whom another worker keeps out for its failures. When nobody else could be asked, illness is
ignored: trying is better than refusing, and whom the operator drains or a breaker blocks cannot be asked. When fewer
than `panic` percent of those who may be asked at all are well, illness is ignored too, and so are this worker's own
failures, for so many cannot be ill: something else is wrong (Envoy's panic threshold). A backend that has never passed
a mandatory check gets nothing in any case, nor does a worker of ours that is dead and comes again, but such a one is
worth waiting for. Whoever is well again has a tenth of its weight at first and the rest over
`slow_start` seconds (Envoy's slow start, linear), whichever worker or configuration looks at it then.
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
AWAITED: Final = 4  # a worker of our own, which is dead and comes again at once
KEPT_OUT: Final = {
    ILL: "its health checks fail",
    UNPROVEN: "it has not passed its first health check yet",
    AWAITED: "its worker has died, and comes again",
}
ABSENT: Final = (UNPROVEN, AWAITED)  # nobody was ever seen there, or nobody is there now

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

    def recovered(self) -> float:
        """When checks found that it is up after it was not, in seconds of the clock; 0.0: it ever was."""


class Standing:
    """The standing of one group's backends."""

    __slots__ = ("backends", "panic", "signs", "slow_start")

    def __init__(
        self, backends: Sequence[Backend], signs: Sequence[Signs], panic: int, slow_start: float | Sequence[float]
    ) -> None:
        """`slow_start` is in seconds, for all backends or for each."""
        self.backends = tuple(backends)
        self.signs = tuple(signs)
        self.panic = panic
        self.slow_start = tuple(slow_start) if isinstance(slow_start, Sequence) else (slow_start,) * len(self.backends)

    def look(self, now: float) -> None:
        """Find out who is held, and how much weight everybody has."""
        health = [signs.health() for signs in self.signs]
        alone = len(self.backends) == 1
        ill = [
            said == ILL or (not alone and signs.shunned(now)) for said, signs in zip(health, self.signs, strict=True)
        ]
        able = [
            not (backend.down or said in ABSENT or signs.drained())
            for backend, said, signs in zip(self.backends, health, self.signs, strict=True)
        ]
        sound = [
            backend
            for backend, can, sick in zip(self.backends, able, ill, strict=True)
            if can and not sick and (backend.breaker is None or not backend.breaker.blocks(now))
        ]
        well = sum(not backend.resting(now) for backend in sound)
        panic = not alone and well * 100 < self.panic * sum(able)
        ignored = panic or not sound
        for place, backend in enumerate(self.backends):
            unwell = health[place] in ABSENT or (ill[place] and not ignored)
            drained = self.signs[place].drained()
            backend.awaited = health[place] == AWAITED and not drained
            self._judge(place, backend, now, unwell or drained, panic)

    def _judge(self, place: int, backend: Backend, now: float, held: bool, panic: bool) -> None:
        backend.pardoned = panic
        if held is not backend.held:
            backend.held = held
            backend.guard()
        if backend.breaker is not None:
            backend.breaker.flush(now)
        if self.slow_start[place]:
            self._weigh(backend, now, held or backend.out(now), self.signs[place].recovered(), self.slow_start[place])

    def _weigh(self, backend: Backend, now: float, out: bool, recovered: float, slow_start: float) -> None:
        """`out`: nobody asks it now; `recovered`: since when checks find it well again."""
        if out:
            backend.unwell = now
        since = max(backend.unwell, recovered)
        share = max(LEAST, (now - since) / slow_start) if since else 1.0
        if share < 1.0:
            backend.weight = backend.effective = max(1, int(backend.whole * share))
        elif backend.weight != backend.whole:
            backend.weight = backend.whole
