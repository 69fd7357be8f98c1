"""One address that clients connect to: takes their connections in, says who they are, and knows what they may ask for.

Rules: what a client says about itself is believed only from `trusted` peers. A reload replaces `sites`, `reader`,
`timeouts` and `trusted` between two requests; connections stay.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import count
from typing import Final, Protocol

from proxy.clock import Clock, Wheel
from proxy.downstream.capacity import Capacity
from proxy.downstream.doorstep import Doorstep
from proxy.downstream.entrance import Entrance
from proxy.downstream.h1 import Http1
from proxy.downstream.h2.choice import Choice
from proxy.downstream.h2.connection import Http2
from proxy.downstream.h2.counts import StreamCounts
from proxy.downstream.h2.engine import Terms
from proxy.downstream.handshake import handshake_of
from proxy.downstream.herald import Heralds
from proxy.downstream.leave import Leave
from proxy.downstream.porch import Porch
from proxy.downstream.reader import HeadReader
from proxy.downstream.shaken import HandshakeCounts
from proxy.downstream.spool import Spool, Spools
from proxy.downstream.telling import Telling
from proxy.http.message import RequestFields, RequestHead
from proxy.http.proxy_protocol import Proxied
from proxy.http.render import render_identity
from proxy.http.streams import StreamReader
from proxy.http.target import valid_host
from proxy.parties import Client, Connection
from proxy.policy.pattern import Endless
from proxy.policy.routing import Sites
from proxy.timeouts import Timeouts

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


Open = Http1 | Http2 | Choice | Doorstep  # a connection that is not over

ANY: Final = 1 << 62  # requests of a connection


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


@lru_cache(4096)
def _known(peer: str, scheme: bytes) -> tuple[Address, bytes, bytes, bytes]:
    """A peer's address, as text and as bytes, and its identity (10 us to find out)."""
    address = parsed_address(peer.partition("%")[0])
    text = str(address).encode()
    return address, text, address.packed, render_identity(text, scheme)


def request_ids(seed: bytes) -> Iterator[bytes]:
    """Request ids without end: the hexadecimal digits of the seed and 16 of a count (0.1 us each)."""
    low = [b"%03x" % number for number in range(4096)]
    for high in count():
        base = b"%b%013x" % (seed.hex().encode(), high)
        for digits in low:
            yield base + digits


