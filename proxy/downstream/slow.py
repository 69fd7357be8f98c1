"""A client that takes its answer slower than it comes: how fast it is, and the part that waits for it.

Rules: what was taken is what has left the kernel's buffer too; of the loop's buffer alone nothing would be seen for
minutes, since the kernel asks for more only when a third of its own, megabytes of a fast path, is free. What waits
begins when the transport is full and takes everything from then on, so that the order stays. When it may hold no more,
or the disk refuses, the link is held, as it is without it: never is a byte lost or out of its place.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import struct
import termios
from typing import TYPE_CHECKING, Final

from proxy import engine, faults
from proxy.exchange import Exchange

if TYPE_CHECKING:
    from proxy.downstream.spool import Spool
    from proxy.timeouts import Timeouts

LOOK: Final = 30.0  # seconds of which the least rate is the mean
PART: Final = 65536  # bytes that a transport may hold; one more, and it is full
INT: Final = struct.Struct("i")

log = logging.getLogger("frontgate")


def untaken(transport: asyncio.Transport) -> int:
    """Bytes that were written and that the client has not acknowledged, in the loop's buffer and the kernel's."""
    waiting = transport.get_write_buffer_size()
    plain = transport.get_extra_info("socket")
    if plain is None:
        return waiting
    try:
        answer = fcntl.ioctl(plain.fileno(), termios.TIOCOUTQ, INT.pack(0))  # SIOCOUTQ, see tcp(7)
    except OSError:  # no socket that counts so
        return waiting
    return waiting + int(INT.unpack(answer)[0])


def at_once(transport: asyncio.Transport, data: bytes) -> int:
    """Have the kernel take what it will of a large part, behind the back of a transport that holds nothing and changes
    nothing on the way; how many bytes it took.

    A transport would keep all of a part of which a byte is left: 256 KB for each slow client, as the loop reads them.
    """
    plain = transport.get_extra_info("socket")
    if plain is None or transport.is_closing() or transport.get_write_buffer_size():
        return 0
    try:
        return os.write(plain.fileno(), data)
    except OSError:  # full, or lost, which the transport will find out
        return 0


def file_at_once(transport: asyncio.Transport, descriptor: int, begin: int, size: int) -> int:
    """The same with a part of a file, which does not come through our memory then."""
    plain = transport.get_extra_info("socket")
    if plain is None or transport.is_closing() or transport.get_write_buffer_size():
        return 0
    try:
        return os.sendfile(plain.fileno(), descriptor, begin, size)
    except OSError:  # full, or lost, or no file that can be sent so
        return 0


def pour(transport: asyncio.Transport, exchange: Exchange, data: bytes, plain: bool) -> bytes:
    """Write a large part: what the kernel takes now, if the connection is `plain`, and then as much as makes the
    transport full; gives back the rest. `body_out` follows, since a client that does not keep up is judged by it."""
    exchange.body_out -= len(data)
    at = at_once(transport, data) if plain else 0
    exchange.body_out += at
    while at < len(data) and (held := transport.get_write_buffer_size()) <= PART:
        part = data[at : at + PART + 1 - held]
        at += len(part)
        exchange.body_out += len(part)
        transport.write(part)
    exchange.body_out += len(data) - at
    return data[at:]


def enough(taken: int, seconds: float, timeouts: Timeouts) -> bool:
    """Whether a client that took so many bytes in so many seconds may go on: at `min_rate`, or at all without one."""
    return taken >= max(1, int(timeouts.min_rate * seconds))


class SlowClient:
    """Watches a client while its transport is full, and keeps what comes meanwhile in a spool, if it has one."""

    __slots__ = ("_exchange", "_held", "_spool", "_taken", "_transport")

    def __init__(self, transport: asyncio.Transport, exchange: Exchange, spool: Spool | None) -> None:
        self._transport = transport
        self._exchange = exchange
        self._spool = spool
        self._held = False
        self._taken = self._count()
        if spool is None:
            self._hold()

    @property
    def left(self) -> int:
        """Bytes that wait."""
        return 0 if self._spool is None else self._spool.left

    @property
    def patience(self) -> float:
        """Seconds until it is looked at again, however busy it is in between."""
        timeouts = self._exchange.route.timeouts
        return min(timeouts.send, LOOK) if timeouts.min_rate else timeouts.send

    def moves(self) -> bool:
        """Whether the client has taken enough since it was last asked."""
        before, self._taken = self._taken, self._count()
        return enough(self._taken - before, self.patience, self._exchange.route.timeouts)

    def add(self, part: bytes) -> None:
        """More of the answer has come."""
        if self._spool is None:
            self._transport.write(part)
            if self._transport.get_write_buffer_size() > PART:  # whoever was released has sent too much already
                self._hold()
        elif not self._spool.add(part):
            log.debug("a backend is held for a slow client: %s", self._spool.trouble)
            self._spool.add(part, must=True)
            self._hold()

    def feed(self) -> bool:
        """Write more of what waits, until the transport is full; with the last of it the exchange is finished, if its
        backend is done. True when the client keeps up again, and nothing is to be kept any more."""
        spool, transport, exchange = self._spool, self._transport, self._exchange
        try:
            while spool is not None and spool.left and transport.get_write_buffer_size() <= PART:
                transport.write(spool.take(PART + 1 - transport.get_write_buffer_size()))
        except OSError as error:  # the disk does not give back what it was given
            log.error("an answer that was kept for a slow client cannot be read: %s", error)
            engine.failed(exchange, faults.NO_SPACE)
            return False
        if self._held and (spool is None or spool.ready):
            self._held = False
            if exchange.link is not None:
                exchange.link.release()
        if exchange.ended and not self.left and exchange.link is None:  # else a filter has more of it
            if not exchange.finished:
                engine.finish(exchange)
            return False
        return not self.left and transport.get_write_buffer_size() <= PART

    def wait(self) -> None:
        """The transport is full again, with what came while it was fed."""
        if self._spool is None:
            self._hold()

    def close(self) -> None:
        """Give all back that is kept; how fast the client takes what was written can still be asked."""
        if self._spool is not None:
            self._exchange.body_out -= self._spool.left
            self._spool.close()
            self._spool = None

    def _hold(self) -> None:
        if not self._held:
            self._held = True
            if self._exchange.link is not None:
                self._exchange.link.hold()

    def _count(self) -> int:
        return self._exchange.body_out - self.left - untaken(self._transport)
