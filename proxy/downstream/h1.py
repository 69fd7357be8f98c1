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
from proxy.downstream.leave import Leave
from proxy.downstream.slow import PART
from proxy.downstream.upload import STUFFED, Upload
from proxy.downstream.writer import Writer
from proxy.exchange import Exchange, Route
from proxy.faults import Fault
from proxy.http.headers import EMPTY_LINES, mended
from proxy.http.message import NOTHING, RequestHead, ResponseHead
from proxy.http.render import render_switch
from proxy.parties import Client, Connection
from proxy.verdict import Reply

if TYPE_CHECKING:
    import asyncio

    from proxy.downstream.listener import Listener
    from proxy.http.proxy_protocol import Proxied
    from proxy.timeouts import Timeouts

OPTIONS: Final = Reply(200, b"", faults.METHOD_REFUSED.fields)  # the answer to who asks what is possible here
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CALL: Final = 1.0  # seconds that an idle connection of a worker that goes is open, for what is on its way


class Http1(Writer):
    """A client connection. It is its own protocol for uvloop, and the Downstream of its exchanges."""

    __slots__ = (
        "_ahead", "_begun", "_connection", "_mended", "_paused", "_pumping", "_upload", "client", "proxied", "requests"
    )  # fmt: skip

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self.client: Client
        self.requests = 0  # that began here
        self.proxied: Proxied | None = None  # what a PROXY header said of the connection
        self._mended = (0, 0)  # the number of a request, and of the bare line feeds in its head
        self._ahead = 0  # the number of the request that was sent ahead, if one was
        self._connection: Connection | None = None  # its facts, when somebody has asked
        self._begun = b""  # bytes read that no exchange has taken
        self._upload: Upload | None = None
        self._pumping = False  # `_pump` is at work further up the stack
        self._paused = False  # nothing is read

    # --- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:
        """The client has connected."""
        self.begin(transport, self.listener.admit(self, transport))

    def begin(self, transport: asyncio.Transport, client: Client) -> None:
        """The connection is there, and its TLS if it has any: a request can come."""
        self.transport = transport
        transport.set_write_buffer_limits(high=PART, low=PART // 4)
        self.client = client if self.proxied is None else self.listener.introduced(client, self.proxied)
        self.due = self.clock.now + self.listener.timeouts.client_header
        if self.listener.remembers:
            self._connection = self.listener.facts(transport)

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

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._blocked = False
        exchange = self.exchange
        if exchange is not None:
            if self._slow is None or self._slow.feed():
                self._slow = None
                upload = self._upload
                waits = upload is not None and not exchange.upload_done and not self._paused
                self.due = upload.patience() if upload is not None and waits else NEVER
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
        elif self._slow is not None and self._slow.moves():
            self.due = now + self._slow.patience
        elif exchange is not None and self._slow is not None:
            engine.failed(exchange, faults.CLIENT_STALLED)
        elif exchange is not None:
            self.due = NEVER  # an error page that takes a while has bounds of its own
            if self._upload is not None:
                self._upload.fail(faults.BODY_TIMEOUT)
        elif self._blocked:
            self.abort()
        elif self._begun:
            self.refuse(faults.HEADER_TIMEOUT)
        else:
            self._close(False, self.listener.timeouts)

    @property
    def reading(self) -> bool:
        """Whether the beginning of a request is here."""
        return bool(self._begun)

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
        seen = 0 if fresh else max(0, len(self._begun) - 3)  # bytes in which no head ends
        self._begun = b""
        self._pumping = True
        reader = self.listener.reader
        while data and self.exchange is None and self.transport is not None and not self._blocked:
            if reader.bare_lf:
                data = self._mend(data, seen)
            empty = EMPTY_LINES.match(data)
            if empty is not None:  # RFC 9112 section 2.2: to be ignored before a request
                data = data[empty.end() :]
                seen = 0
                continue
            end = data.find(b"\r\n\r\n", seen)
            if end < 0:
                self._unfinished(data, fresh, seen)
                break
            data = self._message(data, end + 4)
            seen = 0
            self._ahead = self.requests + 1
            fresh = True
        self._pumping = False
        if self.transport is not None:
            self._begun = data
            if len(data) > STUFFED and (self.exchange is not None or self._blocked):
                self._read(False)

    def _mend(self, data: bytes, seen: int) -> bytes:
        """Take bare line feeds of a head for line ends."""
        whole = mended(data, seen)
        if len(whole) > len(data):
            self._mended = (self.requests + 1, len(whole) - len(data))
        return whole

    def _unfinished(self, data: bytes, fresh: bool, seen: int) -> None:
        """A head that is not whole: give it time, unless it is hopeless."""
        fault = self.listener.reader.hopeless(data, seen)
        if fault is not None:
            self.refuse(fault)
        elif fresh and data != b"\r":  # an empty line is no request and does not start its time
            self.due = self.clock.now + self.listener.timeouts.client_header

    def _message(self, data: bytes, end: int) -> bytes:
        """A head that ends before `end`: begin its exchange. Gives back what comes behind the message."""
        raw, data = data[:end], data[end:]
        reader = self.listener.reader
        head = reader.heads.get(raw) or reader.read(raw)
        exchange = self._exchange(head)
        fault, fields = exchange.fault, exchange.fields
        if fault is None and (fields.length > 0 or fields.chunked):
            self._upload = upload = Upload(exchange, self.listener.spools)
            if fields.length > exchange.route.max_body:
                upload.fail(faults.BODY_TOO_LARGE)
                return b""
            data = self._take(exchange, upload, data)
            if self.exchange is not exchange or upload.failed:
                return data
        elif fields.expects and fault is None and head.line.minor and self.transport is not None:
            self.transport.write(CONTINUE)  # of a body that is empty: we need not, but some wait
        if fault is not None:
            engine.failed(exchange, fault)
            return b""
        if head.last_hop:
            engine.reply(exchange, OPTIONS)
        else:
            engine.advance(exchange)
        return data

    def _exchange(self, head: RequestHead) -> Exchange:
        """The exchange of a request head; what is wrong with the head is in its `fault`."""
        listener, fields = self.listener, head.fields
        route: Route = head.route if head.sites is listener.sites else listener.route(head)  # type: ignore[assignment]
        self.exchange = exchange = Exchange(self, self.client, head.line, fields, self.clock, route)
        self.due = NEVER
        self.requests += 1
        self._keep = head.keep and self.requests < listener.most_requests
        exchange.fault = head.fault
        exchange.request_id = fields.request_id or next(listener.ids)
        if self.client.trusted:
            exchange.client = listener.believe(self.client, fields)
        return exchange

    def _take(self, exchange: Exchange, upload: Upload, data: bytes) -> bytes:
        rest = upload.take(data)
        if self.exchange is exchange and self._slow is None and not self._paused:
            waits = upload.expects and exchange.link is None  # for our 100 (Continue): it is we who are late
            self.due = NEVER if waits or exchange.upload_done else upload.patience()
        return rest

    def refuse(self, fault: Fault) -> None:
        """Answer something that is not a request, and close."""
        route = self.listener.sites.site(None).otherwise
        self.exchange = exchange = Exchange(self, self.client, NOTHING.line, NOTHING.fields, self.clock, route)
        self._keep = False
        engine.failed(exchange, fault)

    # --- responses: what the engine and links call ------------------------------------------------------------------

    @property
    def connection(self) -> Connection:
        """What is known of the connection."""
        known = self._connection
        if known is None:
            self._connection = known = self.listener.facts(self.transport)
        known.requests = self.requests
        known.piped = self.requests == self._ahead
        known.keeps = self._keep
        known.mended = self._mended[1] if self._mended[0] == self.requests else 0
        known.proxied = self.proxied
        return known

    def upgrade(self, exchange: Exchange, head: ResponseHead, rest: bytes) -> None:
        """Become a tunnel, and pass on what the client sent ahead."""
        if self.transport is None:
            return
        self._tunnel = self._live = exchange.replied = True
        self._keep = self._chunking = False
        exchange.body_out += len(rest)
        self.transport.write(render_switch(head) + rest)
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
            ahead = self._pumping and self.transport.can_write_eof()  # TLS closes both ways: waiting delays its end
            linger = not exchange.upload_done or bool(self._begun) or ahead
            body = not exchange.upload_done and exchange.fault is not faults.BAD_REQUEST
            self._close(linger, exchange.route.timeouts, body)
            return
        if self._paused:
            self._read(True)
        timeouts = exchange.route.timeouts
        if self._slow is None:
            self.due = self.clock.now + (timeouts.send if self._blocked else timeouts.client_idle)
        if self._begun and not self._pumping:
            self._ahead = self.requests + 1
            self._pump(self._begun, True)

    # --- reading and closing ----------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Stop reading the request body."""
        if self._upload is not None:
            self._upload.hold()
        if self._slow is None:
            self.due = NEVER
        self._read(False)

    def release(self) -> None:
        """Read on."""
        exchange = self.exchange
        if exchange is not None and not exchange.upload_done and self._upload is not None:
            self._upload.release()
            if self._slow is None:
                self.due = self._upload.patience()
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
        """The worker is going: close behind the next answer, which says so, or if no request comes within LAST_CALL. To
        be called again as long as it is there: a client that has been told already that the connection stays may have
        its next request on the way."""
        exchange = self.exchange
        if exchange is None or not exchange.replied:
            self._keep = False
        if exchange is None and not self._begun:
            self.due = min(self.due, self.clock.now + LAST_CALL)

    @property
    def idle(self) -> bool:
        """Whether it has no exchange."""
        return self.exchange is None

    @property
    def served(self) -> bool:
        """Whether it is between two requests."""
        return self.requests > 0 and not self._begun

    @property
    def idle_since(self) -> float:
        """Since when there has been no whole request, by the listener's times; NEVER while there is one, while its
        client has still to take the last answer, or when it is going already."""
        if self.exchange is not None or self.transport is None or self._blocked:
            return NEVER
        timeouts = self.listener.timeouts
        return self.due - (timeouts.client_idle if self.served else timeouts.client_header)

    def give_way(self) -> None:
        """Make room for another connection: close at once, without a word that nobody would read."""
        transport, self.transport = self.transport, None
        self.due = NEVER
        if transport is not None:
            transport.abort()

    def _read(self, on: bool) -> None:
        transport = self.transport
        if transport is not None and self._paused is on:
            self._paused = not on
            if on:
                transport.resume_reading()
            else:
                transport.pause_reading()

    def _close(self, linger: bool, timeouts: Timeouts, body: bool = False) -> None:
        """Close behind what has been written; `linger` if the client may still be sending, a `body` perhaps."""
        transport, self.transport = self.transport, None
        self.due = NEVER
        self._begun = b""
        if transport is not None and not transport.is_closing():  # else `connection_lost` is on its way to us
            if not linger and not transport.get_write_buffer_size():
                transport.close()
                if not transport.get_write_buffer_size():  # else even the farewell of its TLS waits
                    return
            self.listener.replace(self, Leave(self.listener, transport, linger, timeouts, body))
