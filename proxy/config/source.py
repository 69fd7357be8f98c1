"""Where a configuration was written: files, lines, and problems that name them.

Rules: a Problem is one sentence with its place; all that are found travel in one ConfigError. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Where = tuple[str | int, ...]  # a path of keys and array indexes, such as ("site", "api", "route", 0, "path")


class Position(NamedTuple):
    """A place in a file; both count from 1. `file` is the source's own when it is empty."""

    line: int
    column: int
    file: str = ""


@dataclass(frozen=True, order=True)
class Problem:
    """One sentence about one line; line 0 means the file as a whole."""

    file: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sentence}" if self.line else f"{self.file}: {self.sentence}"


class ConfigError(Exception):
    """Everything that is wrong with a configuration, by file and line."""

    def __init__(self, errors: Iterable[Problem]) -> None:
        self.errors: list[Problem] = sorted(set(errors))
        super().__init__("\n".join(map(str, self.errors)))


@dataclass(frozen=True)
class Source:
    """The file a Model was read from, and the position of each of its keys and array elements."""

    file: str
    positions: Mapping[Where, Position] = field(default_factory=dict)

    def line(self, where: Where) -> int:
        """The line of a key, or of the nearest table around it that is written down; 0 when there is none."""
        return self.position(where).line

    def position(self, where: Where) -> Position:
        """The place of a key, or of the nearest table around it that is written down; line 0 when there is none."""
        for end in range(len(where), 0, -1):
            position = self.positions.get(where[:end])
            if position is not None:
                return position
        return Position(0, 0)

    def problem(self, where: Where, sentence: str) -> Problem:
        """A Problem at a key."""
        position = self.position(where)
        return Problem(position.file or self.file, position.line, sentence)
