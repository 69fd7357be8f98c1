"""Makes the changing backends of an upstream with servers that are names (`resolve`).

Rules: members count under their server's name, all together, so that what is counted stays bounded; what is in flight
at each, its failures and its breaker are those of this worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from proxy.config.resolver import Resolver as ResolverTable
from proxy.config.upstream import Server
from proxy.policy.backend import Backend
from proxy.policy.balance.sticky import sid_of
from proxy.shared.arena import GaugeCells, SignCells
from proxy.upstream.dns import Dns, Found, Service
from proxy.upstream.members import Finder, Member, Named
from proxy.upstream.resolve import ask_system

Configure = Callable[[Backend, Server], None]


class PartGauge:
    """What is in flight at one member; it is told to the column of all of them too."""

    __slots__ = ("count", "whole")

    def __init__(self, whole: GaugeCells) -> None:
        self.count = 0
        self.whole = whole

    def add(self, n: int) -> None:
        """Count `n` more, or fewer when negative."""
        self.count += n
        self.whole.add(n)

    def claim(self, most: int) -> bool:
        """Count one more unless there are `most` here already."""
        if self.count >= most:
            return False
        self.add(1)
        return True

    def total(self) -> int:
        """What has been counted."""
        return self.count


class NameSigns:
    """What others say of a member: that the operator drains the whole name."""

    __slots__ = ("cells",)

    def __init__(self, cells: SignCells) -> None:
        self.cells = cells

    def health(self) -> int:
        """Members are not checked each."""
        return 0

    def drained(self) -> bool:
        """Whether the operator drains the name."""
        return self.cells.drained()

    def shunned(self, now: float) -> bool:
        """Other workers' votes are about other members."""
        return False

    def recovered(self) -> float:
        """Members are not checked."""
        return 0.0


class System:
    """The system's own resolver, for upstreams without name servers: answers hold for `valid` seconds."""

    def __init__(self, valid: float) -> None:
        self.valid = valid
        self.timeout = 0.0

    async def found(self, name: str) -> Found:
        """The addresses of a name."""
        answer = await ask_system(name)
        return Found(tuple(dict.fromkeys(answer.addresses)), monotonic() + self.valid)

    async def services(self, name: str) -> tuple[list[Service], float]:
        """The system knows no SRV records."""
        raise OSError(f"{name} could not be resolved: a service needs a resolver with name servers")


def finder(table: ResolverTable | None, valid: float) -> Finder:
    """Whom an upstream asks. ValueError when what asks is not installed."""
    if table is None:
        return System(valid)
    return Dns(table.servers, table.valid, table.ipv4, table.ipv6, table.timeout)


def named(server: Server, new: Callable[[str], Backend], whole: GaugeCells, configure: Configure) -> Named:
    """A server that is a name. `new` makes a bare backend for an address, `configure` fits it to a table."""

    def make(member: Member, backend: Backend | None) -> Backend:
        if backend is None:
            backend = new(member.address)
            backend.inflight = PartGauge(whole)
        weight = server.weight if server.weight != 1 or not server.service else member.weight
        backend.shares = True
        configure(backend, server.model_copy(update={"weight": weight, "backup": server.backup or member.backup}))
        backend.counted = True
        backend.server = member.server or server.name or server.address
        backend.sid = sid_of(member.address, server.route)
        return backend

    host, _, port = server.address.rpartition(":")
    return Named(host, int(port), server.service, make)


def signs(backends: Sequence[Backend], cells: Callable[[Backend], SignCells]) -> list[SignCells | NameSigns]:
    """What others say of each backend."""
    return [NameSigns(cells(one)) if one.shares else cells(one) for one in backends]
