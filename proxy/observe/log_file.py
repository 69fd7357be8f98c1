"""A log that workers write to: lines gather in memory and go out in one write each tick.

Rules: a log never stops a request. What cannot be written (disk full, a pipe that nobody reads) waits up to FULL bytes
and is then dropped and counted. Several processes append to one file; each write is whole lines.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
from typing import Final

from proxy.observe.opened import descriptor

FULL: Final = 1 << 20  # bytes that are kept for a log that does not take them


class LogFile:
    """`path` is a path or "-" (standard output); OSError if it cannot be opened. `dropped` counts lost lines.

    `write` adds a line, with its line end; it is the append of a list, because that is what logging costs a request.
    """

    __slots__ = ("_due", "_elders", "_fd", "_lines", "_most", "_regular", "_seconds", "dropped", "path", "write")

    def __init__(self, path: str) -> None:
        self.path = path
        self.dropped = 0
        self._lines: list[bytes] = []
        self._elders: list[list[bytes]] = []
        self.write = self._lines.append
        self._fd = -1
        self._regular = False
        self._most = 0
        self._seconds = self._due = 0.0
        self._open()

    def hold(self, size: int, seconds: float) -> None:
        """Let lines gather until there are so many bytes, or for so long (0.0: for ever)."""
        self._most, self._seconds = size, seconds or float("inf")

    def tick(self, now: float) -> None:
        """Write what has gathered, if it is time."""
        if not self._lines and not self._elders:
            return
        if self._most:
            if not self._due:
                self._due = now + self._seconds
            if now < self._due and sum(map(len, self._lines)) < self._most:
                return
            self._due = 0.0
        self.flush()

    def flush(self) -> None:
        """Write what has gathered, as far as it can be written without waiting."""
        for elder in self._elders:
            self._lines += elder
            elder.clear()
        if not self._lines:
            return
        lines = b"".join(self._lines)
        if self._fd < 0:
            self.reopen()
        with contextlib.suppress(OSError):  # the disk is full, say: it may have room at the next tick
            lines = self._written(lines)
        if len(lines) > FULL:
            self.dropped += lines.count(b"\n")
            lines = b""
        self._lines[:] = [lines] if lines else []

    def reopen(self) -> None:
        """Open the file anew, for whoever has moved it away; if that cannot be, go on with the old one."""
        with contextlib.suppress(OSError):
            self._open()

    def _open(self) -> None:
        if self.path == "-":
            fd = 1
        else:
            fd = descriptor(self.path)
        if self._fd > 1:
            os.close(self._fd)
        self._fd = fd
        self._regular = stat.S_ISREG(os.fstat(fd).st_mode)

    def _written(self, lines: bytes) -> bytes:
        """Write, and give back what could not be. A file takes all; of a pipe, which others share and so must not be
        set to non-blocking, `poll` promises room for PIPE_BUF bytes only."""
        if self._regular:
            return lines[os.write(self._fd, lines) :]
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        with contextlib.suppress(OSError):
            while lines and poll.poll(0):
                whole = lines.rfind(b"\n", 0, select.PIPE_BUF) + 1  # what is written at once is not mixed with others'
                lines = lines[os.write(self._fd, lines[: whole or select.PIPE_BUF]) :]
        return lines

    def succeed(self, old: LogFile) -> None:
        """Take the place of another: what is still written to it comes here."""
        self._elders += [old._lines, *old._elders]
        old.close()

    def close(self) -> None:
        """Write what is left and close."""
        self.flush()
        if self._fd > 1:
            os.close(self._fd)
        self._fd = -1
