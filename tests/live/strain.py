"""How long this machine keeps processes waiting: what a bound on time has to allow beside what is tested.

Rules: a process of its own sleeps and works a little, again and again; by how much that takes longer than it should is
lost, for everybody. It is started when somebody asks for the first time, and ends with the process that asked.
"""

from __future__ import annotations

import functools
import struct
import subprocess
import sys
import tempfile
import time
from typing import IO

CYCLE = 0.021  # seconds
PROBE = """
import mmap, os, struct, sys, time
place, parent, lost = mmap.mmap(int(sys.argv[1]), 16), os.getppid(), 0.0
while os.getppid() == parent:
    begun = time.monotonic()
    place[:] = struct.pack("dd", lost, begun)
    time.sleep(0.02)
    used = time.thread_time()
    while time.thread_time() - used < 0.001:
        pass
    lost += max(0.0, time.monotonic() - begun - 0.022)
"""


@functools.cache
def _probe() -> IO[bytes]:
    """The file that the other process writes into."""
    place = tempfile.TemporaryFile()  # noqa: SIM115  it is open as long as this process lives
    place.write(bytes(16))
    place.flush()
    number = place.fileno()
    subprocess.Popen([sys.executable, "-S", "-E", "-c", PROBE, str(number)], pass_fds=(number,))
    return place


def lost() -> float:
    """Seconds that have been lost since somebody asked for the first time."""
    place = _probe()
    place.seek(0)
    found, begun = struct.unpack("dd", place.read(16))
    return float(found + max(0.0, time.monotonic() - begun - CYCLE if begun else 0.0))


class Watch:
    """Measures a stretch of time, and what the machine has lost of it."""

    def __init__(self) -> None:
        self._lost = lost()
        self._begun = time.monotonic()

    @property
    def took(self) -> float:
        """Seconds so far, without those that are lost."""
        return time.monotonic() - self._begun - self.lost

    @property
    def lost(self) -> float:
        """Seconds that are lost so far."""
        return lost() - self._lost
