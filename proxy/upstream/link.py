"""One connection to a backend (RFC 9112): it carries one exchange after another, and none in between.

Rules: `start` is one write. What a backend sends unasked, or beyond what it announced, closes the link and is never
shown to anybody. A link that is done with an exchange has let go of it, and is back in its pool or closed, before the
engine hears of it; for the engine may start the client's next request on the very same link before it returns.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy import engine, faults
from proxy.clock import NEVER
from proxy.exchange import Exchange, Store
from proxy.faults import Fault
from proxy.http.body import Body, UntilClose, body_of
from proxy.http.chunked import chunk
from proxy.http.headers import BARE_LF, mended
from proxy.http.message import ResponseHead
from proxy.http.request import upgrades
from proxy.upstream.lines import edited_lines, last_chunk
from proxy.upstream.reader import MAX_HEAD, read_response
from proxy.upstream.spare import NONE, drop, last_words, spare_of

if TYPE_CHECKING:
    import asyncio

    from proxy.upstream.pool import Pool

WRITE_HIGH: Final = 65536  # bytes to a slow backend that are held before the client is asked to stop
INTERIMS: Final = 16  # 1xx responses to one request
PART: Final = 65536  # bytes of a stored request body that are sent at a time


class Link:
    """A pooled connection. It is its own protocol for uvloop."""

    __slots__ = (
        "_begun",
        "_blocked",
        "_body",
        "_chunking",
        "_head",
        "_held",
        "_interims",
        "_plain",
        "_pouring",
        "_spare",
        "_tunnel",
        "clock",
        "due",
        "exchange",
        "pool",
        "reused",
        "transport",
        "used",
    )

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.clock = pool.clock
        self.due = NEVER
        self.exchange: Exchange | None = None
        self.used = 0  # exchanges that were started here
        self.reused = False  # it has been idle, so the backend may have closed it just now
        self.transport: asyncio.Transport | None = None
        self._begun = b""  # a head that is not whole
        self._spare = NONE  # see `spare`
        self._head: ResponseHead | None = None  # of the answer whose body is being read
        self._body: Body = UntilClose()
        self._interims = 0
        self._chunking = False  # the request body is sent in chunks
        self._plain = False  # nothing out of the ordinary has happened since `start`
        self._pouring: Store | None = None  # the request body that is being sent from there
        self._blocked = self._held = self._tunnel = False

    # --- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Connected."""
        self.transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH, low=WRITE_HIGH // 4)
        self.pool.wheel.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; whether that ends the response well depends on how its end is known."""
        self.transport = None
        self.pool.forget(self)
        if self.exchange is not None:
            self.clock.now = monotonic()
            if self._spare != NONE and self._head is None:
                words = last_words(self._spare)
                if words:
                    self.data_received(words)
        self._spare = drop(self._spare)
        exchange = self.exchange
        if exchange is None:
            return
        if self._tunnel or (self._head is not None and isinstance(self._body, UntilClose) and exc is None):
            self._let_go(exchange, False)
            exchange.downstream.body(b"", True)
            engine.ended(exchange)
        elif self._head is not None:
            self._fail(exchange, faults.TRUNCATED)
        elif self.reused and not self._begun and not self._interims:
            self._fail(exchange, faults.REUSE_RACE)
        else:
            self._fail(exchange, faults.CLOSED_EARLY)

    def eof_received(self) -> bool:
        """The backend sends no more: the rest is decided when the connection is closed, which follows."""
        if self.exchange is None:
            self.due = 0.0  # nobody is to have it any more
        return False

    def pause_writing(self) -> None:
        """The backend does not keep up."""
        self._blocked = True
        self._plain = False
        exchange = self.exchange
        if exchange is not None:
            self.due = self.clock.now + exchange.route.timeouts.send
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

    def expired(self, now: float) -> None:
        """What was waited for has not come."""
        self.clock.now = now
        exchange = self.exchange
        if exchange is None or self._tunnel:
            self.close()
        else:
            self._fail(exchange, faults.SEND_TIMEOUT if self._blocked else faults.READ_TIMEOUT)

    # --- requests: what the pool and the downstream call ------------------------------------------------------------

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
            lines = edited_lines(exchange, self.pool.host)
        transport.write(b"".join((exchange.line.head, lines, client.identity, exchange.request_id, b"\r\n\r\n", body)))
        if exchange.store is not None:
            self._spare = spare_of(transport)
            self._pouring = exchange.store
            self._pouring.rewind()
            self._pour(exchange)
        elif done:
            timeouts = exchange.route.timeouts
            self.due = now + timeouts.answer
            if timeouts.deadline:
                self.due = min(self.due, exchange.started + timeouts.deadline)
            self._plain = exchange.line.method != b"HEAD" and not self._blocked
        else:
            self.due = NEVER
            exchange.streamed = exchange.streamed or bool(exchange.body)
            exchange.body = b""
            self._spare = spare_of(transport)
            exchange.downstream.accept()

    def body(self, data: bytes, end: bool) -> None:
        """Send more of the request body."""
        transport, exchange = self.transport, self.exchange
        if transport is None or exchange is None:
            return
        if self._chunking:
            data = (chunk(data) if data else b"") + (last_chunk(exchange) if end else b"")
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
        """The exchange is over: nothing of this connection can be used again."""
        self.exchange = self._pouring = None
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
        timeouts = exchange.route.timeouts
        if self._blocked:
            return self.clock.now + timeouts.send
        if self._tunnel:
            return self.clock.now + timeouts.tunnel
        if not exchange.upload_done:
            return NEVER
        if self._head is not None:
            return self.clock.now + timeouts.read
        until = self.clock.now + timeouts.answer
        return min(until, exchange.started + timeouts.deadline) if timeouts.deadline else until

    # --- responses --------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes from the backend, whatever they belong to."""
        now = self.clock.now = monotonic()
        exchange = self.exchange
        if exchange is None:
            self.close()  # unasked: RFC 9112 section 9.2 leaves no other reading than an attack or a broken backend
            return
        if self._plain:  # what nearly every answer is like: known, whole, and the link can be used again
            edits = exchange.route.edits
            head = edits.latest if data.startswith(edits.latest.known_as) else edits.recall(data)
            if head is not None and head.simple and head.length == len(data) - len(head.known_as):
                self._plain = False
                self.exchange = exchange.link = None
                self.pool.give_back(self)
                engine.answered(exchange, head, data[len(head.known_as) :], True)
                return
            self._plain = False
        if self._head is None and not self._tunnel:
            self._read_head(exchange, data)
            return
        if not self._blocked:
            self.due = now + (exchange.route.timeouts.tunnel if self._tunnel else exchange.route.timeouts.read)
        if self._tunnel:
            exchange.downstream.body(data, False)
        elif self._head is not None:
            self._read_body(exchange, self._head, data)

    def _read_head(self, exchange: Exchange, data: bytes) -> None:
        """Take response heads until a final one is whole."""
        if self._begun:
            data = self._begun + data
            self._begun = b""
        while True:
            if self.pool.bare_lf:
                data = mended(data)
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:
                self._unfinished(exchange, data)
                return
            raw = data[:end]
            head = exchange.route.edits.memo.get(raw) or read_response(raw, exchange.route.edits)
            data = data[end:]
            if head.fault is not None or end > MAX_HEAD:
                self._fail(exchange, faults.BAD_RESPONSE)
                return
            if head.status >= 200:
                self._begin_body(exchange, head, data)
                return
            if not self._interim(exchange, head, data):
                return

    def _unfinished(self, exchange: Exchange, data: bytes) -> None:
        """A head that is not whole: wait, unless it can be seen that it will never be right."""
        wrong = not b"HTTP/1.".startswith(data[:7]) or len(data) > MAX_HEAD
        if wrong or (BARE_LF.search(data) is not None and not self.pool.bare_lf):
            self._fail(exchange, faults.BAD_RESPONSE)
        else:
            self._begun = data
            timeouts = exchange.route.timeouts
            if not self._blocked and timeouts.answer == timeouts.read and not timeouts.deadline:
                self.due = self.clock.now + timeouts.read  # it is slow, but it goes on

    def _interim(self, exchange: Exchange, head: ResponseHead, rest: bytes) -> bool:
        """A 1xx response; False when no final one follows here."""
        self._interims += 1
        if head.status == 101:
            if not head.upgrade or not upgrades(exchange.line, exchange.fields):
                self._fail(exchange, faults.BAD_RESPONSE)
            else:
                self._tunnel = True
                self.due = self.clock.now + exchange.route.timeouts.tunnel
                engine.upgraded(exchange, head, rest)
            return False
        if self._interims > INTERIMS:
            self._fail(exchange, faults.BAD_RESPONSE)
            return False
        if head.status != 100:  # 100 (Continue) is between the backend and us: the client had ours
            exchange.downstream.interim(exchange, head)
        return True

    def _begin_body(self, exchange: Exchange, head: ResponseHead, data: bytes) -> None:
        """The final head is here, and `data` is what follows it."""
        if head.bodyless or not head.length or exchange.line.method == b"HEAD":
            self._let_go(exchange, head.keep_alive and not data)
            engine.answered(exchange, head, b"", True)
            return
        self._head = head
        if not self._blocked:
            self.due = self.clock.now + exchange.route.timeouts.read
        self._body = body = body_of(head.length, head.chunked)
        data = body.feed(data)
        if body.failed:
            self._fail(exchange, faults.BAD_RESPONSE)
            return
        if not body.done:
            engine.answered(exchange, head, data, False)
            return
        self._let_go(exchange, head.keep_alive and not body.rest)
        if body.trailers and exchange.route.trailers:
            engine.answered(exchange, head, data, False)
            exchange.downstream.body(b"", True, body.trailers)
            engine.ended(exchange)
        else:
            engine.answered(exchange, head, data, True)

    def _read_body(self, exchange: Exchange, head: ResponseHead, data: bytes) -> None:
        """More of the body. What is beyond its end costs the link its life."""
        body = self._body
        data = body.feed(data)
        if body.failed:
            self._fail(exchange, faults.BAD_RESPONSE)
        elif body.done:
            self._let_go(exchange, head.keep_alive and not body.rest)
            exchange.downstream.body(data, True, body.trailers if exchange.route.trailers else b"")
            engine.ended(exchange)
        elif data:
            exchange.downstream.body(data, False)

    def _let_go(self, exchange: Exchange, keep: bool) -> None:
        """Done with an exchange: back to the pool if nothing speaks against it, else closed."""
        self.exchange = exchange.link = None
        self._spare = drop(self._spare)
        keep = keep and exchange.upload_done and not self._begun and not self._blocked and self._pouring is None
        self._pouring = None
        self._head = None
        if self.transport is None:
            return
        if keep:
            if self._held:
                self.release()
            self.pool.give_back(self)
        else:
            self.close()

    def _fail(self, exchange: Exchange, fault: Fault) -> None:
        self.exchange = exchange.link = self._pouring = None
        self.close()
        engine.failed(exchange, fault)
