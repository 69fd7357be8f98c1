"""The links of one backend in one worker: lent, taken back, dialled.

Rules: idle links are a stack, so the warmest is used first and the others can grow old and be closed. A link is idle
for less than backends keep an idle connection (Gunicorn 2 s, Uvicorn 5 s), or else requests race with their closing.
Dialling is the one place of the data plane that awaits.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import cast

from proxy import engine, faults
from proxy.clock import Clock, Wheel
from proxy.exchange import Exchange
from proxy.upstream.link import Link
from proxy.upstream.resolve import Resolver


class Pool:
    """`address` is "host:port", "[v6]:port" or "unix:/path"; at most `keepalive` links are idle, for `idle_time` s."""

    __slots__ = (
        "_dialling",
        "_idle",
        "_turn",
        "address",
        "bare_lf",
        "clock",
        "host",
        "idle_time",
        "keepalive",
        "links",
        "requests",
        "resolver",
        "wheel",
    )

    def __init__(self, address: str, clock: Clock, wheel: Wheel, resolver: Resolver | None = None) -> None:
        self.address = address
        self.resolver = resolver
        self._turn = 0
        self.host = b"localhost" if address.startswith("unix:") else address.encode()
        self.clock = clock
        self.wheel = wheel
        self.keepalive = 512
        self.idle_time = 1.5
        self.requests = 0
        self.bare_lf = False
        self.links: set[Link] = set()
        self._idle: dict[Link, None] = {}  # a stack that a link in its midst can leave
        self._dialling: set[asyncio.Task[None]] = set()

    def configure(self, keepalive: int, idle_time: float, requests: int, bare_lf: bool) -> None:
        """`requests` bounds the exchanges of one link (0: no bound)."""
        self.keepalive = keepalive
        self.idle_time = idle_time
        self.requests = requests
        self.bare_lf = bare_lf

    def lend(self, exchange: Exchange) -> None:
        """Start the exchange on an idle link, or on one that is dialled for it."""
        idle = self._idle
        if not exchange.fresh:
            now = self.clock.now
            while idle:
                link = idle.popitem()[0]
                if link.due > now and link.transport is not None:
                    link.start(exchange)
                    return
                link.close()
        task = asyncio.get_running_loop().create_task(self._dial(exchange))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    def give_back(self, link: Link) -> None:
        """A link is free again."""
        if len(self._idle) >= self.keepalive or (self.requests and link.used >= self.requests):
            link.close()
        else:
            link.due = self.clock.now + self.idle_time
            link.reused = True
            self._idle[link] = None

    def forget(self, link: Link) -> None:
        """A link's connection is gone."""
        self.links.discard(link)
        self.wheel.discard(link)
        self._idle.pop(link, None)

    def close(self) -> None:
        """Close the idle links; those at work end with their exchanges."""
        self.keepalive = 0
        while self._idle:
            self._idle.popitem()[0].close()

    async def _dial(self, exchange: Exchange) -> None:
        fault = faults.CONNECT_REFUSED
        link = Link(self)
        backend, trouble = exchange.backend, ""
        try:
            async with asyncio.timeout(self._patience(exchange)):
                await self._connect(link)
        except TimeoutError:
            fault = faults.CONNECT_TIMEOUT
        except OSError as error:
            trouble = error.strerror or str(error)
        self.clock.now = monotonic()
        if link.transport is None:
            engine.failed(exchange, fault)
            if trouble and backend is not None:
                backend.trouble = f"{fault.reason}: {trouble}"
            return
        self.links.add(link)
        if exchange.finished:  # the client left while we dialled
            self.give_back(link)
        else:
            link.start(exchange)

    def _patience(self, exchange: Exchange) -> float:
        """Seconds to connect: no longer than the deadline of the exchange, if it has one."""
        timeouts = exchange.route.timeouts
        if not timeouts.deadline:
            return timeouts.connect
        return min(timeouts.connect, max(0.0, exchange.started + timeouts.deadline - self.clock.now))

    async def _connect(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        protocol = cast("asyncio.Protocol", link)  # uvloop asks for the methods, not for the base class
        if self.address.startswith("unix:"):
            await loop.create_unix_connection(lambda: protocol, self.address[5:])
        else:
            host, _, port = self.address.rpartition(":")
            if self.resolver is None:
                await loop.create_connection(lambda: protocol, host.strip("[]"), int(port))
            else:
                await self._connect_named(self.resolver, protocol, host, int(port))

    async def _connect_named(self, resolver: Resolver, protocol: asyncio.Protocol, host: str, port: int) -> None:
        """Connect to the addresses of a name in turn; to the others when one refuses."""
        loop = asyncio.get_running_loop()
        found = await resolver.addresses(host, self.clock.now)
        for last in range(len(found) - 1, -1, -1):
            self._turn = (self._turn + 1) % len(found)
            try:
                await loop.create_connection(lambda: protocol, found[self._turn], port)
                return
            except OSError:
                if not last:
                    raise
