"""The admin door: a small HTTP/1.1 server for the operator, on a loopback address, a unix socket, or behind a token.

Rules: h11 reads and writes; heads up to 16 KB and bodies up to 64 KB, 10 s of patience for each, few connections at a
time. The Host must be a name of this door, so that no web page can lead a browser here under a name of its own (DNS
rebinding). Whoever listens to events does so on a connection that ends with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from http.client import responses
from ipaddress import ip_address
from typing import Final

import h11

from proxy.admin import static_files
from proxy.admin.asked import API, Answer, Asked, Refused, refusal
from proxy.admin.desk import Desk
from proxy.admin.news import Listener
from proxy.admin.rights import Admission, Keys, own
from proxy.admin.standing import Standing
from proxy.admin.views import EVENTS, Door

MOST_HEAD: Final = 16 << 10  # bytes, and a chunk more at most
MOST_BODY: Final = 64 << 10  # bytes
CHUNK: Final = 4096
PATIENCE: Final = 10.0  # seconds for a request to come, or for an answer to go
PENALTY: Final = 0.25  # seconds that whoever shows a wrong token waits
MOST_CONNECTIONS: Final = 64
SECURITY: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")

log = logging.getLogger("frontgate")


def host_of(field: str) -> str:
    """The host of a Host field, without its port, in lower case."""
    if field.startswith("["):
        return field.partition("]")[0].lower() + "]"
    return field.partition(":")[0].lower()


class AdminServer:
    """Answers for a Standing. `address` is the configured one: its host is a name of this door too, and so are `names`.
    `tls` is how it speaks TLS, if it does."""

    def __init__(
        self,
        standing: Standing,
        address: str,
        *,
        keys: Keys = Keys(),  # noqa: B008  # a tuple
        names: Iterable[str] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.standing = standing
        self.tls = tls
        self.unix = address.startswith("unix:")
        self.address = address
        self.names: frozenset[str] = frozenset()
        self.known_as(names)
        self.desk = Desk(standing)
        self.admission = Admission(keys, time.monotonic)
        self.door = Door(self.desk, self.admission, static_files.files())
        self.connections = 0
        self.server: asyncio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None

    def known_as(self, names: Iterable[str]) -> None:
        """Other names from now on, beside those of this host and the configured address."""
        if not self.unix:
            own = self.address.rpartition(":")[0].lower()
            self.names = frozenset((*LOCAL_NAMES, own, *(name.lower() for name in names)))

    async def open(self, sock: socket.socket) -> None:
        """Serve on a socket that listens already."""
        start: Callable[..., object] = asyncio.start_unix_server if self.unix else asyncio.start_server
        patience = PATIENCE if self.tls is not None else None
        self.server = await start(  # type: ignore[misc]
            self.converse, sock=sock, limit=MOST_HEAD, ssl=self.tls, ssl_handshake_timeout=patience
        )
        self._ticking = asyncio.get_running_loop().create_task(self.desk.run())

    def close(self) -> None:
        """Accept no more, and send away who listens."""
        self.desk.news.close()
        if self._ticking is not None:
            self._ticking.cancel()
        if self.server is not None:
            self.server.close()

    # --- connections ------------------------------------------------------------------------------------------------

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first request to its end. Who does not take what is left in PATIENCE loses it: a
        transport that is only closed would wait for that client for ever, out of the count."""
        self.connections += 1
        try:
            if self.connections <= MOST_CONNECTIONS:
                await self.requests(reader, writer)
            else:
                writer.transport.abort()
        except (OSError, TimeoutError, h11.LocalProtocolError, asyncio.CancelledError):
            writer.transport.abort()  # it left, or is too slow, or the keeper goes: nothing to say to it
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(writer.wait_closed(), PATIENCE)
            writer.transport.abort()
            self.connections -= 1

    async def requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after the other."""
        wire = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
        while True:
            try:
                request, body = await asyncio.wait_for(self.next_request(wire, reader), PATIENCE)
            except h11.RemoteProtocolError as error:
                refused = Refused(error.error_status_hint, str(error))
                await self.send(wire, writer, refusal(refused, False), b"GET")
                return
            if request is None:
                return
            asked = self.asked(request, body)
            if asked.path == EVENTS and request.method == b"GET":
                await self.events(wire, reader, writer, request, asked)
                return
            found = await self.decide(request, asked)
            if found.status == 401 and ("authorization" in asked.fields or asked.unsafe):
                await asyncio.sleep(PENALTY)
            await self.send(wire, writer, found, request.method)
            if wire.our_state is not h11.DONE or wire.their_state is not h11.DONE:
                return
            wire.start_next_cycle()

    async def next_request(
        self, wire: h11.Connection, reader: asyncio.StreamReader
    ) -> tuple[h11.Request | None, bytes]:
        """Read a request to its end; None when the client has gone. RemoteProtocolError for one that is too large."""
        request: h11.Request | None = None
        body = bytearray()
        while True:
            event = wire.next_event()
            if event is h11.NEED_DATA:
                wire.receive_data(await reader.read(CHUNK))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if request is None or not request.target.startswith(API.encode()):
                    raise h11.RemoteProtocolError("no request outside the API has a body", error_status_hint=413)
                if len(body) > MOST_BODY:
                    raise h11.RemoteProtocolError(f"a body may have {MOST_BODY} bytes here", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage):
                return request, bytes(body)
            else:
                return None, b""

    def asked(self, request: h11.Request, body: bytes) -> Asked:
        """A request as the views see it."""
        fields: dict[str, str] = {}
        for raw, value in request.headers:
            name, text = raw.decode("ascii"), value.decode("latin-1")
            fields[name] = f"{fields[name]}, {text}" if name in fields else text
        method, target = request.method.decode("ascii"), request.target.decode("ascii", "replace")
        return Asked(method, target, fields, body, self.tls is not None)

    # --- answers ----------------------------------------------------------------------------------------------------

    async def decide(self, request: h11.Request, asked: Asked) -> Answer:
        """The answer to a request."""
        try:
            self.named(request)
        except Refused as refused:
            return refusal(refused, asked.api)
        return await self.door.answer(asked)

    def named(self, request: h11.Request) -> None:
        """Refuse a request for a name that is not this door's. Beyond loopback an address is as good as a name, since
        no page can be led astray by it."""
        hosts = [value.decode("latin-1") for name, value in request.headers if name == b"host"]
        if self.unix or (len(hosts) == 1 and self._ours(host_of(hosts[0]))):
            return
        raise Refused(421, f"this door is called {', '.join(sorted(self.names))}: [admin] names may add to that")

    def _ours(self, host: str) -> bool:
        if host in self.names:
            return True
        with contextlib.suppress(ValueError):
            return not self.standing.model.admin.local and bool(ip_address(host.strip("[]")))
        return False

    async def send(self, wire: h11.Connection, writer: asyncio.StreamWriter, found: Answer, method: bytes) -> None:
        """Write an answer; a HEAD gets the head alone."""
        headers = self.head(found, wire)
        raw = wire.send(h11.Response(status_code=found.status, headers=headers, reason=responses[found.status])) or b""
        if method != b"HEAD" and found.status != 304:
            raw += wire.send(h11.Data(data=found.body)) or b""
        raw += wire.send(h11.EndOfMessage()) or b""
        writer.write(raw)
        await asyncio.wait_for(writer.drain(), PATIENCE)

    def head(self, found: Answer, wire: h11.Connection) -> list[tuple[str, str]]:
        """The fields of an answer."""
        fields = {**SECURITY, **dict(found.fields)}
        headers = [("Date", formatdate(usegmt=True)), ("Content-Type", found.content_type), *fields.items()]
        if found.status != 304:
            headers.append(("Content-Length", str(len(found.body))))
        if found.allow:
            headers.append(("Allow", found.allow))
        if wire.our_state is h11.IDLE:  # it could not be read: nobody knows where the next one would begin
            headers.append(("Connection", "close"))
        return headers

    # --- events -----------------------------------------------------------------------------------------------------

    async def events(
        self,
        wire: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        request: h11.Request,
        asked: Asked,
    ) -> None:
        """Tell news until the client has gone or does not keep up."""
        try:
            self.named(request)
            own(asked, lasting=True)
            self.admission.check(asked, "read")
            listener = self.desk.greet()
            if listener is None:
                raise Refused(503, "too many listen already", fields=(("Retry-After", "10"),))
        except Refused as refused:
            await self.send(wire, writer, refusal(refused, True), request.method)
            return
        gone = asyncio.get_running_loop().create_task(_gone(reader, listener))
        try:
            headers = [("Date", formatdate(usegmt=True)), ("Content-Type", "text/event-stream"), *SECURITY.items()]
            headers.append(("Connection", "close"))
            writer.write(wire.send(h11.Response(status_code=200, headers=headers, reason="OK")) or b"")
            while not listener.over or listener.waiting:
                raw = await listener.next()
                if not self._still(asked):
                    break
                if raw:
                    writer.write(wire.send(h11.Data(data=raw)) or b"")
                    await asyncio.wait_for(writer.drain(), PATIENCE)
            writer.write(wire.send(h11.EndOfMessage()) or b"")
        finally:
            self.desk.news.leave(listener)
            gone.cancel()

    def _still(self, asked: Asked) -> bool:
        """Whether who listens may do so still: a session may have ended."""
        try:
            self.admission.check(asked, "read")
        except Refused:
            return False
        return True


async def _gone(reader: asyncio.StreamReader, listener: Listener) -> None:
    """End a listener whose client says goodbye; what it says else is not heard."""
    with contextlib.suppress(OSError):
        while await reader.read(CHUNK):
            pass
    listener.end()
