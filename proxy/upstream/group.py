"""An upstream: a named group of backends and the balancer over them, as a destination of routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy import engine, faults
from proxy.exchange import Exchange
from proxy.policy.backend import Backend


class Balancer(Protocol):
    """A strategy."""

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """The backend for the next attempt, none of `tried`; None when no other can take it."""


class Group:
    """Picks a backend for each attempt; `tries` bounds the attempts of one exchange (0: every backend once)."""

    __slots__ = ("backends", "balancer", "name", "tries")

    def __init__(self, name: str, backends: Sequence[Backend], balancer: Balancer, tries: int = 0) -> None:
        self.name = name
        self.backends = tuple(backends)
        self.balancer = balancer
        self.tries = tries

    def send(self, exchange: Exchange) -> None:
        """Begin an attempt."""
        tried = exchange.tried
        backend = None
        if not self.tries or len(tried) < self.tries:
            backend = self.balancer.pick(exchange, tried)  # type: ignore[arg-type]  # they are those this group picked
        if backend is None:
            engine.failed(exchange, faults.NO_BACKEND)
            return
        exchange.tried = (*tried, backend) if tried else (backend,)
        exchange.backend = backend
        exchange.attempted = now = exchange.clock.now
        backend.take(now)
        backend.pool.lend(exchange)
