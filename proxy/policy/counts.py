"""What a worker counts of times and of backends' answers: plain cells that the tick takes away.

Rules: pure, and only numbers: whoever counts adds to a cell (20 ns), whoever flushes sets it back. The bounds are the
same everywhere, so that histograms can be compared and added up.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

# Upper bounds in seconds, those that the Go and Python clients of Prometheus begin with. The type is written out so
# that it stays one object when compiled: mypyc would make a new tuple for each use, and take it for unset at times.
BUCKETS: Final[tuple[float, ...]] = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BUCKET_NAMES: Final = (*map("{:g}".format, BUCKETS), "+Inf")
WIDTH: Final = 14
CLASSES: Final = ("other", "1xx", "2xx", "3xx", "4xx", "5xx")


class Times:
    """A histogram: how many times fell below each bound and above the one before, and their sum in seconds."""

    __slots__ = ("cells", "seconds")

    def __init__(self) -> None:
        self.cells = [0] * len(BUCKET_NAMES)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self.cells[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds


class BackendCounts:
    """Of one backend: its answers by class of status, seconds from having a connection to the answer's head (`headers`)
    and to its end (`wholes`), and seconds that connecting took, where it had to be done (`connects`). `touched`: there
    is something to flush.

    What nearly every answer is like, whole at once, is counted in one cell of `plain` (of WIDTH for each class) and one
    sum of `seconds`, since each part of memory that is touched costs; `gather` puts it where it belongs."""

    __slots__ = ("classes", "connects", "headers", "plain", "seconds", "touched", "wholes")

    def __init__(self) -> None:
        self.classes = [0] * len(CLASSES)
        self.headers = Times()
        self.wholes = Times()
        self.connects = Times()
        self.plain = [0] * (len(CLASSES) * WIDTH)
        self.seconds = 0.0
        self.touched = False

    def connected(self, seconds: float) -> None:
        """A connection has been made."""
        self.connects.add(seconds)
        self.touched = True

    def answered(self, status: int, header: float, whole: float) -> None:
        """An attempt has been answered, and is over."""
        self.classes[status // 100] += 1
        self.headers.add(header)
        self.wholes.add(whole)
        self.touched = True

    def gather(self) -> None:
        """Count the plain ones like the others."""
        for place, number in enumerate(self.plain):
            if number:
                status, bound = divmod(place, WIDTH)
                self.classes[status] += number
                self.headers.cells[bound] += number
                self.wholes.cells[bound] += number
                self.plain[place] = 0
        self.headers.seconds += self.seconds
        self.wholes.seconds += self.seconds
        self.seconds = 0.0
