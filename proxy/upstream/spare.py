"""A second descriptor of a link's socket, for the last words of a backend that refuses an upload.

A backend that answers early, 413 say, and closes while we still send makes our next write fail; the loop then closes
the connection though the answer lies in the socket's buffer. A descriptor of our own keeps the socket long enough to
read it. It costs two system calls for each request whose body is still coming when it is sent on, and nothing for any
other.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Final

NONE: Final = -1
MOST: Final = 65536  # bytes of last words


def spare_of(transport: asyncio.Transport) -> int:
    """A descriptor to keep, or NONE when there is none to be had."""
    plain = transport.get_extra_info("socket")
    try:
        return os.dup(plain.fileno())
    except (OSError, AttributeError):
        return NONE


def last_words(spare: int) -> bytes:
    """What was received and not read. The socket does not block, since the loop has made it so."""
    words = b""
    with contextlib.suppress(OSError):
        while len(words) < MOST and (more := os.read(spare, MOST)):
            words += more
    return words


def drop(spare: int) -> int:
    """Close it; gives back NONE, to be kept instead."""
    if spare != NONE:
        os.close(spare)
    return NONE
