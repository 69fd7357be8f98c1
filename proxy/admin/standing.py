"""What the keeper knows of the host: who works, how the last reload went, what is configured, what is counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from proxy.config.model import Model
from proxy.shared.arena import Arena, Name


@dataclass
class Standing:
    """The state of the door as a whole. `started` and `reloaded` are seconds since 1970."""

    model: Model
    arena: Arena
    version: str
    started: float
    pids: dict[int, int] = field(default_factory=dict)  # of the workers, by slot
    restarts: int = 0
    reload_good: bool = True
    reloaded: float = 0.0
    certificates: tuple[tuple[str, str, float], ...] = ()  # site, file or mark, end; 0 for what only stands in

    def total(self, *name: str) -> int:
        """A number over all processes; 0 for what is not counted."""
        return self.arena.total(name) if name in self.arena.layout else 0

    def cell(self, slot: int, *name: str) -> int:
        """A number of one worker; 0 for what is not counted."""
        return int(self.arena.cells(slot)[self.arena.column(name)]) if name in self.arena.layout else 0

    def second_words(self, first: str) -> list[str]:
        """What there is of a kind: ("site", NAME, ...) gives the names, each once, in the order they came."""
        return list(dict.fromkeys(name[1] for name in self.arena.layout.under(first)))

    def backends(self) -> list[tuple[str, str]]:
        """Upstream and address of every backend that is counted."""
        return list(dict.fromkeys((name[1], name[2]) for name in self.arena.layout.under("backend")))

    def totals(self, names: Iterable[Name]) -> list[tuple[str, int]]:
        """The last word of each name and its number."""
        return [(name[-1], self.arena.total(name)) for name in names]
