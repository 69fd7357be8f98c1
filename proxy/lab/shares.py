"""What the workers of simulated doors know together: what is in flight, who waits longest, what checks say.

Rules: these stand in for the cells of the shared arena, with the same meaning; the policies do not see the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from proxy.policy.backend import Backend
from proxy.policy.standing import UNCHECKED, WELL
from proxy.upstream.queue import Queue


class StaleGauge:
    """A gauge that is read from a board: `seen` is what was in flight when somebody last looked (Mitzenmacher 2000,
    periodic updates). Places under `max_conns` are claimed by what is true."""

    __slots__ = ("count", "seen")

    def __init__(self) -> None:
        self.count = self.seen = 0

    def add(self, n: int) -> None:
        """Count `n` more, or fewer when negative."""
        self.count += n

    def claim(self, most: int) -> bool:
        """Count one more unless there are `most` already."""
        if self.count >= most:
            return False
        self.count += 1
        return True

    def total(self) -> int:
        """What the board says."""
        return self.seen


class Sign:
    """What a door's checks say of one backend: a state of `policy.standing`, and since when it is well again."""

    __slots__ = ("since", "state")

    def __init__(self, state: int = UNCHECKED) -> None:
        self.state = state
        self.since = 0.0

    def found(self, state: int, now: float) -> None:
        """A check has changed its mind."""
        if state == WELL and self.state not in (WELL, UNCHECKED):
            self.since = now
        self.state = state


class WorkerSigns:
    """A backend's signs as one worker sees them; `others` are the same backend at the door's other workers."""

    __slots__ = ("others", "sign")

    def __init__(self, sign: Sign) -> None:
        self.sign = sign
        self.others: Sequence[Backend] = ()

    def health(self) -> int:
        """What checks say."""
        return self.sign.state

    def drained(self) -> bool:
        """Nobody drains it."""
        return False

    def shunned(self, now: float) -> bool:
        """Whether another worker keeps it out at this time."""
        return any(other.resting(now) and not other.pardoned for other in self.others)

    def recovered(self) -> float:
        """When checks found that it is up after it was not; 0.0: it ever was."""
        return self.sign.since


class Bound:
    """Which backend each client is bound to, by what backends are called in cookies; for `timeout` seconds from when
    it was last there."""

    __slots__ = ("_known", "timeout")

    def __init__(self) -> None:
        self.timeout = inf
        self._known: dict[bytes, tuple[bytes, float]] = {}

    def backend_of(self, session: bytes, now: float) -> bytes:
        """The id of a client's backend, b"" for one that is not bound."""
        sid, until = self._known.get(session, (b"", 0.0))
        return sid if now < until else b""

    def learn(self, session: bytes, sid: bytes, now: float, create: bool) -> None:
        """A client was served by a backend."""
        self._known[session] = sid, now + self.timeout


class WorkerHeads:
    """Since when each worker's oldest request waits: one list for all workers of a door."""

    __slots__ = ("own", "rows")

    def __init__(self, rows: list[int], own: int) -> None:
        self.rows = rows
        self.own = own

    def set(self, since: int, now: float) -> None:
        """What this worker says."""
        self.rows[self.own] = since

    def oldest(self, now: float, longest: float) -> int:
        """The worker whose request waits longest, or -1."""
        waiting = [(since, row) for row, since in enumerate(self.rows) if since]
        return min(waiting)[1] if waiting else -1

    def row(self) -> int:
        """This worker's own."""
        return self.own


class DoorQueue(Queue):
    """A queue that has another worker of its door look in the next turn, where production rings a bell."""

    lines: Sequence[DoorQueue] = ()
    later: Callable[[Callable[[], None]], object]

    def ring(self, row: int) -> None:
        """Have another worker look."""
        if row < len(self.lines):
            self.later(self.lines[row].look)
