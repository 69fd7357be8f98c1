"""Where events end in an event stream (WHATWG HTML section 9.2.6): behind an empty line.

Rules: a line ends with CR LF, LF or CR. Only the last few bytes are remembered. Pure.
"""

from __future__ import annotations

import re
from typing import Final

_EMPTY: Final = rb"(?:(?<=\n)(?:\r\n|\n|\r)|(?<=\r)(?:\r\n|\r))"  # a line feed behind CR ends the same line
_EMPTY_LINE: Final = re.compile(_EMPTY)
_LAST: Final = re.compile(_EMPTY + rb"\Z")
_TAIL: Final = 3  # bytes in which an empty line may have begun that ends with the next


class Events:
    """Follows a stream from its first byte."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b"\n\n"  # nothing has come: that is a good end, too

    @property
    def between(self) -> bool:
        """Whether what has come so far ends behind an event."""
        return _LAST.search(self._tail) is not None

    def feed(self, data: bytes) -> None:
        """Take in what passes."""
        self._tail = (self._tail + data)[-_TAIL - 1 :]

    def first(self, data: bytes) -> int:
        """Where in what comes next the first event ends; -1 if none does."""
        tail = self._tail[-_TAIL:]
        for match in _EMPTY_LINE.finditer(tail + data):
            if match.end() > len(tail):
                return match.end() - len(tail)
        return -1