class Listener:
    """An address and its open connections, each closed at the end of its exchange when it has had `most_requests`.

    `ids` are the ids of its requests.
    """

    __slots__ = (
        "_count",
        "_key",
        "_serial",
        "capacity",
        "clock",
        "connections",
        "counts",
        "handshakes",
        "http2",
        "ids",
        "most_kept",
        "most_requests",
        "name",
        "porch",
        "reader",
        "remembers",
        "scheme",
        "server",
        "sites",
        "spools",
        "streams",
        "terms",
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
        self.connections: set[Open | Leave] = set()
        self.most_requests = ANY
        self.remembers = False  # a log may ask for a connection's facts when it is gone
        self.server: asyncio.Server | Heralds | Entrance | None = None
        self.porch = Porch()
        self._count = counter
        self._serial = 0
        self.capacity = capacity
        self.ids = request_ids(os.urandom(8))
        self.sites: Sites
        self.reader: HeadReader
        self.timeouts: Timeouts
        self.trust: Trust
        self.spools: Spools
        self.most_kept: int
        self.http2 = False  # it is spoken where a plain connection begins with it
        self.counts = StreamCounts()  # the worker's
        self.handshakes = HandshakeCounts()  # the worker's
        self.terms: Terms | None = None  # what its clients are granted, if there is an engine
        self.streams: StreamReader
        self._key = b64encode(os.urandom(16))

    def configure(
        self, sites: Sites, reader: HeadReader, timeouts: Timeouts, trust: Trust, spools: Spools, most_kept: int
    ) -> None:
        """Take over what a new configuration says. `most_kept` bounds what is kept of one answer for a slow client."""
        self.spools = spools
        self.most_kept = most_kept
        self.sites = sites
        self.reader = reader
        self.streams = StreamReader(reader, self._key)
        self.timeouts = timeouts
        self.trust = trust
        for connection in self.connections:
            if not isinstance(connection, Leave) and connection.transport is not None:
                client = self.who(connection.transport)
                proxied = connection.proxied if isinstance(connection, Http1 | Http2) else None
                connection.client = client if proxied is None else self.introduced(client, proxied)

    async def open(self, sock: socket.socket, context: ssl.SSLContext | None, heralded: bool = False) -> None:
        """Accept on a socket that listens already.

        `heralded`: connections begin with a PROXY header.
        """
        entrance = Entrance(self, sock, context, self.porch) if context is not None else None
        if heralded:
            self.server = Heralds(self, sock, self.made, entrance)
        elif entrance is not None:
            entrance.open()
            self.server = entrance
        else:
            loop = asyncio.get_running_loop()
            self.server = await loop.create_server(self.made, sock=sock)  # type: ignore[arg-type]

    def made(self, proxied: Proxied | None = None) -> Http1 | Choice:
        """The protocol of a new connection without TLS, which may have had a PROXY header before it."""
        connection = self.fresh(proxied)
        return Choice(self, connection) if self.http2 else connection

    def fresh(self, proxied: Proxied | None = None) -> Http1:
        """What speaks HTTP/1 on a new connection."""
        connection = Telling(self) if self.reader.dialect.lenient else Http1(self)
        connection.proxied = proxied
        return connection

    def close(self) -> None:
        """Accept no more, and close each connection when its exchange is over."""
        if self.server is not None:
            self.server.close()
        self.retire()

    def retire(self) -> None:
        """Close each connection when its exchange is over, those too that are still to come."""
        self.most_requests = 0
        self.drain()

    def drain(self) -> None:
        """Have its connections end, if none of them is kept any more. To be called until they have."""
        for connection in tuple(self.connections):
            connection.drain()

    def route(self, head: RequestHead) -> object:
        """The route of a request head, which the head remembers if it was found."""
        try:
            head.route = route = self.sites.site(head.fields.host).route(head.line.path)
        except Endless as problem:
            return self.sites.unknown(problem)
        head.sites = self.sites
        return route

    def spool(self) -> Spool | None:
        """Where an answer waits for its client; None when none is to be kept."""
        return self.spools.open(self.most_kept) if self.most_kept else None

    def admit(self, connection: Open, transport: asyncio.Transport) -> Client:
        """A new connection; gives back who it is. One for which there is no place is closed at once."""
        client = self.who(transport)
        admitted = self.capacity.admits(connection, client, self.clock.now)
        self.connections.add(connection)
        self.wheel.add(connection)
        self._count(1)
        if not admitted:
            transport.abort()
        return client

    def who(self, transport: asyncio.BaseTransport) -> Client:
        """The client at the other end of a connection."""
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            address, text, packed, identity = _known(peer[0], self.scheme)
            trusted = bool(self.trust.networks) and self.trust.holds(address)
            return Client(text, packed, self.scheme, identity, trusted)
        plain = transport.get_extra_info("socket")
        if plain is not None and plain.family == socket.AF_UNIX:
            return Client(b"unix:", b"", self.scheme, render_identity(b"unix:", self.scheme), self.trust.unix)
        # It was reset before we looked: nobody we could answer or count by.
        return Client(b"-", b"", self.scheme, render_identity(b"-", self.scheme))

    def introduced(self, peer: Client, proxied: Proxied) -> Client:
        """The client that a PROXY header names, if its peer is trusted and names one."""
        if not peer.trusted or not proxied.address:
            return peer
        identity = render_identity(proxied.address, self.scheme)
        trusted = self.trust.holds(parsed_address(proxied.address.decode()))
        return Client(proxied.address, proxied.packed, self.scheme, identity, trusted, port=proxied.port)

    def facts(self, transport: asyncio.BaseTransport | None) -> Connection:
        """What is known of a connection beyond its client, for those who ask."""
        peer = transport.get_extra_info("peername") if transport is not None else None
        own = transport.get_extra_info("sockname") if transport is not None else None
        server, server_port = (own[0], own[1]) if isinstance(own, tuple) else (f"unix:{own or ''}", 0)
        nobody = "-" if isinstance(own, tuple) else "unix:"  # it was reset before we looked, or has no address
        address, port = (peer[0], peer[1]) if isinstance(peer, tuple) else (nobody, 0)
        known = Connection(address.partition("%")[0].encode(), port, server.partition("%")[0].encode(), server_port)
        self._serial += 1
        known.serial = self._serial
        known.opened = self.clock.now
        known.tls = handshake_of(transport.get_extra_info("ssl_object")) if transport is not None else None
        return known

    def replace(self, connection: Open, heir: Http1 | Http2 | Leave) -> None:
        """A connection has come to its next part, its TLS or its end, and another looks after that."""
        self.connections.discard(connection)
        self.wheel.discard(connection)
        self.connections.add(heir)
        self.wheel.add(heir)
        self.capacity.succeed(connection, heir)

    def dismiss(self, connection: Open | Leave) -> None:
        """A connection is gone, if it has ever been here: of one whose handshake failed the loop tells its Http1."""
        if connection not in self.connections:
            return
        self.connections.discard(connection)
        self.wheel.discard(connection)
        self._count(-1)
        self.capacity.leave(connection)

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
