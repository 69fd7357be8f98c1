"""A client connection whose TLS handshake is not over: it has a place already, and can lose it.

Rules: a connection counts from when it is accepted, since its descriptor and its buffers do; so the handshake is not
left to the loop's server, which says nothing of a connection before it is over. Whoever has no place is closed before a
byte is exchanged.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING, Any, Final

from proxy.clock import NEVER
from proxy.downstream.h1 import Http1
from proxy.downstream.h2.choice import agreed
from proxy.downstream.plain import recognized, refused

if TYPE_CHECKING:
    from proxy.downstream.listener import Listener

HANDSHAKE: Final = 10.0  # seconds; 60 is asyncio's default

log = logging.getLogger("frontgate")


class Doorstep:
    """Is the protocol of a connection until its TLS begins, and stands for it until an Http1 or Http2 does."""

    __slots__ = (
        "_connection", "_context", "_handshake", "_listener", "client", "due", "idle_since", "served", "transport"
    )  # fmt: skip

    def __init__(self, listener: Listener, connection: Http1, context: ssl.SSLContext) -> None:
        self._listener = listener
        self._connection = connection
        self._context = context
        self.transport: asyncio.Transport | None = None
        self.due = NEVER  # the loop looks after the time of a handshake
        self.served = False
        self.idle_since = listener.clock.now

    def connection_made(self, transport: asyncio.Transport) -> None:
        """The client has connected."""
        self.transport = transport
        listener = self._listener
        self.client = listener.admit(self, transport)
        if transport.is_closing():
            return
        # uvloop counts the time of a shutdown from the close on, while what was written may still be going out.
        limits: dict[str, Any] = {"ssl_handshake_timeout": HANDSHAKE, "ssl_shutdown_timeout": listener.timeouts.send}
        protocol: Any = self._connection  # uvloop asks for the methods, not for the base class
        loop = asyncio.get_running_loop()
        self._handshake: Any = loop.start_tls(transport, protocol, self._context, server_side=True, **limits)
        self._go_on(None)

    def _go_on(self, waited: object) -> None:
        """Go on with the handshake, which waits for one thing. It begins at once: a task would do so in the loop's next
        turn, and the client's first bytes would come to us before that."""
        secured: asyncio.Transport | None = None
        try:
            self._handshake.send(None).add_done_callback(self._go_on)
            return
        except StopIteration as end:
            secured = end.value
        except (OSError, ValueError) as error:  # of the socket, or of TLS
            log.debug("a connection ended in its TLS handshake: %s", error)
        self.transport = None
        if secured is not None and refused(secured):
            secured.close()  # behind the alert
        if secured is None or secured.is_closing():
            self._listener.dismiss(self)
        else:
            spoken = agreed(self._connection, secured)
            if spoken is not None:
                self._listener.replace(self, spoken)
                spoken.begin(secured, self.client)
                return
            heir, client = recognized(self._connection, secured, self.client)
            self._listener.replace(self, heir)
            heir.begin(secured, client)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone before its handshake began."""
        self._listener.dismiss(self)

    def data_received(self, data: bytes) -> None:
        """Nothing comes here: the handshake reads for itself."""

    def expired(self, now: float) -> None:
        """The loop looks after the time of a handshake."""

    def drain(self) -> None:
        """Whoever has connected is still served."""

    def give_way(self) -> None:
        """Make room for another connection."""
        self.idle_since = NEVER
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()
