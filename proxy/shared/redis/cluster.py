"""The nodes of a cluster, and which of them decides about which slot.

Rules: a node's word that another decides (MOVED) is followed at once and the whole map asked for anew; until a map has
come nobody can be asked. Each node has a circuit of its own, so one that is gone costs only its own keys.
"""

from __future__ import annotations

import asyncio
from binascii import crc_hqx
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from proxy.shared.redis.finding import Address
from proxy.shared.redis.node import Node

if TYPE_CHECKING:
    from proxy.shared.redis.pipe import Command
    from proxy.shared.redis.store import Store

SLOTS: Final = 16384
EVERY: Final = 5.0  # seconds between two maps
SOONEST: Final = 0.2  # seconds


def slot_of(key: bytes) -> int:
    """The slot of a key, by its tag (the specification of Redis Cluster: CRC16, XMODEM)."""
    return crc_hqx(key[key.index(b"{") + 1 : key.index(b"}")], 0) % SLOTS


class Cluster:
    """All nodes that decide."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.slots: list[Node | None] = [None] * SLOTS
        self.nodes: dict[Address, Node] = {}
        self._due = 0.0
        self._task: asyncio.Task[None] | None = None
        self._unknown = Node(store, self._nowhere, b"")  # stands for all while there is no map

    def of(self, key: bytes) -> Node | None:
        """Who decides about a key."""
        return self.slots[slot_of(key)]

    def all(self) -> list[Node]:
        """All of them."""
        return list(self.nodes.values()) or [self._unknown]

    def start(self) -> None:
        """Ask for the map, and reach the nodes."""
        self._ask_for_map()

    def look(self, now: float) -> None:
        """Ask for the map now and then."""
        if now >= self._due:
            self._due = now + EVERY
            self._ask_for_map()

    def failing(self, node: Node) -> None:
        """Perhaps another has its slots by now."""
        self._due = min(self._due, self.store.clock.now + SOONEST)

    def moved(self, node: Node, command: Command, where: str, for_now: bool) -> bool:
        """Ask the node that was named."""
        host, _, port = where.rpartition(":")
        other = self.nodes.get(Address(host or (node.address.host if node.address else ""), int(port or 0)))
        if not for_now:
            self.failing(node)
        if other is None or other.pipe is None:
            return False
        if for_now:
            command.at = other
            other.pipe.redirect(command)
            return True
        self.slots[slot_of(command.key)] = other
        return other.take(command)

    def close(self) -> None:
        """Ask nobody any more."""
        if self._task is not None:
            self._task.cancel()
        for node in self.nodes.values():
            node.close()

    async def _nowhere(self) -> Address:
        raise ConnectionError("there is no map of the cluster")

    def _ask_for_map(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._map())

    async def _map(self) -> None:
        await self.store.finder.learn()
        try:
            async with asyncio.timeout(self.store.table.connect * (len(self.nodes) + 1)):
                found = await self.store.finder.slots([*self.nodes, *self.store.finder.given])
        except self.store.finder.failures as problem:
            if not self.nodes:
                self._unknown.tell(str(problem) or "no node says who decides")
                self._unknown.tried.set()
                self._due = self.store.clock.now + self.store.table.recovery
            return
        self._unknown.tell("")
        self._adopt({address: None for _, _, address in found})
        slots: list[Node | None] = [None] * SLOTS
        for first, last, address in found:
            slots[first : last + 1] = [self.nodes[address]] * (last + 1 - first)
        self.slots = slots
        self._unknown.tried.set()

    def _adopt(self, wanted: dict[Address, None]) -> None:
        """Know these nodes, and no others."""
        for address in list(self.nodes.keys() - wanted.keys()):
            self.nodes.pop(address).close()
        for address in wanted.keys() - self.nodes.keys():
            node = self.nodes[address] = Node(self.store, self._at(address), b"")
            node.mend()

    def _at(self, address: Address) -> Callable[[], Awaitable[Address]]:
        async def find() -> Address:
            return address

        return find
