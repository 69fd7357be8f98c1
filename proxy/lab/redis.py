"""The Redis that simulated doors share a limit through, and the way to it.

Rules: this stands in for the network, for Redis, which has one thread and decides in the order in which it is asked,
and for a worker's `Store`; batches and circuits are the door's own (`shared.redis.limit`, `policy.limit.circuit`).
Redis's clock is the simulation's.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from proxy.policy.limit.circuit import Circuit
from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.shared.redis.counts import Counts
from proxy.shared.redis.pipe import Command, Heard, Refused
from proxy.shared.redis.script import CHARGING

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.lab.scenario import Distant

At = Callable[[float, Callable[[], object]], None]


class Redis:
    """One Redis: buckets by name, `asked` decisions and `returned` batches; `busy` are the seconds that took it, and
    `late` the decisions that nobody waited for any more."""

    def __init__(self, table: Distant, leaky: Leaky, clock: Clock, at: At) -> None:
        self.table = table
        self.leaky = leaky
        self.clock = clock
        self.at = at
        self.buckets: dict[bytes, tuple[int, int]] = {}
        self.free = 0.0
        self.asked = self.returned = self.late = 0
        self.busy = 0.0

    def count_anew(self) -> None:
        """The warm-up is over."""
        self.asked = self.returned = self.late = 0
        self.busy = 0.0

    def tell(self, command: Command) -> tuple[float, int]:
        """A command is on its way now: when its answer will be there, and what that is."""
        there = self.answers()
        self.free = there - self.table.round_trip / 2.0
        self.busy += self.table.decision
        wanted = int(command.words.split(b"\r\n")[-2])
        if command.script is CHARGING:
            self.asked += 1
            return there, self.charge(command.key, wanted, int((self.free - self.table.decision) * 1000))
        self.returned += 1
        self.give_back(command.key, wanted)
        return there, 0

    def answers(self) -> float:
        """When the answer would be there to what it is asked now."""
        half = self.table.round_trip / 2.0
        return max(self.clock.now + half, self.free) + self.table.decision + half

    def charge(self, name: bytes, wanted: int, now_ms: int) -> int:
        """What the script CHARGE does."""
        excess, last = self.buckets.get(name, (-REQUEST, now_ms))
        allowed, first, last = self.leaky.charge(excess, last, now_ms)
        if not allowed:
            return -1 - first
        granted = min(wanted, (self.leaky.burst - first) // REQUEST + 1)
        self.buckets[name] = first + REQUEST * (granted - 1), last
        return first

    def give_back(self, name: bytes, number: int) -> None:
        """What the script REFUND does."""
        if name in self.buckets:
            excess, last = self.buckets[name]
            self.buckets[name] = max(-REQUEST, excess - REQUEST * number), last


class Away:
    """What a worker has of a Redis, as its limits see it: who waits, until when, and whether it is left alone."""

    def __init__(self, redis: Redis, rng: Random) -> None:
        self.redis = redis
        self.clock = redis.clock
        self.counts = Counts()
        self.row: dict[Command, None] = {}
        self.joined = 0
        self.circuit = Circuit(redis.table.failures, redis.table.recovery, rng)
        self.circuit.close()  # it was reached before there were requests

    def full(self) -> bool:
        """Whether as many wait as may."""
        if len(self.row) + self.joined < self.redis.table.pending:
            return False
        self.counts.full += 1
        return True

    def ask(self, command: Command, since: float = float("inf")) -> bool:
        """Ask for a decision: its `then` is called by the deadline; False when nobody can be asked."""
        if self.circuit.open or self.full():
            return False
        self.row[command] = None
        now = self.clock.now
        due = min(now, since) + self.redis.table.deadline
        there, answer = self.redis.tell(command)
        if there <= due:
            self.redis.at(there, lambda: self._heard(command, answer, there - now))
        else:
            self.redis.at(max(due, now), lambda: self._late(command))
        return True

    def _heard(self, command: Command, answer: Heard, took: float) -> None:
        if command.then is None:
            return  # its circuit has opened meanwhile
        del self.row[command]
        self.circuit.well()
        self.counts.took(took)
        command.end(answer)

    def _late(self, command: Command) -> None:
        if command.then is None:
            return
        del self.row[command]
        self.counts.late += 1
        self.redis.late += 1
        late = [command]
        if self.circuit.failed():
            self.counts.opened += 1
            self.redis.at(self.clock.now + self.circuit.pause(), self._try)
            late += self.row
            self.row.clear()
        for one in late:
            one.end(Refused("no answer in time"))

    def _try(self) -> None:
        """Beside the requests: see whether it decides in time again."""
        redis, now = self.redis, self.clock.now
        there = redis.answers()
        if there - now <= redis.table.deadline:
            redis.at(there, self.circuit.close)
        else:
            redis.at(now + redis.table.deadline + self.circuit.pause(), self._try)
