"""Where the decisions are made: what Sentinels and nodes of a cluster say, asked by redis-py, and how one dials there.

Rules: control plane: everything here awaits, has a time limit given by whoever asks, and raises.
"""

from __future__ import annotations

import asyncio
import importlib
import ssl
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from proxy.config.redis import ONE, SENTINEL, Whereabouts
from proxy.config.redis import Redis as Table
from proxy.shared.redis.pipe import hiredis
from proxy.shared.redis.script import SCRIPTS, packed

if TYPE_CHECKING:
    from proxy.shared.redis.pipe import Pipe

NAME: Final = b"frontgate"


class Address(NamedTuple):
    """A host and port, or the path of a socket."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Slots = list[tuple[int, int, Address]]
"""First and last slot of a range, and the node that decides there."""


def missing(kind: str) -> str:
    """What is not installed and is needed for this kind of URL; "" when all is there."""
    if hiredis is None:
        return "hiredis"
    return "redis" if kind != ONE and find_spec("redis") is None else ""


def _node(told: list[Any], asked: Address) -> Address:
    """A node as CLUSTER SLOTS tells it; one that does not know its own host is the one that was asked."""
    host = told[0].decode() if isinstance(told[0], bytes) else told[0]
    return Address(host if host and host != "?" else asked.host, int(told[1]))


class Finder:
    """Finds and dials, by a table. `failures` are what these raise when it is not our fault."""

    def __init__(self, table: Table) -> None:
        """OSError or ValueError when the issuers of certificates cannot be had."""
        self.table = table
        self.where: Whereabouts = table.where
        self.failures: tuple[type[Exception], ...] = (OSError, TimeoutError, hiredis.HiredisError)
        self.library: Any = None
        self.tls = ssl.create_default_context(cafile=table.trusted_ca) if self.where.tls else None

    @property
    def given(self) -> list[Address]:
        """The addresses of the URL."""
        where = self.where
        return [Address("", 0, where.path)] if where.path else [Address(*one) for one in where.hosts]

    async def learn(self) -> None:
        """Load what is needed to find somebody: beside the loop, since that takes its time."""
        if self.where.kind != ONE:
            await self._load()

    async def _load(self) -> None:
        if self.library is None:
            self.library = await asyncio.to_thread(importlib.import_module, "redis.asyncio")
            self.failures += (self.library.RedisError,)

    async def master(self) -> Address:
        """The server that the Sentinels name now."""
        where, limits = self.where, self._limits()
        login = {"username": where.sentinel_user, "password": where.sentinel_password, **limits}
        sentinels = self.library.Sentinel(list(where.hosts), sentinel_kwargs=login)
        try:
            host, port = await sentinels.discover_master(where.service)
        finally:
            for one in sentinels.sentinels:
                await one.aclose()
        return Address(str(host), int(port))

    async def slots(self, addresses: list[Address]) -> Slots:
        """Who decides which slots, by the first of these nodes that says so."""
        problem: Exception = ConnectionError("there is no node to ask")
        for address in dict.fromkeys(addresses):
            login: dict[str, Any] = {"username": self.where.user, "password": self.where.password, **self._limits()}
            node = self.library.Redis(host=address.host, port=address.port, **login)
            try:
                found = await node.execute_command("CLUSTER", "SLOTS")
            except self.failures as error:
                problem = error
            else:
                return [(one[0], one[1], _node(one[2], address)) for one in found]
            finally:
                await node.aclose()
        raise problem

    async def client(self) -> Any:
        """A client of redis-py, for what is no decision."""
        await self._load()
        where, limits = self.where, self._limits()
        login = {"username": where.user, "password": where.password, "db": where.database}
        if where.path:
            return self.library.Redis(unix_socket_path=where.path, **login, **limits)
        if where.kind == ONE:
            return self.library.Redis(host=where.hosts[0][0], port=where.hosts[0][1], **login, **limits)
        if where.kind == SENTINEL:
            known = {"username": where.sentinel_user, "password": where.sentinel_password, **limits}
            return self.library.Sentinel(list(where.hosts), sentinel_kwargs=known).master_for(
                where.service, **login, **limits
            )
        del login["db"], limits["retry"]
        nodes = [self.library.cluster.ClusterNode(*one) for one in where.hosts]
        return self.library.RedisCluster(startup_nodes=nodes, **login, **limits)

    async def dial(self, address: Address, make: Callable[[], Pipe]) -> Pipe:
        """A connection that is logged in and has the scripts."""
        loop = asyncio.get_running_loop()
        if address.path:
            _, pipe = await loop.create_unix_connection(make, address.path, ssl=self.tls, server_hostname=self._name())
        else:
            _, pipe = await loop.create_connection(make, address.host, address.port, ssl=self.tls)
        try:
            where = self.where
            if where.password is not None:
                await pipe.ask(packed(b"AUTH", *(one.encode() for one in (where.user, where.password) if one)))
            if where.database:
                await pipe.ask(packed(b"SELECT", b"%d" % where.database))
            await pipe.ask(packed(b"CLIENT", b"SETNAME", NAME))
            for script in SCRIPTS:
                await pipe.ask(script.load)
        except BaseException:
            pipe.give_up("it did not begin well")
            raise
        return pipe

    def _name(self) -> str | None:
        return "localhost" if self.tls is not None else None

    def _limits(self) -> dict[str, Any]:
        seconds = self.table.connect
        tls = {"ssl": True, "ssl_ca_certs": self.table.trusted_ca} if self.where.tls else {}
        return {
            "socket_timeout": seconds,
            "socket_connect_timeout": seconds,
            "retry": None,
            **tls,
        }
