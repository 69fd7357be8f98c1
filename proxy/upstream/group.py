"""An upstream: a named group of backends and the balancer over them, as a destination of routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy import engine, faults
from proxy.clock import Parking
from proxy.exchange import Destination, Exchange
from proxy.policy.backend import NO_TICKET, Backend
from proxy.policy.retry import Budget
from proxy.policy.standing import Standing
from proxy.upstream.queue import Queue


class Balancer(Protocol):
    """A strategy."""

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """The backend for the next attempt, none of `tried`; None when no other can take it."""


class Group:
    """Picks a backend for each attempt, and says what becomes of an exchange when there is none.

    `budget` bounds the retries, `parking` is where exchanges pause before one; `queue` is there when a backend has
    `max_conns`, `fallback` answers when no backend can be picked.
    """

    __slots__ = ("backends", "balancer", "budget", "fallback", "name", "parking", "queue", "retries", "standing")

    def __init__(self, name: str, backends: Sequence[Backend], balancer: Balancer, parking: Parking) -> None:
        self.name = name
        self.backends = tuple(backends)
        self.balancer = balancer
        self.parking = parking
        self.budget = Budget()
        self.retries = 0  # attempts beyond the first, ever
        self.queue: Queue | None = None
        self.standing: Standing | None = None
        self.fallback: Destination | None = None

    def join(self) -> None:
        """Be the group of its backends, from now on."""
        for backend in self.backends:
            backend.upstream = self
            backend.freed = self.queue.freed if self.queue is not None else None

    # --- attempts ---------------------------------------------------------------------------------------------------

    def send(self, exchange: Exchange) -> None:
        """Begin an attempt."""
        if self.queue is not None and not exchange.tried and self.queue.busy():
            self.queue.join(exchange)
            return
        tried = exchange.tried
        backend = self.balancer.pick(exchange, tried)  # type: ignore[arg-type]  # they are those this group picked
        if backend is None or backend.breaker is not None:
            backend = self._allowed(exchange, backend)
            if backend is None:
                self._without(exchange)
                return
        exchange.tried = (*tried, backend) if tried else (backend,)
        exchange.backend = backend
        exchange.attempted = now = exchange.clock.now
        backend.take(now)
        backend.pool.lend(exchange)

    def send_again(self, exchange: Exchange, pause: float) -> None:
        """Begin another attempt, now or after a pause in seconds."""
        self.retries += 1
        if not pause:
            self.send(exchange)
            return

        def wake() -> None:
            if not exchange.finished:
                self.send(exchange)

        self.parking.park(exchange.clock.now + pause, wake)

    def affords(self, exchange: Exchange) -> bool:
        """Take one retry from the budget."""
        return self.budget.allows(exchange.clock.now, sum(backend.taken for backend in self.backends))

    def has_another(self, exchange: Exchange) -> bool:
        """Whether another attempt would find a backend, as far as can be seen without picking one."""
        now, tried = exchange.clock.now, exchange.tried
        if exchange.route.retry.attempts > len(tried):
            return any(backend.eligible(now, len(self.backends) == 1) for backend in self.backends)
        return any(backend not in tried and backend.eligible(now) for backend in self.backends)

    # --- picking ----------------------------------------------------------------------------------------------------

    def _allowed(self, exchange: Exchange, backend: Backend | None) -> Backend | None:
        """A backend whose breaker lets the attempt begin: the one that was picked, or another.

        When all were tried and more attempts are wanted, those come next that were tried least.
        """
        made: tuple[Backend, ...] = exchange.tried  # type: ignore[assignment]  # they are those this group picked
        refused: list[Backend] = []
        times = 1
        while True:
            if backend is None:
                times += 1
                if times > len(made) + 1 or len(made) >= exchange.route.retry.attempts:
                    return self._last_resort(exchange)
            elif backend.breaker is None:
                exchange.ticket = NO_TICKET
                return backend
            else:
                exchange.ticket = backend.breaker.claim(exchange.clock.now)
                if exchange.ticket != NO_TICKET:
                    return backend
                refused.append(backend)
            backend = self.balancer.pick(exchange, [*refused, *(one for one in made if made.count(one) >= times)])

    def _last_resort(self, exchange: Exchange) -> Backend | None:
        """When failures alone keep all out, the one that has rested longest: trying is better than refusing."""
        exchange.ticket = NO_TICKET  # else another backend's breaker's
        if exchange.tried:
            return None
        resting = [
            backend
            for backend in self.backends
            if not (backend.down or backend.held or backend.full() or backend.breaker is not None)
        ]
        return min(resting, key=lambda backend: backend.checked, default=None)

    def _without(self, exchange: Exchange) -> None:
        """There is no backend: wait for one that is only busy, else somebody else answers."""
        now = exchange.clock.now
        if self.queue is not None and any(one.full() and not one.out(now) for one in self.backends):
            self.queue.join(exchange)
        elif self.fallback is not None:
            self.fallback.send(exchange)
        else:
            engine.failed(exchange, faults.NO_BACKEND)

    def serve(self, exchange: Exchange) -> bool:
        """Send an exchange that waits, if a backend can take it."""
        tried = exchange.tried
        backend = self.balancer.pick(exchange, tried)  # type: ignore[arg-type]  # as above
        if backend is None:
            return False
        if backend.breaker is not None:
            exchange.ticket = backend.breaker.claim(exchange.clock.now)
            if exchange.ticket == NO_TICKET:
                return False
        exchange.tried = (*tried, backend)
        exchange.backend = backend
        exchange.attempted = now = exchange.clock.now
        backend.take(now)
        backend.pool.lend(exchange)
        return True

    def tick(self, now: float) -> None:
        """What is periodic."""
        if self.standing is not None:
            self.standing.look(now)
        if self.queue is not None:
            self.queue.tick(now)
