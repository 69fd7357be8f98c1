"""What the system says of a process: memory, time, descriptors.

Rules: read from /proc (proc(5)); what cannot be read, for whatever reason, is None: the process may be gone, belong to
somebody else, or live on a system without /proc.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final, NamedTuple

PROC: Final = Path("/proc")


class Usage(NamedTuple):
    """Bytes of resident memory, seconds of processor time, descriptors that are open and may be, and when the process
    began (seconds since 1970)."""

    memory: int | None
    busy: float | None
    files: int | None
    most: int | None
    began: float | None


def usage(pid: int) -> Usage:
    """What is known of a process."""
    place = PROC / str(pid)
    memory = files = most = None
    busy = began = None
    try:
        ticks = os.sysconf("SC_CLK_TCK")
        words = (
            (place / "stat").read_text().rpartition(")")[2].split()
        )  # from the third field on: the name holds anything
        busy = (int(words[11]) + int(words[12])) / ticks
        memory = int(words[21]) * os.sysconf("SC_PAGE_SIZE")
        began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + int(words[19]) / ticks
        files = len(os.listdir(place / "fd"))
        most = descriptors((place / "limits").read_text())
    except (OSError, ValueError, IndexError, AttributeError):
        pass
    return Usage(memory, busy, files, most, began)


def descriptors(limits: str) -> int | None:
    """How many a process may open, of what its file of limits says; None for any number."""
    for line in limits.splitlines():
        if line.startswith("Max open files"):
            word = line.split()[3]
            return int(word) if word.isdigit() else None
    return None
