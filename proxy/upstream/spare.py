"""What a link's socket knows beyond its transport: a backend's last words, and whether it has hung up already.

Rules: a backend that answers early, 413 say, and closes while we still send makes our next write fail; the loop then
closes the connection though the answer lies in the socket's buffer. A descriptor of our own keeps the socket long
enough to read it. It costs two system calls for each request whose body is still coming when it is sent on, and nothing
for any other. Likewise a backend may have closed an idle link of which the loop has not told us yet: what may not be
sent twice is not sent there. That costs one look at the socket for a request that is not idempotent, and nothing for
any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from typing import Final

NONE: Final = -1
MOST: Final = 65536  # bytes of last words


def spare_of(transport: asyncio.Transport) -> int:
    """A descriptor to keep, or NONE when there is none to be had."""
    plain = transport.get_extra_info("socket")
    if transport.get_extra_info("sslcontext") is not None:
        return NONE  # its words would be ciphers
    try:
        return os.dup(plain.fileno())
    except (OSError, AttributeError):
        return NONE


def hung_up(transport: asyncio.Transport) -> bool:
    """Whether there is something to read on an idle link: its end, or what nobody has asked for; either way the link is
    good for nothing."""
    plain = transport.get_extra_info("socket")
    try:
        look = select.poll()
        look.register(plain.fileno(), select.POLLIN)
        return bool(look.poll(0))
    except (OSError, ValueError, AttributeError):  # lost, so that there is no descriptor
        return True


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
