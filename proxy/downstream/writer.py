"""The side of a client connection that writes: answers, and what waits for a client that does not keep up.

Rules: a head and the first of its body are one write. While a client does not keep up, everything goes through its
`SlowClient`, so that the order stays. Without a `transport` nothing is written: the connection is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.clock import NEVER
from proxy.downstream.leave import reset
from proxy.downstream.slow import PART, SlowClient, file_at_once, pour
from proxy.exchange import Exchange
from proxy.http.chunked import LAST, chunk
from proxy.http.message import ResponseHead
from proxy.http.render import render_head, render_reply
from proxy.verdict import Reply

if TYPE_CHECKING:
    import asyncio

    from proxy.downstream.listener import Listener


class Writer:
    """What a client connection is to those who answer it."""

    __slots__ = (
        "_blocked", "_chunking", "_keep", "_live", "_slow", "_tunnel", "clock", "due", "exchange", "listener",
        "transport"
    )  # fmt: skip

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.clock = listener.clock
        self.due = NEVER
        self.exchange: Exchange | None = None
        self.transport: asyncio.Transport | None = None
        self._keep = True  # the connection outlives its exchange
        self._chunking = False  # the response body is sent in chunks
        self._blocked = False  # the client does not keep up
        self._tunnel = False  # bytes pass as they are
        self._live = False  # the answer is not to be kept for a slow client
        self._slow: SlowClient | None = None  # while the client does not keep up

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """Send a final response head with the first part of the body, or all of it, in one write."""
        transport = self.transport
        if transport is None:
            return
        exchange.replied = True
        exchange.body_out = len(body)
        self._live = head.live
        if end and not exchange.upload_done:
            self._keep = False  # the rest of the request will not be read
        minor = exchange.line.minor
        if head.simple and self._keep and minor and not exchange.extra_fields:
            self._chunking = False
            if head.dated:
                transport.write(head.whole + body)
            else:
                transport.write(b"".join((head.forward, self.clock.date, b"\r\n", body)))
            return
        bodyless = head.bodyless or exchange.line.method == b"HEAD"
        endless = head.length < 0 and not bodyless  # with chunks, or else the end of the connection is its end
        self._chunking = endless and minor == 1 and head.chunks
        self._keep = self._keep and (self._chunking or not endless)
        lines = render_head(head, exchange.extra_fields, self.clock.date, self._chunking, self._keep, minor)
        if self._chunking:
            body = (chunk(body) if body else b"") + (LAST if end else b"")
        if end:
            transport.write(lines + body)
        else:
            self._send(transport, exchange, lines + body)

    def interim(self, exchange: Exchange, head: ResponseHead) -> None:
        """Send a 1xx response (RFC 9110 section 15.2: not to HTTP/1.0 clients)."""
        if self.transport is not None and exchange.line.minor == 1:
            self.transport.write(head.forward + b"\r\n")

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """Send more of the response body."""
        transport, exchange = self.transport, self.exchange
        if transport is None or exchange is None:
            return
        exchange.body_out += len(data)
        if self._chunking:
            data = chunk(data) if data else b""
            if end:
                data += b"0\r\n%b\r\n" % trailers if trailers else LAST
        self._send(transport, exchange, data)

    def send_file(self, descriptor: int, begin: int, size: int) -> int:
        """Have the kernel send part of a file as the next of the body, if nothing waits; how many bytes it took."""
        transport, exchange = self.transport, self.exchange
        if transport is None or exchange is None or self._chunking or self._slow is not None:
            return 0
        took = file_at_once(transport, descriptor, begin, size) if self.listener.scheme == b"http" else 0
        exchange.body_out += took
        return took

    def _send(self, transport: asyncio.Transport, exchange: Exchange, data: bytes) -> None:
        """Write, or have it wait for a client that does not keep up."""
        if len(data) > PART and self._slow is None:
            data = pour(transport, exchange, data, self.listener.scheme == b"http")
        if data and self._slow is not None:
            self._slow.add(data)
        elif data:
            transport.write(data)

    def behind(self) -> bool:
        """Whether the client has still to take some of an answer that is whole."""
        return self._slow is not None and self._slow.left > 0 and self.transport is not None

    def reply(self, exchange: Exchange, reply: Reply) -> None:
        """Send an answer of our own."""
        if self.transport is None:
            return
        exchange.replied = True
        if reply.close or not exchange.upload_done:
            self._keep = False
        lines = self.clock.date + exchange.extra_fields
        head, body = render_reply(reply, exchange.route.edits, lines, self._keep, exchange.line.minor)
        if exchange.line.method == b"HEAD":
            body = b""
        exchange.body_out = len(body)
        self.transport.write(head + body)

    def last(self) -> None:
        """The connection ends with this answer."""
        self._keep = False

    def part(self) -> None:
        """It has had enough: the same."""
        self._keep = False

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._blocked = True
        exchange = self.exchange
        if exchange is not None and self.transport is not None and self._slow is None:
            kept = not self._live and exchange.route.response_buffering
            self._slow = slow = SlowClient(self.transport, exchange, self.listener.spool() if kept else None)
            self.due = self.clock.now + slow.patience

    def abort(self) -> None:
        """Break off: a reset, so that even a body that ends with the connection is seen not to be whole."""
        transport, self.transport = self.transport, None
        if transport is not None:
            reset(transport)
