"""A client connection that is over: what has been written goes out, and what still comes in is thrown away.

Rules: while a client may still be sending, closing at once would make the kernel answer with a reset, which eats the
response that the client has not read yet (RFC 9112 section 9.6); so the connection is half-closed and read on for
LINGER seconds and MOST bytes; what comes then waits in the kernel, until the client finds that nobody takes it. Behind
the rest of a body that was announced, which many clients send before they read, it is as long as it comes, at most
LONGEST. One that has nothing to read is closed behind what was written, as long as the client takes some of it every
`send` seconds.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Final

from proxy.clock import NEVER
from proxy.downstream.slow import enough, untaken
from proxy.timeouts import Timeouts

if TYPE_CHECKING:
    import asyncio

    from proxy.downstream.listener import Listener

LINGER: Final = 1.0
LONGEST: Final = 5.0
MOST: Final = 65536
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

    __slots__ = (
        "_come", "_give_up", "_listener", "_looked", "_timeouts", "_transport", "_untaken", "due", "idle_since",
        "served",
    )  # fmt: skip

    def __init__(
        self, listener: Listener, transport: asyncio.Transport, linger: bool, timeouts: Timeouts, body: bool = False
    ) -> None:
        self._listener = listener
        self._transport = transport
        self._timeouts = timeouts
        self._untaken = untaken(transport) + EARLY
        self._come = 0  # bytes that were thrown away
        self._give_up = 0.0  # when nothing more of a body is read; 0.0: there is none
        self._looked = now = listener.clock.now
        self.served = True
        self.idle_since = now if linger else NEVER
        transport.set_protocol(self)  # type: ignore[arg-type]  # uvloop asks for the methods, not for the base class
        if linger:
            self.due = now + LINGER
            self._give_up = now + LONGEST if body else 0.0
            if transport.can_write_eof():
                transport.write_eof()
            transport.resume_reading()
        else:
            self.due = now + timeouts.send
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Nothing that counts."""
        self._come += len(data)
        if self._give_up:
            self.due = min(self._listener.clock.now + LINGER, self._give_up)
        elif self._come > MOST and not self._transport.is_closing():
            self._transport.pause_reading()

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
        passed = now - self._looked
        self._untaken, self._looked = left, now
        if left and enough(before - left, passed, self._timeouts):
            self.due = now + self._timeouts.send
        else:
            self._transport.abort()

    def drain(self) -> None:
        """It is leaving already."""

    def give_way(self) -> None:
        """Make room for another connection."""
        self.idle_since = NEVER
        self._transport.abort()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()
