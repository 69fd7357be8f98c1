"""Says in the error log that a process has no file descriptor left.

Rules: libuv then takes each new connection on a descriptor that it has put aside for this, closes it and says nothing,
and accepts on as soon as there is one again. Nobody hears of it but the clients, so we look at each tick (1 us).
"""

from __future__ import annotations

import errno
import logging
import os
import resource
from typing import Final

PAUSE: Final = 60.0  # seconds between two lines

log = logging.getLogger("frontgate")


class Descriptors:
    """Looks whether another descriptor can be had. `fd` is one that is open."""

    __slots__ = ("_fd", "_said")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._said = float("-inf")

    def look(self, now: float) -> bool:
        """Whether there is one; if not, that is said, at most once in PAUSE seconds."""
        try:
            os.close(os.dup(self._fd))
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            if now - self._said >= PAUSE:
                self._said = now
                log.error("%s: new connections are closed and backends cannot be reached", reason(error))
            return False
        return True


def reason(error: OSError) -> str:
    """Whose descriptors are used up."""
    if error.errno == errno.ENFILE:
        return "the system has no file descriptors left"
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return f"all {most} file descriptors of this process are in use (raise LimitNOFILE= or ulimit -n)"
