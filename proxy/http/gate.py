"""Counts the frames of an HTTP/2 connection before its engine sees them, so that no flood costs more than counting it.

Rules: RFC 9113 section 10.5. Frames are told apart by their nine bytes of header alone, in whatever pieces they come;
what is wrong with them is the engine's affair. A flood is what no client needs: more CONTROL frames than a burst and a
rate, empty parts of bodies among them; windows that are opened more often than what was sent asks for; blocks of
fields in too many or too large pieces; requests that are taken back, or that are so wrong that we take them back. All
is by the connection: a client behind which many sit has many.
"""

from __future__ import annotations

from typing import Final

from proxy.clock import NEVER

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PADDING: Final = 257  # bytes that padding can be, with that which counts it
FRAME: Final = 9  # bytes of a frame's header
CONTROL, RESETS = 1000, 200  # frames at once, and a tenth of it a second
LATER: Final = 10.0
PER_WINDOW: Final = 1024  # bytes sent that give the client another WINDOW_UPDATE
GAPS: Final = 16
SPARED: Final = 256  # streams
MASK: Final = 0x7FFFFFFF
WIDE: Final = 1 << 30  # by how much hardly anybody opens the window of a stream
PROTOCOL_ERROR, STREAM_CLOSED = 0x1, 0x5
MOST_PARTS: Final = 32  # CONTINUATION frames of a block
MOST_BLOCK: Final = 65536  # bytes of a block, compressed


