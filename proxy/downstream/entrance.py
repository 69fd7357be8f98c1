"""Accepts the connections of a listener that speaks TLS, and begins their handshakes.

Rules: one connection is accepted each time that the loop says there is one, and more as long as there were more the
last time: so whoever comes alone costs one call of the system. Sockets are OpenSSL's own to read and write (`Secured`),
so the loop's transports have no part in them; and they are the plain ones below `socket.socket`, whose enumerations and
bookkeeping cost 15 us a connection.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from proxy.downstream.doorstep import Doorstep
from proxy.downstream.porch import Porch
from proxy.downstream.wire import Socket

if TYPE_CHECKING:
    from proxy.downstream.listener import Listener
    from proxy.http.proxy_protocol import Proxied

MOST: Final = 64  # connections that are accepted before others are served
PAUSE: Final = 0.5  # seconds without accepting, when there is no descriptor left


class Entrance:
    """Listens in place of asyncio's server."""

    def __init__(self, listener: Listener, sock: Any, context: ssl.SSLContext, porch: Porch) -> None:
        self._listener = listener
        self._socket = sock
        self._context = context
        self._porch = porch
        self._at_once = 1
        self._loop = asyncio.get_running_loop()
        self._family = int(sock.family)
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:  # on Linux those that are accepted have it then
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def open(self) -> None:
        """Begin to accept."""
        self._loop.add_reader(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _accept(self) -> None:
        self._listener.clock.now = monotonic()
        for _ in range(self._at_once):
            try:
                descriptor, peer = self._socket._accept()
            except OSError as error:  # nobody is left, or was gone before we looked
                self._at_once = 1
                if error.errno in (errno.EMFILE, errno.ENFILE):  # it would wake us again at once
                    self._loop.remove_reader(self._socket.fileno())
                    self._loop.call_later(PAUSE, self._again)
                return
            self.receive(Socket(self._family, socket.SOCK_STREAM, 0, descriptor), peer)
        self._at_once = min(MOST, 2 * self._at_once)

    def _again(self) -> None:
        if self._socket.fileno() >= 0:
            self.open()

    def receive(self, one: socket.SocketType, peer: object, proxied: Proxied | None = None) -> None:
        """Begin the connection of a socket, behind its PROXY header if there was one."""
        one.setblocking(False)
        connection = self._listener.fresh(proxied)
        Doorstep(self._listener, connection, self._context, self._porch).begin(self._loop, one, peer)
