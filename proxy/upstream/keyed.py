"""A pool whose links are not all alike: in TLS, from an address of our own, or behind a PROXY header that tells of a
client, as an exchange decides.

Rules: an exchange gets a link only that was made the way it would be made for it, or a new one: behind a PROXY header
that is one of the same client's connection. The handshake is part of connecting, with its time and its faults. When
one idle link more would be too many, the one goes that has been idle longest: its client may have left. Nothing here
costs those whose links are plain.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

from proxy import engine, faults
from proxy.clock import Clock, Wheel
from proxy.exchange import Exchange
from proxy.http.target import IDEMPOTENT
from proxy.policy.pattern import Endless
from proxy.upstream.link import Link
from proxy.upstream.pool import Pool
from proxy.upstream.resolve import Resolver
from proxy.upstream.spare import hung_up
from proxy.upstream.tls import Calling

IP_TRANSPARENT: Final = 19  # of SOL_IP, linux/in.h
IPV6_TRANSPARENT: Final = 75  # of SOL_IPV6, linux/in6.h


class Way(NamedTuple):
    """How a link is made. `context`: in TLS, with `name` as what is asked for and verified ("": none is); `bind`: from
    this address ("": any) and `port` (0: any); `transparent`, though it may not be ours (needs CAP_NET_ADMIN); `alive`:
    the kernel asks now and then whether the peer is still there; `header`: what is sent before all else, TLS too."""

    context: Calling | None = None
    name: str = ""
    bind: str = ""
    port: int = 0
    transparent: bool = False
    alive: bool = False
    header: bytes = b""


Ways = Callable[[Exchange], Way | None]  # None: there is none, and the attempt fails


class KeyedLink(Link):
    """A link that knows how it was made."""

    __slots__ = ("way",)

    def __init__(self, pool: Pool, way: Way) -> None:
        super().__init__(pool)
        self.way = way


class KeyedPool(Pool):
    """`ways` says how the link for an exchange is made where its route does not, and `introduce`, if given, what PROXY
    header tells the backend of its client."""

    __slots__ = ("_kept", "introduce", "ways")

    def __init__(self, address: str, clock: Clock, wheel: Wheel, ways: Ways, resolver: Resolver | None = None) -> None:
        super().__init__(address, clock, wheel, resolver)
        self.ways = ways
        self.introduce: Callable[[Exchange], bytes] | None = None
        self._kept: dict[Way, dict[Link, None]] = {}  # the idle links by how they were made, each lot a stack

    def way(self, exchange: Exchange) -> Way | None:
        """How the link for an exchange is made: as its route has it, else as the upstream."""
        composer = exchange.route.composer
        if composer is None or composer.links is None:
            way = self.ways(exchange)
        else:
            way = cast("Way | None", composer.links(exchange))  # routes know nothing of links
        if way is None or self.introduce is None:
            return way
        return way._replace(header=self.introduce(exchange))

    def lend(self, exchange: Exchange) -> None:
        """Start the exchange on an idle link that was made its way, or on one that is dialled for it."""
        try:
            way = self.way(exchange)
        except Endless as problem:
            engine.endless(exchange, problem)
            return
        if way is None:
            engine.failed(exchange, faults.CONNECT_REFUSED)
            return
        now = self.clock.now
        twice = exchange.line.method in IDEMPOTENT
        while not exchange.fresh and way in self._kept:
            link = next(reversed(self._kept[way]))
            self._take(link)
            transport = link.transport
            if link.due > now and transport is not None and (twice or not hung_up(transport)):
                link.start(exchange)
                return
            link.close()
        self.dial(exchange)

    def give_back(self, link: Link) -> None:
        """A link is free again."""
        if len(self._idle) >= self.keepalive:
            coldest = self.coldest()
            if coldest is not None:
                self._take(coldest)
                coldest.close()
        super().give_back(link)
        if link in self._idle and isinstance(link, KeyedLink):
            self._kept.setdefault(link.way, {})[link] = None

    def forget(self, link: Link) -> None:
        """A link's connection is gone."""
        self._take(link)
        super().forget(link)

    def _take(self, link: Link) -> None:
        """A link is idle no longer."""
        self._idle.pop(link, None)
        kept = self._kept.get(link.way) if isinstance(link, KeyedLink) else None
        if kept is not None and isinstance(link, KeyedLink):
            kept.pop(link, None)
            if not kept:
                del self._kept[link.way]

    def _made(self, exchange: Exchange) -> Link:
        return KeyedLink(self, self.way(exchange) or Way())

    def _secured(self, way: Way) -> Any:
        """The context of a link that is made here, and resumes sessions of this backend."""
        return way.context if way.context is None else way.context.at(self.address)

    async def _connect(self, link: Link) -> None:
        """OSError when it cannot be; what a handshake has against it is one, too."""
        assert isinstance(link, KeyedLink)
        if self.address.startswith("unix:"):
            await self._reach(link, self.address[5:], 0)
            return
        host, _, port = self.address.rpartition(":")
        found = [host.strip("[]")]
        if self.resolver is not None:
            found = await self.resolver.addresses(host, self.clock.now)
        self._turn = (self._turn + 1) % len(found)
        for step in range(len(found)):
            try:
                await self._reach(link, found[(self._turn + step) % len(found)], int(port))
                return
            except OSError:
                if step == len(found) - 1:
                    raise

    async def _reach(self, link: KeyedLink, host: str, port: int) -> None:
        """Connect; `host` is a path when there is no port."""
        loop, way = asyncio.get_running_loop(), link.way
        protocol = cast("asyncio.Protocol", link)  # uvloop asks for the methods, not for the base class
        name, secured = way.name if way.context is not None else None, self._secured(way)
        if (way.bind and port) or (way.header and way.context is not None):
            plain = await opened(way, host, port)
            if port:
                await loop.create_connection(lambda: protocol, sock=plain, ssl=secured, server_hostname=name)
            else:
                await loop.create_unix_connection(lambda: protocol, sock=plain, ssl=secured, server_hostname=name)
            return
        if not port:
            await loop.create_unix_connection(lambda: protocol, host, ssl=secured, server_hostname=name)
        else:
            await loop.create_connection(lambda: protocol, host, port, ssl=secured, server_hostname=name)
        transport = link.transport
        if transport is not None and way.alive and port:
            with contextlib.suppress(OSError):
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if transport is not None and way.header:
            transport.write(way.header)  # the request follows before it has gone


async def opened(way: Way, host: str, port: int) -> socket.socket:
    """A socket that is connected to a host, or without a port to a path, and on which its header has been sent. OSError
    when that cannot be."""
    loop = asyncio.get_running_loop()
    plain = bound(way, host) if port else socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        plain.setblocking(False)
        await loop.sock_connect(plain, (host, port) if port else host)
        if way.header:
            await loop.sock_sendall(plain, way.header)
    except BaseException:
        plain.close()
        raise
    return plain


def bound(way: Way, host: str) -> socket.socket:
    """A socket to a host that is bound as its way has it. OSError when that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    plain = socket.socket(family, socket.SOCK_STREAM)
    try:
        plain.setblocking(False)
        if way.alive:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if way.transparent and family == socket.AF_INET:
            plain.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
        elif way.transparent:
            plain.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
        if way.bind:
            plain.bind((way.bind, way.port))
    except BaseException:
        plain.close()
        raise
    return plain
