"""What workers write down of exchanges for the keeper to read: rings of records, and sheets written anew as a whole.

Rules: one part of the memory for each process, one writer, the process whose row it is; nobody locks. A record is
written between two copies of its serial number and has a checksum; a reader that finds them unequal, or the sum wrong,
has come in the middle of a change, or after a writer who died there, and passes the record over. What a dead worker has
written stays, and its successor goes on behind it. Payloads are marshalled tuples, since both ends are one program.
The memory is large and empty: the system gives a page only to what was ever written.

In memory, for each row: for each ring the serial number of its last record and how many slots it uses; then for each
ring its slots, and then the sheets. A slot or sheet is HEAD and a payload.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Iterator
from typing import Any, Final
from zlib import crc32

from proxy.shared.memory import Memory

SLOT: Final = 4096  # bytes of a record with its head
HEAD: Final = struct.Struct("<QII")  # serial number, bytes and checksum of the payload; the number again behind SERIAL
TAIL: Final = struct.Struct("<Q")
FRAME: Final = HEAD.size + TAIL.size  # bytes of a record that are not its payload
COUNTS: Final = struct.Struct("<QQ")  # of a ring: the last serial number, slots in use
MOST: Final = SLOT - FRAME  # bytes of a payload

RECENT: Final = "recent"
FAILED: Final = "failed"
SLOW: Final = "slow"
LIVE: Final = "live"
KEYS: Final = "keys"
RINGS: Final = {RECENT: 5000, FAILED: 1000}  # slots there are room for
SHEETS: Final = {SLOW: 256 << 10, LIVE: 256 << 10, KEYS: 64 << 10}  # bytes

HEADS_SIZE: Final = 4096


def _offsets() -> tuple[dict[str, int], int]:
    """Where each ring and sheet begins in a row, and how large a row is."""
    at, found = HEADS_SIZE, {}
    for name, slots in RINGS.items():
        found[name] = at
        at += slots * SLOT
    for name, size in SHEETS.items():
        found[name] = at
        at += size
    return found, at


OFFSETS, ROW = _offsets()
PLACES: Final = {name: place * COUNTS.size for place, name in enumerate(RINGS)}


class Journals:
    """The journals of all processes: `rows` of them, in memory made before they are forked."""

    __slots__ = ("map", "memory", "rows")

    def __init__(self, memory: Memory, rows: int) -> None:
        """ValueError if the memory is too small."""
        if memory.size < self.size(rows):
            raise ValueError(f"{rows} journals need {self.size(rows)} bytes of memory (got {memory.size})")
        self.memory = memory
        self.map = memory.map
        self.rows = rows

    @staticmethod
    def size(rows: int) -> int:
        """Bytes of memory for that many rows."""
        return rows * ROW

    def ring(self, row: int, name: str, slots: int) -> Ring:
        """The ring of a row to write to, with so many slots from now on; what is there stays if the number does."""
        return Ring(self, row, name, slots)

    def sheet(self, row: int, name: str) -> Sheet:
        """The sheet of a row to write to."""
        return Sheet(self, row, name)

    def slots(self, row: int, name: str) -> int:
        """How many slots a ring uses."""
        return int(COUNTS.unpack_from(self.map, row * ROW + PLACES[name])[1])

    def records(self, row: int, name: str, holding: bytes = b"") -> Iterator[tuple[Any, ...]]:
        """The records of a ring that can be read, the newest first; only those whose payload contains some bytes."""
        start = row * ROW
        last, slots = COUNTS.unpack_from(self.map, start + PLACES[name])
        for serial in range(last, max(0, last - slots), -1):
            payload = self._payload(start + OFFSETS[name] + serial % slots * SLOT, MOST, serial)
            if payload is not None and holding in payload:
                yield marshal.loads(payload)

    def last(self, row: int, name: str) -> int:
        """The serial number of the newest record."""
        return int(COUNTS.unpack_from(self.map, row * ROW + PLACES[name])[0])

    def read(self, row: int, name: str) -> tuple[Any, ...] | None:
        """What stands on a sheet; None when nothing readable does."""
        payload = self._payload(row * ROW + OFFSETS[name], SHEETS[name] - FRAME)
        return marshal.loads(payload) if payload is not None else None

    def _payload(self, at: int, most: int, wanted: int = 0) -> bytes | None:
        """The payload at an offset, whole and of one piece; None otherwise, and of any other serial than `wanted`."""
        after = TAIL.unpack_from(self.map, at + HEAD.size)[0]
        serial, size, checksum = HEAD.unpack_from(self.map, at)
        if not serial or serial != after or size > most or (wanted and serial != wanted):
            return None
        payload = self.map[at + FRAME : at + FRAME + size]
        if HEAD.unpack_from(self.map, at) != (serial, size, checksum) or crc32(payload) != checksum:
            return None
        return payload

    def put(self, at: int, serial: int, payload: bytes) -> None:
        """Write a payload with its serial number; only the owner of the row does."""
        HEAD.pack_into(self.map, at, serial, len(payload), crc32(payload))
        self.map[at + FRAME : at + FRAME + len(payload)] = payload
        TAIL.pack_into(self.map, at + HEAD.size, serial)


class Ring:
    """A ring of records, for its writer."""

    __slots__ = ("_journals", "_serial", "_start", "_where", "slots")

    def __init__(self, journals: Journals, row: int, name: str, slots: int) -> None:
        if not 0 <= slots <= RINGS[name]:
            raise ValueError(f"there is room for {RINGS[name]} records (got {slots})")
        self._journals = journals
        self._where = row * ROW + PLACES[name]
        self._start = row * ROW + OFFSETS[name]
        self.slots = slots
        self._serial, before = COUNTS.unpack_from(journals.map, self._where)
        if before != slots:  # records lie elsewhere from now on; their numbers go on, so that none is taken for another
            COUNTS.pack_into(journals.map, self._where, self._serial, slots)

    def write(self, record: tuple[Any, ...]) -> bool:
        """Add a record; False when it is too large."""
        payload = marshal.dumps(record)
        if len(payload) > MOST or not self.slots:
            return False
        self._serial += 1
        self._journals.put(self._start + self._serial % self.slots * SLOT, self._serial, payload)
        COUNTS.pack_into(self._journals.map, self._where, self._serial, self.slots)
        return True


class Sheet:
    """Something that is written anew each time, for its writer."""

    __slots__ = ("_journals", "_serial", "_start", "most")

    def __init__(self, journals: Journals, row: int, name: str) -> None:
        self._journals = journals
        self._start = row * ROW + OFFSETS[name]
        self.most = SHEETS[name] - FRAME
        self._serial = HEAD.unpack_from(journals.map, self._start)[0]

    def write(self, whole: tuple[Any, ...]) -> bool:
        """Write it; False, and the old stays, when it is too large."""
        payload = marshal.dumps(whole)
        if len(payload) > self.most:
            return False
        self._serial += 1
        self._journals.put(self._start, self._serial, payload)
        return True
