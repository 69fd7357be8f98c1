"""Counts the frames of an HTTP/2 connection before its engine sees them, so that no flood costs more than counting it.

Rules: RFC 9113 section 10.5. Frames are told apart by their nine bytes of header alone, in whatever pieces they come;
what is wrong with them is the engine's affair. A flood is what no client needs: more CONTROL frames than a burst and a
rate, empty parts of bodies among them; windows that are opened more often than what was sent asks for; blocks of
fields in too many or too large pieces; requests that are taken back, or that are so wrong that we take them back. All
is by the connection: a client behind which many sit has many.
"""

from __future__ import annotations

from typing import Final

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PADDING: Final = 257  # bytes that padding can be, with that which counts it
FRAME: Final = 9  # bytes of a frame's header
CONTROL_BURST, CONTROL_RATE = 1000, 100.0  # frames, and frames a second
RESET_BURST, RESET_RATE = 200, 20.0
PER_WINDOW: Final = 1024  # bytes sent that give the client another WINDOW_UPDATE
GAPS: Final = 16
SPARED: Final = 256  # streams
MASK: Final = 0x7FFFFFFF
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


class Gate:
    """The frames of one connection, behind the preface. `flood` says what there is too much of; "" for nothing. `wrong`
    is the code of an error that engines let pass: something on a stream that is over, or that was left out.

    `ended` are the latest streams that their client has ended, `spared` those that we have ended before.
    """

    __slots__ = (
        "_block", "_control", "_gaps", "_head", "_highest", "_partial", "_parts", "_resets", "_skip", "_windows",
        "ended", "flood", "spared", "wrong"
    )  # fmt: skip

    def __init__(self, now: float) -> None:
        self._head = b""  # of a frame's header, what has come
        self._skip = len(PREFACE)  # bytes until the next frame
        self._block = self._parts = 0  # bytes and CONTINUATION frames of the last block of fields
        self._control = Bucket(CONTROL_BURST, CONTROL_RATE, now)
        self._windows = Bucket(CONTROL_BURST, CONTROL_RATE, now)
        self._resets = Bucket(RESET_BURST, RESET_RATE, now)
        self._highest = 0  # stream that was begun
        self._gaps: list[tuple[int, int]] = []  # streams below it that were left out, the latest
        self.ended: dict[int, None] = {}
        self.spared: dict[int, None] = {}
        self._partial = False  # the last block is not whole
        self.flood = ""
        self.wrong = 0

    def look(self, data: bytes, now: float) -> bool:
        """Look at what has come; False when it is too much."""
        at, size = self._skip, len(data)
        if self._head:
            data = self._head + data
            size = len(data)
            self._head = b""
        control = windows = 0
        first = self._highest  # what is above it was begun in these bytes
        while at + FRAME <= size:
            length = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
            kind = data[at + 3]
            if kind == HEADERS:
                self._block, self._parts = length, 0
                number = int.from_bytes(data[at + 5 : at + 9], "big") & MASK
                if number > self._highest:
                    if number > self._highest + 2:
                        self._gaps = [*self._gaps[-GAPS:], (self._highest, number)]
                    self._highest = number
                elif number <= first and not self._partial and self._misplaced(number):
                    return False
                self._partial = not data[at + 4] & END_HEADERS
            elif kind == DATA:
                if self.ended and int.from_bytes(data[at + 5 : at + 9], "big") & MASK in self.ended:
                    self.wrong = STREAM_CLOSED
                    return False
                if length < PADDING and not data[at + 4] & END_STREAM:
                    control += not length or self._hollow(data, at, length)
            elif kind == WINDOW_UPDATE:
                windows += 1
            elif kind == CONTINUATION:
                self._block += length
                self._parts += 1
                self._partial = not data[at + 4] & END_HEADERS
                if self._parts > MOST_PARTS or self._block > MOST_BLOCK:
                    self.flood = "continuation"
                    return False
            elif kind == PRIORITY and not int.from_bytes(data[at + 5 : at + 9], "big") & MASK:
                self.wrong = PROTOCOL_ERROR
                return False
            elif kind != RST_STREAM:  # which is counted when its request is known
                control += 1
            at += FRAME + length
        if at < size:
            self._head = data[at:]
            self._skip = 0
        else:
            self._skip = at - size
        if control and not self._control.take(control, now):
            self.flood = "control"
        if windows and not self._windows.take(windows, now):
            self.flood = "window_update"
        return not self.flood

    @staticmethod
    def _hollow(data: bytes, at: int, length: int) -> bool:
        """Whether a part of a body is nothing but padding."""
        return bool(data[at + 4] & PADDED) and (at + FRAME >= len(data) or data[at + FRAME] + 1 >= length)

    def _misplaced(self, number: int) -> bool:
        """Whether fields on a stream that was begun before are an error (RFC 9113 sections 5.1 and 5.1.1)."""
        if number in self.ended:
            self.wrong = STREAM_CLOSED
        elif number % 2 == 0 or any(low < number < high for low, high in self._gaps):
            self.wrong = PROTOCOL_ERROR
        return self.wrong > 0

    def close(self, number: int) -> None:
        """The client has ended a stream: nothing comes on it any more."""
        self.ended[number] = None
        if len(self.ended) > SPARED:
            del self.ended[next(iter(self.ended))]

    def spare(self, number: int) -> None:
        """We have ended a stream, and its client may not know yet."""
        self.spared[number] = None
        if len(self.spared) > SPARED:
            del self.spared[next(iter(self.spared))]

    def sent(self, size: int) -> None:
        """So much was sent, of which the client may say that it has taken it."""
        self._windows.give(size / PER_WINDOW)

    def reset(self, now: float) -> bool:
        """A request was taken back, by whomever; False when that is too many."""
        if not self._resets.take(1, now):
            self.flood = "reset"
        return not self.flood
