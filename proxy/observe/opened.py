"""Log files that somebody with more rights has opened: the master as root, for children that are somebody else.

Rules: those of nginx (ngx_open_cached_file). What was handed down counts as the file at its path, for this process and
those that it forks; any other path is opened by whoever asks. A pipe that nobody reads, which would keep the master
waiting, is left to the children.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from typing import Final

FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
MODE: Final = 0o640

_GIVEN: Final[dict[str, int]] = {}


def descriptor(path: str) -> int:
    """A descriptor of its own for a log at a path. OSError if it cannot be opened."""
    given = _GIVEN.get(path)
    return os.open(path, FLAGS, MODE) if given is None else os.dup(given)


def give(files: Mapping[str, int]) -> None:
    """These are the files that were handed down from now on; those of before are closed, unless they are the same."""
    kept = set(files.values())
    for old in _GIVEN.values():
        if old not in kept:
            os.close(old)
    _GIVEN.clear()
    _GIVEN.update(files)


def opened(paths: Iterable[str]) -> dict[str, int]:
    """Open files, to be handed down. OSError, and none of them open, if one cannot be."""
    found: dict[str, int] = {}
    try:
        for path in paths:
            fd = _prompt(path)
            if fd >= 0:
                found[path] = fd
    except OSError:
        for fd in found.values():
            os.close(fd)
        raise
    return found


def _prompt(path: str) -> int:
    """Open a file without waiting; -1 for what can only be waited for, or is no file."""
    try:
        fd = os.open(path, FLAGS | os.O_NONBLOCK, MODE)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return -1
        raise
    os.set_blocking(fd, True)
    return fd
