"""A client that speaks HTTP/2 in frames over a socket, sound ones and others, for attacks on a whole door.

Rules: fields are literals without a table, so that what stands on the wire is what the test wrote; it says what it is
told to as fast as the door takes it, and stops when the door has closed.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterable, Iterator

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, MORE = range(10)
END, WHOLE, ACK = 0x1, 0x4, 0x1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """A frame."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def text(value: bytes) -> bytes:
    """A string of HPACK, as it is."""
    size, out = len(value), b"\x7f"
    if size < 127:
        return bytes((size,)) + value
    size -= 127
    while size >= 128:
        out += bytes((size % 128 + 128,))
        size //= 128
    return out + bytes((size,)) + value


def block(*fields: tuple[bytes, bytes], method: bytes = b"GET", path: bytes = b"/") -> bytes:
    """The fields of a request."""
    whole = ((b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", b"door"), *fields)
    return b"".join(b"\0" + text(name) + text(value) for name, value in whole)


class Framed:
    """A connection on which the prefaces have been exchanged. `limit` is what the door says of streams."""

    def __init__(self, port: int, settings: bytes = b"", agrees: bool = True) -> None:
        self.wire = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begun = b""
        self.over = False
        self.wire.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))
        kind, _, _, payload = next(self.frames(10.0))
        assert kind == SETTINGS
        self.said = dict(struct.iter_unpack(">HI", payload))
        if agrees:
            self.wire.sendall(frame(SETTINGS, ACK))

    def __enter__(self) -> Framed:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def frames(self, seconds: float) -> Iterator[tuple[int, int, int, bytes]]:
        """What comes: kind, flags, stream and payload of each frame, until the door closes or time is up."""
        end = time.monotonic() + seconds
        while not self.over:
            while len(self.begun) >= 9:
                size = 9 + int.from_bytes(self.begun[:3], "big")
                if len(self.begun) < size:
                    break
                one, self.begun = self.begun[:size], self.begun[size:]
                yield one[3], one[4], int.from_bytes(one[5:9], "big"), one[9:]
            self.wire.settimeout(max(0.01, end - time.monotonic()))
            try:
                more = self.wire.recv(65536)
            except TimeoutError:
                return
            except OSError:
                more = b""
            self.over = not more
            self.begun += more

    def farewell(self, seconds: float = 5.0) -> int | None:
        """The code of the last GOAWAY, read until the door closes; None if there was none, and it was closed."""
        code = None
        for kind, _, _, payload in self.frames(seconds):
            if kind == GOAWAY:
                code = int.from_bytes(payload[4:8], "big")
        assert self.over, f"it is not closed (GOAWAY: {code})"
        return code

    def pours(self, parts: Iterable[bytes]) -> int:
        """Say parts until the door does not take them; how many were said."""
        said = 0
        self.wire.settimeout(5.0)
        for part in parts:
            self.wire.setblocking(False)  # look for the end that has come
            with contextlib.suppress(BlockingIOError):
                try:
                    more = self.wire.recv(65536)
                except ConnectionError:
                    return said
                self.begun += more
                if not more or GOAWAY in (one[3] for one in whole_frames(self.begun)):
                    return said
            self.wire.settimeout(5.0)
            try:
                self.wire.sendall(part)
            except OSError:
                return said
            said += 1
        return said


def whole_frames(data: bytes) -> Iterator[bytes]:
    """The frames that are all there."""
    at = 0
    while at + 9 <= len(data):
        size = 9 + int.from_bytes(data[at : at + 3], "big")
        if at + size > len(data):
            return
        yield data[at : at + size]
        at += size
