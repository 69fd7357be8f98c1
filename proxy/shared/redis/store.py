"""A worker's Redis: who decides about which key, who waits, and until when.

Rules: no task, future or timer per request. A command is answered, refused or late, once; all have the same deadline,
so they are late in the order in which they were asked, and one alarm serves all. How many wait is bounded, and whoever
would be one too many is told at once. An alarm that rings late is no verdict on Redis: its answer may lie in the
socket, which this worker had no time to read; so the loop gets a turn to read it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Final, Protocol

from proxy.clock import NEVER, Clock, Parking
from proxy.config.redis import CLUSTER, SENTINEL, shown
from proxy.config.redis import Redis as Table
from proxy.shared.redis.cluster import Cluster
from proxy.shared.redis.counts import Counts
from proxy.shared.redis.finding import Address, Finder
from proxy.shared.redis.node import Node
from proxy.shared.redis.pipe import Command, Heard, Refused

STALLED: Final = 0.005  # seconds that an alarm is late when this worker was busy
MEANWHILE: Final = {
    "open": "requests that it would decide pass",
    "shut": "requests that it would decide get 503",
    "local": "this host counts alone",
}
MOVED_EVERY: Final = 5.0  # seconds between questions to Sentinels whether somebody else decides now

log = logging.getLogger("frontgate")


class Nodes(Protocol):
    """Who decides."""

    def of(self, key: bytes) -> Node | None:
        """Who decides about a key; None: nobody is known."""

    def all(self) -> list[Node]:
        """All of them."""

    def start(self) -> None:
        """Reach them, in the running loop."""

    def look(self, now: float) -> None:
        """Now and then: find out whether somebody else decides now."""

    def failing(self, node: Node) -> None:
        """A node cannot be reached."""

    def moved(self, node: Node, command: Command, where: str, for_now: bool) -> bool:
        """A node says that another decides; `for_now`: about this one command. False when that does not help."""

    def close(self) -> None:
        """Ask nobody any more."""


class Single:
    """One server, the one of the URL or whom the Sentinels name."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.node = Node(store, self._find, f"{store.table.prefix}:trial".encode())
        self._due = 0.0
        self._task: asyncio.Task[None] | None = None

    async def _find(self) -> Address:
        finder = self.store.finder
        return await finder.master() if finder.where.kind == SENTINEL else finder.given[0]

    def of(self, key: bytes) -> Node | None:
        """The one."""
        return self.node

    def all(self) -> list[Node]:
        """The one."""
        return [self.node]

    def start(self) -> None:
        """Reach it."""
        self.node.mend()

    def look(self, now: float) -> None:
        """Ask the Sentinels, for an old master that lives on says nothing of itself."""
        idle = self._task is None or self._task.done()
        if self.store.finder.where.kind == SENTINEL and self.node.pipe is not None and now >= self._due and idle:
            self._due = now + MOVED_EVERY
            self._task = asyncio.get_running_loop().create_task(self._compare())

    async def _compare(self) -> None:
        try:
            found = await self.store.finder.master()
        except Exception:
            return  # Sentinels that cannot be asked are no reason to leave who answers
        if self.node.pipe is not None and found != self.node.address:
            self.node.leave(f"the Sentinels name {found} now")

    def failing(self, node: Node) -> None:
        """It looks for the server itself."""

    def moved(self, node: Node, command: Command, where: str, for_now: bool) -> bool:
        """There is no other: this is a cluster, and its URL does not say so."""
        return False

    def close(self) -> None:
        """Ask it no more."""
        if self._task is not None:
            self._task.cancel()
        self.node.close()


