"""The admin door: a small HTTP/1.1 server for the operator, on a loopback address or a unix socket.

Rules: h11 reads and writes; heads up to 16 KB, 10 s of patience, few connections at a time, no request bodies. The Host
must be a name of this door, so that no web page can lead a browser here under a name of its own (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from email.utils import formatdate
from http.client import responses
from typing import Final

import h11

from proxy.admin.standing import Standing
from proxy.admin.views import TEXT, Answer, answer

MOST_HEAD: Final = 16 << 10  # bytes, and a chunk more at most
CHUNK: Final = 4096
PATIENCE: Final = 10.0  # seconds for a request to come, or for an answer to go
MOST_CONNECTIONS: Final = 64
SECURITY: Final = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)
LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")

log = logging.getLogger("frontgate")


def host_of(field: str) -> str:
    """The host of a Host field, without its port, in lower case."""
    if field.startswith("["):
        return field.partition("]")[0].lower() + "]"
    return field.partition(":")[0].lower()


class AdminServer:
    """Answers for a Standing. `address` is the configured one: its host is a name of this door too."""

    def __init__(self, standing: Standing, address: str) -> None:
        self.standing = standing
        self.names: frozenset[str] = frozenset()
        self.unix = address.startswith("unix:")
        if not self.unix:
            self.names = frozenset((*LOCAL_NAMES, address.rpartition(":")[0].lower()))
        self.connections = 0
        self.server: asyncio.Server | None = None

    async def open(self, sock: socket.socket) -> None:
        """Serve on a socket that listens already."""
        start: Callable[..., object] = asyncio.start_unix_server if self.unix else asyncio.start_server
        self.server = await start(self.converse, sock=sock, limit=MOST_HEAD)  # type: ignore[misc]

    def close(self) -> None:
        """Accept no more."""
        if self.server is not None:
            self.server.close()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first request to its end."""
        self.connections += 1
        try:
            if self.connections <= MOST_CONNECTIONS:
                await self.requests(reader, writer)
        except (OSError, TimeoutError, h11.LocalProtocolError, asyncio.CancelledError):
            pass  # it left, or is too slow, or the keeper goes: nothing to say to it
        finally:
            self.connections -= 1
            writer.close()

    async def requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after the other."""
        wire = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
        while True:
            try:
                request = await asyncio.wait_for(self.next_request(wire, reader), PATIENCE)
            except h11.RemoteProtocolError as error:
                await self.send(wire, writer, Answer(error.error_status_hint, TEXT, f"{error}\n".encode()), b"GET")
                return
            if request is None:
                return
            await self.send(wire, writer, self.decide(request), request.method)
            if wire.our_state is not h11.DONE or wire.their_state is not h11.DONE:
                return
            wire.start_next_cycle()

    async def next_request(self, wire: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
        """Read a request to its end; None when the client has gone. A body is refused (RemoteProtocolError)."""
        request: h11.Request | None = None
        while True:
            event = wire.next_event()
            if event is h11.NEED_DATA:
                wire.receive_data(await reader.read(CHUNK))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                raise h11.RemoteProtocolError("no request here has a body", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage):
                return request
            else:
                return None

    def decide(self, request: h11.Request) -> Answer:
        """The answer to a request."""
        hosts = [value.decode("latin-1") for name, value in request.headers if name == b"host"]
        if not self.unix and (len(hosts) != 1 or host_of(hosts[0]) not in self.names):
            return Answer(421, TEXT, f"this door is called {', '.join(sorted(self.names))}\n".encode())
        try:
            accept = b",".join(value for name, value in request.headers if name == b"accept").decode("latin-1")
            return answer(self.standing, request.method.decode("ascii"), request.target.decode("ascii"), accept)
        except Exception:
            log.exception("the admin door cannot answer %s", request.target.decode("latin-1"))
            return Answer(500, TEXT, b"a fault of frontgate: see the error log\n")

    async def send(self, wire: h11.Connection, writer: asyncio.StreamWriter, found: Answer, method: bytes) -> None:
        """Write an answer; a HEAD gets the head alone."""
        headers = [
            ("Date", formatdate(usegmt=True)),
            ("Content-Type", found.content_type),
            ("Content-Length", str(len(found.body))),
            *SECURITY,
        ]
        if found.allow:
            headers.append(("Allow", found.allow))
        if wire.our_state is h11.IDLE:  # it could not be read: nobody knows where the next one would begin
            headers.append(("Connection", "close"))
        raw = wire.send(h11.Response(status_code=found.status, headers=headers, reason=responses[found.status])) or b""
        if method != b"HEAD":
            raw += wire.send(h11.Data(data=found.body)) or b""
        raw += wire.send(h11.EndOfMessage()) or b""
        writer.write(raw)
        await asyncio.wait_for(writer.drain(), PATIENCE)
