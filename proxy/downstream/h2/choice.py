"""Which protocol a connection speaks: HTTP/2 where its TLS agreed on that (RFC 9113 section 3.2), or where it begins
with the preface of HTTP/2 on a plain port (section 3.3); else HTTP/1.1.

Rules: the first byte that is not the preface's decides, so a connection of HTTP/1.1 loses nothing by the look. What is
neither is closed without a word (section 3.4), since nobody knows what its client would understand; but where we read
as nginx does, HTTP/1.1 answers it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.clock import NEVER
from proxy.downstream.h1 import Http1
from proxy.downstream.h2.connection import Http2
from proxy.http.gate import PREFACE
from proxy.parties import Client

if TYPE_CHECKING:
    import asyncio

    from proxy.downstream.listener import Listener

PROTOCOL = "h2"  # as ALPN has it


def agreed(connection: Http1, transport: asyncio.Transport) -> Http2 | None:
    """Who carries on behind a TLS handshake that has agreed on HTTP/2."""
    wire = transport.get_extra_info("ssl_object")
    if wire is None or getattr(wire, "plain", False) or wire.selected_alpn_protocol() != PROTOCOL:
        return None
    heir: Any = Http2(connection.listener)
    heir.proxied = connection.proxied
    transport.set_protocol(heir)
    return heir  # type: ignore[no-any-return]


class Choice:
    """Is the protocol of a plain connection until it is known what is spoken there."""

    __slots__ = ("_begun", "_connection", "_listener", "client", "due", "idle_since", "served", "transport")

    def __init__(self, listener: Listener, connection: Http1) -> None:
        self._listener = listener
        self._connection = connection
        self._begun = b""
        self.transport: asyncio.Transport | None = None
        self.client: Client
        self.due = NEVER
        self.served = False
        self.idle_since = listener.clock.now

    def connection_made(self, transport: asyncio.Transport) -> None:
        """The client has connected."""
        self.transport = transport
        self.due = self._listener.clock.now + self._listener.timeouts.client_header
        self.client = self._listener.admit(self, transport)

    def data_received(self, data: bytes) -> None:
        """The first bytes."""
        transport = self.transport
        if transport is None:
            return
        self._begun = data = self._begun + data
        if len(data) < len(PREFACE) and PREFACE.startswith(data):
            return
        if self._neither(data):
            transport.close()
            return
        heir: Any = self._connection
        if data.startswith(PREFACE):
            heir = Http2(self._listener)
            heir.proxied = self._connection.proxied
        self.transport = None
        transport.set_protocol(heir)
        self._listener.replace(self, heir)
        heir.begin(transport, self.client)
        heir.data_received(data)

    def _neither(self, begun: bytes) -> bool:
        """Whether this begins neither protocol."""
        if begun.startswith(PREFACE) or self._listener.reader.dialect.lenient:
            return False
        line, end, _ = begun.lstrip(b"\r\n").partition(b"\n")
        return b" HTTP/1." not in line if end else bool(line) and not line[:1].isalpha()

    def eof_received(self) -> bool:
        """The client sends no more."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone before it has said anything."""
        self.transport = None
        self._listener.dismiss(self)

    def pause_writing(self) -> None:
        """Nothing is written."""

    def resume_writing(self) -> None:
        """Nothing is written."""

    def expired(self, now: float) -> None:
        """It says nothing."""
        self.due = NEVER
        if self.transport is not None:
            self.transport.close()

    def drain(self) -> None:
        """Whoever has connected is still served, unless nothing comes."""
        self.due = min(self.due, self._listener.clock.now)

    def give_way(self) -> None:
        """Make room for another connection."""
        self.idle_since = NEVER
        if self.transport is not None:
            self.transport.abort()

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()
