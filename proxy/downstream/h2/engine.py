"""What we need of a library that speaks HTTP/2: an Engine, and what it tells, a Hearer.

Rules: an engine knows frames, compression, windows and the states of streams, and nothing else: no sockets, no clock,
and no meaning of fields. It never raises: what cannot be done any more, on a stream or a connection that is gone, is
not done. Bytes of bodies wait in it until the windows of the client are open. Whoever wants another one writes another
adapter.
"""

from __future__ import annotations

import struct
from typing import Final, Protocol

from proxy.http.gate import GOAWAY
from proxy.http.streams import Fields

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR = 0x0, 0x1, 0x2
SETTINGS_TIMEOUT, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0x4, 0x7, 0x8, 0xB

MOST_STREAMS: Final = 100  # at a time
WINDOW: Final = 65536  # bytes of a request's body that may come before somebody takes them
TOGETHER: Final = MOST_STREAMS * WINDOW  # of all, so that one that is held holds no other
MOST_FIELDS: Final = 1000  # of a block that is read at all; what a request may have is said by `StreamReader`
LARGEST_HEAD: Final = 65536  # bytes of one, decoded
SETTINGS: Final = {0x3: MOST_STREAMS, 0x4: WINDOW, 0x6: LARGEST_HEAD, 0x8: 1}
"""MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE, ENABLE_CONNECT_PROTOCOL (RFC 8441)."""


def goaway(code: int, last: int, words: bytes = b"") -> bytes:
    """A GOAWAY frame, where an engine cannot make one."""
    payload = struct.pack(">II", last, code) + words
    return struct.pack(">I", len(payload))[1:] + bytes((GOAWAY, 0, 0, 0, 0, 0)) + payload


class Hearer(Protocol):
    """Who is told of what the client sends, while it is fed."""

    def asked(self, number: int, fields: Fields, end: bool) -> None:
        """A request has begun on a stream; `end`: it has no body."""

    def came(self, number: int, data: bytes, end: bool) -> None:
        """More of its body."""

    def trailed(self, number: int, fields: Fields) -> None:
        """Its trailers, and its end."""

    def gone(self, number: int, code: int, ours: bool) -> None:
        """A stream was reset, by the client or by `ours`, for what the client did or because it was asked for."""

    def agreed(self) -> None:
        """The client has acknowledged our settings."""


class Engine(Protocol):
    """One connection. `over`: nothing that comes is read any more, and it ends behind what is to be sent."""

    over: bool

    def feed(self, data: bytes) -> None:
        """Bytes from the client; tells its Hearer of what is in them."""

    def output(self, most: int) -> bytes:
        """What is to be sent next, about so much; b"" when nothing is, or when the client's windows are closed."""

    def head(self, number: int, fields: Fields, end: bool) -> None:
        """Send the head of a response."""

    def interim(self, number: int, fields: Fields) -> None:
        """Send a 1xx response."""

    def body(self, number: int, data: bytes, end: bool) -> None:
        """Send more of its body."""

    def trailers(self, number: int, fields: Fields) -> None:
        """Send its trailers, and its end."""

    def reset(self, number: int, code: int) -> None:
        """Break a stream off."""

    def taken(self, number: int, size: int) -> None:
        """So many bytes of a request's body are not here any more: as many more may come."""

    def queued(self, number: int) -> int:
        """Bytes of a response's body that wait here."""

    def leave(self, code: int, last: int, words: bytes = b"") -> None:
        """Tell the client (GOAWAY) that no stream behind `last` is served."""
