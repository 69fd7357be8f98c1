"""Leaving the terminal: the program goes on in a session of its own, and whoever started it gets its prompt back.

Rules: the first process waits until the other serves or is gone, so that its exit code tells how it went and the pid
file is there when it ends.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def detach(quiet: bool = True) -> Callable[[], None]:
    """Go on in a child; gives what tells the first process that all is well. The first process ends in here.

    `quiet`: nobody needs standard error, since there is an error log. Children that are born meanwhile would keep it.
    """
    ear, mouth = os.pipe()
    if os.fork():
        os.close(mouth)
        well = bool(os.read(ear, 1))
        if not well:
            print("it could not start: the error log says why", file=sys.stderr, flush=True)
        os._exit(0 if well else 1)
    os.close(ear)
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2) if quiet else (0, 1):
        os.dup2(nowhere, number)
    os.close(nowhere)

    def well_begun() -> None:
        """It serves: let the terminal go."""
        os.write(mouth, b"1")
        os.close(mouth)

    return well_begun
