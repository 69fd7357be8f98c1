"""The backends of a group whose servers are names: looked up anew while running, so that they come and go.

Rules: those of nginx (ngx_http_upstream_zone_module.c). Each worker looks up for itself, when what it knows is to be
believed no longer. A name that does not exist any more has no members; any other failure leaves those that there are. A
member keeps its state as long as it is found. Of SRV records those with the best priority are used and the others are
backups, at their own ports, with their own weights unless the server has one. Whoever has gone ends what it has begun.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Final, NamedTuple, Protocol

from proxy.policy.backend import Backend
from proxy.upstream.dns import Found, Missing, Service

AGAIN: Final = 1.0  # seconds after an answer that is no longer to be believed, and after a failure at least

log = logging.getLogger("frontgate")


class Finder(Protocol):
    """Whom to ask (`upstream.dns.Dns`); OSError when there is no answer, Missing when it is that there is nothing."""

    timeout: float

    async def found(self, name: str) -> Found:
        """The addresses of a name."""

    async def services(self, name: str) -> tuple[list[Service], float]:
        """Its SRV records."""


class Member(NamedTuple):
    """One address that a name stands for; `server` is what a consistent hash knows it by, "" for the name itself."""

    address: str
    server: str = ""
    weight: int = 1
    backup: bool = False
    copy: int = 0  # tells those apart that are found several times


class Named:
    """One server that is a name; `make` makes a backend of a member, or fits one that is there."""

    def __init__(self, host: str, port: int, service: str, make: Callable[[Member, Backend | None], Backend]) -> None:
        self.host = host
        self.port = port
        self.service = service
        self.make = make
        self.members: dict[Member, Backend] = {}
        self.due = 0.0
        self.query: asyncio.Task[None] | None = None


class Members:
    """The backends of a group in the order of its servers. `changed` gets all of them when some came or went."""

    def __init__(
        self, servers: Sequence[Backend | Named], finder: Finder, changed: Callable[[list[Backend]], None]
    ) -> None:
        self.servers = tuple(servers)
        self.finder = finder
        self.changed = changed
        self.resting = False
        self.gone: list[Backend] = []  # with exchanges that are not settled yet, or counts that are not told

    @property
    def named(self) -> list[Named]:
        """The servers that are names."""
        return [one for one in self.servers if isinstance(one, Named)]

    def backends(self) -> list[Backend]:
        """All that there are now."""
        found: list[Backend] = []
        for server in self.servers:
            found += server.members.values() if isinstance(server, Named) else (server,)
        return found

    def adopt(self, before: Members) -> None:
        """Begin with the members that names had before a reload; they are looked up again at once."""
        known = {(one.host, one.service): one for one in before.named}
        for one in self.named:
            old = known.get((one.host, one.service))
            if old is not None and (one.service or old.port == one.port):
                one.members = {member: one.make(member, backend) for member, backend in old.members.items()}
            elif old is not None:
                moved = [member._replace(address=at(host_of(member.address), one.port)) for member in old.members]
                one.members = {member: one.make(member, None) for member in moved}
        self.gone = before.gone

    def rest(self) -> None:
        """Look nothing up any more; the members stay, for those who may still come."""
        self.resting = True
        for one in self.named:
            if one.query is not None:
                one.query.cancel()

    def close(self, successor: Members | None = None) -> None:
        """Look nothing up any more, and let go of the members that the successor has not taken over."""
        kept = set(successor.backends()) if successor is not None else set()
        self.rest()
        for one in self.named:
            self._leave(backend for backend in one.members.values() if backend not in kept)

    def tick(self, now: float) -> None:
        """Look up what is due; forget who has gone and is done."""
        self.gone[:] = [one for one in self.gone if one.taken != one.settled or one.reported[0] != one.taken]
        for one in () if self.resting else self.named:
            if one.query is None and now >= one.due:
                one.query = asyncio.get_running_loop().create_task(self._look(one))

    async def _look(self, one: Named) -> None:
        try:
            found, until = await self._services(one) if one.service else await self._addresses(one)
        except Missing as error:
            log.error("%s", error)
            found, until = [], monotonic()
        except OSError as error:
            log.error("%s", error)
            one.due = monotonic() + max(self.finder.timeout, AGAIN)
            one.query = None
            return
        one.due = max(until, monotonic()) + AGAIN
        one.query = None
        self.renew(one, found)

    async def _addresses(self, one: Named) -> tuple[list[Member], float]:
        found = await self.finder.found(one.host)
        return [Member(at(address, one.port)) for address in found.addresses], found.until

    async def _services(self, one: Named) -> tuple[list[Member], float]:
        """The members of SRV records; hosts among them that cannot be resolved are left out, unless all are."""
        records, until = await self.finder.services(service_name(one.service, one.host))
        best = min((record.priority for record in records), default=0)
        members: list[Member] = []
        errors: list[OSError] = []
        for record in records:
            try:
                found = await self.finder.found(record.host)
            except OSError as error:
                log.error("%s while resolving service %s of %s", error, one.service, one.host)
                errors.append(error)
                continue
            backup = record.priority != best
            weight = max(1, record.weight)
            members += [Member(at(one, record.port), record.host, weight, backup) for one in found.addresses]
            until = min(until, found.until)
        if errors and not members:
            raise next((error for error in errors if isinstance(error, Missing)), errors[0])
        return members, until

    def renew(self, one: Named, found: list[Member]) -> None:
        """These are the members of a name now."""
        before, found = one.members, numbered(found)
        after = {member: before[member] for member in before if member in found}
        for member in found:
            if member not in after:
                after[member] = one.make(member, None)
        if list(after) != list(before):
            one.members = after
            self._leave(backend for member, backend in before.items() if member not in after)
            self.changed(self.backends())

    def _leave(self, backends: Iterable[Backend]) -> None:
        for backend in backends:
            backend.pool.close()
            self.gone.append(backend)


def numbered(found: Iterable[Member]) -> list[Member]:
    """The same with copies told apart."""
    seen: dict[Member, int] = {}
    members: list[Member] = []
    for member in found:
        seen[member] = count = seen.get(member, -1) + 1
        members.append(member._replace(copy=count))
    return members


def at(address: str, port: int) -> str:
    """An address with a port, as it is written."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def host_of(address: str) -> str:
    """What `at` was given."""
    return address.rpartition(":")[0].strip("[]")


def service_name(service: str, host: str) -> str:
    """The name whose SRV records are meant: "http" is that of TCP, as in nginx; one with a dot is complete."""
    return f"{service}.{host}" if "." in service else f"_{service.removeprefix('_')}._tcp.{host}"
