"""The lower peak of two by lot: latency remembered for its worst, as in Finagle, Linkerd and Tower (PeakEwma).

Rules: a backend's cost rises at once to a round trip that was slower and sinks towards faster ones by e^(-t/DECAY); its
load is cost * (in flight + 1), and of two different backends by lot the one with less load per weight is picked. One
that has never answered and is asked already costs PENALTY, so that it is not flooded before it has shown itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import TYPE_CHECKING, Final

from proxy.policy.balance.random_two import RandomTwo

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend
    from proxy.policy.chance import Chance

DECAY: Final = 10.0  # seconds
PENALTY: Final = 1 << 47  # microseconds: Long.MaxValue >> 16 of Finagle


class PeakEwma(RandomTwo):
    """Two by lot, and of these the one that is expected to answer sooner."""

    __slots__ = ("peaks",)

    def __init__(self, backends: Sequence[Backend], clock: Clock, rng: Chance) -> None:
        super().__init__(backends, clock, rng, self.load)
        self.peaks: dict[Backend, tuple[float, float]] = {}  # seconds of a round trip, and when that was so

    def adopt(self, before: PeakEwma) -> None:
        """Go on with what a strategy before this one knew."""
        self.peaks = before.peaks

    def load(self, backend: Backend) -> int:
        """The cost of one request more, in microseconds."""
        pending = backend.inflight.total()
        peak, at = self.peaks.get(backend, (0.0, 0.0))
        if not peak:
            return PENALTY + pending if pending else 0
        return int(peak * exp((at - self.clock.now) / DECAY) * 1e6) * (pending + 1)

    def why(self, exchange: Exchange, tried: Sequence[Backend], chosen: Backend) -> str:
        """Why it has just chosen so."""
        if not self.weights:
            return self.round_robin.why(exchange, tried, chosen)
        busy, (peak, at) = chosen.inflight.total(), self.peaks.get(chosen, (0.0, 0.0))
        if not peak:
            return f"two were drawn by lot, and it costs less: it has not answered yet, and {busy} are in flight"
        expected = peak * exp((at - self.clock.now) / DECAY) * 1000
        return f"two were drawn by lot, and it costs less: {expected:.3g} ms expected, {busy} in flight"

    def ended(self, exchange: Exchange) -> None:
        """An exchange has finished: learn its round trip."""
        if exchange.fault is not None or not exchange.answered or not exchange.tried:
            return
        backend, now = exchange.tried[-1], self.clock.now
        trip = exchange.answered - exchange.attempted
        peak, at = self.peaks.get(backend, (0.0, now))  # type: ignore[call-overload]  # one of this group's
        kept = exp((at - now) / DECAY)
        self.peaks[backend] = max(trip, peak * kept + trip * (1 - kept)), now  # type: ignore[index]
