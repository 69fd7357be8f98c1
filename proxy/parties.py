"""The parties of an exchange that need not know of it: the client, its connection, a link's side, a stored body.

Rules: words; what they are made of is `http`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.http.handshake import Handshake
    from proxy.http.proxy_protocol import Proxied


class Client:
    """Who asks: the peer of a connection, or the client that a trusted proxy named.

    `address` is text ("unix:" for a unix socket), `packed` its 4 or 16 bytes (empty for unix), `identity` the rendered
    X-Real-IP, X-Forwarded-For and X-Forwarded-Proto lines that every request of this client carries to a backend, and
    behind them the beginning of the X-Request-ID line; `host_line` is X-Forwarded-Host if a trusted proxy sent one.
    """

    __slots__ = ("address", "host_line", "identity", "packed", "port", "scheme", "told", "trusted")

    def __init__(
        self,
        address: bytes,
        packed: bytes,
        scheme: bytes,
        identity: bytes,
        trusted: bool = False,
        host_line: bytes = b"",
        port: int = 0,
        told: bool = False,
    ) -> None:
        self.address = address
        self.packed = packed
        self.scheme = scheme
        self.identity = identity
        self.trusted = trusted
        self.host_line = host_line
        self.port = port  # what a trusted proxy said of it; 0: that of the connection, unless it was told
        self.told = told  # a step has found it (`policy.realip`)


class Connection:
    """The connection that a request came on, for those who ask: peer and own address as text, ports (0 for a unix
    socket), `serial` number in this worker, `requests` on it so far (this one included), when it was `opened`, and what
    its TLS handshake agreed on (None without TLS). `proxied` is what a PROXY header said, and `piped` that
    the request was sent before the answer to the one before it; `keeps`, that the connection is to outlive the answer,
    and `mended` line ends of its head were bare line feeds."""

    __slots__ = (
        "address", "http2", "keeps", "mended", "opened", "piped", "port", "proxied", "requests", "serial",
        "server_address", "server_port", "tls"
    )  # fmt: skip

    def __init__(self, address: bytes, port: int, server_address: bytes, server_port: int) -> None:
        self.address = address
        self.port = port
        self.server_address = server_address
        self.server_port = server_port
        self.serial = 0
        self.requests = 0
        self.opened = 0.0
        self.tls: Handshake | None = None
        self.proxied: Proxied | None = None
        self.piped = False
        self.keeps = True
        self.mended = 0
        self.http2 = b""  # "h2", or "h2c" without TLS, when it is spoken here


class Transport(Protocol):
    """What writes to a backend."""

    def write(self, data: bytes) -> None:
        """Send, now or when the kernel takes it."""

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""


class Link(Protocol):
    """The backend's side of an exchange: one pooled connection."""

    def body(self, data: bytes, end: bool) -> None:
        """Send more of the request body; `end` completes the request."""

    def hold(self) -> None:
        """Stop reading the response: the client does not keep up."""

    def release(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """The exchange is over for this link: close the connection."""


class Outbox:
    """Requests to backends that are written together, when all of a client's bytes that came at once are gone through:
    so our code and the kernel's are each fetched once for all of them, and not in turn for each. They gather while it
    is `open`; a transport that is closing by then has lost its exchange."""

    __slots__ = ("_waiting", "open")

    def __init__(self) -> None:
        self._waiting: list[tuple[Transport, bytes]] = []
        self.open = False

    def put(self, transport: Transport, data: bytes) -> None:
        """Keep a request."""
        self._waiting.append((transport, data))

    def send(self) -> None:
        """Write what has gathered, and gather no more."""
        self.open = False
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for transport, data in waiting:
                if not transport.is_closing():
                    transport.write(data)


class Store(Protocol):
    """A request body that is whole, in memory or a file; it can be read again for another attempt."""

    size: int

    def rewind(self) -> None:
        """Read from the beginning again."""

    def twin(self) -> Store:
        """Another reader of the same, from the beginning, with an end of its own."""

    def take(self, most: int) -> bytes:
        """The next bytes, at most so many; b"" at the end."""

    def close(self) -> None:
        """Give all back."""
