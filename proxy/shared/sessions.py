"""Which backend each session belongs to: a table of fixed size that all workers of the host share.

Rules: a session is known by its hash alone, under the table's own secret; it is forgotten when it was not used for
`timeout` seconds, and when both of its sets are full the one of theirs that was used longest ago goes. Times are
milliseconds of the host's monotonic clock.

In memory, in each set: eight hashes (0 is free), eight times, eight ids of 32 bytes that end in zeros.
"""

from __future__ import annotations

from typing import Final

from proxy.shared.memory import Memory
from proxy.shared.places import HASHES, WAYS, Place, Places

ID: Final = 32  # bytes of an id at most
TIMES: Final = 8 * WAYS
SET_SIZE: Final = HASHES + TIMES + ID * WAYS
MARK: Final = b"sticky01"


class Sessions(Places):
    """The sessions of one upstream."""

    __slots__ = ("cells", "timeout_ms")

    def __init__(self, memory: Memory, timeout: float = 600.0) -> None:
        """Use a table, or make it in fresh memory: not by two processes at once (`made`). ValueError if the memory is
        too small."""
        super().__init__(memory, MARK, SET_SIZE, "a table of sessions")
        self.timeout_ms = int(timeout * 1000)
        self.cells = memoryview(memory.map)[: memory.size // 8 * 8].cast("q")

    def backend_of(self, session: bytes, now: float) -> bytes:
        """The id of a session's backend, b"" for one that is not known."""
        digest, _, lock, first, second = self.place(session)
        lock.acquire()
        try:
            at = self.search(digest, first, second)
            if at < 0 or int(now * 1000) - self.cells[(at + HASHES) >> 3] >= self.timeout_ms:
                return b""
            return self._id(at)
        finally:
            lock.release()

    def learn(self, session: bytes, sid: bytes, now: float, create: bool) -> None:
        """A session was served by a backend; one that is not known is remembered if `create`."""
        place = digest, _, lock, first, second = self.place(session)
        now_ms = int(now * 1000)
        lock.acquire()
        try:
            at = self.search(digest, first, second)
            expired = at >= 0 and now_ms - self.cells[(at + HASHES) >> 3] >= self.timeout_ms
            if (at < 0 or expired) and not create:
                return
            if at < 0:
                at = self._room(place, now_ms)
            self._write(at, digest, sid, now_ms)
        finally:
            lock.release()

    def _room(self, place: Place, now_ms: int) -> int:
        """Where a hash can be put: a free place, an expired one's, or the oldest's."""
        _, _, _, first, second = place
        found = [*range(first, first + HASHES, 8), *range(second, second + HASHES, 8)]
        cells = self.cells
        oldest: int = min(found, key=lambda at: cells[(at + HASHES) >> 3] if cells[at >> 3] else -1)
        return oldest

    def _write(self, at: int, digest: bytes, sid: bytes, now_ms: int) -> None:
        """Fill a place; whoever is killed in between leaves a free one."""
        begin = self._id_at(at)
        self.cells[at >> 3] = 0
        self.cells[(at + HASHES) >> 3] = now_ms
        self.memory.map[begin : begin + ID] = sid[:ID].ljust(ID, b"\0")
        self.memory.map[at : at + 8] = digest

    def _id(self, at: int) -> bytes:
        begin = self._id_at(at)
        return bytes(self.memory.map[begin : begin + ID]).rstrip(b"\0")

    def _id_at(self, at: int) -> int:
        """The byte where the id of a hash's place begins."""
        offset = (at - self.sets_at) % SET_SIZE
        return at - offset + HASHES + TIMES + offset // 8 * ID


def made(size: int) -> Memory:
    """Memory of this size with an empty table in it. ValueError if that is too small."""
    memory = Memory(size)
    try:
        Sessions(memory)
    except ValueError:
        memory.close()
        raise
    return memory
