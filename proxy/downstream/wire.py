"""The TLS of one client connection, and what is no TLS at all.

Rules: it is made over the connection's socket, or over memory where there is none. Whoever speaks plain HTTP to a TLS
listener is told so in plain HTTP (nginx: 497), so `Plain` passes bytes where OpenSSL would decrypt them.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from proxy.downstream.greeting import Greeting

RECORD: Final = 0x16  # the first byte of a handshake; that of SSLv2 has its highest bit set


class Socket(socket.SocketType):
    """A plain socket that ssl can keep a weak reference to, which is all that it does with one."""

    __slots__ = ("__weakref__",)


class Shaking:
    """Whose handshake OpenSSL is at, for what it calls back meanwhile."""

    __slots__ = ("wire",)

    def __init__(self) -> None:
        self.wire: Any = None


NOW: Final = Shaking()


class Wire(ssl.SSLObject):
    """One connection. `asked` is the server name that the client sent, `site` whose handshake it was, `failed` why
    nothing is to come behind the handshake, `inner` OpenSSL's own connection, once it has told us that."""

    asked = b""
    inner = 0
    site: Greeting | None = None
    plain = False
    failed = ""

    @classmethod
    def over(cls, sock: socket.SocketType, context: ssl.SSLContext) -> Wire:
        """The server's end over a socket, which waits for nothing. It is what `ssl.SSLSocket` is built on, without that
        class's own calls of the system."""
        wire: Any = cls.__new__(cls)
        wire._sslobj = context._wrap_socket(sock, True, None, owner=wire)  # type: ignore[attr-defined]
        return wire  # type: ignore[no-any-return]

    @classmethod
    def without(cls, sock: socket.SocketType) -> Wire:
        """What stands for it on a connection that speaks no TLS."""
        wire: Any = cls.__new__(cls)
        wire.plain = True
        wire._sslobj = Plain(sock)
        return wire  # type: ignore[no-any-return]

    def do_handshake(self) -> None:
        """Go on with the handshake."""
        NOW.wire = self
        self._sslobj.do_handshake()  # type: ignore[attr-defined]


class Base(ssl.SSLContext):
    """A listener's context, whose connections are Wires. `kept` is whom OpenSSL calls back, who has to live as long as
    a handshake may: that of a listener that is gone, too."""

    sslobject_class = Wire
    kept: object = None


class Plain:
    """Passes bytes as they are, where ssl would decrypt them."""

    def __init__(self, sock: socket.SocketType) -> None:
        self._socket = sock

    def read(self, size: int) -> bytes:
        """What has come."""
        try:
            return self._socket.recv(size)
        except BlockingIOError:
            raise ssl.SSLWantReadError from None

    def write(self, data: Any) -> int:
        """Send; how much went."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            raise ssl.SSLWantWriteError from None

    def shutdown(self) -> None:
        """Nothing has to be said."""

    def selected_alpn_protocol(self) -> None:
        """Nothing was agreed on."""
