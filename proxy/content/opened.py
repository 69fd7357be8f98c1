"""Opening a file for an answer, without being held up by what is none.

Rules: a FIFO or a device is not waited for and not answered; symbolic links are followed, as nginx does. The status of
an error is nginx's: 404 for what is not there, 403 for what may not be read, 500 for the rest.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from typing import Final, NamedTuple

FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_MISSING: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ENXIO))
_FORBIDDEN: Final = frozenset((errno.EACCES, errno.EPERM, errno.ELOOP, errno.EMLINK))

log = logging.getLogger("frontgate")


class File(NamedTuple):
    """A regular file that is open; whoever has it closes `descriptor`."""

    descriptor: int
    found: os.stat_result


class Directory(NamedTuple):
    """It is a folder."""

    found: os.stat_result


def open_file(path: bytes) -> File | Directory | int:
    """The file of a name, or the status of an error."""
    try:
        descriptor = os.open(path, FLAGS)
    except (OSError, ValueError) as error:
        return status_of(error, path)
    try:
        found = os.fstat(descriptor)
    except OSError as error:
        os.close(descriptor)
        return status_of(error, path)
    if stat.S_ISREG(found.st_mode):
        return File(descriptor, found)
    os.close(descriptor)
    return Directory(found) if stat.S_ISDIR(found.st_mode) else 404


def status_of(error: OSError | ValueError, path: bytes) -> int:
    """The status of what the system says."""
    number = error.errno if isinstance(error, OSError) else errno.ENOENT  # ValueError: a NUL in the name
    if number in _MISSING:
        return 404
    if number in _FORBIDDEN:
        return 403
    log.error("a file cannot be opened: %r: %s", path, error)
    return 500


def read_all(descriptor: int, size: int) -> bytes:
    """The first `size` bytes of a file, or fewer if it has become shorter. OSError."""
    body = os.pread(descriptor, size, 0)
    while len(body) < size:
        more = os.pread(descriptor, size - len(body), len(body))
        if not more:
            break
        body += more
    return body
