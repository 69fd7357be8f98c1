"""A destination that the request itself names: a URL with variables, taken apart for each exchange (nginx: proxy_pass
with variables).

Rules: those of ngx_http_proxy_eval. The host is an upstream's name, an address, "unix:/path", or a name that the
route's resolver knows; nothing else is looked up anywhere, and not any longer than its exchange waits for it. Addresses
of one name are tried in turn. Groups of addresses are kept as long as they are in use, the oldest are dropped beyond
MOST, and idle links close by themselves.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from time import monotonic
from typing import Final, NamedTuple

from proxy import engine, faults
from proxy.clock import Clock, Parking, Wheel
from proxy.exchange import Exchange
from proxy.http.outgoing import Place
from proxy.policy.backend import Backend
from proxy.policy.balance.round_robin import RoundRobin
from proxy.policy.retry import Budget
from proxy.policy.script import course_of
from proxy.policy.template import Template
from proxy.upstream.dns import Dns
from proxy.upstream.group import Group
from proxy.upstream.keyed import KeyedPool, Way
from proxy.upstream.resolve import literal
from proxy.verdict import Reply

MOST: Final = 1024  # groups
PLAIN: Final = Way()
PLENTY: Final = 1_000_000  # retries a second, since nginx knows no budget
_URL: Final = re.compile(
    rb"(https?)://(unix:[^:]*(?::|$)|\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::([0-9]{1,5}))?(.*)", re.I | re.S
)


class Url(NamedTuple):
    """A URL taken apart; `port` is b"" when none was written, `unix` a socket's path."""

    secure: bool
    host: bytes
    port: bytes
    uri: bytes
    unix: str

    @property
    def standard(self) -> bytes:
        """The port of its scheme."""
        return b"443" if self.secure else b"80"

    def place(self) -> Place:
        """Its `$proxy_host` and `$proxy_port`, and its URI."""
        uri = b"/" + self.uri if self.uri.startswith(b"?") else self.uri
        if self.unix:
            return Place(b"localhost", b"", uri, self.secure)
        if self.port in (b"", self.standard):
            return Place(self.host, self.standard, uri, self.secure)
        return Place(b"%b:%b" % (self.host, self.port), self.port, uri, self.secure)


def taken_apart(text: bytes) -> Url | None:
    """None when it is no URL that can be asked."""
    match = _URL.fullmatch(text)
    if match is None:
        return None
    scheme, host, port, uri = match.groups()
    if host.lower().startswith(b"unix:"):
        path = host[5:].removesuffix(b":")
        ours = port is None and path.startswith(b"/") and b"\0" not in path
        return Url(scheme.lower() == b"https", host, b"", uri, path.decode("latin-1")) if ours else None
    if (port is not None and not 0 < int(port) < 65536) or (uri and uri[:1] not in b"/?"):
        return None
    return Url(scheme.lower() == b"https", host, port or b"", uri, "")


class Kept:
    """The groups of addresses that are in use, made when they are asked for."""

    def __init__(self, clock: Clock, wheel: Wheel, parking: Parking, bare_lf: bool) -> None:
        self._clock = clock
        self._wheel = wheel
        self._parking = parking
        self._bare_lf = bare_lf
        self._groups: dict[tuple[str, ...], Group] = {}

    def group(self, addresses: tuple[str, ...]) -> Group:
        """The group of these addresses ("host:port", "[v6]:port", "unix:/path")."""
        group = self._groups.pop(addresses, None)
        if group is None:
            if len(self._groups) >= MOST:
                self._drop(next(iter(self._groups)))
            group = self._made(addresses)
        self._groups[addresses] = group  # the youngest now
        return group

    def _made(self, addresses: tuple[str, ...]) -> Group:
        backends = [self._backend(address) for address in addresses]
        group = Group(addresses[0], backends, RoundRobin(backends, self._clock), self._parking)
        group.budget = Budget(1.0, PLENTY)
        group.join()
        return group

    def _backend(self, address: str) -> Backend:
        pool = KeyedPool(address, self._clock, self._wheel, lambda exchange: PLAIN)
        pool.configure(0, 1.0, 0, self._bare_lf)
        return Backend(address, max_fails=0, pool=pool)

    def _drop(self, addresses: tuple[str, ...]) -> None:
        for backend in self._groups.pop(addresses).backends:
            backend.pool.close()


class Dynamic:
    """Sends each exchange where its URL leads. `groups` are the upstreams by name, `resolver` knows other names."""

    __slots__ = ("_groups", "_kept", "_queries", "_resolver", "_url")

    def __init__(self, url: Template, groups: Mapping[str, Group], resolver: Dns | None, kept: Kept) -> None:
        self._url = url
        self._groups = {name.lower(): group for name, group in groups.items()}
        self._resolver = resolver
        self._kept = kept
        self._queries: set[asyncio.Task[None]] = set()

    def send(self, exchange: Exchange) -> None:
        """Have it answered by whom its URL names."""
        url = taken_apart(self._url(exchange))
        if url is None:
            engine.reply(exchange, Reply(500))
            return
        course_of(exchange).place = url.place()
        name = url.host.decode("latin-1").lower()
        group = self._groups.get(name if not url.port else f"{name}:{int(url.port)}")
        if group is None and url.unix:
            group = self._kept.group((f"unix:{url.unix}",))
        elif group is None and literal(name):
            group = self._kept.group((f"{name}:{int(url.port or url.standard)}",))
        if group is not None:
            group.send(exchange)
        elif self._resolver is None:
            course_of(exchange).note("error", f"no resolver defined to resolve {name}")
            engine.failed(exchange, faults.UNRESOLVED)
        else:
            self._look_up(exchange, self._resolver, name, int(url.port or url.standard))

    def _look_up(self, exchange: Exchange, resolver: Dns, name: str, port: int) -> None:
        known = resolver.known(name)
        if known is not None:
            self._kept.group(_written(known, port)).send(exchange)
            return
        query = asyncio.get_running_loop().create_task(self._asked(exchange, resolver, name, port))
        exchange.queue = Waiting(query)
        self._queries.add(query)
        query.add_done_callback(self._queries.discard)

    async def _asked(self, exchange: Exchange, resolver: Dns, name: str, port: int) -> None:
        trouble, found = "", list[str]()
        try:
            found = await resolver.addresses(name)
        except OSError as error:
            trouble = str(error)
        exchange.clock.now = monotonic()
        exchange.queue = None
        try:
            if found:
                self._kept.group(_written(found, port)).send(exchange)
            else:
                course_of(exchange).note("error", trouble)
                engine.failed(exchange, faults.UNRESOLVED)
        except Exception:  # an error of our own, of which nobody else would hear here
            engine.failed(exchange, faults.NO_SOCKET)
            raise


class Waiting:
    """Where an exchange waits for the addresses of a name: when it leaves, it asks no longer."""

    __slots__ = ("_query",)

    def __init__(self, query: asyncio.Task[None]) -> None:
        self._query = query

    def leave(self, exchange: Exchange) -> None:
        """The exchange waits no longer."""
        exchange.queue = None
        self._query.cancel()


def _written(addresses: list[str], port: int) -> tuple[str, ...]:
    return tuple([f"[{one}]:{port}" if ":" in one else f"{one}:{port}" for one in addresses])
