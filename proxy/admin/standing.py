"""What the keeper knows of the host: who works, how the last reload went, what is configured, what is counted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.config.model import Model
from proxy.shared.arena import Arena, Name
from proxy.shared.journal import Journals


def nobody() -> None:
    """For a Standing without a master."""


@dataclass
class Standing:
    """The state of the door as a whole. `started` and `reloaded` are seconds since 1970."""

    model: Model
    arena: Arena
    version: str
    started: float
    pids: dict[int, int] = field(default_factory=dict)  # of the workers, by slot
    restarts: int = 0  # of workers
    keeper_restarts: int = 0
    reload_good: bool = True
    reloaded: float = 0.0
    certificates: tuple[tuple[str, str, float], ...] = ()  # site, file or mark, end; 0 for what only stands in
    journals: Journals | None = None  # what workers write of exchanges
    reload: Callable[[], None] = nobody  # asks the master to read the configuration again
    apps: Callable[[], Sequence[Mapping[str, Any]]] = tuple  # applications that are supervised
    pid: int = field(default_factory=os.getppid)  # the master's

    def __post_init__(self) -> None:
        self._indexed = 0
        self._index: dict[Name, list[Name]] = {}

    def total(self, *name: str) -> int:
        """A number over all processes; 0 for what is not counted."""
        return self.arena.total(name) if name in self.arena.layout else 0

    def cell(self, slot: int, *name: str) -> int:
        """A number of one worker; 0 for what is not counted."""
        return int(self.arena.cells(slot)[self.arena.column(name)]) if name in self.arena.layout else 0

    def say(self, number: int, *name: str) -> None:
        """Write a number into the keeper's own row, for the workers to read; a column that is new stays unread."""
        self.arena.cells(self.arena.keeper)[self.arena.column(name)] = number

    def said(self, *name: str) -> int:
        """What stands in the keeper's own row; 0 for what is not there."""
        return self.cell(self.arena.keeper, *name)

    def under(self, *prefix: str) -> list[Name]:
        """The names that begin with up to three words, in the order of their columns, without a look at the others."""
        columns = self.arena.layout.columns
        if self._indexed != len(columns):
            self._indexed = len(columns)
            self._index = {}
            for name in columns:
                for words in range(1, min(len(name), 4)):
                    self._index.setdefault(name[:words], []).append(name)
        return self._index.get(prefix, [])

    def backends(self) -> list[tuple[str, str]]:
        """Upstream and address of every backend that is counted."""
        return list(dict.fromkeys((name[1], name[2]) for name in self.under("backend")))

    def totals(self, names: Iterable[Name]) -> list[tuple[str, int]]:
        """The last word of each name and its number."""
        return [(name[-1], self.arena.total(name)) for name in names]
