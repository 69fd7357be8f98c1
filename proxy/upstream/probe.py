"""One health check of a backend: connect, and where a path is given, ask for it and judge the answer.

Rules: a probe never raises for what a backend does; it says in a few words what is wrong, or nothing. It has one time
for everything, follows no redirects, uses no connection twice, reads no more than it needs, and always closes.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from time import monotonic
from typing import Any, Final
from urllib.parse import quote

import h11

from proxy.config.tls import BackendTls
from proxy.policy.health import Check
from proxy.upstream.keyed import Way, opened
from proxy.upstream.resolve import Resolver, literal
from proxy.upstream.tls import calling

MOST_BODY: Final = 64 << 10  # bytes that the body's expression sees
MOST_HEAD: Final = 64 << 10
MOST_READ: Final = 256 << 10  # bytes in all: interim answers and framing are bounded too
CHUNK: Final = 16 << 10
USER_AGENT: Final = b"frontgate-health"


class Unhealthy(Exception):
    """What is wrong with the backend, in words that follow its name."""


class Probe:
    """One probe on its way; `doing` is what the backend has not done yet."""

    def __init__(self, address: str, check: Check, resolver: Resolver | None) -> None:
        self.address = address
        self.check = check
        self.resolver = resolver
        self.doing = "accept"
        self.writer: asyncio.StreamWriter | None = None
        self.wire = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD)

    async def run(self) -> None:
        """Unhealthy with what is wrong; TimeoutError when it takes too long."""
        try:
            async with asyncio.timeout(self.check.timeout):
                reader, self.writer = await self.connect()
                if self.check.path is not None:
                    self.doing = "answer"
                    self.writer.write(self.question(self.check.path))
                    await self.judge(reader)
        except h11.RemoteProtocolError as error:
            raise Unhealthy(f"sent a malformed answer: {error}") from error
        except h11.LocalProtocolError as error:
            raise Unhealthy(f"cannot be asked for this path and host: {error}") from error
        except TimeoutError:
            raise
        except OSError as error:
            raise Unhealthy(f"broke the connection: {reason(error)}") from error
        finally:
            if self.writer is not None:
                self.writer.transport.abort()  # nothing is left to be sent, and an unread rest is of no interest

    # --- connect ----------------------------------------------------------------------------------------------------

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the first of its addresses that accepts."""
        if self.address.startswith("unix:"):
            try:
                path, secured = self.address.removeprefix("unix:"), self.secured("localhost")
                if self.check.header:
                    plain = await opened(Way(header=self.check.header), path, 0)
                    return await asyncio.open_unix_connection(sock=plain, **secured)
                return await asyncio.open_unix_connection(path, **secured)
            except OSError as error:
                raise Unhealthy(f"did not accept: {reason(error)}") from error
        host, _, port = self.address.rpartition(":")
        trouble = ""  # that of its first address: the others are seldom more than a second family
        for one in await self.literals(host.strip("[]")):
            try:
                if self.check.header:
                    plain = await opened(Way(header=self.check.header), one, int(port))
                    return await asyncio.open_connection(sock=plain, **self.secured(host))
                return await asyncio.open_connection(one, int(port), **self.secured(host))
            except OSError as error:
                trouble = trouble or f"did not accept: {reason(error)}"
        raise Unhealthy(trouble)

    def secured(self, host: str) -> dict[str, Any]:
        """How TLS is spoken with the backend, for those who connect; a name with variables is its host here."""
        table = self.check.tls
        if not isinstance(table, BackendTls):
            return {}
        name = (table.name if table.name and "$" not in table.name else "") or self.check.host or host.strip("[]")
        certificate = table.certificate or ""
        try:
            spoken = calling(table, name, "" if "$" in certificate else certificate, table.key or "")
        except ValueError as error:
            raise Unhealthy(f"cannot be asked: {error}") from error
        return {"ssl": spoken, "server_hostname": name if table.server_name and not literal(name) else ""}

    async def literals(self, host: str) -> list[str]:
        """The addresses behind a host name."""
        if self.resolver is None:
            return [host]
        self.doing = "have its name resolved"
        try:
            found = await self.resolver.addresses(host, monotonic())
        except OSError as error:
            raise Unhealthy(f"has no known address: {reason(error)}") from error
        self.doing = "accept"
        return found

    # --- ask --------------------------------------------------------------------------------------------------------

    def question(self, path: str) -> bytes:
        """The bytes of the request."""
        target = quote(path, safe="/%?&=:@!$'()*+,;~-._")
        head = self.wire.send(h11.Request(method="GET", target=target, headers=self.fields())) or b""
        return head + (self.wire.send(h11.EndOfMessage()) or b"")

    def fields(self) -> list[tuple[bytes, bytes]]:
        """The fields of the request."""
        host = self.check.host or ("localhost" if self.address.startswith("unix:") else self.address)
        return [
            (b"Host", host.encode("latin-1")),
            (b"User-Agent", USER_AGENT),
            (b"Accept", b"*/*"),
            (b"Connection", b"close"),
        ]

    async def judge(self, reader: asyncio.StreamReader) -> None:
        """Read the answer as far as it matters."""
        taken = 0
        body: bytearray | None = None  # None: the answer has not begun
        while True:
            event = self.wire.next_event()
            if event is h11.NEED_DATA:
                raw = await reader.read(CHUNK)
                taken += len(raw)
                if not raw and body is None:
                    raise Unhealthy("closed the connection without " + ("a whole answer" if taken else "an answer"))
                if taken > MOST_READ:
                    raise Unhealthy(f"sent {MOST_READ >> 10} KiB that are not an answer")
                self.wire.receive_data(raw)
            elif isinstance(event, h11.Response):
                if not self.check.accepts(event.status_code):
                    raise Unhealthy(f"answered {event.status_code}")
                if self.check.body is None:
                    return
                body = bytearray()
            elif isinstance(event, h11.Data) and body is not None:
                body += event.data
            if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed) or (body and len(body) >= MOST_BODY):
                break
        if not self.check.matches(bytes((body or b"")[:MOST_BODY])):
            raise Unhealthy("sent a body that does not match")


def reason(error: OSError) -> str:
    """The system's words for an error: those of asyncio repeat the address."""
    if isinstance(error, ssl.SSLError):  # its number is not the system's
        said = getattr(error, "verify_message", "") or str(error.reason).lower().replace("_", " ")
        return f"TLS: {said}"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


async def probe(address: str, check: Check, resolver: Resolver | None = None) -> str:
    """Check a backend at "host:port", "[v6]:port" or "unix:/path"; "" when it is healthy, else what is wrong with it.

    The words follow the backend's name: "answered 503", "did not accept within 2 s". Without a resolver the system
    looks names up.
    """
    one = Probe(address, check, resolver)
    try:
        await one.run()
    except Unhealthy as trouble:
        return str(trouble)
    except TimeoutError:
        return f"did not {one.doing} within {check.timeout:g} s"
    return ""
