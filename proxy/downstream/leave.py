"""A client connection that is over: what has been written goes out, and what still comes in is thrown away.

Rules: while a client may still be sending, closing at once would make the kernel answer with a reset, which eats the
response that the client has not read yet (RFC 9112 section 9.6); so the connection is half-closed and read on for a
while, at most LINGER seconds without a byte and LONGEST in all. One that has nothing to read is closed behind what was
written, as long as the client takes some of it every `send` seconds.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy.downstream.slow import enough, untaken
from proxy.timeouts import Timeouts

if TYPE_CHECKING:
    import asyncio

    from proxy.downstream.listener import Listener

LINGER: Final = 1.0
LONGEST: Final = 5.0
EARLY: Final = 1 << 40  # bytes: the first look comes too early to judge, so more than anybody takes
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST


def reset(transport: asyncio.Transport) -> None:
    """Close at once and so that the other side cannot take it for a proper end, not even of a body without a length."""
    plain = transport.get_extra_info("socket")
    if plain is not None:  # a connection that is lost already has none
        with contextlib.suppress(OSError):
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()


class Leave:
    """Takes over from the protocol of a connection, until it is gone."""

    __slots__ = ("_give_up", "_listener", "_since", "_timeouts", "_transport", "_untaken", "due")

    def __init__(self, listener: Listener, transport: asyncio.Transport, linger: bool, timeouts: Timeouts) -> None:
        self._listener = listener
        self._transport = transport
        self._timeouts = timeouts
        self._untaken = untaken(transport) + EARLY
        self._since = now = listener.clock.now
        transport.set_protocol(self)  # type: ignore[arg-type]  # uvloop asks for the methods, not for the base class
        if linger:
            self._give_up = now + LONGEST
            self.due = now + LINGER
            if transport.can_write_eof():
                transport.write_eof()
            transport.resume_reading()
        else:
            self._give_up = 0.0
            self.due = now + timeouts.send
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Nothing that counts."""
        if self._give_up:
            self.due = min(monotonic() + LINGER, self._give_up)

    def eof_received(self) -> bool:
        """The client has finished too."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self._listener.dismiss(self)

    def pause_writing(self) -> None:
        """Nothing more will be written."""

    def resume_writing(self) -> None:
        """Nothing more will be written."""

    def expired(self, now: float) -> None:
        """Enough, unless the client is still taking what was written."""
        left, before = untaken(self._transport), self._untaken
        passed = now - self._since
        self._untaken, self._since = left, now
        if left and enough(before - left, passed, self._timeouts):
            self.due = now + self._timeouts.send
        else:
            self._transport.abort()

    def drain(self) -> None:
        """It is leaving already."""

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()
