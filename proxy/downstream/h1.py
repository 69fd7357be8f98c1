"""One client connection that speaks HTTP/1.1 or 1.0 (RFC 9112), and a Downstream for the exchange on it.

Rules: one exchange at a time; what a client sends ahead waits in `_begun` and, past STUFFED bytes, in the kernel. Heads
are read by `reader`, bodies by `upload`. A request that cannot be framed beyond doubt is refused and the connection
closed. Deadlines stand in `due` and are looked at by the wheel. Bookkeeping comes before any call that may re-enter
(engine, transport). Without a `transport` the connection is gone, or another's (`Leave`): nothing that comes counts.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy import engine, faults
from proxy.clock import NEVER
from proxy.downstream.leave import Leave, reset
from proxy.downstream.slow import SlowClient
from proxy.downstream.upload import STUFFED, Upload
from proxy.exchange import Client, Exchange, Route
from proxy.faults import Fault
from proxy.http.chunked import LAST, chunk
from proxy.http.headers import EMPTY_LINES, mended
from proxy.http.message import NOTHING, RequestHead, ResponseHead
from proxy.http.render import render_head, render_reply
from proxy.verdict import Reply

if TYPE_CHECKING:
    import asyncio

    from proxy.downstream.listener import Listener
    from proxy.timeouts import Timeouts

WRITE_HIGH: Final = 65536  # bytes to a slow client that are held before the backend is asked to stop

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Http1:
    """A client connection. It is its own protocol for uvloop, and the Downstream of its exchanges."""

    __slots__ = (
        "_begun", "_blocked", "_chunking", "_keep", "_live", "_paused", "_pumping", "_slow", "_tunnel", "_upload",
        "client", "clock", "due", "exchange", "listener", "transport"
    )  # fmt: skip

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.clock = listener.clock
        self.due = NEVER
        self.exchange: Exchange | None = None
        self._begun = b""  # bytes read that no exchange has taken
        self._upload: Upload | None = None
        self._keep = True  # the connection outlives its exchange
        self._chunking = False  # the response body is sent in chunks
        self._pumping = False  # `_pump` is at work further up the stack
        self._paused = self._blocked = self._tunnel = False
        self._slow: SlowClient | None = None  # while the client does not keep up
        self._live = False  # the answer is not to be kept for a slow client

    # --- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:
        """The client has connected (and finished its TLS handshake)."""
        self.transport: asyncio.Transport | None = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH, low=WRITE_HIGH // 4)
        self.client: Client = self.listener.admit(self, transport)
        self.due = self.clock.now + self.listener.timeouts.client_header

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whomever."""
        self.transport = None
        self.due = NEVER
        self.listener.dismiss(self)
        exchange = self.exchange
        if exchange is not None:
            self.clock.now = monotonic()
            if self._slow is not None:
                self._slow.close()  # the log is to say what was sent
            engine.left(exchange)

    def eof_received(self) -> bool:
        """The client sends no more: it is taken as gone, as nginx takes it."""
        self.clock.now = monotonic()
        self._close(False, self.listener.timeouts)
        if self.exchange is not None:
            engine.left(self.exchange)
        return False

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._blocked = True
        exchange = self.exchange
        if exchange is not None and self.transport is not None:
            self.due = self.clock.now + exchange.route.timeouts.send
            if self._slow is None:
                kept = exchange.link is not None and not self._live and exchange.route.response_buffering
                self._slow = SlowClient(self.transport, exchange, self.listener.spool() if kept else None)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._blocked = False
        exchange = self.exchange
        if exchange is not None:
            waits = not exchange.upload_done and not self._paused
            self.due = self.clock.now + exchange.route.timeouts.client_body if waits else NEVER
            if self._slow is not None and self._slow.feed():
                self._slow = None
        elif self.transport is not None:
            self._slow = None
            self.due = self.clock.now + self.listener.timeouts.client_idle
            self._read(True)
            if self._begun:
                self._pump(self._begun, True)

    def expired(self, now: float) -> None:
        """What was waited for has not come."""
        self.clock.now = now
        exchange = self.exchange
        if self.transport is None:
            self.due = NEVER
        elif self._blocked and self._slow is not None and self._slow.moves():
            self.due = now + self._slow.patience
        elif exchange is not None:
            engine.failed(exchange, faults.CLIENT_STALLED if self._blocked else faults.BODY_TIMEOUT)
        elif self._blocked:
            self.abort()
        elif self._begun:
            self.refuse(faults.HEADER_TIMEOUT)
        else:
            self._close(False, self.listener.timeouts)

    # --- requests -------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes from the client, whatever they belong to."""
        self.clock.now = monotonic()
        exchange = self.exchange
        if exchange is None:
            if not self._begun and not self._blocked and self.transport is not None:
                head = self.listener.reader.whole.get(data)
                if head is not None:
                    engine.advance(self._exchange(head))
                    return
            self._pump(self._begun + data, not self._begun)
        elif self._tunnel:
            exchange.body_in += len(data)
            if exchange.link is not None:
                exchange.link.body(data, False)
        elif exchange.upload_done or self._upload is None:
            self._begun += data
            if len(self._begun) > STUFFED:
                self._read(False)
        else:
            rest = self._take(exchange, self._upload, data)
            if rest:
                self._pump(rest, True)

    def _pump(self, data: bytes, fresh: bool) -> None:
        """Take messages from `data` until one has to wait; keep what is left.

        `fresh`: the header deadline does not run yet; activity alone must not extend it.
        """
        self._begun = b""
        self._pumping = True
        reader = self.listener.reader
        while data and self.exchange is None and self.transport is not None and not self._blocked:
            if reader.bare_lf:
                data = mended(data)
            empty = EMPTY_LINES.match(data)
            if empty is not None:  # RFC 9112 section 2.2: to be ignored before a request
                data = data[empty.end() :]
                continue
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._unfinished(data, fresh)
                break
            data = self._message(data, end + 4)
            fresh = True
        self._pumping = False
        if self.transport is not None:
            self._begun = data
            if len(data) > STUFFED and (self.exchange is not None or self._blocked):
                self._read(False)

    def _unfinished(self, data: bytes, fresh: bool) -> None:
        """A head that is not whole: give it time, unless it is hopeless."""
        fault = self.listener.reader.hopeless(data)
        if fault is not None:
            self.refuse(fault)
        elif fresh and data != b"\r":  # an empty line is no request and does not start its time
            self.due = self.clock.now + self.listener.timeouts.client_header

    def _message(self, data: bytes, end: int) -> bytes:
        """A head that ends before `end`: begin its exchange. Gives back what comes behind the message."""
        raw, data = data[:end], data[end:]
        reader = self.listener.reader
        exchange = self._exchange(reader.heads.get(raw) or reader.read(raw))
        fault, fields = exchange.fault, exchange.fields
        if fault is None and (fields.length > 0 or fields.chunked):
            self._upload = upload = Upload(exchange, self.listener.spools)
            if fields.length <= exchange.route.max_body:
                data = self._take(exchange, upload, data)
                if self.exchange is not exchange:
                    return data
            else:
                fault = faults.BODY_TOO_LARGE
        if fault is not None:
            engine.failed(exchange, fault)
            return b""
        engine.advance(exchange)
        return data

    def _exchange(self, head: RequestHead) -> Exchange:
        """The exchange of a request head; what is wrong with the head is in its `fault`."""
        listener, fields = self.listener, head.fields
        route: Route = head.route if head.sites is listener.sites else listener.route(head)  # type: ignore[assignment]
        self.exchange = exchange = Exchange(self, self.client, head.line, fields, self.clock, route)
        self.due = NEVER
        self._keep = head.keep and not listener.draining
        exchange.fault = head.fault
        exchange.request_id = fields.request_id or next(listener.ids)
        if self.client.trusted:
            exchange.client = listener.believe(self.client, fields)
        return exchange

    def _take(self, exchange: Exchange, upload: Upload, data: bytes) -> bytes:
        if not self._blocked:
            waits = upload.expects and exchange.link is None  # for our 100 (Continue): it is we who are late
            self.due = NEVER if waits else self.clock.now + exchange.route.timeouts.client_body
        rest = upload.take(data)
        if exchange.upload_done and self.exchange is exchange and not self._blocked:
            self.due = NEVER
        return rest

    def refuse(self, fault: Fault) -> None:
        """Answer something that is not a request, and close."""
        route = self.listener.sites.site(None).otherwise
        self.exchange = exchange = Exchange(self, self.client, NOTHING.line, NOTHING.fields, self.clock, route)
        self._keep = False
        engine.failed(exchange, fault)

    # --- responses: what the engine and links call ------------------------------------------------------------------

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
        self._chunking, self._keep = endless and minor == 1, self._keep and not (endless and minor == 0)
        lines = render_head(head, exchange.extra_fields, self.clock.date, self._chunking, self._keep, minor)
        if self._chunking:
            body = (chunk(body) if body else b"") + (LAST if end else b"")
        transport.write(lines + body)

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

    def abort(self) -> None:
        """Break off: a reset, so that even a body that ends with the connection is seen not to be whole."""
        transport, self.transport = self.transport, None
        if transport is not None:
            reset(transport)

    def upgrade(self, exchange: Exchange, head: ResponseHead, rest: bytes) -> None:
        """Become a tunnel, and pass on what the client sent ahead."""
        if self.transport is None:
            return
        self._tunnel = self._live = exchange.replied = True
        self._keep = self._chunking = False
        self.transport.write(b"%bConnection: upgrade\r\nUpgrade: websocket\r\n\r\n%b" % (head.forward, rest))
        ahead, self._begun = self._begun, b""
        if ahead:
            self.data_received(ahead)
        self._read(True)

    def done(self) -> None:
        """The exchange is over: the next request, or the end of the connection."""
        exchange, self.exchange = self.exchange, None
        self._upload = None  # it knows the exchange, which knows us: a circle that only the collector would open
        if self._slow is not None:
            self._slow.close()
            self._slow = self._slow if self._blocked else None
        if self.transport is None or exchange is None:
            return
        if not self._keep or not exchange.upload_done or self._tunnel:
            linger = not exchange.upload_done or bool(self._begun) or self._pumping
            self._close(linger, exchange.route.timeouts)
            return
        if self._paused:
            self._read(True)
        timeouts = exchange.route.timeouts
        self.due = self.clock.now + (timeouts.send if self._blocked else timeouts.client_idle)
        if self._begun and not self._pumping:
            self._pump(self._begun, True)

    # --- reading and closing ----------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Stop reading the request body."""
        if self._upload is not None:
            self._upload.hold()
        if not self._blocked:
            self.due = NEVER
        self._read(False)

    def release(self) -> None:
        """Read on."""
        exchange = self.exchange
        if exchange is not None and not exchange.upload_done and self._upload is not None:
            self._upload.release()
            if not self._blocked:
                self.due = self.clock.now + exchange.route.timeouts.client_body
        self._read(True)

    def accept(self, whole: bool = False) -> None:
        """A link has the request, or its body is wanted whole before one gets it: have the body sent."""
        upload = self._upload
        if upload is not None:
            upload.gathers = whole
            if upload.expects and self.transport is not None:
                upload.expects = False
                self.transport.write(CONTINUE)
        self.release()

    def drain(self) -> None:
        """The worker is going: close when the exchange is over, or if none has begun by the wheel's next look, so that
        a request which is on its way is still answered."""
        self._keep = False
        if self.exchange is None and not self._begun:
            self.due = min(self.due, self.clock.now)

    def _read(self, on: bool) -> None:
        transport = self.transport
        if transport is not None and self._paused is on:
            self._paused = not on
            if on:
                transport.resume_reading()
            else:
                transport.pause_reading()

    def _close(self, linger: bool, timeouts: Timeouts) -> None:
        """Close behind what has been written; `linger` if the client may still be sending."""
        transport, self.transport = self.transport, None
        self.due = NEVER
        self._begun = b""
        if transport is not None and not transport.is_closing():  # else `connection_lost` is on its way to us
            self.listener.replace(self, Leave(self.listener, transport, linger, timeouts))
