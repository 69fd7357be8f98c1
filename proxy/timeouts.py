"""How long anything may take, in seconds. A route sees its own over its site's over those of the whole door."""

from __future__ import annotations


class Timeouts:
    """What bounds each stage of a connection and of an exchange.

    `handshake` bounds a whole handshake of TLS, `client_header` a whole head, `client_body`, `send` and `read` the time
    between two reads or writes. `shutdown` bounds the draining of a worker, `tunnel` the silence of an upgraded
    connection. `answer` is the time for one attempt's answer to begin (`read` unless a route has another), `deadline`
    that for the last attempt's, counted from the request's start (0: no bound). `min_rate` is no time: bytes a second
    that a client must send or take (0: any).
    """

    __slots__ = (
        "answer",
        "client_body",
        "client_header",
        "client_idle",
        "connect",
        "deadline",
        "handshake",
        "min_rate",
        "read",
        "send",
        "shutdown",
        "tunnel",
    )

    def __init__(
        self,
        client_header: float = 10.0,
        client_body: float = 30.0,
        client_idle: float = 75.0,
        connect: float = 5.0,
        send: float = 60.0,
        read: float = 120.0,
        shutdown: float = 30.0,
        tunnel: float = 3600.0,
        answer: float = 0.0,
        deadline: float = 0.0,
        min_rate: int = 500,
        handshake: float = 10.0,
    ) -> None:
        self.client_header = client_header
        self.client_body = client_body
        self.client_idle = client_idle
        self.connect = connect
        self.send = send
        self.read = read
        self.shutdown = shutdown
        self.tunnel = tunnel
        self.answer = answer or read
        self.deadline = deadline
        self.min_rate = min_rate
        self.handshake = handshake
