"""Builds the groups of backends of a Runtime: adopts those that live, and gives each what watches over it.

Rules: a backend is known by its upstream and address; whoever is known keeps its state, its links and its place in the
counters. A group is known by its name: a new one is built beside it, and the old one becomes that when all of the new
Runtime is there (`Upstreams.commit`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

from proxy.build import balance, ways
from proxy.build import members as finding
from proxy.build.backends import BackendMaker, standing
from proxy.build.place import Place
from proxy.config.model import Model
from proxy.config.upstream import Fallback, Upstream
from proxy.config.upstream import Retry as RetryTable
from proxy.content.redirect import FixedReply, Unlive
from proxy.exchange import Destination
from proxy.ledger import Ledger, Living
from proxy.policy.backend import Backend
from proxy.policy.balance.explained import Explained
from proxy.policy.balance.round_robin import RoundRobin
from proxy.policy.balance.strategy import Strategy
from proxy.policy.retry import FULL, Budget, Retry
from proxy.policy.template import Vocabulary
from proxy.shared.arena import HeadCells
from proxy.upstream.group import Group
from proxy.upstream.members import Members
from proxy.upstream.queue import Queue

TYPES = {".html": b"text/html; charset=utf-8", ".json": b"application/json", ".txt": b"text/plain; charset=utf-8"}


class Upstreams:
    """The upstreams of a Runtime: `groups` by name, those of before where there were any."""

    def __init__(
        self, model: Model, place: Place, ledger: Ledger, living: Living, before: Mapping[str, Group] | None = None
    ) -> None:
        self.clock = place.clock
        self._place = place
        self._model = model
        self._tables = model.upstream
        self.remakes: dict[str, Callable[[list[Backend]], None]] = {}  # what gives a group its strategy anew
        self._built = {
            name: _group(name, model, place, ledger, living, (before or {}).get(name)) for name in model.upstream
        }
        self.groups = {name: (before or {}).get(name, group) for name, group in self._built.items()}
        for name, upstream in model.upstream.items():
            if upstream.unavailable == 502:
                self._built[name].fallback = Unlive(name)
            if upstream.fallback is not None:
                self._built[name].fallback = fallback(upstream.fallback, self.groups)

    @property
    def backends(self) -> set[Backend]:
        """All backends that are to be used."""
        return {backend for group in self._built.values() for backend in group.backends}

    def balance(self, vocabulary: Vocabulary) -> None:
        """Give each its strategy, now that all variables are known. ValueError with a sentence."""
        for name, group in self._built.items():
            former = self.groups[name].balancer
            table = self._tables[name]
            group.balancer = self._strategy(name, group.backends, vocabulary, former)
            ways.give(self._model, name, group.backends, vocabulary)
            self.remakes[name] = changing = self._changing(name, table, vocabulary)
            if group.members is not None:
                group.members.changed = changing

    def _strategy(self, name: str, backends: Sequence[Backend], vocabulary: Vocabulary, former: object) -> Strategy:
        """What picks for an upstream, and says why where picks are explained."""
        table, place = self._tables[name], self._place
        before = former.base if isinstance(former, Explained) else former
        strategy = balance.strategy(name, table, backends, place, vocabulary, before)
        if place.diary is None or not self._model.explain.keep:
            return strategy
        return Explained(strategy, backends, place.clock, table.balance, place.diary.picked)

    def _changing(self, name: str, table: Upstream, vocabulary: Vocabulary) -> Callable[[list[Backend]], None]:
        """What gives a group other backends."""
        group = self.groups[name]

        def changed(backends: list[Backend]) -> None:
            strategy = self._strategy(name, backends, vocabulary, group.balancer)
            ways.give(self._model, name, backends, vocabulary)
            group.change(backends, strategy, standing(name, table, backends, self._place))

        return changed

    def commit(self) -> None:
        """Be what is used, from now on."""
        for name, group in self.groups.items():
            if group is not self._built[name]:
                group.become(self._built[name])
            group.join()
            if group.standing is not None:
                group.standing.look(self.clock.now)  # who is well again and has little weight yet has it at once


def retry(table: RetryTable, rng: Random | None = None) -> Retry:
    """The policy of a table."""
    return Retry(
        table.on,
        attempts=table.attempts or 0,
        cautious=table.attempts is None,
        non_idempotent=table.non_idempotent,
        idempotency_key=table.idempotency_key,
        within=table.within or 0.0,
        base=table.base,
        cap=table.cap,
        jitter=FULL if table.jitter == "full" else table.jitter,
        rng=rng or Random(),
    )


def _group(name: str, model: Model, place: Place, ledger: Ledger, living: Living, before: Group | None) -> Group:
    upstream = model.upstream[name]
    maker = BackendMaker(name, model, place, ledger, living)
    found = [maker.named(server) if server.resolve else maker.backend(server) for server in upstream.servers]
    members = None
    if any(server.resolve for server in upstream.servers):
        members = Members(found, finding.finder(upstream.resolver, upstream.resolve), lambda backends: None)
        if before is not None and before.members is not None:
            members.adopt(before.members)
    backends = members.backends() if members is not None else [one for one in found if isinstance(one, Backend)]
    group = Group(name, backends, RoundRobin(backends, place.clock), place.parking)  # `balance` gives it its own
    group.budget = Budget(upstream.retry.budget, upstream.retry.floor)
    group.members = members
    group.seats = len(backends) if name in model.app else 0
    group.standing = standing(name, upstream, backends, place)
    if upstream.queue.size and any(server.max_conns for server in upstream.servers):
        heads = HeadCells(place.arena, place.row, ("upstream", name))
        group.queue = Queue(
            upstream.queue.size, upstream.queue.timeout, place.clock, heads, place.bells, group, place.soon
        )
    return group


def fallback(table: Fallback, found: Mapping[str, Group]) -> Destination:
    """Who answers when no server can be picked."""
    if table.upstream is not None:
        return found[table.upstream]
    body, kind = table.body.encode(), b"text/plain; charset=utf-8"
    if table.page is not None:
        page = Path(table.page)
        body, kind = page.read_bytes(), TYPES.get(page.suffix, b"application/octet-stream")
    if table.content_type is not None:
        kind = table.content_type.encode("latin-1")
    return FixedReply(table.status, body, kind)
