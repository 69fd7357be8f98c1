"""How long this machine has kept processes waiting for a processor: what a bound on time has to allow beside what is
tested.

Rules: the kernel counts it for each process (the second number of /proc/PID/schedstat, in nanoseconds). What is lost is
the sum over whoever asks and all the processes that the tests have started and that a request may have to pass; where
nothing is counted, nothing is lost.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")


def _family(pid: int) -> Iterator[int]:
    """The processes that one has started, and theirs."""
    for thread in (PROC / str(pid) / "task").glob("*/children"):
        try:
            children = thread.read_text().split()
        except OSError:  # it has just ended
            continue
        for child in map(int, children):
            yield child
            yield from _family(child)


def _waited(path: Path) -> float:
    """Seconds that somebody has waited for a processor, ever."""
    try:
        return int(path.read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _all() -> dict[int, float]:
    """The same of all who matter, by process; 0 is the thread that asks."""
    found = {pid: _waited(PROC / str(pid) / "schedstat") for pid in _family(os.getpid())}
    return {**found, 0: _waited(PROC / "thread-self" / "schedstat")}


class Watch:
    """Measures a stretch of time, and what the machine has lost of it. For one thread."""

    def __init__(self) -> None:
        self._before = _all()
        self._begun = time.monotonic()

    @property
    def took(self) -> float:
        """Seconds so far, without those that are lost."""
        passed = time.monotonic() - self._begun
        return passed - self.lost

    @property
    def lost(self) -> float:
        """Seconds that are lost so far; those of processes that have ended since are forgotten."""
        return sum(max(0.0, waited - self._before.get(pid, 0.0)) for pid, waited in _all().items())
