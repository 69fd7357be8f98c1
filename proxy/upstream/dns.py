"""Addresses and services of names, asked of name servers that a configuration names itself (nginx: `resolver`).

Rules: those of ngx_resolver.c, so that its documentation holds. A and AAAA are asked for together, and an error of
either is an error; answers are believed for their time to live or for `valid`, errors are not kept; servers take turns.
An answer that gives nothing but another name leads there, and then that of AAAA counts. Everybody who asks for a name
shares one query, which ends when nobody waits for it any more. Since a client may be who chooses the names, the oldest
are dropped beyond MOST, and beyond MOST_QUERIES nobody is asked. Each query has a socket of its own, whose port nobody
can guess.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, Final, NamedTuple

from proxy.upstream.resolve import literal

try:
    dns: Any = importlib.import_module("dns")  # dnspython, of the extra "dns"
    for _part in ("asyncquery", "exception", "message", "rcode", "rdatatype"):
        importlib.import_module(f"dns.{_part}")
except ImportError:
    dns = None

MOST: Final = 8192  # names that are remembered
MOST_QUERIES: Final = 256  # names that are asked for at a time, each with one socket or two
LINGER: Final = 0.1  # seconds that a query goes on for nobody: a socket that is just being made would never be closed
DEEPEST: Final = 50  # names that lead to names
AGAIN: Final = 5.0  # seconds after which a query is repeated, at the next server
MISSING: Final = "a resolver needs dnspython: pip install 'frontgate[dns]'"


class Missing(OSError):
    """A name does not exist, or has nothing of the kind that was asked for."""


class Found(NamedTuple):
    """What is known of a name: its addresses, and until when (monotonic)."""

    addresses: tuple[str, ...]
    until: float


class Service(NamedTuple):
    """One SRV record (RFC 2782)."""

    priority: int
    weight: int
    host: str
    port: int


class Reply(NamedTuple):
    """What one query has brought: values, the name that it leads to instead, and seconds to live."""

    values: tuple[Any, ...]
    leads: str
    ttl: float


Asking = Callable[[str, str, float], Awaitable[Reply]]  # name, type of record, seconds


class Dns:
    """A resolver with name servers of its own ("address" or "address:port"); of one process and one loop.

    `valid` replaces the time to live (0: it counts), `ipv4` and `ipv6` say which addresses are wanted, and `timeout`
    is how long anybody waits, all in seconds. ValueError without dnspython. `ask` stands in for the servers in tests.
    """

    def __init__(
        self,
        servers: Sequence[str],
        valid: float = 0.0,
        ipv4: bool = True,
        ipv6: bool = True,
        timeout: float = 30.0,
        ask: Asking | None = None,
    ) -> None:
        if ask is None and dns is None:
            raise ValueError(MISSING)
        self.servers = [place(server) for server in servers]
        self.valid = valid
        self.types = (("A",) if ipv4 else ()) + (("AAAA",) if ipv6 else ())
        self.timeout = timeout
        self._ask: Asking = ask or self._question
        self._turn = -1
        self._known: dict[str, Found] = {}
        self._queries: dict[str, asyncio.Task[Found]] = {}
        self._waiting: dict[str, int] = {}  # how many wait for each query

    async def addresses(self, name: str) -> list[str]:
        """The addresses of a name, IPv4 first. OSError when it has none, or nobody says so in time."""
        return list((await self.found(name)).addresses)

    def known(self, name: str) -> list[str] | None:
        """The addresses of a name that is known, without waiting."""
        found = self._known.get(name)
        return list(found.addresses) if found is not None and found.until > monotonic() else None

    async def found(self, name: str) -> Found:
        """The same, and until when it is believed. An address gives itself."""
        name = name.lower().removesuffix(".")
        if literal(name):
            return Found((name,), float("inf"))
        # "localhost" is asked for like any other, as nginx does: whoever names name servers wants their answers.
        known = self._known.get(name)
        if known is not None and known.until > monotonic():
            return known
        try:
            async with asyncio.timeout(self.timeout):
                return await self._shared(name, 0)
        except TimeoutError:
            raise OSError(f"{name} could not be resolved: no answer in {self.timeout:g} s") from None

    async def services(self, name: str) -> tuple[list[Service], float]:
        """The SRV records of a name, and until when they are believed (monotonic). OSError as above."""
        try:
            async with asyncio.timeout(self.timeout):
                reply = await self._followed(name, "SRV")
        except TimeoutError:
            raise OSError(f"{name} could not be resolved: no answer in {self.timeout:g} s") from None
        if not reply.values:
            raise Missing(f"{name} has no SRV record")
        return sorted(reply.values, key=_preferred), monotonic() + (self.valid or reply.ttl)

    async def _followed(self, name: str, kind: str) -> Reply:
        """The answer about a name, or about the one that it leads to."""
        ttl = float("inf")
        for _ in range(DEEPEST):
            self._turn += 1
            reply = await self._ask(name, kind, self.timeout)
            ttl = min(ttl, reply.ttl)
            if reply.values or not reply.leads:
                return reply._replace(ttl=ttl)
            name = reply.leads
        raise OSError(f"{name} could not be resolved: too many names lead to each other")

    async def close(self) -> None:
        """End the queries that are on their way."""
        queries = list(self._queries.values())
        for query in queries:
            query.cancel()
        await asyncio.gather(*queries, return_exceptions=True)

    async def _shared(self, name: str, depth: int) -> Found:
        """Wait for the query about a name, begun now or before; whoever is the last to stop waiting ends it."""
        known = self._known.get(name)
        if known is not None and known.until > monotonic():
            return known
        query = self._queries.get(name)
        if query is None:
            if len(self._queries) >= MOST_QUERIES:
                self._none(name, "too many names are being asked for")
            query = asyncio.get_running_loop().create_task(self._query(name, depth))
            self._queries[name] = query
            query.add_done_callback(lambda done: self._ended(name, done))
        self._waiting[name] = self._waiting.get(name, 0) + 1
        try:
            await asyncio.wait({query})
        finally:
            self._left(name, query)
        return query.result() if not query.cancelled() else self._none(name, "the resolver was closed")

    def _left(self, name: str, query: asyncio.Task[Found]) -> None:
        """One fewer waits for a query."""
        if self._queries.get(name) is not query:  # it has ended, and another may have begun
            return
        self._waiting[name] -= 1
        if not self._waiting[name]:
            asyncio.get_running_loop().call_later(LINGER, self._forsaken, name, query)

    def _forsaken(self, name: str, query: asyncio.Task[Found]) -> None:
        """End a query if nobody has come to wait for it."""
        if self._queries.get(name) is query and not self._waiting[name]:
            del self._queries[name], self._waiting[name]  # whoever asks now begins anew
            query.cancel()

    def _ended(self, name: str, query: asyncio.Task[Found]) -> None:
        if self._queries.get(name) is query:
            del self._queries[name], self._waiting[name]
        if not query.cancelled() and query.exception() is None:
            self._known.pop(name, None)
            while len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
            self._known[name] = query.result()

    async def _query(self, name: str, depth: int) -> Found:
        """Ask for all types at once, and for the name that the answers lead to."""
        if depth > DEEPEST:
            self._none(name, "too many names lead to each other")
        self._turn += 1
        try:
            async with asyncio.timeout(self.timeout):
                replies = await asyncio.gather(*(self._ask(name, one, self.timeout) for one in self.types))
                addresses = tuple([address for reply in replies for address in reply.values])
                until = monotonic() + (self.valid or min([reply.ttl for reply in replies if reply.values], default=0))
                if addresses:
                    return Found(addresses, until)
                if not replies or not replies[-1].leads:
                    raise Missing(f"{name} could not be resolved: host not found")
                target = await self._shared(replies[-1].leads, depth + 1)
                ttl = self.valid or replies[-1].ttl
                return Found(target.addresses, min(monotonic() + ttl, target.until))
        except TimeoutError:
            return self._none(name, "no answer in time")

    def _none(self, name: str, trouble: str) -> Found:
        raise OSError(f"{name} could not be resolved: {trouble}")

    async def _question(self, name: str, kind: str, timeout: float) -> Reply:
        """Ask the servers in turn until one answers; what it says is final, as in nginx. OSError."""
        trouble = "no answer"
        until, turn = monotonic() + timeout, self._turn
        try:
            query = dns.message.make_query(name, kind)
            while (left := until - monotonic()) > 0:
                server, port = self.servers[turn % len(self.servers)]
                turn += 1
                try:
                    answer, _ = await dns.asyncquery.udp_with_fallback(
                        query,
                        server,
                        min(AGAIN, left),
                        port,
                        ignore_unexpected=True,
                        ignore_errors=True,
                        one_rr_per_rrset=True,  # the same record twice is two
                    )
                except dns.exception.Timeout:
                    continue
                return self._read(name, kind, answer)
        except (dns.exception.DNSException, ValueError, EOFError) as error:
            trouble = str(error) or type(error).__name__
        raise OSError(f"{name} could not be resolved: {trouble}")

    @staticmethod
    def _read(name: str, kind: str, answer: Any) -> Reply:
        """The records of a kind, whatever they are called in the answer (as nginx takes them)."""
        if answer.rcode():
            kind_of = Missing if answer.rcode() == dns.rcode.NXDOMAIN else OSError
            raise kind_of(f"{name} could not be resolved: {dns.rcode.to_text(answer.rcode())}")
        values: list[Any] = []
        ttls: list[float] = []
        leads = ""
        for records in answer.answer:
            written = dns.rdatatype.to_text(records.rdtype)
            ttls.append(records.ttl)
            if written == kind == "SRV":
                values += [
                    Service(one.priority, one.weight, one.target.to_text(omit_final_dot=True), one.port)
                    for one in records
                ]
            elif written == kind:
                values += [one.address for one in records]
            elif written == "CNAME":
                leads = records[0].target.to_text(omit_final_dot=True).lower()
        return Reply(tuple(values), leads, min(ttls, default=0.0))


def _preferred(service: Service) -> tuple[int, int]:
    """Records with a lower priority come first, and of those the heavier."""
    return service.priority, -service.weight


def place(server: str) -> tuple[str, int]:
    """Address and port of a name server; ValueError when it is no address."""
    if literal(server):
        return server, 53
    host, _, port = server.rpartition(":") if server.rpartition(":")[2].isdigit() else (server, "", "53")
    host = host.strip("[]")
    if not literal(host):
        raise ValueError(f'is no address of a name server: "{server}"')
    return host, int(port)
