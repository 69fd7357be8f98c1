"""Addresses of host names, asked for again when their time is over.

Rules: nobody waits for a name that is known. When its time is over the last good addresses are given once more, and a
query goes on behind. They are kept for ever, for a name server that fails or is slow says nothing about the backends;
each run of failures is logged once. Everybody who asks for a name shares one query. With
aiodns (c-ares) the time to live is that of DNS, within bounds; without it the system is asked in a thread and an answer
is believed for the configured time. Both read /etc/hosts and know search domains.
"""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

try:
    aiodns: Any = importlib.import_module("aiodns")  # the extra "dns"
except ImportError:
    aiodns = None

SHORTEST: Final = 1.0  # seconds that an answer is believed at least
LONGEST: Final = 3600.0  # and at most
AGAIN: Final = 5.0  # seconds after a failure before the next query
TIMEOUT: Final = 2.0  # seconds for a name server, the first of three times
LOCALHOST: Final = ("127.0.0.1", "::1")  # RFC 6761 6.3: never asked for

log = logging.getLogger("frontgate")


class Answer(NamedTuple):
    """What a look-up has found; `ttl` is in seconds, None when it is not known."""

    addresses: Sequence[str]
    ttl: float | None = None


Lookup = Callable[[str], Awaitable[Answer]]


class Cares:
    """Looks names up with c-ares. `nameservers` ("address" or "address:port") replace those of the system."""

    def __init__(self, nameservers: Sequence[str] = ()) -> None:
        self.nameservers = nameservers
        self._resolver: Any = None  # belongs to the running loop

    async def __call__(self, host: str) -> Answer:
        """OSError when there is no answer."""
        if self._resolver is None:
            self._resolver = aiodns.DNSResolver(self.nameservers or None, timeout=TIMEOUT, tries=3)
        try:
            found = await self._resolver.getaddrinfo(host, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM)
        except aiodns.error.DNSError as error:
            raise OSError(str(error.args[-1])) from error
        names = [node.addr[0].decode() if isinstance(node.addr[0], bytes) else node.addr[0] for node in found.nodes]
        return Answer(names, min((one.ttl for one in [*found.nodes, *found.cnames]), default=None))

    async def close(self) -> None:
        """Ask no more, unless asked again."""
        resolver, self._resolver = self._resolver, None
        if resolver is not None:
            await resolver.close()


async def ask_system(host: str) -> Answer:
    """Look a name up as the system does, in a thread. OSError when there is no answer."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return Answer([str(place[4][0]) for place in found])


def named(address: str) -> bool:
    """Whether a backend's address has a host name that has to be looked up."""
    host = address.rpartition(":")[0].strip("[]")
    return not address.startswith("unix:") and host.lower() != "localhost" and not literal(host)


class Known:
    """What is known of one name. `until` is when it has to be asked for again."""

    __slots__ = ("addresses", "query", "trouble", "until")

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.until = float("-inf")
        self.trouble = ""  # why the last query failed
        self.query: asyncio.Task[None] | None = None


class Resolver:
    """Looks up and remembers; of one process and one loop. `valid` is for how long without a time to live, in s."""

    def __init__(self, valid: float = 30.0, lookup: Lookup | None = None) -> None:
        self.valid = valid
        self._lookup: Lookup = lookup or (ask_system if aiodns is None else Cares())
        self._known: dict[str, Known] = {}
        self._retiring: asyncio.Task[None] | None = None

    async def addresses(self, host: str, now: float) -> list[str]:
        """The addresses of a host name, IPv4 first; `now` is monotonic. OSError if it was never known and cannot be.

        An address gives itself, without asking anybody (an IPv6 address stands without brackets).
        """
        if host.lower() == "localhost":
            return list(LOCALHOST)
        if literal(host):
            return [host]
        known = self._known.setdefault(host.lower(), Known())
        if now >= known.until and known.query is None:
            known.query = asyncio.get_running_loop().create_task(self._query(host, known, now))
        if known.query is not None and not known.addresses:
            await asyncio.wait({known.query})  # whoever stops waiting does not end it for others
        if not known.addresses:
            raise OSError(f"{host}: {known.trouble or 'no answer'}")
        return list(known.addresses)

    async def close(self) -> None:
        """End the queries that are on their way."""
        queries = self._queries()
        for query in queries:
            query.cancel()
        await asyncio.gather(*queries, return_exceptions=True)
        if isinstance(self._lookup, Cares):
            await self._lookup.close()

    def retire(self) -> None:
        """Close when the queries on their way have ended, for exchanges wait for them. It can still be asked, and then
        begins anew."""
        self._retiring = asyncio.get_running_loop().create_task(self._retire())

    async def _retire(self) -> None:
        while queries := self._queries():
            await asyncio.wait(queries)
        await self.close()

    def _queries(self) -> list[asyncio.Task[None]]:
        return [known.query for known in self._known.values() if known.query is not None]

    async def _query(self, host: str, known: Known, now: float) -> None:
        try:
            answer = await self._lookup(host)
            found = in_order(answer.addresses)
            if not found:
                raise OSError("the name has no address")
        except Exception as error:  # a name that cannot be encoded, a library that cannot begin: it is not resolved
            self._failed(host, known, getattr(error, "strerror", None) or str(error) or type(error).__name__)
            known.until = now + AGAIN if known.addresses else now + SHORTEST
        else:
            self._learned(host, known, found)
            ttl = self.valid if answer.ttl is None else answer.ttl
            known.until = now + min(max(ttl, SHORTEST), LONGEST)
        finally:
            known.query = None

    def _failed(self, host: str, known: Known, trouble: str) -> None:
        if not known.trouble:
            kept = f"its last addresses stay in use ({', '.join(known.addresses)})" if known.addresses else ""
            log.warning("%s cannot be resolved: %s%s", host, trouble, f"; {kept}" if kept else "")
        known.trouble = trouble

    def _learned(self, host: str, known: Known, found: list[str]) -> None:
        if known.trouble:
            log.warning("%s is resolved again: %s", host, ", ".join(found))
        elif known.addresses and known.addresses != found:
            log.info("%s has moved: %s, was %s", host, ", ".join(found), ", ".join(known.addresses))
        known.addresses, known.trouble = found, ""


def literal(host: str) -> bool:
    """Whether a host is an address already, with brackets or without."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def in_order(addresses: Iterable[str]) -> list[str]:
    """Each address once, IPv4 first, then by number: name servers shuffle, and a shuffle is no change."""
    return sorted(set(addresses), key=_place)


def _place(address: str) -> tuple[int, int, str]:
    plain = ipaddress.ip_address(address)
    return plain.version, int(plain), address
