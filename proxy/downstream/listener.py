"""One address that clients connect to: takes their connections in, says who they are, and knows what they may ask for.

Rules: what a client says about itself is believed only from `trusted` peers. A reload replaces `sites`, `reader`,
`timeouts` and `trusted` between two requests; connections stay.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import count
from typing import Protocol

from proxy.clock import Clock, Wheel
from proxy.downstream.capacity import Capacity
from proxy.downstream.h1 import Http1
from proxy.downstream.leave import Leave
from proxy.downstream.reader import HeadReader
from proxy.downstream.spool import Spool, Spools
from proxy.exchange import Client
from proxy.http.message import RequestFields, RequestHead
from proxy.http.render import render_identity
from proxy.http.target import valid_host
from proxy.policy.routing import Sites
from proxy.timeouts import Timeouts

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Trust:
    """Which peers may say who their client is: networks, and whether unix sockets count among them."""

    __slots__ = ("networks", "unix")

    def __init__(self, networks: tuple[Network, ...] = (), unix: bool = False) -> None:
        self.networks = networks
        self.unix = unix

    def holds(self, address: Address) -> bool:
        """Whether an address belongs to a trusted peer."""
        return any(address in network for network in self.networks)


class Count(Protocol):
    """Counts connections: one more, or one fewer."""

    def __call__(self, change: int) -> None: ...


def parsed_address(text: str) -> Address:
    """An address as proxies write it: with a port or without, IPv6 in brackets or not; IPv4 in IPv6 is IPv4.

    ValueError for anything else, also for zones, which mean something on their own host only.
    """
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    if "%" in text:
        raise ValueError(text)
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def request_ids(seed: bytes) -> Iterator[bytes]:
    """Request ids without end: the hexadecimal digits of the seed and 16 of a count (0.1 us each)."""
    low = [b"%03x" % number for number in range(4096)]
    for high in count():
        base = b"%b%013x" % (seed.hex().encode(), high)
        for digits in low:
            yield base + digits


class Listener:
    """An address and its open connections. `draining` closes each of them at the end of its exchange.

    `ids` are the ids of its requests.
    """

    __slots__ = (
        "_count",
        "_placed",
        "capacity",
        "clock",
        "connections",
        "draining",
        "ids",
        "most_kept",
        "name",
        "reader",
        "scheme",
        "server",
        "sites",
        "spools",
        "timeouts",
        "trust",
        "wheel",
    )

    def __init__(
        self, name: str, scheme: bytes, clock: Clock, wheel: Wheel, counter: Count, capacity: Capacity
    ) -> None:
        self.name = name
        self.scheme = scheme
        self.clock = clock
        self.wheel = wheel
        self.connections: set[Http1 | Leave] = set()
        self.draining = False
        self.server: asyncio.Server | None = None
        self._count = counter
        self._placed: dict[object, Client | None] = {}  # connections that have a place, and as whom they are counted
        self.capacity = capacity
        self.ids = request_ids(os.urandom(8))
        self.sites: Sites
        self.reader: HeadReader
        self.timeouts: Timeouts
        self.trust: Trust
        self.spools: Spools
        self.most_kept: int

    def configure(
        self, sites: Sites, reader: HeadReader, timeouts: Timeouts, trust: Trust, spools: Spools, most_kept: int
    ) -> None:
        """Take over what a new configuration says. `most_kept` bounds what is kept of one answer for a slow client."""
        self.spools = spools
        self.most_kept = most_kept
        self.sites = sites
        self.reader = reader
        self.timeouts = timeouts
        self.trust = trust
        for connection in self.connections:
            if isinstance(connection, Http1) and connection.transport is not None:
                connection.client = self.who(connection.transport)

    async def open(self, sock: object, context: ssl.SSLContext | None) -> None:
        """Accept on a socket that listens already. With TLS a handshake has 10 s (60 s is asyncio's default)."""
        loop = asyncio.get_running_loop()
        limits: dict[str, float] = {}
        if context is not None:
            # uvloop counts the second from the close on, while what was written may still be going out.
            limits = {"ssl_handshake_timeout": 10.0, "ssl_shutdown_timeout": self.timeouts.send}
        self.server = await loop.create_server(lambda: Http1(self), sock=sock, ssl=context, **limits)  # type: ignore[call-overload]

    def close(self) -> None:
        """Accept no more, and close each connection when its exchange is over."""
        self.draining = True
        if self.server is not None:
            self.server.close()
        for connection in tuple(self.connections):
            connection.drain()

    def route(self, head: RequestHead) -> object:
        """The route of a request head, which the head remembers."""
        head.route = route = self.sites.site(head.fields.host).route(head.line.path)
        head.sites = self.sites
        return route

    def spool(self) -> Spool | None:
        """Where an answer waits for its client; None when none is to be kept."""
        return self.spools.open(self.most_kept) if self.most_kept else None

    def admit(self, connection: Http1, transport: asyncio.Transport) -> Client:
        """A new connection; gives back who it is. One for which there is no place is closed at once."""
        client = self.who(transport)
        admitted = self.capacity.admits(client, self.connections, self.clock.now)
        self.connections.add(connection)
        self.wheel.add(connection)
        self._count(1)
        if not admitted:
            transport.abort()
        else:
            self._placed[connection] = client if self.capacity.per_address else None
        return client

    def who(self, transport: asyncio.BaseTransport) -> Client:
        """The client at the other end of a connection."""
        plain = transport.get_extra_info("socket")
        if plain is not None and plain.family == socket.AF_UNIX:
            return Client(b"unix:", b"", self.scheme, render_identity(b"unix:", self.scheme), self.trust.unix)
        peer = transport.get_extra_info("peername")
        if not isinstance(peer, tuple):  # it was reset before we looked: nobody we could answer or count by
            return Client(b"-", b"", self.scheme, render_identity(b"-", self.scheme))
        address = parsed_address(peer[0].partition("%")[0])
        text = str(address).encode()
        trusted = bool(self.trust.networks) and self.trust.holds(address)
        return Client(text, address.packed, self.scheme, render_identity(text, self.scheme), trusted)

    def replace(self, connection: Http1, leave: Leave) -> None:
        """A connection is over, and another looks after its end."""
        self.connections.discard(connection)
        self.wheel.discard(connection)
        self.connections.add(leave)
        self.wheel.add(leave)
        if connection in self._placed:
            self._placed[leave] = self._placed.pop(connection)

    def dismiss(self, connection: Http1 | Leave) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self.wheel.discard(connection)
        self._count(-1)
        if connection in self._placed:
            self.capacity.leave(self._placed.pop(connection))

    def believe(self, peer: Client, fields: RequestFields) -> Client:
        """The client that a trusted peer speaks for: the right-most address of X-Forwarded-For that is not trusted
        itself (nginx's `real_ip_recursive on`); the peer's own if it names none."""
        chain = fields.forwarded.get(b"x-forwarded-for", b"")
        scheme = fields.forwarded.get(b"x-forwarded-proto", b"").lower()
        if scheme not in (b"http", b"https"):
            scheme = peer.scheme
        address: Address | None = None
        for word in reversed(chain.split(b",")):
            try:
                address = parsed_address(word.strip(b" \t").decode("ascii"))
            except ValueError:
                break
            if not self.trust.holds(address):
                break
        text = peer.address if address is None else str(address).encode()
        packed = peer.packed if address is None else address.packed
        # X-Real-IP is the client's, X-Forwarded-For the whole chain with the peer behind it.
        identity = render_identity(text, scheme, b"%b, %b" % (chain, peer.address) if chain else peer.address)
        host = fields.forwarded.get(b"x-forwarded-host", b"")
        host_line = b"X-Forwarded-Host: %b\r\n" % host if valid_host(host) else b""
        return Client(text, packed, scheme, identity, True, host_line)
