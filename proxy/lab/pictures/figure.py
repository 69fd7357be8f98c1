"""What a figure shows: panels of lines, bars or heat, in numbers and words.

Rules: a figure tells in its description what one is to see; every number that is drawn is in its `rows`, which become
the table beside the picture and the CSV file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

Cell = str | float
Row = Sequence[Cell]
Table = tuple[Row, Sequence[Row]]  # the columns, the rows
Points = Sequence[tuple[float, float]]

# Where the levels of a heat map begin: of a backend's places, those that are taken; above 1 requests wait.
LEVELS: Final = (0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True)
class Axis:
    """A direction: its label with its unit, and `scale`: linear, log, or exact (linear from the first
    value to the last).

    `least` and `most` are what it must show at least; `names` are words that stand for 0, 1, 2 ...; `ticks` are where
    it is to have ticks, if not at round numbers.
    """

    label: str
    scale: str = "linear"
    least: float | None = None
    most: float | None = None
    names: tuple[str, ...] = ()
    ticks: tuple[float, ...] = ()


@dataclass(frozen=True)
class Line:
    """Points in the order of x, of one thing that is compared."""

    name: str
    points: Points


@dataclass(frozen=True)
class Lines:
    """A panel of lines; `marked` shows each point, for few of them."""

    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    marked: bool = False

    def rows(self) -> Iterator[list[Cell]]:
        """(panel, line, x, y) of each point."""
        for line in self.lines:
            for x, y in line.points:
                yield [self.title, line.name, self.x.names[int(x)] if self.x.names else x, y]


@dataclass(frozen=True)
class Bars:
    """A panel of bars in groups: for each group one value of each name."""

    title: str
    x: Axis
    y: Axis
    groups: tuple[str, ...]
    values: tuple[tuple[str, tuple[float, ...]], ...]  # (name, a value for each group)

    def rows(self) -> Iterator[list[Cell]]:
        """(panel, name, group, value) of each bar."""
        for name, values in self.values:
            for group, value in zip(self.groups, values, strict=True):
                yield [self.title, name, group, value]


@dataclass(frozen=True)
class Heat:
    """A panel of cells: a row for each name, over time; `starts` has one more than there are columns."""

    title: str
    x: Axis
    y: Axis
    names: tuple[str, ...]
    starts: tuple[float, ...]
    cells: tuple[tuple[float, ...], ...]

    def rows(self) -> Iterator[list[Cell]]:
        """(panel, name, begin of the cell, value) of each cell."""
        for name, cells in zip(self.names, self.cells, strict=True):
            for start, value in zip(self.starts, cells, strict=False):
                yield [self.title, name, start, value]


Panel = Lines | Bars | Heat


@dataclass(frozen=True)
class Figure:
    """A picture: `name` is what commands call it, `names` are what is compared, in the order of their colours. Its
    `description` says what is seen, `said` the main numbers, in words, for those who do not see it.

    `columns` say what the four cells of each row are. `subtitle` and `note` stand above and below the picture; `across`
    is how many panels stand beside each other. `table` is one that people read, where that is not what is drawn.
    """

    name: str
    title: str
    description: str
    names: tuple[str, ...]
    panels: tuple[Panel, ...]
    columns: tuple[str, str, str, str] = ("panel", "strategy", "x", "y")
    said: str = ""
    across: int = 1
    subtitle: str = ""
    note: str = ""
    table: Table | None = None

    def rows(self) -> Iterator[list[Cell]]:
        """Every number that is drawn."""
        for panel in self.panels:
            yield from panel.rows()


def level(value: float) -> int:
    """The level of a heat map that a value is in."""
    return sum(1 for least in LEVELS[1:4] if value >= least) + sum(1 for least in LEVELS[4:] if value > least)
