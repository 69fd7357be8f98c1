"""Clients that are bound to a backend, before a strategy decides (ngx_http_upstream_sticky_module.c).

Rules: what binds is an id: in our own cookie, in a variable, or found for the client's session in a table. A backend's
id is its route, or the MD5 of its address in hexadecimal digits. Who names a backend that can be picked gets it, also
one that is draining; over round robin it pays for that as if its turn had come, once in a row, so that a backend with
many bound clients gets fewer new ones. Everybody else gets what the strategy picks. Our cookie is set with each answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import md5
from typing import TYPE_CHECKING, Final, Protocol

from proxy.policy.balance.explained import reason
from proxy.policy.balance.round_robin import RoundRobin
from proxy.policy.balance.strategy import Strategy, groups

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend

Getter = Callable[["Exchange"], bytes | None]
FIELD: Final = b"Set-Cookie: "


class Sessions(Protocol):
    """Which backend each session belongs to; a table of all workers in production."""

    def backend_of(self, session: bytes, now: float) -> bytes:
        """The id of a session's backend, b"" for one that is not known."""

    def learn(self, session: bytes, sid: bytes, now: float, create: bool) -> None:
        """A session was served by a backend; one that is not known is remembered if `create`."""


class Learning:
    """How sessions are learned: from the first of `create` that an answer has, or else `lookup` keeps one alive."""

    __slots__ = ("at_head", "create", "sessions")

    def __init__(self, sessions: Sessions, create: Sequence[Getter], at_head: bool) -> None:
        self.sessions = sessions
        self.create = tuple(create)
        self.at_head = at_head


def sid_of(address: str, route: str = "") -> bytes:
    """What a backend is called in cookies."""
    return route.encode() or md5(address.encode(), usedforsecurity=False).hexdigest().encode()


def first(getters: Sequence[Getter], exchange: Exchange) -> bytes:
    """The first value that is not empty."""
    for getter in getters:
        value = getter(exchange)
        if value:
            return value
    return b""


class Sticky:
    """Bound clients first, over any strategy. `cookie` renders the rest of a cookie behind its value."""

    __slots__ = ("base", "clock", "cookie", "groups", "learning", "lookup", "name", "whole")

    def __init__(
        self,
        base: Strategy,
        backends: Sequence[Backend],
        clock: Clock,
        lookup: Sequence[Getter],
        name: bytes = b"",
        cookie: Callable[[Exchange], bytes] | None = None,
        learning: Learning | None = None,
    ) -> None:
        self.base = base
        self.clock = clock
        self.groups = groups(backends)
        self.whole = len(backends) == 1
        self.lookup = tuple(lookup)
        self.name = name
        self.cookie = cookie
        self.learning = learning

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """The backend that the client is bound to, or what the strategy picks."""
        sid = first(self.lookup, exchange)
        if sid and self.learning is not None:
            sid = self.learning.sessions.backend_of(sid, self.clock.now)
        backend = self._bound(sid, 0, tried) if sid else None
        if backend is None:
            backend = self.base.pick(exchange, tried)
            if sid and backend is not None and backend.backup:
                backend = self._bound(sid, 1, tried) or backend
        elif isinstance(self.base, RoundRobin) and not self.whole:
            charge(self.groups[0], backend, tried, self.clock.now)
        if backend is not None and self.cookie is not None:
            self._bind(exchange, backend)
        return backend

    def why(self, exchange: Exchange, tried: Sequence[Backend], chosen: Backend) -> str:
        """Why it has just chosen so."""
        sid = first(self.lookup, exchange)
        if sid and self.learning is not None:
            sid = self.learning.sessions.backend_of(sid, self.clock.now)
        if sid and sid == chosen.sid:
            how = "by its cookie" if self.cookie is not None else "by its session" if self.learning else "by its route"
            return f"the client is bound to it {how}"
        bound = "it is bound to one that cannot be picked; " if sid else "the client is not bound; "
        return bound + reason(self.base, exchange, tried, chosen)

    def _bound(self, sid: bytes, group: int, tried: Sequence[Backend]) -> Backend | None:
        """The backend with this id, if it can be picked."""
        for backend in self.groups[group]:
            if backend.sid == sid:
                able = backend not in tried and admits(backend, self.clock.now, self.whole)
                return backend if able else None
        return None

    def _bind(self, exchange: Exchange, backend: Backend) -> None:
        """Set the cookie, in place of that of an attempt before."""
        assert self.cookie is not None
        begin = FIELD + self.name + b"="
        fields = exchange.extra_fields
        at = fields.find(begin)
        if at >= 0:
            fields = fields[:at] + fields[fields.index(b"\r\n", at) + 2 :]
        exchange.extra_fields = b"%b%b%b%b\r\n" % (fields, begin, backend.sid, self.cookie(exchange))

    def answered(self, exchange: Exchange) -> None:
        """The head of an answer is here."""
        heard = getattr(self.base, "answered", None)
        if heard is not None:
            heard(exchange)
        if self.learning is not None and self.learning.at_head and exchange.backend is not None:
            self._learn(self.learning, exchange, exchange.backend.sid)  # type: ignore[attr-defined]  # of this group

    def ended(self, exchange: Exchange) -> None:
        """An exchange has finished."""
        heard = getattr(self.base, "ended", None)
        if heard is not None:
            heard(exchange)
        if self.learning is not None and not self.learning.at_head and exchange.answered and exchange.fault is None:
            self._learn(self.learning, exchange, exchange.tried[-1].sid)  # type: ignore[attr-defined]  # of this group

    def left(self, exchange: Exchange) -> None:
        """An exchange has gone on elsewhere."""
        heard = getattr(self.base, "left", None)
        if heard is not None:
            heard(exchange)

    def _learn(self, learning: Learning, exchange: Exchange, sid: bytes) -> None:
        created = first(learning.create, exchange)
        session = created or first(self.lookup, exchange)
        if session:
            learning.sessions.learn(session, sid, self.clock.now, bool(created))


def admits(backend: Backend, now: float, alone: bool) -> bool:
    """Whether somebody who is bound to a backend may have it: as others, and while it drains."""
    if not backend.draining:
        return backend.eligible(now, alone)
    backend.down = False
    able = backend.eligible(now, alone)
    backend.down = True
    return able


def charge(backends: Sequence[Backend], bound: Backend, tried: Sequence[Backend], now: float) -> None:
    """Let a backend pay for a bound client: as in smooth round robin, unless it owes a whole round already."""
    if bound.current <= bound.weight - sum(backend.weight for backend in backends):
        return
    total = 0
    for backend in backends:
        if backend not in tried and backend.eligible(now):
            backend.current += backend.effective
            total += backend.effective
            if backend.effective < backend.weight:
                backend.effective += 1
    bound.current -= total
