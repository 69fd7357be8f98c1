"""The TLS of one client connection as the loop drives it, and what is no TLS at all.

Rules: whoever speaks plain HTTP to a TLS listener is told so in plain HTTP (nginx: 497), so a connection looks at the
first byte before it shakes hands, and without TLS it passes bytes as they are. A handshake that fails ends as if it
had not, for the alert to be sent; `failed` is there then.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from proxy.downstream.greeting import Greeting

RECORD: Final = 0x16  # the first byte of a handshake; that of SSLv2 has its highest bit set


class Wire(ssl.SSLObject):
    """One connection. `asked` is the server name that the client sent, `site` whose handshake it was, `failed` why
    there is to be no connection: whoever has asked for it closes it then, and the client has an alert that says so."""

    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    asked = b""
    site: Greeting | None = None
    plain = False
    failed: ssl.SSLError | None = None
    _looked = False

    def do_handshake(self) -> None:
        """Shake hands, unless the client speaks no TLS."""
        if not self._looked and self.incoming.pending:
            self._looked = True
            data = self.incoming.read()
            self.incoming.write(data)
            if data[0] != RECORD and not data[0] & 0x80:
                self.plain = True
                self._sslobj: Any = Plain(self.incoming, self.outgoing)
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if not self.outgoing.pending:
                raise
            self.failed = error  # the loop would drop the alert, so this looks like an end that went well
            self._sslobj = Plain(self.incoming, self.outgoing)


class Base(ssl.SSLContext):
    """A listener's context, whose connections are Wires."""

    sslobject_class = Wire

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *words: Any, **more: Any) -> ssl.SSLObject:
        """A connection over these."""
        wire: Any = super().wrap_bio(incoming, outgoing, *words, **more)
        wire.incoming, wire.outgoing = incoming, outgoing
        return wire  # type: ignore[no-any-return]


class Plain:
    """Passes bytes as they are, where ssl would decrypt them."""

    def __init__(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def do_handshake(self) -> None:
        """There is none."""

    def read(self, size: int, buffer: Any = None) -> Any:
        """What has come."""
        data = self._incoming.read(size)
        if not data and not self._incoming.eof:
            raise ssl.SSLWantReadError
        if buffer is None:
            return data
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        """Send."""
        return self._outgoing.write(data)

    def pending(self) -> int:
        """What can be read at once."""
        return self._incoming.pending

    def shutdown(self) -> None:
        """Nothing has to be said."""

    def getpeercert(self, binary: bool = False) -> None:
        """Nobody has shown one."""

    def cipher(self) -> None:
        """There is none."""

    def compression(self) -> None:
        """There is none."""

    def version(self) -> None:
        """There is none."""