class Bucket:
    """Tokens that come back with time: `burst` of them, `rate` a second."""

    __slots__ = ("_at", "_left", "_most", "_rate")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self._most = self._left = float(burst)
        self._rate = rate
        self._at = now

    def take(self, count: int, now: float) -> bool:
        """Take so many; False when there are too few."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate) - count
        self._at = now
        return self._left >= 0.0

    def give(self, count: float) -> None:
        """Earned by something else than time."""
        self._left = min(self._most, self._left + count)


class Latest:
    """The latest numbers that were put in: at least SPARED of them, and at most twice as many."""

    __slots__ = ("_older", "_young")

    def __init__(self) -> None:
        self._young: set[int] = set()
        self._older: set[int] = set()

    def add(self, number: int) -> None:
        """Put one in."""
        self._young.add(number)
        if len(self._young) >= SPARED:
            self._older = self._young
            self._young = set()

    def __contains__(self, number: int) -> bool:
        return number in self._young or number in self._older


class Gate:
    """The frames of one connection, behind the preface. `flood` says what there is too much of; "" for nothing. `wrong`
    is the code of an error that engines let pass: something on a stream that is over, or that was left out. `since`:
    when a frame (but for DATA) or a block of fields has begun that is not whole; NEVER if there is none. `wide` are the
    WINDOW_UPDATE frames in what was looked at last that open the window of a stream by WIDE or more: where they begin,
    their stream, and by how much.

    `ended` are the latest streams that their client has ended, `spared` those that we have ended before.
    """

    __slots__ = (
        "_block", "_control", "_gaps", "_head", "_highest", "_kind", "_partial", "_parts", "_resets", "_skip",
        "_windows", "ended", "flood", "since", "spared", "wide", "wrong"
    )  # fmt: skip

    def __init__(self, now: float, control: int = CONTROL, resets: int = RESETS) -> None:
        self._head = b""  # of a frame's header, what has come
        self._skip = len(PREFACE)  # bytes until the next frame
        self._block = self._parts = 0  # bytes and CONTINUATION frames of the last block of fields
        self._control = Bucket(control, control / LATER, now)
        self._windows = Bucket(control, control / LATER, now)
        self._resets = Bucket(resets, resets / LATER, now)
        self._kind = DATA  # of the last frame
        self._highest = 0  # stream that was begun
        self._gaps: list[tuple[int, int]] = []  # streams below it that were left out, the latest
        self.ended = Latest()
        self.spared = Latest()
        self._partial = False  # the last block is not whole
        self.flood = ""
        self.wrong = 0
        self.since = NEVER
        self.wide: list[tuple[int, int, int]] = []

    def look(self, data: bytes, now: float) -> bool:
        """Look at what has come; False when it is too much."""
        begun = at = self._skip
        before = len(self._head)
        if before:
            data = self._head + data
            self._head = b""
        if self.wide:
            self.wide = []
        size = len(data)
        control = windows = resets = 0
        kind = self._kind
        while at + FRAME <= size:
            length = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
            kind = data[at + 3]
            if kind == HEADERS:
                self._block, self._parts = length, 0
                if not self._partial and self._misplaced(int.from_bytes(data[at + 5 : at + 9], "big") & MASK):
                    return False
                self._partial = not data[at + 4] & END_HEADERS
                self.since = now
            elif kind == DATA:
                if int.from_bytes(data[at + 5 : at + 9], "big") & MASK in self.ended:
                    self.wrong = STREAM_CLOSED
                    return False
                if length < PADDING and not data[at + 4] & END_STREAM:
                    control += not length or self._hollow(data, at, length)
            elif kind == WINDOW_UPDATE:
                windows += 1
                self._widens(data, at, before)
            elif kind == CONTINUATION:
                self._partial = not data[at + 4] & END_HEADERS
                if self._endless(length):
                    return False
            elif kind == RST_STREAM:
                resets += self._cancelled(int.from_bytes(data[at + 5 : at + 9], "big") & MASK)
            elif kind == PRIORITY:
                if at + FRAME + 4 > size:
                    break
                control += 1
                if self._circular(data, at, length):
                    return False
            else:
                control += 1
            at += FRAME + length
        if at < size:
            self._head = data[at:]
            self._skip = 0
        else:
            self._skip = at - size
        self._kind = kind
        if not (self._partial or at < size or (at > size and kind != DATA)):
            self.since = NEVER
        elif self.since == NEVER or (at != begun and not self._partial):
            self.since = now
        return self._count(control, windows, resets, now)

    def _count(self, control: int, windows: int, resets: int, now: float) -> bool:
        """Take what has come from the buckets; False when there is too much of it."""
        if control and not self._control.take(control, now):
            self.flood = "control"
        if resets and not self._resets.take(resets, now):
            self.flood = "reset"
        if windows and not self._windows.take(windows, now):
            self.flood = "window_update"
        return not self.flood

    @staticmethod
    def _hollow(data: bytes, at: int, length: int) -> bool:
        """Whether a part of a body is nothing but padding."""
        return bool(data[at + 4] & PADDED) and (at + FRAME >= len(data) or data[at + FRAME] + 1 >= length)

    def _misplaced(self, number: int) -> bool:
        """Whether fields on a stream are an error (RFC 9113 sections 5.1 and 5.1.1): it is over, or was left out."""
        highest = self._highest
        if number > highest:
            if number > highest + 2:
                self._gaps = [*self._gaps[-GAPS:], (highest, number)]
            self._highest = number
        elif number in self.ended:
            self.wrong = STREAM_CLOSED
        elif number % 2 == 0 or any(low < number < high for low, high in self._gaps):
            self.wrong = PROTOCOL_ERROR
        return self.wrong > 0

    def _endless(self, length: int) -> bool:
        """Whether a block of fields has too many parts, or too large ones."""
        self._block += length
        self._parts += 1
        if self._parts > MOST_PARTS or self._block > MOST_BLOCK:
            self.flood = "continuation"
        return self.flood != ""

    def _cancelled(self, number: int) -> bool:
        """The client takes a request back; whether that was one that neither had ended."""
        if not 0 < number <= self._highest:
            return False
        counts = number not in self.spared and number not in self.ended
        self.close(number)
        return counts

    def _circular(self, data: bytes, at: int, length: int) -> bool:
        """Whether PRIORITY is on no stream, or makes a stream wait for itself (RFC 7540 section 5.3.1)."""
        number = int.from_bytes(data[at + 5 : at + 9], "big") & MASK
        first = int.from_bytes(data[at + FRAME : at + FRAME + 4], "big") & MASK
        if not number or (length == 5 and first == number):
            self.wrong = PROTOCOL_ERROR
        return self.wrong > 0

    def _widens(self, data: bytes, at: int, before: int) -> None:
        """Remember where a window is opened so wide that it may be too wide; `before`: bytes that were fed already."""
        number = int.from_bytes(data[at + 5 : at + 9], "big") & MASK
        wider = int.from_bytes(data[at + FRAME : at + FRAME + 4], "big") & MASK
        if number and wider >= WIDE and at >= before and at + FRAME + 4 <= len(data):
            self.wide.append((at - before, number, wider))

    def close(self, number: int) -> None:
        """The client has ended a stream: nothing comes on it any more."""
        self.ended.add(number)

    def spare(self, number: int) -> None:
        """We have ended a stream, and its client may not know yet."""
        self.spared.add(number)

    def sent(self, size: int) -> None:
        """So much was sent, of which the client may say that it has taken it."""
        self._windows.give(size / PER_WINDOW)

    def reset(self, now: float) -> bool:
        """We had to take a request back; False when that, with what clients take back, is too often."""
        if not self._resets.take(1, now):
            self.flood = "reset"
        return not self.flood
