"""Makes the backends of an upstream: adopts those that live, and fits each to its table.

Rules: a backend is known by its upstream and its server's key; whoever is known keeps its state, its links and its
place in the counters.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from proxy import catalog
from proxy.build import balance, ways
from proxy.build import members as finding
from proxy.build.place import Place
from proxy.config.model import Model
from proxy.config.upstream import Server, Upstream
from proxy.ledger import Ledger, Living
from proxy.policy.backend import Backend
from proxy.policy.breaker import Breaker, LocalRecord, Record, Settings
from proxy.policy.counts import BackendCounts
from proxy.policy.standing import FINE, Standing
from proxy.shared.arena import GaugeCells, SignCells
from proxy.upstream.keyed import KeyedPool
from proxy.upstream.members import Named
from proxy.upstream.pool import Pool
from proxy.upstream.resolve import Resolver, named
from proxy.upstream.shelf import Shelf


class BackendMaker:
    """Makes the backends of the upstream with this name; `living` are those of before."""

    def __init__(self, name: str, model: Model, place: Place, ledger: Ledger, living: Living) -> None:
        self.name = name
        self.table = model.upstream[name]
        self.fine = fineness(self.table)
        self.keyed = ways.keyed(model, name)
        self.counted = model.metrics.backends
        self.place = place
        self.ledger = ledger
        self.living = living
        self.bare_lf = model.http.bare_lf == "accept"
        self.shelf = Shelf(self.table.keepalive_all) if self.table.keepalive_all else None

    def named(self, server: Server) -> Named:
        """A server whose name stands for backends that come and go."""

        def new(address: str) -> Backend:
            return Backend(address, pool=self._pool(address))

        return finding.named(server, new, self._gauge(server), self.configure)

    def backend(self, server: Server) -> Backend:
        """The backend of a server. ValueError when there is no room for its breaker."""
        backend = self.living.get((self.name, server.key))
        if backend is None:
            resolver = Resolver(self.table.resolve) if named(server.address) else None
            pool = self._pool(server.address, resolver)
            backend = Backend(server.address, inflight=self._gauge(server), pool=pool)
        elif backend.pool.resolver is not None:
            backend.pool.resolver.valid = self.table.resolve
        self.configure(backend, server)
        backend.counted = catalog.counts_in_flight(self.table) or server.max_conns > 0
        self.ledger.in_flight(self.name, backend)
        return backend

    def _pool(self, address: str, resolver: Resolver | None = None) -> Pool:
        clock, wheel = self.place.clock, self.place.wheel
        if self.keyed:
            return KeyedPool(address, clock, wheel, lambda exchange: None, resolver)  # see `Upstreams.balance`
        return Pool(address, clock, wheel, resolver)

    def configure(self, backend: Backend, server: Server) -> None:
        """Have a backend, new or not, be as its table says."""
        table = self.table
        if isinstance(backend.pool, KeyedPool) is not self.keyed:  # its links are made otherwise from now on
            backend.pool.close()
            backend.pool = self._pool(backend.address, backend.pool.resolver)
        fit(backend, server, table, self.fine)
        backend.breaker = self._breaker(server, backend)
        backend.pool.counts = backend.counts = (backend.counts or BackendCounts()) if self.counted else None
        backend.guard()
        kept = table.keepalive_all + 1 if self.shelf is not None else table.keepalive
        backend.pool.configure(kept, table.keepalive_timeout, table.keepalive_requests, self.bare_lf)
        backend.pool.bound(table.keepalive_time, self.shelf)

    def _gauge(self, server: Server) -> GaugeCells:
        return GaugeCells(self.place.arena, self.place.row, ("backend", self.name, server.key, "inflight"))

    def _breaker(self, server: Server, backend: Backend) -> Breaker | None:
        """The breaker of a backend. ValueError when the host's table has no room for another."""
        if self.table.breaker is None:
            return None
        settings = Settings(**self.table.breaker.model_dump())
        old = backend.breaker
        if isinstance(old, Breaker):
            old.configure(settings)
            return old
        local = backend.shares  # a member of a name: it is this worker's own, so that records stay bounded
        record: Record = LocalRecord() if local else self.place.breakers.record(f"{self.name} {server.key}")
        return Breaker(settings, record, Random())


def fineness(table: Upstream) -> int:
    """How many parts of one the weights of a table count in."""
    return FINE if any(slow_start(table, one) for one in table.servers) else 1


def fit(backend: Backend, server: Server, table: Upstream, fine: int) -> None:
    """Have a backend, new or not, go by its table: weight in `fine` parts, failures, places, what hashes and cookies
    call it."""
    backend.configure(
        weight=server.weight,
        fine=fine,
        max_fails=_max_fails(table, server),
        fail_timeout=server.fail_timeout,
        max_conns=server.max_conns,
        backup=server.backup,
        down=server.down or server.drain,
    )
    balance.introduce(backend, server)


def _max_fails(table: Upstream, server: Server) -> int:
    """With a breaker, failures are its affair, unless the server or the upstream says otherwise."""
    if table.breaker is None or "max_fails" in table.model_fields_set | server.model_fields_set:
        return server.max_fails
    return 0


def slow_start(table: Upstream, server: Server) -> float:
    """Seconds in which a server's weight grows; 0.0: at once."""
    return table.slow_start if server.slow_start is None else server.slow_start


def standing(name: str, table: Upstream, backends: Sequence[Backend], place: Place) -> Standing:
    """What watches over the backends of an upstream."""
    signs = finding.signs(backends, lambda one: SignCells(place.arena, place.row, ("backend", name, one.key)))
    slow = {server.key: slow_start(table, server) for server in table.servers}
    return Standing(backends, signs, table.panic, [slow[backend.key] for backend in backends])