class Store:
    """The Redis of a table. `most` requests of this worker may wait at a time."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        parking: Parking,
        soon: Callable[[Callable[[], None]], object],
        counts: Counts | None = None,
    ) -> None:
        """`counts` are gone on with. ValueError with a sentence when the issuers of certificates cannot be had."""
        self.table = table
        self.clock = clock
        self.parking = parking
        self.soon = soon
        self.most = table.pending
        self.name = shown(table.url or "")
        self.meanwhile = MEANWHILE[table.on_failure]
        self.counts = counts or Counts()
        self.waiting = 0  # commands without an answer
        self.joined = 0  # requests that wait for a command which was asked before they came
        self.closed = False
        try:
            self.finder = Finder(table)
        except (OSError, ValueError) as error:
            raise ValueError(f"[redis] trusted_ca {table.trusted_ca} cannot be used: {error}") from None
        self.nodes: Nodes = Cluster(self) if self.finder.where.kind == CLUSTER else Single(self)
        self._order: deque[Command] = deque()
        self._alarm = NEVER
        self._again = False

    # --- life -------------------------------------------------------------------------------------------------------

    async def warm(self) -> None:
        """Begin to reach it; returns when that was tried once, whatever came of it."""
        await self.finder.learn()
        self.nodes.start()
        ends = monotonic() + self.table.connect
        while any(not node.tried.is_set() for node in self.nodes.all()) and monotonic() < ends:
            tries = [asyncio.ensure_future(node.tried.wait()) for node in self.nodes.all()]
            await asyncio.wait(tries, timeout=ends - monotonic())
            for one in tries:
                one.cancel()

    def leave(self) -> None:
        """Close when nobody waits any more, which is soon."""
        if self.waiting:
            self.parking.park(self.clock.now + self.table.deadline, self.leave)
        else:
            self.close()

    def close(self) -> None:
        """Ask no more; whoever waits is refused."""
        self.closed = True
        self.nodes.close()

    # --- decisions --------------------------------------------------------------------------------------------------

    def full(self) -> bool:
        """Whether as many wait as may."""
        if self.waiting + self.joined < self.most:
            return False
        self.counts.full += 1
        return True

    def ask(self, command: Command, since: float = NEVER) -> bool:
        """Ask for a decision: its `then` is called by the deadline, not before this returns. False, and it is not, when
        nobody can be asked. `since` is when the one who wants it began to wait, if that is not now."""
        if self.full():
            return False
        node = self.nodes.of(command.key)
        if node is None or not node.take(command):
            return False
        command.asked = now = self.clock.now
        command.due = due = min(now, since) + self.table.deadline
        self.waiting += 1
        order = self._order
        if order and order[-1].due > due:
            place = len(order)
            while place and order[place - 1].due > due:
                place -= 1
            order.insert(place, command)
        else:
            order.append(command)
        if due < self._alarm:
            self._arm(due)
        return True

    def over(self, command: Command, heard: Heard) -> None:
        """A command has ended, if it had not before."""
        if command.then is None:
            return
        self.waiting -= 1
        counts = self.counts
        if isinstance(heard, Refused):
            counts.refused += 1
        else:
            counts.took(self.clock.now - command.asked)
        self._tell(command, heard)

    def troubled(self, node: Node, command: Command, error: str) -> None:
        """Redis has said an error: mend it at once if that can be done, else the command has failed."""
        kind, _, rest = error.partition(" ")
        pipe = node.pipe
        if command.then is not None and command.tries < 3 and pipe is not None:
            command.tries += 1
            if kind == "NOSCRIPT":
                pipe.load(command.script)
                pipe.send(command)
                return
            if kind in ("MOVED", "ASK") and self.nodes.moved(node, command, rest.partition(" ")[2], kind == "ASK"):
                return
        node.refused(command, error)

    def failing(self, node: Node) -> None:
        """A node cannot be reached."""
        self.nodes.failing(node)

    def tick(self) -> None:
        """What is periodic."""
        if not self.closed:
            self.nodes.look(self.clock.now)
        self.counts.waiting = self.waiting + self.joined
        self.counts.left_alone = sum(node.circuit.open for node in self.nodes.all())

    # --- deadlines --------------------------------------------------------------------------------------------------

    def _arm(self, due: float) -> None:
        self._alarm = due
        self.parking.park(due, partial(self._look, due))

    def _look(self, alarm: float) -> None:
        """The first who may be late may be late."""
        if alarm != self._alarm:  # another was set since
            return
        self._alarm = NEVER
        now, order = self.clock.now, self._order
        if now - alarm > STALLED and not self._again and order:
            self._again = True
            self._arm(now + 0.001)
            return
        self._again = False
        while order and (order[0].then is None or order[0].due <= now):
            command = order.popleft()
            if command.then is not None:
                self._late(command)
        if order and order[0].due < self._alarm:
            self._arm(order[0].due)

    def _late(self, command: Command) -> None:
        then, command.then = command.then, None  # first: the node may be left now, with all who wait for it
        self.waiting -= 1
        self.counts.late += 1
        command.at.late()
        command.then = then
        self._tell(command, Refused("no answer in time"))

    def _tell(self, command: Command, heard: Heard) -> None:
        try:
            command.end(heard)
        except Exception:  # of a request that went on: none of Redis's business, and of no other request's
            log.exception("a request could not go on behind its limit")
