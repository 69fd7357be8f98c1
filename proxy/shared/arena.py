"""Counters that all processes of a host share: one column per name, one row per process.

Rules: every cell is one aligned 64-bit integer with one writer, the process that owns its row; so nobody locks, and
whoever wants the number of the host adds up a column. The last row is the keeper's, the one before it the supervisor's.
A layout only grows: a column once given keeps its meaning, so counters and layouts of before a reload stay valid after
it. The capacity is fixed when the arena is made, because memory that others have mapped does not move. Only whoever may
count no further than a bound (`GaugeCells.claim`) takes a lock; a column has one of those behind the rows. What a
killed holder leaves is right, for the rows are the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from proxy.shared.lock import SIZE as LOCK_SIZE
from proxy.shared.lock import Lock
from proxy.shared.memory import Memory

Name = tuple[str, ...]
CAPACITY: Final = 16384
CELL: Final = 8  # bytes
LOCKS: Final = 64
STALLED: Final = 1.0  # seconds; ten ticks of a worker


class Layout:
    """Which name has which column. Picklable, so that the master can send the grown layout to its children."""

    __slots__ = ("capacity", "columns")

    def __init__(self, names: Iterable[Name] = (), capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.columns: dict[Name, int] = {}
        self.extend(names)

    def __len__(self) -> int:
        return len(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[Name]:
        """The names in the order of their columns."""
        return iter(self.columns)

    def add(self, *name: str) -> int:
        """The column of a name, a new one if it has none yet. ValueError when there is no room."""
        self.extend((name,))
        return self.columns[name]

    def extend(self, names: Iterable[Name]) -> None:
        """Give each name that has none the next free column. ValueError, and nothing added, when there is no room."""
        fresh = [name for name in dict.fromkeys(names) if name not in self.columns]
        wanted = len(self.columns) + len(fresh)
        if wanted > self.capacity:
            raise ValueError(
                f"the counters need {wanted} columns and there is room for {self.capacity}: "
                "restart frontgate so that it makes room for the sites and backends of the new configuration"
            )
        for name in fresh:
            self.columns[name] = len(self.columns)

    def column(self, name: Name) -> int:
        """The column of a known name. KeyError for any other."""
        return self.columns[name]

    def under(self, *prefix: str) -> list[Name]:
        """The names that begin with these words, in the order of their columns."""
        return [name for name in self.columns if name[: len(prefix)] == prefix]


class Arena:
    """`rows` rows of cells in shared memory, the last of them the keeper's; `layout` names the columns.

    Every process makes its own Arena over the same memory, or inherits one; `layout` may grow at any time.
    """

    __slots__ = ("cells_of_all", "layout", "locks", "memory", "rows", "views")

    def __init__(self, memory: Memory, rows: int, layout: Layout) -> None:
        """Use counters, or make them in fresh memory: not by two processes at once. ValueError if the memory is smaller
        than `Arena.size(rows, layout.capacity)`."""
        needed = self.size(rows, layout.capacity)
        if memory.size < needed:
            raise ValueError(f"{rows} rows of counters need {needed} bytes of memory (got {memory.size})")
        self.memory = memory
        self.rows = rows
        self.layout = layout
        width = layout.capacity
        end = rows * width * CELL
        self.cells_of_all = memoryview(memory.map)[:end].cast("q")
        self.locks = [Lock(memory, end + number * LOCK_SIZE) for number in range(LOCKS)]
        self.views = [self.cells_of_all[row * width : (row + 1) * width] for row in range(rows)]

    @staticmethod
    def size(rows: int, capacity: int = CAPACITY) -> int:
        """How many bytes of memory that many rows need."""
        return rows * capacity * CELL + LOCKS * LOCK_SIZE

    @property
    def keeper(self) -> int:
        """The number of the keeper's row."""
        return self.rows - 1

    @property
    def supervisor(self) -> int:
        """The number of the row of whoever runs applications."""
        return self.rows - 2

    def column(self, name: Name) -> int:
        """The column of a known name. KeyError for any other."""
        return self.layout.columns[name]

    def cells(self, row: int) -> memoryview:
        """The cells of one row as signed 64-bit integers; only the row's owner writes to them."""
        return self.views[row]

    def over_rows(self, name: Name) -> memoryview:
        """The cells of one name, one for each row."""
        return self.cells_of_all[self.layout.columns[name] :: self.layout.capacity]

    def total(self, name: Name) -> int:
        """The sum of a column over all rows. KeyError for an unknown name."""
        return sum(self.over_rows(name))

    def clear(self, row: int, names: Iterable[Name] | None = None, *, suffix: str | None = None) -> None:
        """Set cells of a row to 0: those of `names`, or all; of these only the names that end with the word `suffix`.

        For the master, when the owner of the row is dead: what it had in flight is so no longer.
        """
        cells = self.views[row]
        columns = self.layout.columns
        for name in tuple(columns) if names is None else names:
            if suffix is None or name[-1] == suffix:
                cells[columns[name]] = 0


