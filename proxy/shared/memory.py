"""Memory that several processes see: anonymous, inherited by fork, and attachable through its file descriptor.

Rules: it has no name in the file system and vanishes with the last process that maps it. A fresh Memory is all zeros.
`multiprocessing.shared_memory` is not used: before Python 3.13 its resource tracker unlinks what others still use.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile


class Memory:
    """`size` bytes shared by all who inherit or attach them: `map` is the mapping, `fd` what others can attach."""

    __slots__ = ("fd", "map", "size")

    def __init__(self, size: int, fd: int | None = None) -> None:
        """Make fresh memory, or attach to that behind `fd`, which this object then owns.

        ValueError if there is less behind the descriptor than `size`.
        """
        if size <= 0:
            raise ValueError(f"shared memory needs a size of at least 1 byte (got {size})")
        if fd is None:
            fd = anonymous()
            os.ftruncate(fd, size)
        elif os.fstat(fd).st_size < size:
            raise ValueError(f"shared memory of {os.fstat(fd).st_size} bytes is too small: {size} are needed")
        self.size = size
        self.fd = fd
        self.map = mmap.mmap(fd, size)

    def close(self) -> None:
        """Give the descriptor back, and the mapping as soon as nobody in this process looks at it any more."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        with contextlib.suppress(BufferError):
            self.map.close()


def anonymous() -> int:
    """A new descriptor of an empty file that has no name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("frontgate")
    with tempfile.TemporaryFile() as unnamed:
        return os.dup(unnamed.fileno())
