"""A request as it goes to a backend, when it is not simply the one that came."""

from __future__ import annotations


class Outgoing:
    """`head` ends with its empty line. `body` takes the place of the client's; None: the client's body follows, in
    chunks if it is `chunked`."""

    __slots__ = ("body", "chunked", "head")

    def __init__(self, head: bytes, body: bytes | None = None, chunked: bool = False) -> None:
        self.head = head
        self.body = body
        self.chunked = chunked


class Place:
    """Where a request goes, as its variables have it: `$proxy_host`, `$proxy_port`, and the target of the request line
    (b"": that of the request). `secure`: in TLS, where it is the URL that says so."""

    __slots__ = ("host", "port", "secure", "target")

    def __init__(self, host: bytes, port: bytes, target: bytes = b"", secure: bool = False) -> None:
        self.host = host
        self.port = port
        self.target = target
        self.secure = secure
