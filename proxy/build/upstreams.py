"""Builds the groups of backends of a Runtime: adopts those that live, and gives each what watches over it.

Rules: a backend is known by its upstream and address; whoever is known keeps its state, its links and its place in the
counters. Nothing of what lives is changed before all of the new Runtime can be there.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from proxy import catalog
from proxy.build.place import Place
from proxy.config.model import Model
from proxy.config.upstream import Breaker as BreakerTable
from proxy.config.upstream import Fallback, Server, Upstream
from proxy.config.upstream import Retry as RetryTable
from proxy.content.redirect import FixedReply
from proxy.exchange import Destination
from proxy.ledger import Ledger, Living
from proxy.policy.backend import Backend
from proxy.policy.breaker import Breaker, LocalRecord, Settings
from proxy.policy.retry import FULL, Budget, Retry
from proxy.policy.standing import FINE, Standing
from proxy.shared.arena import GaugeCells, HeadCells, SignCells
from proxy.upstream.group import Group
from proxy.upstream.pool import Pool
from proxy.upstream.queue import Queue
from proxy.upstream.resolve import Resolver, named

TYPES = {".html": b"text/html; charset=utf-8", ".json": b"application/json", ".txt": b"text/plain; charset=utf-8"}


def groups(model: Model, place: Place, ledger: Ledger, living: Living) -> dict[str, Group]:
    """All upstreams by name."""
    found = {name: _group(name, model, place, ledger, living) for name in model.upstream}
    for name, upstream in model.upstream.items():
        if upstream.fallback is not None:
            found[name].fallback = _fallback(upstream.fallback, found)
    return found


def retry(table: RetryTable, rng: Random | None = None) -> Retry:
    """The policy of a table."""
    return Retry(
        table.on,
        attempts=table.attempts,
        non_idempotent=table.non_idempotent,
        idempotency_key=table.idempotency_key,
        deadline=table.deadline or 0.0,
        base=table.base,
        cap=table.cap,
        jitter=FULL if table.jitter == "full" else table.jitter,
        rng=rng or Random(),
    )


def _group(name: str, model: Model, place: Place, ledger: Ledger, living: Living) -> Group:
    upstream = model.upstream[name]
    backends = [_backend(name, model, server, place, ledger, living) for server in upstream.servers]
    group = Group(name, backends, catalog.BALANCE[upstream.balance](backends, place.clock, Random()), place.parking)
    group.budget = Budget(upstream.retry.budget, upstream.retry.floor)
    signs = [SignCells(place.arena, place.row, ("backend", name, server.address)) for server in upstream.servers]
    group.standing = Standing(backends, signs, upstream.panic, upstream.slow_start)
    if upstream.queue.size and any(server.max_conns for server in upstream.servers):
        heads = HeadCells(place.arena, place.row, ("upstream", name, "waits_since_us"))
        group.queue = Queue(
            upstream.queue.size, upstream.queue.timeout, place.clock, heads, place.bells, group.serve, place.soon
        )
    return group


def _backend(name: str, model: Model, server: Server, place: Place, ledger: Ledger, living: Living) -> Backend:
    upstream = model.upstream[name]
    backend = living.get((name, server.address))
    if backend is None:
        gauge = GaugeCells(place.arena, place.row, ("backend", name, server.address, "inflight"))
        resolver = Resolver(upstream.resolve) if named(server.address) else None
        pool = Pool(server.address, place.clock, place.wheel, resolver)
        backend = Backend(server.address, inflight=gauge, pool=pool)
    backend.configure(
        weight=server.weight * (FINE if upstream.slow_start else 1),
        max_fails=_max_fails(upstream, server),
        fail_timeout=server.fail_timeout,
        max_conns=server.max_conns,
        backup=server.backup,
        down=server.down,
    )
    backend.breaker = _breaker(name, upstream.breaker, server, place, backend.breaker)
    backend.guard()
    backend.counted = upstream.balance in catalog.LOAD_AWARE or server.max_conns > 0
    ledger.in_flight(name, backend)
    backend.pool.configure(
        upstream.keepalive,
        upstream.keepalive_timeout,
        upstream.keepalive_requests,
        model.http.bare_lf == "accept",
    )
    return backend


def _max_fails(upstream: Upstream, server: Server) -> int:
    """With a breaker, failures are its affair, unless the upstream says otherwise."""
    if upstream.breaker is not None and "max_fails" not in upstream.model_fields_set and server.max_fails == 1:
        return 0
    return server.max_fails


def _breaker(name: str, table: BreakerTable | None, server: Server, place: Place, old: object) -> Breaker | None:
    """The breaker of a backend. ValueError when the host's table has no room for another."""
    if table is None:
        return None
    settings = Settings(**table.model_dump())
    if isinstance(old, Breaker):
        old.configure(settings)
        return old
    known_as = f"{name} {server.address}"
    record = LocalRecord() if place.breakers is None else place.breakers.record(known_as)
    return Breaker(settings, record, Random())


def _fallback(table: Fallback, found: dict[str, Group]) -> Destination:
    if table.upstream is not None:
        return found[table.upstream]
    body, kind = table.body.encode(), b"text/plain; charset=utf-8"
    if table.page is not None:
        page = Path(table.page)
        body, kind = page.read_bytes(), TYPES.get(page.suffix, b"application/octet-stream")
    if table.content_type is not None:
        kind = table.content_type.encode("latin-1")
    return FixedReply(table.status, body, kind)
