"""A client connection whose TLS handshake is not over: it has a place already, and can lose it.

Rules: a connection counts from when it is accepted, since its descriptor does; OpenSSL hears of it when something has
come and the porch has a place. The whole handshake has `timeouts.handshake` seconds, waiting included. OpenSSL itself
sends the alert of one that fails. Whoever has no place is closed before a byte is exchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any

from proxy.clock import NEVER
from proxy.downstream.h1 import Http1
from proxy.downstream.h2.choice import agreed
from proxy.downstream.plain import recognized
from proxy.downstream.porch import SPARED, Porch
from proxy.downstream.secured import Secured
from proxy.downstream.wire import RECORD, Wire
from proxy.parties import Client

if TYPE_CHECKING:
    from proxy.downstream.listener import Listener

UNREAD = 65536  # bytes that a client may have sent behind what made its handshake fail

log = logging.getLogger("frontgate")


class Doorstep:
    """Stands for a connection until an Http1 or Http2 does."""

    __slots__ = (
        "_connection", "_context", "_deadline", "_inside", "_listener", "_loop", "_porch", "_socket", "_wire",
        "_writes", "client", "due", "idle_since", "served", "transport"
    )  # fmt: skip

    def __init__(self, listener: Listener, connection: Http1, context: ssl.SSLContext, porch: Porch) -> None:
        self._listener = listener
        self._connection = connection
        self._context = context
        self._porch = porch
        self._inside = False
        self._wire: Wire | None = None
        self._writes = False
        self.transport: Any = None
        self.client: Client
        self.served = False
        self.idle_since = listener.clock.now
        self.due = self._deadline = listener.clock.now + listener.timeouts.handshake

    def begin(self, loop: asyncio.AbstractEventLoop, sock: socket.SocketType, peer: object) -> None:
        """The client has connected."""
        self._loop = loop
        self._socket = sock
        self.transport = transport = Secured(loop, sock, peer, self)
        self.client = self._listener.admit(self, transport)  # type: ignore[arg-type]
        if not transport.is_closing():
            loop.add_reader(sock.fileno(), self._ready)

    def _ready(self) -> None:
        """Go on with the handshake."""
        self._listener.clock.now = monotonic()
        wire = self._wire or self._welcome()
        if wire is None:
            return
        if self._writes:
            self._writes = False
            self._loop.remove_writer(self._socket.fileno())
        try:
            if not wire.plain:
                wire.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:
            self._writes = True
            self._loop.add_writer(self._socket.fileno(), self._ready)
            return
        except (OSError, ValueError) as error:  # of the socket, or of TLS
            self._fail(error)
            return
        except Exception:  # else the loop would come again at once, and for ever
            log.exception("a handshake is broken off")
            self.transport.abort()
            return
        self._go_on(wire)

    def _welcome(self) -> Wire | None:
        """What its handshake is made with, when something has come and there is a place."""
        if self.transport is None or self.transport.is_closing():
            return None
        try:
            first = self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            first = b""
        if not first:
            self.transport.abort()
            return None
        if not self._inside:
            self._inside = self._porch.enter(self, self._listener.clock.now) or self._inside
            if not self._inside:
                self.due = min(self._deadline, self._listener.clock.now + SPARED)
                self._loop.remove_reader(self._socket.fileno())
                return None
        speaks = first[0] == RECORD or first[0] & 0x80
        self._wire = wire = Wire.over(self._socket, self._context) if speaks else Wire.without(self._socket)
        return wire

    def come_in(self) -> None:
        """There is a place on the porch."""
        self._inside = True
        self.due = self._deadline
        if self.transport is not None and not self.transport.is_closing():
            self._loop.add_reader(self._socket.fileno(), self._ready)

    def _go_on(self, wire: Wire) -> None:
        """The handshake is over: another carries on."""
        transport, self.transport = self.transport, None
        listener = self._listener
        self._porch.leave(self, listener.clock.now)
        transport.begin(wire, self._connection)
        if not wire.plain and not wire.failed:
            listener.handshakes.done(wire.session_reused is True)
        if wire.failed:
            log.debug("a connection ended behind its TLS handshake: %s", wire.failed)
            transport.set_protocol(self)
            self.transport = transport  # for as long as its farewell may take
            transport.close()
            return
        spoken = agreed(self._connection, transport)
        if spoken is not None:
            listener.replace(self, spoken)
            spoken.begin(transport, self.client)
            return
        heir, client = recognized(self._connection, transport, self.client)
        listener.replace(self, heir)
        heir.begin(transport, client)

    def _fail(self, error: OSError | ValueError) -> None:
        log.debug("a connection ended in its TLS handshake: %s", error)
        self._listener.handshakes.fail(reason(error))
        with contextlib.suppress(
            OSError
        ):  # else the kernel would answer what is unread with a reset, which eats alerts
            self._socket.recv(UNREAD)
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self.transport = None
        self._porch.leave(self, self._listener.clock.now)
        self._listener.dismiss(self)

    def expired(self, now: float) -> None:
        """The time of the handshake is over, or it is to be asked again whether it may begin."""
        if now < self._deadline:
            self.due = min(self._deadline, now + SPARED)
            self._porch.press(now)
            return
        self.due = NEVER
        if self.transport is not None:
            log.debug("a connection ended in its TLS handshake: it took too long")
            self._listener.handshakes.fail("timeout")
            self.transport.abort()

    def drain(self) -> None:
        """Whoever has connected is still served."""

    def give_way(self) -> None:
        """Make room for another connection."""
        self.idle_since = NEVER
        if self.transport is not None:
            self._listener.handshakes.fail("displaced")
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()


def reason(error: OSError | ValueError) -> str:
    """Why a handshake failed, in a word of those that are counted."""
    if isinstance(error, ssl.SSLEOFError) or not isinstance(error, ssl.SSLError | ValueError):
        return "closed"
    return "refused" if getattr(error, "reason", None) == "CALLBACK_FAILED" else "tls"
