"""The side of a backend's connection that sends: a request, its body, and how long the backend may take for an answer.

Rules: a head, and what is there of the body, are one write. A body that is stored is sent as fast as the backend takes
it. Without a `transport` nothing is sent: the connection is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy import engine, faults
from proxy.clock import NEVER
from proxy.exchange import Exchange
from proxy.faults import Fault
from proxy.http.chunked import chunk
from proxy.http.message import ResponseHead
from proxy.http.outgoing import Outgoing
from proxy.parties import Store
from proxy.policy.pattern import Endless
from proxy.upstream.lines import edited_lines, last_chunk
from proxy.upstream.spare import NONE, drop, spare_of

if TYPE_CHECKING:
    import asyncio

    from proxy.upstream.pool import Pool

PART: Final = 65536  # bytes of a stored request body that are sent at a time


class Sender:
    """What a link is to those who have something for its backend: the pool and the downstream."""

    __slots__ = (
        "_blocked", "_chunking", "_head", "_held", "_interims", "_muted", "_plain", "_pouring", "_spare", "_tunnel",
        "clock", "due", "exchange", "opened", "pool", "transport", "used"
    )  # fmt: skip

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.clock = pool.clock
        self.due = NEVER
        self.exchange: Exchange | None = None
        self.opened = 0.0
        self.used = 0  # exchanges that were started here
        self.transport: asyncio.Transport | None = None
        self._spare = NONE  # see `spare`
        self._head: ResponseHead | None = None  # of the answer whose body is being read
        self._interims = 0
        self._chunking = False  # the request body is sent in chunks
        self._plain = False  # nothing out of the ordinary has happened since `start`
        self._pouring: Store | None = None  # the request body that is being sent from there
        self._blocked = self._held = self._tunnel = False
        self._muted = False  # what comes of the client's body is not for the backend

    def start(self, exchange: Exchange) -> None:
        """Send a request: its head, and what is there of its body."""
        transport = self.transport
        assert transport is not None
        self.exchange = exchange
        exchange.link = self
        self.used += 1
        now = self.clock.now
        exchange.connected = now
        fields, client = exchange.fields, exchange.client
        body = exchange.body
        done = exchange.upload_done
        self._interims = 0
        self._chunking = fields.chunked
        if fields.chunked:
            body = (chunk(body) if body else b"") + (last_chunk(exchange) if done and exchange.store is None else b"")
        lines = fields.forward
        if fields.special or client.host_line or exchange.route.request_edits.any:
            composer = exchange.route.composer
            if composer is not None:
                try:
                    outgoing = composer(exchange, self.pool.host)
                except Endless as problem:
                    engine.endless(exchange, problem)
                else:
                    self._send(exchange, transport, outgoing)
                return
            lines = edited_lines(exchange, self.pool.host)
        data = b"".join((exchange.line.head, lines, client.identity, exchange.request_id, b"\r\n\r\n", body))
        outbox = exchange.outbox
        if outbox is not None and outbox.open and done and exchange.store is None:
            outbox.put(transport, data)
        else:
            transport.write(data)
        if exchange.store is not None:
            self._spare = spare_of(transport)
            self._pouring = exchange.store
            self._pouring.rewind()
            self._pour(exchange)
        elif done:
            self.due = now + exchange.route.timeouts.answer
            if exchange.deadline:
                self.due = min(self.due, exchange.deadline)
            self._plain = exchange.line.method != b"HEAD" and not self._blocked
        else:
            self.due = NEVER
            exchange.streamed = exchange.streamed or bool(exchange.body)
            exchange.body = b""
            self._spare = spare_of(transport)
            exchange.downstream.accept()

    def _send(self, exchange: Exchange, transport: asyncio.Transport, outgoing: Outgoing) -> None:
        """The same with a request that its route has composed."""
        body, store, done = exchange.body, exchange.store, exchange.upload_done
        exchange.outgoing = outgoing
        self._chunking = outgoing.chunked
        if outgoing.body is not None:
            body, store = outgoing.body, None
            self._muted = not done
        elif outgoing.chunked:
            body = (chunk(body) if body else b"") + (last_chunk(exchange) if done and store is None else b"")
        transport.write(outgoing.head + body)
        if store is not None:
            self._spare = spare_of(transport)
            self._pouring = store
            store.rewind()
            self._pour(exchange)
            return
        self.due = self._patience(exchange)
        if done:
            self._plain = exchange.line.method != b"HEAD" and not self._blocked
            return
        self._spare = spare_of(transport)
        if not self._muted:
            exchange.streamed = exchange.streamed or bool(exchange.body)
            exchange.body = b""
        if exchange.course is None or not exchange.course.failed:  # an error page has no use for a body
            exchange.downstream.accept()

    def body(self, data: bytes, end: bool) -> None:
        """Send more of the request body."""
        transport, exchange = self.transport, self.exchange
        if transport is None or exchange is None or self._muted:
            return
        if self._chunking:
            data = (chunk(data) if data else b"") + (last_chunk(exchange) if end else b"")
        if end and exchange.deadline:  # until now it was the client who took its time
            exchange.deadline = self.clock.now + exchange.route.timeouts.deadline
        if (end or self._tunnel) and not self._held and not self._blocked:
            self.due = self._patience(exchange)
        if data:
            transport.write(data)

    def _pour(self, exchange: Exchange) -> None:
        """Send a body that is stored, as fast as the backend takes it."""
        while self._pouring is not None and not self._blocked and self.transport is not None:
            try:
                part = self._pouring.take(PART)
            except OSError:
                self._fail(exchange, faults.NO_SPACE)
                return
            if part:
                self.transport.write(chunk(part) if self._chunking else part)
                continue
            self._pouring = None
            if self._chunking:
                self.transport.write(last_chunk(exchange))
        if not self._blocked and self.exchange is exchange:
            self.due = self._patience(exchange)

    def pause_writing(self) -> None:
        """The backend does not keep up."""
        self._blocked = True
        self._plain = False
        exchange = self.exchange
        if exchange is not None:
            self.due = self._patience(exchange)
            if self._tunnel or not exchange.upload_done:
                exchange.downstream.hold()

    def resume_writing(self) -> None:
        """The backend has caught up."""
        self._blocked = False
        exchange = self.exchange
        if exchange is not None:
            self.due = NEVER if self._held else self._patience(exchange)
            if self._pouring is not None:
                self._pour(exchange)
            else:
                exchange.downstream.release()

    def hold(self) -> None:
        """Stop reading the response."""
        if not self._held and self.transport is not None:
            self._held = True
            if not self._blocked:
                self.due = NEVER
            self.transport.pause_reading()

    def release(self) -> None:
        """Read on."""
        exchange = self.exchange
        if self._held and self.transport is not None:
            self._held = False
            if exchange is not None:
                self.due = self._patience(exchange)
            self.transport.resume_reading()

    def abort(self) -> None:
        """The exchange is over: nothing of this connection can be used again.

        What the client of a tunnel has said last still goes out, if the backend takes it within `send` seconds.
        """
        exchange, transport = self.exchange, self.transport
        self.exchange = self._pouring = None
        if self._tunnel and exchange is not None and transport is not None and transport.get_write_buffer_size():
            self.due = self.clock.now + exchange.route.timeouts.send
            transport.close()
        else:
            self.close()

    def close(self) -> None:
        """Close at once."""
        self.due = NEVER
        self._spare = drop(self._spare)
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()

    def _patience(self, exchange: Exchange) -> float:
        """Until when the backend has to say something; while the client sends, it need not."""
        timeouts, now = exchange.route.timeouts, self.clock.now
        if self._tunnel:
            return now + (timeouts.send if self._blocked else timeouts.tunnel)
        if self._head is not None:
            return now + (timeouts.send if self._blocked else timeouts.read)
        if not exchange.upload_done and not self._muted:
            return now + timeouts.send if self._blocked else NEVER
        return min(now + (timeouts.send if self._blocked else timeouts.answer), self._limit(exchange))

    def _limit(self, exchange: Exchange) -> float:
        """When the attempt is over in any case if its answer has not begun, as far as that is configured: a backend
        that takes its time with reading the request has no more of it for the answer."""
        timeouts = exchange.route.timeouts
        bounded = timeouts.answer != timeouts.read and not exchange.streamed
        return min(exchange.connected + timeouts.answer if bounded else NEVER, exchange.deadline or NEVER)

    def _overdue(self, exchange: Exchange) -> Fault:
        """What is wrong when the backend's time is over; nothing with the backend, if the attempt has not had its own
        time because the request's is over."""
        now, own = self.clock.now, exchange.connected + exchange.route.timeouts.answer
        if self._head is None and 0.0 < exchange.deadline <= now < own:
            return faults.DEADLINE
        return faults.SEND_TIMEOUT if self._blocked else faults.READ_TIMEOUT

    def _fail(self, exchange: Exchange, fault: Fault) -> None:
        self.exchange = exchange.link = self._pouring = None
        self.close()
        engine.failed(exchange, fault)
