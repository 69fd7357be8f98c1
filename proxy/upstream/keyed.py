"""A pool whose links are not all alike: in TLS, or from an address of our own, that an exchange may decide.

Rules: an exchange gets a link only that was made the way it would be made for it, or a new one. The handshake is part
of connecting, with its time and its faults. Nothing here costs those whose links are plain.
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
    the kernel asks now and then whether the peer is still there."""

    context: Calling | None = None
    name: str = ""
    bind: str = ""
    port: int = 0
    transparent: bool = False
    alive: bool = False


Ways = Callable[[Exchange], Way | None]  # None: there is none, and the attempt fails


class KeyedLink(Link):
    """A link that knows how it was made."""

    __slots__ = ("way",)

    def __init__(self, pool: Pool, way: Way) -> None:
        super().__init__(pool)
        self.way = way


class KeyedPool(Pool):
    """`ways` says how the link for an exchange is made."""

    __slots__ = ("ways",)

    def __init__(self, address: str, clock: Clock, wheel: Wheel, ways: Ways, resolver: Resolver | None = None) -> None:
        super().__init__(address, clock, wheel, resolver)
        self.ways = ways

    def way(self, exchange: Exchange) -> Way | None:
        """How the link for an exchange is made: as its route has it, else as the upstream."""
        composer = exchange.route.composer
        if composer is None or composer.links is None:
            return self.ways(exchange)
        return cast("Way | None", composer.links(exchange))  # routes know nothing of links

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
        for link in [] if exchange.fresh else [*reversed(self._idle)]:
            if not isinstance(link, KeyedLink) or link.way != way:
                continue
            del self._idle[link]
            transport = link.transport
            if link.due > now and transport is not None and (twice or not hung_up(transport)):
                link.start(exchange)
                return
            link.close()
        self.dial(exchange)

    def _made(self, exchange: Exchange) -> Link:
        return KeyedLink(self, self.way(exchange) or Way())

    def _secured(self, way: Way) -> Any:
        """The context of a link that is made here, and resumes sessions of this backend."""
        return way.context if way.context is None else way.context.at(self.address)

    async def _connect(self, link: Link) -> None:
        """OSError when it cannot be; what a handshake has against it is one, too."""
        assert isinstance(link, KeyedLink)
        way = link.way
        protocol = cast("asyncio.Protocol", link)  # uvloop asks for the methods, not for the base class
        loop = asyncio.get_running_loop()
        if self.address.startswith("unix:"):
            protocol = cast("asyncio.Protocol", link)  # uvloop asks for the methods, not for the base class
            name, secured = way.name if way.context is not None else None, self._secured(way)
            await loop.create_unix_connection(lambda: protocol, self.address[5:], ssl=secured, server_hostname=name)
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
        loop, way = asyncio.get_running_loop(), link.way
        protocol = cast("asyncio.Protocol", link)
        name = way.name if way.context is not None else None
        if not way.bind:
            await loop.create_connection(lambda: protocol, host, port, ssl=self._secured(way), server_hostname=name)
            if way.alive and link.transport is not None:
                with contextlib.suppress(OSError):
                    link.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return
        plain = bound(way, host)
        try:
            await loop.sock_connect(plain, (host, port))
        except BaseException:
            plain.close()
            raise
        await loop.create_connection(lambda: protocol, sock=plain, ssl=self._secured(way), server_hostname=name)


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
        plain.bind((way.bind, way.port))
    except BaseException:
        plain.close()
        raise
    return plain
