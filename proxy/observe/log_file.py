"""A log that workers write to: lines gather in memory and go out in one write each tick.

Rules: a log never stops a request. What cannot be written (disk full, a pipe that nobody reads) waits up to FULL bytes
and is then dropped and counted. Several processes append to one file; each write is whole lines.
"""

from __future__ import annotations

import os
import select
from typing import Final

FULL: Final = 1 << 20  # bytes that are kept for a log that does not take them


class LogFile:
    """`path` is a path or "-" (standard output). `dropped` counts lines that could not be written.

    `write` adds a line, with its line end; it is the append of a list, because that is what logging costs a request.
    """

    __slots__ = ("_fd", "_lines", "dropped", "path", "write")

    def __init__(self, path: str) -> None:
        self.path = path
        self.dropped = 0
        self._lines: list[bytes] = []
        self.write = self._lines.append
        self._fd = -1
        self.reopen()

    def flush(self) -> None:
        """Write what has gathered."""
        if not self._lines:
            return
        lines = b"".join(self._lines)
        if self._ready():
            try:
                lines = lines[os.write(self._fd, lines) :]
            except OSError:
                self._fd = -1 if self.path != "-" else self._fd
        if len(lines) > FULL:
            self.dropped += lines.count(b"\n")
            lines = b""
        self._lines[:] = [lines] if lines else []

    def reopen(self) -> None:
        """Open the file anew, for whoever has moved it away. OSError at the first opening only."""
        if self.path == "-":
            self._fd = 1
            return
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd

    def close(self) -> None:
        """Write what is left and close."""
        self.flush()
        if self._fd > 2:
            os.close(self._fd)
        self._fd = -1

    def _ready(self) -> bool:
        if self._fd < 0:
            try:
                self.reopen()
            except OSError:
                return False
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(0))
