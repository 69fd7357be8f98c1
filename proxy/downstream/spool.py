"""Bytes that wait for a slow reader: a FIFO that lies in memory first and beyond that in a file without a name.

Rules: what comes out is what went in, in order, wherever the pieces lie. A part is taken whole or not at all, and one
that is not taken leaves the spool as it was. The file is opened when memory is full and closed when nothing of it is
wanted any more, so that its disk space returns; it is used in blocks, and a block that was read is written again, so
that a file holds little more than the most that ever waited in it. No file has a name: whatever happens to the
process, nothing stays behind. Reading and writing block, but it is the page cache that they speak to.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import logging
import os
import tempfile
from collections import deque
from time import monotonic
from typing import Final

BLOCK: Final = 256 * 1024  # bytes of a file that are used again together
SMALL: Final = 4096  # bytes: parts are joined up to this, or a thousand crumbs would cost far more than they hold
PAUSE: Final = 60.0
NO_NAMELESS: Final = frozenset((errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL))  # a file system without O_TMPFILE

Span = tuple[int, int]
"""A piece of a file inside one block: where it begins, and the first byte behind it."""

Segment = bytes | Span
"""A piece of a spool, in memory or in its file."""

log = logging.getLogger("frontgate")


class Spools:
    """What all spools of a worker share.

    `folder`: where the files are made; `memory`: bytes that each spool holds in memory before it opens a file; `total`:
    bytes that all files together may have on the disk. `in_files` and `files` are how many bytes and files there are
    now, `faults` counts the times that the disk refused.
    """

    __slots__ = ("faults", "files", "folder", "in_files", "memory", "said", "total")

    def __init__(self, folder: str, memory: int, total: int) -> None:
        self.folder = folder
        self.memory = memory
        self.total = total
        self.in_files = 0
        self.files = 0
        self.faults = 0
        self.said = float("-inf")  # when it was said that there is no room

    def configure(self, folder: str, memory: int, total: int) -> None:
        """Take over what a new configuration says. The files that there are stay where they are, and count."""
        self.folder = folder
        self.memory = memory
        self.total = total

    def short(self, trouble: str) -> str:
        """There is no room for what has to wait: say so in the error log, at most once in PAUSE seconds."""
        now = monotonic()
        if now - self.said >= PAUSE:
            self.said = now
            log.warning("bodies cannot be kept, so slow clients hold backends and uploads are refused: %s", trouble)
        return trouble

    def open(self, limit: int, *, keep: bool = False) -> Spool:
        """An empty spool for at most `limit` bytes; one that keeps what was taken can be read again from the start."""
        return Spool(self, limit, keep)


class Spool:
    """A FIFO of bytes.

    `size`: bytes held, which those that a keeping spool has given out are too; `left`: bytes that `take` still gives;
    `trouble`: why the last part was not taken, or had to be taken beyond the
    limits; empty when it was taken as it should be.
    """

    __slots__ = (
        "at", "closed", "file", "in_memory", "keep", "kept", "left", "limit", "parts", "size", "spools", "trouble"
    )  # fmt: skip

    def __init__(self, spools: Spools, limit: int, keep: bool) -> None:
        self.spools = spools
        self.limit = limit
        self.keep = keep
        self.size = 0
        self.left = 0
        self.trouble = ""
        self.closed = False
        self.in_memory = 0
        self.parts: deque[Segment] = deque()
        self.kept: deque[Segment] = deque()  # taken already, and kept for `rewind`
        self.at = 0  # bytes of the first of `parts` that were taken
        self.file: File | None = None

    @property
    def ready(self) -> bool:
        """Whether a source that was stopped may go on: half of the limit is free, and what memory had to hold beyond
        its share is gone. By the limit alone it would go on while the disk is full, and all would gather in memory."""
        return self.left <= self.limit // 2 and self.in_memory <= self.spools.memory

    def add(self, part: bytes, must: bool = False) -> bool:
        """Append a part. False: it was not taken, nothing of it is kept, and `trouble` says why.

        With `must` it is always taken, in memory when it can be nowhere else, beyond all limits; `trouble` then says
        that it is time to stop the source. A closed spool takes nothing.
        """
        length = len(part)
        if self.closed:
            self.trouble = "the spool is closed"
            return False
        if not length:
            self.trouble = ""
            return True
        if self.size + length > self.limit:
            self.trouble = f"{self.size} bytes wait, {length} more came, and {self.limit} are allowed"
        elif self.in_memory + length <= self.spools.memory:
            self.trouble = ""
            self._remember(part)
            return True
        else:
            self.trouble = self._write(part)
            if not self.trouble:
                return True
        if must:
            self._remember(part)
        return must

    def take(self, most: int) -> bytes:
        """The next `most` bytes, or all that are left when they are fewer.

        OSError when the disk does not give back what it was given, with nothing lost or skipped; then the message
        cannot be ended, for there is no other copy of those bytes.
        """
        most = min(most, self.left)
        if most <= 0:
            return b""
        pieces: list[bytes] = []
        while most:
            try:
                piece = self._next(most)
            except OSError:
                self.spools.faults += 1
                if not pieces:
                    raise
                break  # what came before is good; the next call finds the fault again
            pieces.append(piece)
            most -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def rewind(self) -> None:
        """Read from the beginning again. ValueError if it does not keep."""
        if not self.keep:
            raise ValueError("what was taken from this spool is gone: only one that keeps can be read again")
        self.parts.extendleft(reversed(self.kept))
        self.kept.clear()
        self.at = 0
        self.left = self.size

    def twin(self) -> Spool:
        """Another reader of what a spool keeps, from its beginning; the file is there until both are closed."""
        other = Spool(self.spools, self.limit, True)
        other.parts.extend((*self.kept, *self.parts))
        other.size = other.left = self.size
        other.in_memory = self.in_memory
        other.file = self.file
        if self.file is not None:
            self.file.readers += 1
        return other

    def close(self) -> None:
        """Give everything back. Closing twice does nothing."""
        self.closed = True
        self.keep = False
        self.size = self.left = self.in_memory = self.at = 0
        self.parts.clear()
        self.kept.clear()
        self._close_file()

    def _remember(self, part: bytes) -> None:
        """Append a part in memory."""
        append(self.parts, part)
        self.in_memory += len(part)
        self.size += len(part)
        self.left += len(part)

    def _write(self, part: bytes) -> str:
        """Append a part in the file; else the reason why not."""
        spools = self.spools
        try:
            file = self.file
            if file is None:
                file = self.file = File(spools)
            spans = file.write(part)
        except OSError as error:
            spools.faults += 1
            if self.file and not self.file.live:
                self._close_file()
            return spools.short(f"the folder {spools.folder} takes no more: {error.strerror or error}")
        if not spans:
            if not file.live:
                self._close_file()
            return spools.short(
                f"the files of this worker have {spools.in_files} of the {spools.total} bytes that are allowed"
            )
        for span in spans:
            append(self.parts, span)
        self.size += len(part)
        self.left += len(part)
        return ""

    def _next(self, most: int) -> bytes:
        """Take from the first segment."""
        segment = self.parts[0]
        at = self.at
        if isinstance(segment, bytes):
            length = len(segment)
            piece = segment if not at and length <= most else segment[at : at + most]
        else:
            assert self.file
            begin, end = segment
            length = end - begin
            piece = self.file.read(begin + at, min(most, length - at))
        at += len(piece)
        self.left -= len(piece)
        if not self.keep:
            self.size -= len(piece)
        if at < length:
            self.at = at
            return piece
        self.at = 0
        self.parts.popleft()
        if self.keep:
            append(self.kept, segment)
        else:
            self._discard(segment)
        return piece

    def _discard(self, segment: Segment) -> None:
        """Give back what a segment had that nobody will read again."""
        if isinstance(segment, bytes):
            self.in_memory -= len(segment)
            return
        assert self.file
        self.file.discard(segment)
        if not self.file.live:
            self._close_file()

    def _close_file(self) -> None:
        if self.file:
            self.file.close()
            self.file = None


class File:
    """A file without a name, written in blocks: first the one begun last, then the lowest that is free.

    `live`: bytes that somebody still wants; `size`: its length, which is what it counts for in `Spools.total`;
    `readers`: the spools that it belongs to.
    """

    __slots__ = ("blocks", "cursor", "fd", "free", "live", "readers", "size", "spools")

    def __init__(self, spools: Spools) -> None:
        """OSError if it cannot be made."""
        self.fd = -1
        self.readers = 1
        self.spools = spools
        self.size = 0
        self.live = 0
        self.blocks = 0
        self.free: list[int] = []  # a heap: where blocks begin that were read
        self.cursor = 0  # where the next byte goes; at a block's edge: into another block
        self.fd = nameless(spools.folder)
        spools.files += 1

    def __del__(self) -> None:
        self.readers = 1
        self.close()

    def write(self, part: bytes) -> list[Span]:
        """Write a part; where it lies, or nothing if it would be more than all files may have.

        OSError if the disk refuses. Either way the file is then as before.
        """
        spans = self.reserve(len(part))
        size = max(self.size, max(end for _, end in spans))
        spools = self.spools
        if spools.in_files + size - self.size > spools.total:
            self.unreserve(spans)
            return []
        try:
            write_all(self.fd, part, spans)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self.fd, self.size)  # of what came in before the refusal nobody knows
            self.unreserve(spans)
            raise
        spools.in_files += size - self.size
        self.size = size
        self.live += len(part)
        self.cursor = spans[-1][1]
        return spans

    def read(self, begin: int, length: int) -> bytes:
        """What lies there, at least a byte of it and at most `length`. OSError if the disk refuses."""
        piece = os.pread(self.fd, length, begin)
        if not piece:
            raise OSError(errno.EIO, "a temporary file is shorter than what was written to it")
        return piece

    def discard(self, span: Span) -> None:
        """Nobody wants this piece any more. Pieces are discarded in the order in which they were written."""
        begin, end = span
        self.live -= end - begin
        if end % BLOCK == 0:
            heapq.heappush(self.free, end - BLOCK)

    def close(self) -> None:
        """Give the descriptor and the disk space back, if nobody else reads it. Closing twice does nothing."""
        if self.fd < 0:
            return
        self.readers -= 1
        if self.readers:
            return
        fd, self.fd = self.fd, -1
        self.spools.files -= 1
        self.spools.in_files -= self.size
        self.size = self.live = 0
        with contextlib.suppress(OSError):
            os.close(fd)

    def reserve(self, length: int) -> list[Span]:
        """The pieces where that many bytes go."""
        spans = []
        begin = self.cursor
        while length:
            if begin % BLOCK == 0:
                if not self.free:
                    heapq.heappush(self.free, self.blocks * BLOCK)
                    self.blocks += 1
                begin = heapq.heappop(self.free)
            end = min(begin + length, begin - begin % BLOCK + BLOCK)
            spans.append((begin, end))
            length -= end - begin
            begin = end
        return spans

    def unreserve(self, spans: list[Span]) -> None:
        """Take `reserve` back: the blocks that it began are free again."""
        for begin, _ in spans:
            if begin % BLOCK == 0:
                heapq.heappush(self.free, begin)


def append(segments: deque[Segment], segment: Segment) -> None:
    """Append a segment, to the last one when they are crumbs or neighbours in a block."""
    if segments:
        last = segments[-1]
        if isinstance(segment, bytes):
            if isinstance(last, bytes) and len(last) + len(segment) <= SMALL:
                segments[-1] = last + segment
                return
        elif not isinstance(last, bytes) and last[1] == segment[0] and segment[0] % BLOCK:
            segments[-1] = (last[0], segment[1])
            return
    segments.append(segment)


def write_all(fd: int, part: bytes, spans: list[Span]) -> None:
    """Write a part to its pieces of a file, however little the system takes at a time. OSError if it refuses."""
    rest = memoryview(part)
    for at, end in spans:
        while at < end:
            written = os.pwrite(fd, rest[: end - at], at)
            if not written:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            at += written
            rest = rest[written:]


def nameless(folder: str) -> int:
    """A descriptor of a new empty file without a name in this folder. OSError if it cannot be made."""
    if hasattr(os, "O_TMPFILE"):
        try:
            return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o600)
        except OSError as error:
            if error.errno not in NO_NAMELESS:
                raise
    fd, path = tempfile.mkstemp(prefix="frontgate-", dir=folder)
    try:
        os.unlink(path)
    except OSError:
        os.close(fd)
        raise
    return fd
