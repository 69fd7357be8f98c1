"""In what order tests run, which of them together in one process, and who has the machine for itself.

Rules: a file's tests stay together where they share what takes time to start (fixtures of a module), and everywhere but
in tests/live, where most tests start a door of their own and wait for it: these are given out one by one, and before
all others, so that no process is left with a long row at the end. What fills the machine, or measures it, comes last,
when nothing else is left that would have to wait for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parent
# Tests, or folders of them, that want the whole machine.
ALONE = (
    TESTS / "soak",
    TESTS / "abuse" / "test_volume.py",
    TESTS / "live" / "test_http2_attacks.py",
    TESTS / "live" / "test_lab_accuracy.py",
)
ROW = ("fuzz", "live", "page", "side", "soak", "abuse", "talk", "unit")
SHARED = re.compile(r'scope="(?:module|session)"|\bone_door\b')  # of fixtures that a file's tests share


def alone(path: Path) -> bool:
    """Whether the tests of a file want the whole machine."""
    return any(place in (path, *path.parents) for place in ALONE)


def place(item: pytest.Item) -> tuple[bool, int]:
    """Where a test stands in the row, as a key to sort by; those of one place stay as they were."""
    room = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
    return alone(item.path), ROW.index(room) if room in ROW else len(ROW)


@functools.cache
def together(path: str) -> bool:
    """Whether the tests of a file, named from the root, are to run in one process."""
    file = TESTS.parent / path
    return file.parent != TESTS / "live" or SHARED.search(file.read_text()) is not None


class ByDoors(LoadScopeScheduling):  # type: ignore[misc]
    """Gives tests to processes as the rules say."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        config.option.loadscopereorder = False  # the row is ours
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if together(path) else nodeid


@contextlib.contextmanager
def turn(run: int, alone: bool) -> Iterator[None]:
    """While a test runs: nobody else's may, if it wants to be alone, and else none of those that do.

    `run` is the process that all who run tests come from. Whoever waits for the room holds the door, so that those who
    want to be alone get their turn.
    """
    with (
        open(Path(tempfile.gettempdir(), f"frontgate-tests-{run}-door"), "wb") as door,
        open(Path(tempfile.gettempdir(), f"frontgate-tests-{run}-room"), "wb") as room,
    ):
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield


def forget_turns() -> None:
    """Leave no locks behind. For the process that all who run tests come from."""
    for lock in Path(tempfile.gettempdir()).glob(f"frontgate-tests-{os.getpid()}-*"):
        lock.unlink(missing_ok=True)
