"""The scanner of TOML positions: where each key and each array element of a document is written.

Rules: it reads only what `tomllib` has accepted, so it checks nothing and knows just enough of the grammar to find its
way: keys, headers, strings, arrays, inline tables; all else is a run of characters. Values come from `tomllib` alone.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import Final

from proxy.config.source import Position, Where

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")  # white space, line ends and comments
_SPACE: Final = re.compile(r"[ \t]*")
_STRING: Final = re.compile(
    r'"""(?:\\[\s\S]|[^\\])*?""""{0,2}'  # a multi-line string may end in up to five quotes
    r"|'''[\s\S]*?''''{0,2}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
)
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^,\]}\s#]*|[^,\]}\s#]+")  # a date and time may hold one space


def scan(text: str) -> dict[Where, Position]:
    """The position of every key, table and array element of a valid TOML document."""
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.document()
    return scanner.positions


class _Scanner:
    """One walk over one document; `at` is the cursor."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.positions: dict[Where, Position] = {}
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._elements: dict[Where, int] = {}  # elements of each array of tables so far

    def document(self) -> None:
        """Statements until the end: headers and pairs."""
        table: Where = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise ValueError(f"unexpected {self.text[self.at : self.at + 1]!r} at {self._position(self.at)}")
        self.at = match.end()
        return match[0]

    def _position(self, offset: int) -> Position:
        line = bisect_right(self._line_starts, offset)
        return Position(line, offset - self._line_starts[line - 1] + 1)

    def _note(self, where: Where, offset: int) -> None:
        self.positions.setdefault(where, self._position(offset))

    def _key(self) -> list[tuple[str, int]]:
        """A dotted key: its parts and their offsets."""
        parts = []
        while True:
            self._skip(_SPACE)
            start = self.at
            if self.text[start] in "\"'":
                part = str(tomllib.loads(f"k={self._skip(_STRING)}")["k"])
            else:
                part = self._skip(_BARE_KEY)
            parts.append((part, start))
            self._skip(_SPACE)
            if self.text[self.at : self.at + 1] != ".":
                return parts
            self.at += 1

    def _header(self) -> Where:
        """`[table]` or `[[array of tables]]`: the path that the pairs below it belong to."""
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        parts = self._key()
        self.at += brackets
        where: Where = ()
        for number, (part, offset) in enumerate(parts, 1):
            where = (*where, part)
            if number == len(parts) and brackets == 2:
                self._elements[where] = self._elements.get(where, 0) + 1
            self._note(where, offset)
            if where in self._elements:  # below an array of tables the newest element is meant
                where = (*where, self._elements[where] - 1)
                self._note(where, offset)
        return where

    def _pair(self, table: Where) -> None:
        where = table
        for part, offset in self._key():
            where = (*where, part)
            self._note(where, offset)
        self.at += 1  # the "="
        self._skip(_SPACE)
        self._value(where)

    def _value(self, where: Where) -> None:
        first = self.text[self.at]
        if first == "[":
            self._array(where)
        elif first == "{":
            self._inline_table(where)
        elif first in "\"'":
            self._skip(_STRING)
        else:
            self._skip(_SCALAR)

    def _array(self, where: Where) -> None:
        self.at += 1
        index = 0
        self._skip(_BLANK)
        while self.text[self.at] != "]":
            self._note((*where, index), self.at)
            self._value((*where, index))
            index += 1
            self._comma()
        self.at += 1

    def _inline_table(self, where: Where) -> None:
        self.at += 1
        self._skip(_BLANK)
        while self.text[self.at] != "}":
            self._pair(where)
            self._comma()
        self.at += 1

    def _comma(self) -> None:
        self._skip(_BLANK)
        if self.text[self.at] == ",":
            self.at += 1
            self._skip(_BLANK)
