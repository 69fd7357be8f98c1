"""All numbers of the arena at one instant, added up over its rows, as those who make metrics of them want to read them.

Rules: read in one pass over the columns there are (0.5 us each), because asking for each by its name costs three times
that; so a scrape sees all of them at nearly the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from prometheus_client.core import HistogramMetricFamily

from proxy.policy.counts import BUCKET_NAMES, BUCKETS
from proxy.shared.arena import Arena, Name

MICRO: Final = 1e6
# As Prometheus and OpenMetrics write them: 1 is "1.0".
BOUNDS: Final = (*map(repr, BUCKETS), "+Inf")


class Sums:
    """The numbers by name, and of each kind of thing, the first word, those that there are."""

    def __init__(self, arena: Arena) -> None:
        names = list(arena.layout)
        rows = [arena.cells(row)[: len(names)] for row in range(arena.rows)]
        self._numbers: dict[Name, int] = dict(zip(names, map(sum, zip(*rows, strict=True)), strict=True))
        self._kinds = {kind: list(found) for kind, found in groupby(sorted(names, key=kind_of), kind_of)}

    def of(self, *name: str) -> int:
        """One number; 0 for what is not counted."""
        return self._numbers.get(name, 0)

    def seconds(self, *name: str) -> float:
        """One number of microseconds in seconds."""
        return self.of(*name) / MICRO

    def has(self, *name: str) -> bool:
        """Whether it is counted."""
        return name in self._numbers

    def places(self, kind: str, words: int) -> list[Name]:
        """The things of a kind, which have names of so many words behind it, each once and in the order they came."""
        return list(dict.fromkeys(name[1 : words + 1] for name in self._kinds.get(kind, ())))

    def under(self, *prefix: str) -> list[tuple[Name, int]]:
        """What is counted of one thing: the rest of each name, and its number."""
        size = len(prefix)
        found = self._kinds.get(prefix[0], ())
        return [(name[size:], self._numbers[name]) for name in found if name[:size] == prefix]

    def by_kind(self, kind: str) -> Iterator[tuple[Name, int]]:
        """Everything that is counted of a kind: the rest of each name, and its number."""
        return ((name[1:], self._numbers[name]) for name in self._kinds.get(kind, ()))

    def histogram(self, family: HistogramMetricFamily, labels: Iterable[str], *name: str) -> None:
        """Add a histogram: the cells under a name, and their sum under the same with _us; nothing if it has none."""
        if not self.has(*name, BUCKET_NAMES[0]):
            return
        reached, buckets = 0, []
        for bound, word in zip(BOUNDS, BUCKET_NAMES, strict=True):
            reached += self.of(*name, word)
            buckets.append((bound, float(reached)))
        family.add_metric(list(labels), buckets, self.seconds(*name[:-1], f"{name[-1]}_us"))


def kind_of(name: Name) -> str:
    """What it counts something of."""
    return name[0]
