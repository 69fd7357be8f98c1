"""Small files that a worker keeps in memory, so that a hit costs a look into a dictionary and one write.

Rules: bounded in bytes; when it is full all is forgotten. What is kept is trusted for a second, and only if the file
had been left alone for some when it was looked at; otherwise each request looks at it again, so that what has just been
written is seen at once. A file that is the same (device, number, size, times) need not be read again.
"""

from __future__ import annotations

import os
from typing import Final

from proxy.clock import Clock
from proxy.http.message import ResponseHead

SMALL: Final = 64 << 10  # bytes of a file that may be kept
MOST: Final = 32 << 20  # bytes of all
TRUST: Final = 1.0  # seconds
SETTLED: Final = 3.0  # seconds that a file has not been written to
COST: Final = 1024  # bytes that keeping anything costs besides

Identity = tuple[int, int, int, int, int]


class Kept:
    """A file: its head as it is sent to who asks for nothing special, its bytes, and until when it is trusted."""

    __slots__ = ("body", "dies", "head", "identity", "path", "until")

    def __init__(self, path: bytes, head: ResponseHead, body: bytes, found: os.stat_result, dies: float) -> None:
        self.dies = dies  # when it is no longer what would be sent
        self.path = path
        self.head = head
        self.body = body
        self.identity = identity(found)
        self.until = 0.0


def identity(found: os.stat_result) -> Identity:
    """What tells a file from all others, and from itself before it was changed."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class Shelf:
    """What a worker keeps, in sections: one for each destination, which knows what its heads look like."""

    __slots__ = ("_clock", "_sections", "_size")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sections: list[dict[bytes, Kept]] = []
        self._size = 0

    def section(self) -> dict[bytes, Kept]:
        """A new section: files by the paths that mean them."""
        section: dict[bytes, Kept] = {}
        self._sections.append(section)
        return section

    def put(self, section: dict[bytes, Kept], uri: bytes, kept: Kept, found: os.stat_result) -> None:
        """Keep the file that a path means."""
        before = section.get(uri)
        self._size += len(kept.body) + len(uri) + COST
        if before is not None:
            self._size -= len(before.body) + len(uri) + COST
        if self._size > MOST:
            for one in self._sections:
                one.clear()
            self._size = len(kept.body) + len(uri) + COST
        section[uri] = kept
        self.trust(kept, found)

    def trust(self, kept: Kept, found: os.stat_result) -> None:
        """It has been looked at, and is what it was."""
        quiet = self._clock.wall - max(found.st_mtime, found.st_ctime)
        kept.until = self._clock.now + TRUST if quiet > SETTLED else 0.0

    def still(self, section: dict[bytes, Kept], uri: bytes, kept: Kept) -> bool:
        """Whether a file is what it was; if not, it is forgotten."""
        try:
            found = os.stat(kept.path)
            if identity(found) == kept.identity:
                self.trust(kept, found)
                return True
        except OSError:  # gone, or out of reach
            pass
        del section[uri]
        self._size -= len(kept.body) + len(uri) + COST
        return False
