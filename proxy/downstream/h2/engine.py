"""What we need of a library that speaks HTTP/2: an Engine, and what it tells, a Hearer.

Rules: an engine knows frames, compression, windows and the states of streams, and nothing else: no sockets, no clock,
and no meaning of fields. It never raises: what cannot be done any more, on a stream or a connection that is gone, is
not done. Bytes of bodies wait in it until the windows of the client are open. Whoever wants another one writes another
adapter.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from proxy.http.gate import GOAWAY
from proxy.http.streams import Fields

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR = 0x0, 0x1, 0x2
FLOW_CONTROL_ERROR = 0x3
SETTINGS_TIMEOUT, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0x4, 0x7, 0x8, 0xB

MOST_FIELDS: Final = 1000  # of a block that is read at all; what a request may have is said by `StreamReader`
LARGEST_HEAD: Final = 65536  # bytes of one, decoded
LARGEST_WINDOW: Final = (1 << 31) - 1
Make = Callable[["Hearer", "Terms"], "Engine"]


class Terms:
    """What clients of a listener are granted: `streams` at a time, `window` bytes of each request's body that may come
    before somebody takes them, and by the connection so many `control` frames and `resets` of streams at once, a tenth
    of that a second. `make` makes the engine."""

    __slots__ = ("control", "make", "resets", "streams", "window")

    def __init__(
        self, make: Make, streams: int = 100, window: int = 65536, control: int = 1000, resets: int = 200
    ) -> None:
        self.make = make
        self.streams = streams
        self.window = window
        self.control = control
        self.resets = resets

    @property
    def together(self) -> int:
        """The window of all streams, so wide that one that is held holds no other."""
        return min(self.streams * self.window, LARGEST_WINDOW)

    @property
    def settings(self) -> dict[int, int]:
        """MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE, ENABLE_CONNECT_PROTOCOL (RFC 8441)."""
        return {0x3: self.streams, 0x4: self.window, 0x6: LARGEST_HEAD, 0x8: 1}


def goaway(code: int, last: int, words: bytes = b"") -> bytes:
    """A GOAWAY frame, where an engine cannot make one."""
    payload = struct.pack(">II", last, code) + words
    return struct.pack(">I", len(payload))[1:] + bytes((GOAWAY, 0, 0, 0, 0, 0)) + payload


class Hearer:
    """Who is told of what the client sends, while it is fed. A class and no Protocol, as is Engine: compiled, calls
    between the two are then calls of C."""

    __slots__ = ()

    def asked(self, number: int, fields: Fields, end: bool) -> None:
        """A request has begun on a stream; `end`: it has no body."""
        raise NotImplementedError

    def came(self, number: int, data: bytes, end: bool) -> None:
        """More of its body."""
        raise NotImplementedError

    def trailed(self, number: int, fields: Fields) -> None:
        """Its trailers, and its end."""
        raise NotImplementedError

    def gone(self, number: int, code: int, ours: bool) -> None:
        """A stream was reset, by the client or by `ours`, for what the client did or because it was asked for."""
        raise NotImplementedError

    def agreed(self) -> None:
        """The client has acknowledged our settings."""
        raise NotImplementedError


class Engine:
    """One connection. `over`: nothing that comes is read any more, and it ends behind what is to be sent."""

    __slots__ = ("over",)

    over: bool

    def feed(self, data: bytes) -> None:
        """Bytes from the client; tells its Hearer of what is in them."""
        raise NotImplementedError

    def output(self, most: int) -> bytes:
        """What is to be sent next, about so much; b"" when nothing is, or when the client's windows are closed."""
        raise NotImplementedError

    def head(self, number: int, fields: Fields, end: bool) -> None:
        """Send the head of a response."""
        raise NotImplementedError

    def interim(self, number: int, fields: Fields) -> None:
        """Send a 1xx response."""
        raise NotImplementedError

    def body(self, number: int, data: bytes, end: bool) -> None:
        """Send more of its body."""
        raise NotImplementedError

    def trailers(self, number: int, fields: Fields) -> None:
        """Send its trailers, and its end."""
        raise NotImplementedError

    def reset(self, number: int, code: int) -> None:
        """Break a stream off."""
        raise NotImplementedError

    def taken(self, number: int, size: int) -> None:
        """So many bytes of a request's body are not here any more: as many more may come."""
        raise NotImplementedError

    def queued(self, number: int) -> int:
        """Bytes of a response's body that wait here."""
        raise NotImplementedError

    def waits(self) -> bool:
        """Whether bytes of any body wait here."""
        raise NotImplementedError

    def room(self, number: int) -> int:
        """Bytes of a response's body that the client's window of a stream has room for; -1: that is not known here."""
        raise NotImplementedError

    def leave(self, code: int, last: int, words: bytes = b"") -> None:
        """Tell the client (GOAWAY) that no stream behind `last` is served."""
        raise NotImplementedError
