"""What has been made of heads that may come again, remembered within bounds.

Rules: bounded by entries and by bytes, and a head over LONGEST is not remembered at all: whoever sends heads that never
come again costs a known amount of memory and no more. When it is full all is forgotten, which keeps looking up cheap.
"""

from __future__ import annotations

from typing import Final, TypeVar

ENTRIES: Final = 512
LONGEST: Final = 4096  # bytes of a head
MOST: Final = 256 << 10  # bytes of all heads

Key = TypeVar("Key")
Value = TypeVar("Value")


class Memo(dict[Key, Value]):
    """Looked up as a dict is; filled by `remember` alone."""

    __slots__ = ("_size",)

    def __init__(self) -> None:
        super().__init__()
        self._size = 0

    def remember(self, key: Key, value: Value, size: int) -> None:
        """Keep what was made of a head of `size` bytes, if there is room for the like."""
        if size > LONGEST:
            return
        if len(self) >= ENTRIES or self._size + size > MOST:
            self.clear()
            self._size = 0
        self[key] = value
        self._size += size
