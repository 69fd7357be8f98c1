"""Makes what picks for an upstream of its table: the strategy, and what binds clients before it decides.

Rules: made when all variables of the configuration are known, for a hash and a cookie may speak of them. A strategy
goes on with what the one of before has learned, if it is of the same kind.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from random import Random
from traceback import extract_tb
from typing import Final

from proxy import catalog
from proxy.build.place import Place
from proxy.clock import Clock
from proxy.config.balance import Sticky as StickyTable
from proxy.config.upstream import Server, Upstream
from proxy.policy.backend import Backend
from proxy.policy.balance.cookie import Attributes
from proxy.policy.balance.sticky import Getter, Learning, Sticky, sid_of
from proxy.policy.balance.strategy import Strategy
from proxy.policy.template import Vocabulary
from proxy.shared.sessions import Sessions

log = logging.getLogger("frontgate")

COMPLAIN_EVERY: Final = 60.0  # seconds
ZONE = "sticky:{}"  # name of an upstream's sessions among the shared memories


def strategy(
    name: str, table: Upstream, backends: Sequence[Backend], place: Place, vocabulary: Vocabulary, before: object = None
) -> Strategy:
    """What picks for an upstream; `before` is what did until now. ValueError with a sentence."""
    wrong = Complaints(table.balance, place.clock)
    base = catalog.made(catalog.Wanted(backends, place.clock, Random(), table, vocabulary.template, wrong))
    adopt = getattr(base, "adopt", None)
    former = before.base if isinstance(before, Sticky) else before
    if adopt is not None and type(former) is type(base):
        adopt(former)
    if table.sticky is None:
        return base
    return _sticky(name, table.sticky, base, backends, place, vocabulary)


class Complaints:
    """Logs what a strategy of one's own does wrong, once in a while: it may do it at every request."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.next = 0.0
        self.number = 0  # since the last line

    def __call__(self, error: BaseException) -> None:
        """It has done something wrong."""
        self.number += 1
        if self.clock.now < self.next:
            return
        self.next = self.clock.now + COMPLAIN_EVERY
        place = extract_tb(error.__traceback__)[-1:]
        where = f" in {place[0].filename}:{place[0].lineno}" if place else ""
        text = "balance = %s failed %d times; what it did not pick, round_robin did: %s%s: %s"
        log.error(text, self.name, self.number, type(error).__name__, where, error)
        self.number = 0


def _sticky(
    name: str,
    table: StickyTable,
    base: Strategy,
    backends: Sequence[Backend],
    place: Place,
    vocabulary: Vocabulary,
) -> Sticky:
    if table.cookie is not None:
        lookup: list[Getter] = [vocabulary.getter(f"cookie_{table.cookie}")]
        return Sticky(base, backends, place.clock, lookup, table.cookie.encode(), _attributes(table, vocabulary))
    if table.learn is None:
        return Sticky(base, backends, place.clock, [vocabulary.template(text) for text in table.route])
    sessions = Sessions(place.zones[ZONE.format(name)], table.learn.timeout)
    create = [vocabulary.template(text) for text in table.learn.create]
    lookup = [vocabulary.template(text) for text in table.learn.lookup]
    learning = Learning(sessions, create, table.learn.at == "head")
    return Sticky(base, backends, place.clock, lookup, learning=learning)


def _attributes(table: StickyTable, vocabulary: Vocabulary) -> Attributes:
    expires = -1.0 if table.expires is None else float("inf") if table.expires == "max" else table.expires
    return Attributes(
        expires,
        vocabulary.template(table.domain) if table.domain else None,
        table.path,
        table.httponly,
        table.secure,
        vocabulary.template(table.samesite) if table.samesite else None,
    )


def introduce(backend: Backend, server: Server) -> None:
    """Tell a backend what hashes and cookies call it."""
    backend.key = server.key
    backend.server = server.name or server.address
    backend.sid = sid_of(backend.address, server.route)
    backend.draining = server.drain and not server.down


def zone_sizes(upstreams: Mapping[str, Upstream]) -> dict[str, int]:
    """Bytes of shared memory for the sessions of each upstream that learns them."""
    return {
        ZONE.format(name): table.sticky.learn.memory
        for name, table in upstreams.items()
        if table.sticky is not None and table.sticky.learn is not None
    }
