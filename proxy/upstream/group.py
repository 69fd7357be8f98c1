"""An upstream: a named group of backends and the balancer over them, as a destination of routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy import engine, faults
from proxy.clock import Parking
from proxy.exchange import Destination, Exchange
from proxy.faults import Fault
from proxy.policy.backend import NO_TICKET, Backend
from proxy.policy.retry import Budget
from proxy.policy.standing import Standing
from proxy.upstream.members import Members
from proxy.upstream.queue import Queue


class Balancer(Protocol):
    """A strategy."""

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """The backend for the next attempt, none of `tried`; None when no other can take it."""


class Group:
    """Picks a backend for each attempt, and says what becomes of an exchange when there is none.

    `budget` bounds the retries, `parking` is where exchanges pause before one; `queue` is there when a backend has
    `max_conns`, `fallback` answers when no backend can be picked. `seats` is how many backends there are if they are
    workers of our own, which come again when they die, else 0.
    """

    __slots__ = (
        "backends",
        "balancer",
        "budget",
        "fallback",
        "members",
        "name",
        "parking",
        "queue",
        "retries",
        "seats",
        "standing",
    )

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
        self.seats = 0
        self.members: Members | None = None  # where servers are names whose addresses come and go

    def join(self) -> None:
        """Be the group of its backends, from now on."""
        for backend in self.backends:
            backend.upstream = self
            backend.freed = self.queue.freed if self.queue is not None else None

    def become(self, other: Group) -> None:
        """A reload: be as another group is, that was built from the new configuration and has had nothing to do yet.

        The object stays, for exchanges of before come to it later: they gather a body, are delayed by a limit, or
        pause. Whoever waits keeps its place, or is sent when there is a line no longer.
        """
        self.backends = other.backends
        self.balancer = other.balancer
        self.budget = other.budget
        self.standing = other.standing
        self.fallback = other.fallback
        self.seats = other.seats
        if self.members is not None:
            self.members.close(other.members)
        self.members = other.members
        old, new = self.queue, other.queue
        if old is not None and new is not None:
            old.configure(new.size, new.timeout)
            return
        self.queue = new
        if new is not None:
            new.upstream = self
        if old is not None and len(old):
            line = old  # the name is the closure's
            old.soon(lambda: line.dissolve(self.send))

    def change(self, backends: Sequence[Backend], balancer: Balancer, standing: Standing) -> None:
        """Other backends from now on; whoever waits may have one of them."""
        self.backends = tuple(backends)
        self.balancer = balancer
        self.standing = standing
        self.join()
        if self.queue is not None:
            self.queue.freed()

    # --- attempts ---------------------------------------------------------------------------------------------------

    def send(self, exchange: Exchange) -> None:
        """Begin an attempt."""
        queue = self.queue
        if queue is not None and not exchange.tried and not exchange.fresh and queue.busy():
            backend = None  # others were here before
        else:
            backend = self._taken(exchange)
        if backend is not None:
            backend.pool.lend(exchange)
        elif queue is not None and self._may_wait(exchange):
            queue.join(exchange)
        else:
            self.turn_away(exchange, faults.NO_BACKEND)

    def send_again(self, exchange: Exchange, pause: float) -> None:
        """Begin another attempt, now or after a pause in seconds."""
        if not exchange.tried:  # else it is counted when it is made: it has lost a race with a closing connection
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

    def has_another(self, exchange: Exchange, pause: float = 0.0) -> bool:
        """Whether another attempt, after a pause in seconds, would find a backend or wait for one, as far as can be
        seen without picking."""
        return self._may_wait(exchange, pause, pause > 0.0 or self.queue is not None)

    def awaits(self, exchange: Exchange, backend: Backend) -> bool:
        """Whether an attempt that did not reach a backend was none: that is a worker of our own, and comes again.
        Nobody else is sent there until the next look at what its supervisor says."""
        if not self.seats or self.queue is None or exchange.queued >= self.queue.timeout:
            return False
        backend.held = backend.awaited = True
        backend.guard()
        return True

    def serve(self, exchange: Exchange) -> bool:
        """Take an exchange out of the queue and send it, if a backend can take it now or none ever can; False: it waits
        on."""
        backend = self._taken(exchange)
        if backend is None and self._may_wait(exchange):
            return False
        if exchange.queue is not None:
            exchange.queue.leave(exchange)
        if backend is None:
            self.turn_away(exchange, faults.NO_BACKEND)
        else:
            backend.pool.lend(exchange)
        return True

    # --- picking ----------------------------------------------------------------------------------------------------

    def _taken(self, exchange: Exchange) -> Backend | None:
        """The backend for an attempt, picked, allowed by its breaker and taken; None when there is none now."""
        tried = exchange.tried
        now = exchange.clock.now
        while True:
            backend = self.balancer.pick(exchange, tried)  # type: ignore[arg-type]  # they are those this group picked
            if backend is None or backend.breaker is not None:
                backend = self._allowed(exchange, backend)
                if backend is None:
                    return None
            if backend.take(now):
                break
            if backend.breaker is not None:  # another worker has got the last place: it is full when picked again
                backend.breaker.settle(now, exchange.ticket, "", False)
        if tried:
            self.retries += 1
            exchange.tried = (*tried, backend)
        else:
            exchange.tried = (backend,)
        exchange.backend = backend
        exchange.attempted = now
        return backend

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
                if times > len(made) + 1 or len(made) >= self._attempts(exchange):
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
        """When failures alone keep all out, the one that has rested longest: trying is better than refusing. While
        somebody is well and merely full, it is not: there is one to wait for."""
        exchange.ticket = NO_TICKET  # else another backend's breaker's
        now, alone = exchange.clock.now, len(self.backends) == 1
        if exchange.tried or not all(backend.out(now, alone) for backend in self.backends):
            return None
        resting = [
            backend
            for backend in self.backends
            if not (backend.down or backend.held or backend.full() or backend.breaker is not None)
        ]
        return min(resting, key=lambda backend: backend.checked, default=None)

    def _may_wait(self, exchange: Exchange, pause: float = 0.0, full: bool = True) -> bool:
        """Whether a backend could take it in `pause` seconds, or as soon as it is less busy if it may be `full`, or
        there at all."""
        now, tried = exchange.clock.now + pause, exchange.tried
        alone = len(self.backends) == 1
        again = self._attempts(exchange) > len(tried)
        here = self.queue is not None
        return any(
            (again or one not in tried)
            and ((here and one.awaited) or (not one.out(now, alone) and (full or not one.full())))
            for one in self.backends
        )

    def _attempts(self, exchange: Exchange) -> int:
        """How many attempts may be made if not at others; 0: none. Who sits in a seat may be another one by then."""
        return exchange.route.retry.attempts or self.seats

    def turn_away(self, exchange: Exchange, fault: Fault) -> None:
        """There is no backend for it: somebody else answers."""
        if self.fallback is not None:
            self.fallback.send(exchange)
        else:
            engine.failed(exchange, fault)

    def tick(self, now: float) -> None:
        """What is periodic."""
        if self.standing is not None:
            self.standing.look(now)
            for backend in self.backends:
                if backend.held and backend.pool is not None and backend.pool.idle:
                    backend.pool.rest()  # a server that is told to stop need not wait for us
        if self.members is not None:
            self.members.tick(now)
        if self.queue is not None:
            self.queue.tick(now)