class GaugeCells:
    """A gauge over all workers: this one counts in its row, and the total is that of the column."""

    __slots__ = ("cells", "column", "lock", "over_rows")

    def __init__(self, arena: Arena, row: int, name: Name) -> None:
        self.cells = arena.cells(row)
        self.column = arena.column(name)
        self.lock = arena.locks[self.column % LOCKS]
        self.over_rows = arena.over_rows(name)

    def claim(self, most: int) -> bool:
        """Count one more in this worker's cell, unless the total is `most` already. Exact among all who claim: of those
        who want the last place one gets it. Giving back needs no lock, since it only makes room."""
        self.lock.acquire()
        try:
            if sum(self.over_rows) >= most:
                return False
            self.cells[self.column] += 1
            return True
        finally:
            self.lock.release()

    def add(self, n: int) -> None:
        """Count `n` more, or fewer when negative, in this worker's cell."""
        self.cells[self.column] += n

    def total(self) -> int:
        """The sum over all rows."""
        return sum(self.over_rows)


class SignCells:
    """What others say of a backend: the keeper's checks, the operator, the other workers' votes (`policy.standing`)."""

    __slots__ = ("disabled", "drains", "healths", "row", "since_ms", "until_ms")

    def __init__(self, arena: Arena, row: int, backend: Name) -> None:
        self.row = row
        self.healths = arena.over_rows((*backend, "health"))
        self.drains = arena.over_rows((*backend, "drain"))
        self.disabled = arena.over_rows((*backend, "disabled"))
        self.until_ms = arena.over_rows((*backend, "down_until_ms"))
        self.since_ms = arena.over_rows((*backend, "up_since_ms"))

    def health(self) -> int:
        """What checks say, or whoever runs the backend; only one row holds anything."""
        return max(self.healths)

    def drained(self) -> bool:
        """Whether the operator drains it, or whoever runs it; or the operator has disabled it."""
        return any(self.drains) or self.disabled[-1] != 0

    def shunned(self, now: float) -> bool:
        """Whether another worker keeps it out at this time."""
        now_ms = int(now * 1000)
        return any(until > now_ms and row != self.row for row, until in enumerate(self.until_ms))

    def recovered(self) -> float:
        """When checks found that it is up after it was not, in seconds of the clock; 0.0: it ever was."""
        return max(self.since_ms) / 1000


class HeadCells:
    """Since when each worker's oldest request waits, in microseconds of the host's clock; 0: nobody waits there.

    A worker says at each tick that it looks after those who wait. The head of one that has not done so for STALLED
    seconds counts for nothing, for it is stopped or dead and will not come for the place that is kept for it; nor does
    one that should have gone long ago.
    """

    __slots__ = ("cells", "column", "over_rows", "own", "seen", "seen_over_rows")

    def __init__(self, arena: Arena, row: int, upstream: Name) -> None:
        self.own = row
        self.cells = arena.cells(row)
        self.column = arena.column((*upstream, "waits_since_us"))
        self.over_rows = arena.over_rows((*upstream, "waits_since_us"))
        self.seen = arena.column((*upstream, "looked_us"))
        self.seen_over_rows = arena.over_rows((*upstream, "looked_us"))

    def set(self, since: int, now: float) -> None:
        """What this worker says at this time."""
        self.cells[self.seen] = int(now * 1e6)  # first: whoever sees that somebody waits must not take it for stalled
        self.cells[self.column] = since

    def oldest(self, now: float, longest: float) -> int:
        """The row of the worker with the oldest, or -1; nobody waits for longer than `longest` seconds."""
        row, least = -1, 0
        for place, since in enumerate(self.over_rows):
            if since and (row < 0 or since < least) and (place == self.own or self._alive(place, since, now, longest)):
                row, least = place, since
        return row

    def row(self) -> int:
        """This worker's own."""
        return self.own

    def _alive(self, row: int, since: int, now: float, longest: float) -> bool:
        return self.seen_over_rows[row] >= (now - STALLED) * 1e6 and since >= (now - longest) * 1e6
