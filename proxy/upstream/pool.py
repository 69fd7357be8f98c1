"""The links of one backend in one worker: lent, taken back, dialled.

Rules: idle links are a stack, so the warmest is used first and the others can grow old and be closed. A link is idle
for less than backends keep an idle connection (Gunicorn 2 s, Uvicorn 5 s), or else requests race with their closing;
what cannot be sent once more when it loses that race goes on a link only after a look that the backend is still there,
and, while a backend closes idle links all the same, only on one that was idle for half as long at most as those were.
Dialling is the one place of the data plane that awaits.
"""

from __future__ import annotations

import asyncio
import errno
from time import monotonic
from typing import Final, cast

from proxy import engine, faults
from proxy.clock import Clock, Wheel
from proxy.exchange import Exchange
from proxy.http.target import IDEMPOTENT
from proxy.policy.counts import BackendCounts
from proxy.upstream.link import Link
from proxy.upstream.resolve import Resolver
from proxy.upstream.shelf import Shelf, spent
from proxy.upstream.spare import hung_up

WARY: Final = 1.0  # seconds
OURS: Final = frozenset(  # what keeps us from dialling and is no fault of whom we dial
    (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)
)


class Pool:
    """`address` is "host:port", "[v6]:port" or "unix:/path"; at most `keepalive` links are idle, for `idle_time` s."""

    __slots__ = (
        "_bounded", "_brief", "_dialling", "_idle", "_turn", "_wary", "address", "bare_lf", "clock", "counts", "host",
        "idle_time", "keepalive", "lifetime", "links", "requests", "resolver", "shelf", "wheel"
    )  # fmt: skip

    def __init__(self, address: str, clock: Clock, wheel: Wheel, resolver: Resolver | None = None) -> None:
        self.address = address
        self.resolver = resolver
        self._turn = 0
        self._wary = 0.0  # until then the backend is one that closes idle links
        self._brief = 0.0  # seconds that a link may have been idle meanwhile, for what cannot be repeated
        self.host = b"localhost" if address.startswith("unix:") else address.encode()
        self.clock = clock
        self.wheel = wheel
        self.keepalive = 512
        self.idle_time = 1.5
        self.requests = 0
        self.lifetime = 0.0
        self.shelf: Shelf | None = None
        self._bounded = False
        self.bare_lf = False
        self.counts: BackendCounts | None = None
        self.links: set[Link] = set()
        self._idle: dict[Link, None] = {}  # a stack that a link in its midst can leave
        self._dialling: set[asyncio.Task[None]] = set()

    def configure(self, keepalive: int, idle_time: float, requests: int, bare_lf: bool) -> None:
        """`requests` bounds the exchanges of one link (0: no bound)."""
        self.keepalive = keepalive
        self.idle_time = idle_time
        self.requests = requests
        self.bare_lf = bare_lf
        self._bounded = requests > 0

    def bound(self, lifetime: float, shelf: Shelf | None) -> None:
        """Keep no link that is older than `lifetime` seconds (0: no bound), and idle ones on a shelf with others'."""
        self.lifetime = lifetime
        if shelf is not None:
            shelf.join(self)
        elif self.shelf is not None:
            self.shelf.leave(self)
            self.shelf = None
        self._bounded = self.requests > 0 or lifetime > 0 or shelf is not None

    @property
    def idle(self) -> int:
        """How many links are idle."""
        return len(self._idle)

    def coldest(self) -> Link | None:
        """The link that has been idle longest."""
        return next(iter(self._idle), None)

    def lend(self, exchange: Exchange) -> None:
        """Start the exchange on an idle link, or on one that is dialled for it."""
        idle = self._idle
        if not exchange.fresh:
            now = self.clock.now
            twice = exchange.line.method in IDEMPOTENT
            while idle:
                link = idle.popitem()[0]
                transport = link.transport
                if link.due > now and transport is not None and (twice or not hung_up(transport)):
                    if twice or now >= self._wary or now - link.due + self.idle_time < self._brief:
                        link.start(exchange)
                        return
                    idle[link] = None
                    break  # the others are colder
                link.close()
        self.dial(exchange)

    def dial(self, exchange: Exchange) -> None:
        """Start the exchange on a new link, when there is one."""
        task = asyncio.get_running_loop().create_task(self._dial(exchange))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    def give_back(self, link: Link) -> None:
        """A link is free again."""
        if len(self._idle) >= self.keepalive or (self._bounded and self._full(link)):
            link.close()
        else:
            link.due = self.clock.now + self.idle_time
            link.reused = True
            self._idle[link] = None

    def _full(self, link: Link) -> bool:
        """Whether a link is not to be kept by one of the rarer bounds; else there is room for it then."""
        if spent(link, self.requests, self.lifetime, self.clock.now):
            return True
        if self.shelf is not None:
            self.shelf.make_room()
        return False

    def left(self, link: Link) -> None:
        """The backend has closed an idle link, and others may follow."""
        now = self.clock.now
        brief = (now - link.due + self.idle_time) / 2
        self._brief = brief if now >= self._wary else min(brief, self._brief)
        self._wary = now + WARY

    def forget(self, link: Link) -> None:
        """A link's connection is gone."""
        self.links.discard(link)
        self.wheel.discard(link)
        self._idle.pop(link, None)

    def close(self) -> None:
        """Close the idle links; those at work end with their exchanges."""
        self.keepalive = 0
        if self.shelf is not None:
            self.shelf.leave(self)
        self.rest()

    def rest(self) -> None:
        """Close the idle links, for there is nothing to do for some time."""
        while self._idle:
            self._idle.popitem()[0].close()

    async def _dial(self, exchange: Exchange) -> None:
        """An error of our own fails the exchange, too: nobody would hear of it here, and it has no deadline yet."""
        try:
            await self._dialled(exchange, self._made(exchange))
        except Exception:
            self.clock.now = monotonic()
            engine.failed(exchange, faults.NO_SOCKET)
            raise

    async def _dialled(self, exchange: Exchange, link: Link) -> None:
        fault = faults.CONNECT_REFUSED
        backend, trouble = exchange.backend, ""
        try:
            async with asyncio.timeout(self._patience(exchange)):
                await self._connect(link)
        except TimeoutError:
            fault = faults.DEADLINE if self._cut(exchange) else faults.CONNECT_TIMEOUT
        except OSError as error:
            trouble = error.strerror or str(error)
            if error.errno in OURS:
                fault = faults.NO_SOCKET
        self.clock.now = monotonic()
        if link.transport is None:
            engine.failed(exchange, fault)
            if trouble and backend is not None:
                backend.trouble = f"{fault.reason}: {trouble}"
            return
        self.links.add(link)
        if self.counts is not None:
            self.counts.connected(self.clock.now - exchange.attempted)
        if exchange.finished:  # the client left while we dialled
            self.give_back(link)
        else:
            link.start(exchange)

    def _made(self, exchange: Exchange) -> Link:
        """A link that is not connected yet."""
        return Link(self)

    def _patience(self, exchange: Exchange) -> float:
        """Seconds to connect: no longer than the deadline of the exchange, if it has one."""
        connect = exchange.route.timeouts.connect
        return min(connect, max(0.0, exchange.deadline - self.clock.now)) if exchange.deadline else connect

    def _cut(self, exchange: Exchange) -> bool:
        """Whether it was the deadline that ended an attempt to connect: that says nothing about the backend."""
        return 0.0 < exchange.deadline < exchange.attempted + exchange.route.timeouts.connect

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
        first = self._turn = (self._turn + 1) % len(found)  # others dial meanwhile, and each has to try them all
        for step in range(len(found)):
            try:
                await loop.create_connection(lambda: protocol, found[(first + step) % len(found)], port)
                return
            except OSError as error:
                if step == len(found) - 1 or error.errno in OURS:
                    raise
