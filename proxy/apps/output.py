"""What workers write to standard output and standard error, passed on line by line behind the worker's name.

Rules: a worker that writes much does not keep the loop from anything else: so much is read at a time and no more. A
line that is too long is cut into several.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Final

CHUNK: Final = 65536
LONGEST: Final = 16384  # bytes of a line
MOST: Final = 32  # chunks that are read at the end


class Output:
    """Reads one worker's pipe, to its end or until it is closed."""

    def __init__(self, descriptor: int, name: str, say: Callable[[str], None]) -> None:
        """`say` gets each line, without its end, as `name | line`. In the running loop."""
        self._descriptor = descriptor
        self._name = name
        self._say = say
        self._rest = b""
        with contextlib.suppress(PermissionError):  # no pipe: there is nothing to wait for
            asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> bool:
        """Read a chunk; whether there was any."""
        try:
            raw = os.read(self._descriptor, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            raw = b""
        if not raw:  # a worker may live on that has given its output to a file: this would be ready for ever
            asyncio.get_running_loop().remove_reader(self._descriptor)
        *lines, self._rest = (self._rest + raw).split(b"\n")
        for line in lines:
            self._tell(line.removesuffix(b"\r"))
        if len(self._rest) >= LONGEST:
            self._tell(self._rest)
            self._rest = b""
        return bool(raw)

    def _tell(self, line: bytes) -> None:
        """Pass a line on, in pieces if it is long."""
        for begin in range(0, max(1, len(line)), LONGEST):
            self._say(f"{self._name} | {line[begin : begin + LONGEST].decode(errors='replace')}")

    def close(self) -> None:
        """Say what is still there, and let go of the pipe."""
        if self._descriptor < 0:
            return
        asyncio.get_running_loop().remove_reader(self._descriptor)
        for _ in range(MOST):  # others may still write to it
            if not self._read():
                break
        if self._rest:
            self._tell(self._rest)
            self._rest = b""
        os.close(self._descriptor)
        self._descriptor = -1
