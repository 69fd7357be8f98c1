"""Accepts connections that begin with a PROXY header, and hands them on behind it, with TLS or without.

Rules: the header is looked at before it is taken from the socket (MSG_PEEK), so that not one byte of what follows is
read here, and a TLS handshake finds its beginning. Whoever does not send a whole header within the time for a request
head is closed without a word, as nginx does. At most MOST wait at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from proxy.http.proxy_protocol import LONGEST, Proxied, Wrong, read

if TYPE_CHECKING:
    from proxy.downstream.entrance import Entrance
    from proxy.downstream.listener import Listener

MOST: Final = 1024  # connections that have not sent their header
AT_ONCE: Final = 64  # connections that are accepted before others are served
PAUSE: Final = 0.5  # seconds without accepting, when there is no descriptor left
AGAIN: Final = 0.02  # seconds until a header that came in parts is looked at again

log = logging.getLogger("frontgate")

Made = Callable[[Proxied], Any]


class Heralds:
    """Listens in place of asyncio's server. `made` gives the protocol of a connection, or `entrance` takes it in."""

    def __init__(self, listener: Listener, sock: socket.socket, made: Made, entrance: Entrance | None = None) -> None:
        self._listener = listener
        self._socket = sock
        self._made = made
        self._entrance = entrance
        self._loop = asyncio.get_running_loop()
        self._waiting: set[Herald] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop.add_reader(sock.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        for herald in list(self._waiting):
            herald.end()

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                one, peer = self._socket.accept()
            except OSError as error:  # nobody is left, or was gone before we looked
                if error.errno in (errno.EMFILE, errno.ENFILE):  # it would wake us again at once
                    self._loop.remove_reader(self._socket.fileno())
                    self._loop.call_later(PAUSE, self._again)
                return
            one.setblocking(False)
            if len(self._waiting) >= MOST:
                one.close()
                continue
            herald = Herald(self, one, peer)
            self._waiting.add(herald)
            herald.due = self._listener.clock.now + self._listener.timeouts.client_header
            self._listener.wheel.add(herald)

    def _again(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket.fileno(), self._accept)

    def dismiss(self, herald: Herald) -> None:
        """It has spoken, or is gone."""
        self._waiting.discard(herald)
        self._listener.wheel.discard(herald)

    def introduce(self, sock: socket.socket, peer: object, proxied: Proxied) -> None:
        """Begin the connection behind its header."""
        if self._entrance is not None:
            self._entrance.receive(sock, peer, proxied)
            return
        task = self._loop.create_task(self._begin(sock, proxied))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin(self, sock: socket.socket, proxied: Proxied) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: self._made(proxied), sock)
        except OSError as error:
            log.info("a connection ended at its beginning: %s", error)
            with contextlib.suppress(OSError):
                sock.close()


class Herald:
    """A connection that has not sent its header yet."""

    __slots__ = ("_heralds", "_peer", "_socket", "due")

    def __init__(self, heralds: Heralds, sock: socket.socket, peer: object) -> None:
        self._peer = peer
        self._heralds = heralds
        self._socket = sock
        self.due = 0.0
        heralds._loop.add_reader(sock.fileno(), self._look)

    def expired(self, now: float) -> None:
        """It does not come."""
        self.end()

    def end(self) -> None:
        """Close the connection."""
        if self._socket.fileno() >= 0:
            self._heralds._loop.remove_reader(self._socket.fileno())
            self._socket.close()
        self._heralds.dismiss(self)

    def _look(self) -> None:
        """Look at what has come."""
        try:
            data = self._socket.recv(LONGEST, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            found = read(data) if data else None
        except Wrong:
            log.error("broken PROXY protocol header: a connection is closed")
            data, found = b"", None
        if found is not None:
            self._heralds._loop.remove_reader(self._socket.fileno())
            self._heralds.dismiss(self)
            self._socket.recv(found.size)
            self._heralds.introduce(self._socket, self._peer, found)
        elif not data:
            self.end()
        else:  # the rest is on its way, and what is here would wake us again at once
            self._heralds._loop.remove_reader(self._socket.fileno())
            self._heralds._loop.call_later(AGAIN, self._again)

    def _again(self) -> None:
        if self._socket.fileno() >= 0:
            self._heralds._loop.add_reader(self._socket.fileno(), self._look)
