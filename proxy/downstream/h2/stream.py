"""One stream of HTTP/2 (RFC 9113 section 8), a Downstream: to all above it, it is what a connection of HTTP/1.1 is.

Rules: nothing is sent on a stream that is `closed`. A stream that is over lets go of its exchange before anybody hears
of the next. How an answer goes out is its base's affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy import engine, faults
from proxy.clock import NEVER
from proxy.downstream.h2.engine import CANCEL, FLOW_CONTROL_ERROR, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR
from proxy.downstream.h2.sending import Sending
from proxy.downstream.upload import Upload
from proxy.exchange import Exchange
from proxy.http.body import StreamBody
from proxy.http.message import ResponseHead
from proxy.http.render import render_reply
from proxy.http.streams import fields_of, response_fields, trailer_lines
from proxy.parties import Connection
from proxy.verdict import Reply

if TYPE_CHECKING:
    from proxy.downstream.h2.connection import Http2
    from proxy.http.streams import Fields

CONTINUE = ((b":status", b"100"),)
SMALL: Final = 16384  # bytes of an answer that is handed to the engine with others


class Stream(Sending):
    """A stream, from its request until its exchange is over."""

    __slots__ = ("_ahead", "_body", "_credit", "_mute", "_order", "_tunnel")

    def __init__(self, http2: Http2, number: int) -> None:
        super().__init__(http2, number)
        self._order = http2.requests
        self._body: StreamBody | None = None
        self._ahead = b""  # of a tunnel, what has come before it was there
        self._credit = 0  # bytes that came and that nobody has taken
        self._tunnel = False
        self._mute = False  # the request is malformed: no answer but a reset

    # --- what comes -----------------------------------------------------------------------------------------------

    def begin(self, exchange: Exchange, end: bool, last_hop: bool, tunnel: bool) -> None:
        """A request: on its way with it, or refused."""
        self.exchange = exchange
        fault, fields = exchange.fault, exchange.fields
        if fault is None and not end and not tunnel:
            self._body = body = StreamBody(fields.length)
            self._upload = Upload(exchange, self._http2.listener.spools, body)
            if fields.length > exchange.route.max_body:
                self._upload.fail(faults.BODY_TOO_LARGE)
                return
            self.wait_until(self._upload.patience())
        elif not end and not tunnel:
            exchange.upload_done = False
        if fault is not None:
            engine.failed(exchange, fault)
        elif self._body is not None and not fields.length:  # a backend would take the head for all: it waits for END
            self.accept(whole=True)
        elif last_hop:
            engine.reply(exchange, self._http2.options)
        else:
            engine.advance(exchange)

    def refuse(self, exchange: Exchange) -> None:
        """A malformed request: a stream error, which the log has as what it would have been in HTTP/1.1."""
        self.exchange = exchange
        self._mute = True
        engine.failed(exchange, faults.BAD_REQUEST)

    def came(self, data: bytes, end: bool, trailers: Fields = ()) -> None:
        """More of the request's body, or of what a tunnel carries."""
        exchange, upload, body = self.exchange, self._upload, self._body
        self._credit += len(data)
        if exchange is None:
            self._return()
            return
        if upload is None or body is None:
            self._carry(exchange, data, end)
            return
        if trailers:
            lines = trailer_lines(trailers)
            if lines is None:
                self._mute = not exchange.replied
                upload.fail(faults.BAD_REQUEST)
                return
            body.trailers = lines
        body.ending = end
        upload.take(data)
        if not self._held:
            self._return()
        if self.exchange is exchange and self._slow is None and not self._held:
            waits = upload.expects and exchange.link is None
            self.wait_until(NEVER if waits or exchange.upload_done else upload.patience())

    def _carry(self, exchange: Exchange, data: bytes, end: bool) -> None:
        """Bytes for a tunnel, which may not be there yet."""
        if self._tunnel and exchange.link is not None:
            exchange.body_in += len(data)
            if data:
                exchange.link.body(data, False)
            if not self._held:
                self._return()
        else:
            self._ahead += data
        if end:  # the client says no more, which ends a tunnel as the end of its connection would
            self.leave()

    def _return(self) -> None:
        """What has come was taken: as much may come."""
        if self._credit:
            self._http2.taken(self.number, self._credit)
            self._credit = 0

    def gone(self) -> None:
        """The client has taken its request back, or the stream or its connection is broken."""
        self.closed = True
        self._http2.drop(self)
        self.leave()

    def burst(self) -> None:
        """The client has opened its window wider than any may be."""
        self.closed = True
        self._http2.reset(self, FLOW_CONTROL_ERROR, True)
        self._http2.drop(self)
        self.leave()

    def leave(self) -> None:
        """The client has gone."""
        if self.exchange is not None:
            if self._slow is not None:
                self._slow.close()  # the log is to say what was sent
            engine.left(self.exchange)

    def expired(self, now: float) -> None:
        """What was waited for has not come."""
        exchange = self.exchange
        self.due = NEVER
        if exchange is None:
            return
        if self._slow is not None and self._slow.moves():
            self.wait_until(now + self._slow.patience)
        elif self._slow is not None:
            engine.failed(exchange, faults.CLIENT_STALLED)
        elif self._upload is not None:
            self._upload.fail(faults.BODY_TIMEOUT)

    # --- what the engine and links call -----------------------------------------------------------------------------

    @property
    def connection(self) -> Connection:
        """What is known of the connection."""
        return self._http2.facts(self._order)

    def last(self) -> None:
        """What goes wrong on one stream is no reason to end the others."""

    def part(self) -> None:
        """The connection is to end, behind its other streams."""
        self._http2.drain()

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """Send a final response head with the first part of the body, or all of it."""
        if self.closed:
            return
        exchange.replied = True
        exchange.body_out = len(body)
        self._live = head.live
        fields = response_fields(head) if head.dated else self._http2.dated(head)
        if exchange.extra_fields:
            fields += fields_of(exchange.extra_fields)
        if exchange.line.method == b"HEAD" and end:
            body = b""
        if end and len(body) <= SMALL:
            self._over = True
            self._http2.answer(self.number, fields, body)
            return
        self._over = end and not body
        self._http2.engine.head(self.number, fields, self._over)
        if body:
            self._send(exchange, body, end)
        else:
            self._http2.flush_soon()

    def interim(self, exchange: Exchange, head: ResponseHead) -> None:
        """Send a 1xx response."""
        if not self.closed and not exchange.replied and head.status != 101:
            self._http2.engine.interim(self.number, response_fields(head))
            self._http2.flush_soon()

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """Send more of the response body."""
        exchange = self.exchange
        if self.closed or exchange is None:
            return
        exchange.body_out += len(data)
        if trailers:
            self._trailers = fields_of(trailers)
        self._send(exchange, data, end)

    def send_file(self, descriptor: int, begin: int, size: int) -> int:
        """Frames are made of bytes that we have."""
        return 0

    def reply(self, exchange: Exchange, reply: Reply) -> None:
        """Send an answer of our own."""
        if self._body is not None and self._body.failed:
            self._mute = True
        if self.closed or self._mute:
            return
        exchange.replied = True
        lines = self.clock.date + exchange.extra_fields
        head, body = render_reply(reply, exchange.route.edits, lines, True, 1)
        status, _, rest = head[9:].partition(b"\r\n")
        if exchange.line.method == b"HEAD":
            body = b""
        exchange.body_out = len(body)
        self._over = not body
        self._http2.engine.head(self.number, ((b":status", status[:3]), *fields_of(rest)), self._over)
        if body:
            self._send(exchange, body, True)
        else:
            self._http2.flush_soon()

    def behind(self) -> bool:
        """Whether the client has still to take some of an answer that is whole."""
        return self._slow is not None and self._slow.left > 0 and not self.closed

    def abort(self) -> None:
        """Break off: a reset, which no client takes for an end."""
        if not self.closed:
            self.closed = True
            fault = self.exchange.fault if self.exchange is not None else None
            self._http2.reset(self, CANCEL if fault is not None and fault.blame is faults.CLIENT else INTERNAL_ERROR)

    def hold(self) -> None:
        """What comes of the request's body is not taken."""
        if self._upload is not None:
            self._upload.hold()
        self._held = True
        if self._slow is None:
            self.due = NEVER

    def release(self) -> None:
        """It is taken again."""
        self._held = False
        self._return()
        self._http2.flush_soon()
        exchange, upload = self.exchange, self._upload
        if exchange is not None and upload is not None and not exchange.upload_done:
            upload.release()
            if self._slow is None:
                self.wait_until(upload.patience())

    def accept(self, whole: bool = False) -> None:
        """A link has the request, or its body is wanted whole before one gets it: have the body sent."""
        upload = self._upload
        if upload is not None:
            upload.gathers = whole
            if upload.expects and not self.closed:
                upload.expects = False
                self._http2.engine.interim(self.number, CONTINUE)
        self.release()

    def upgrade(self, exchange: Exchange, head: ResponseHead, rest: bytes) -> None:
        """Become a tunnel (RFC 8441): the answer is 200, and DATA is what passes."""
        if self.closed:
            return
        self._tunnel = self._live = exchange.replied = True
        lines = head.forward.partition(b"\r\n")[2] + exchange.extra_fields
        fields = tuple([field for field in fields_of(lines) if field[0] != b"sec-websocket-accept"])
        self._http2.engine.head(self.number, ((b":status", b"200"), *fields), False)
        exchange.body_out += len(rest)
        if rest:
            self._send(exchange, rest, False)
        ahead, self._ahead = self._ahead, b""
        if ahead and exchange.link is not None:
            exchange.body_in += len(ahead)
            exchange.link.body(ahead, False)
        self._return()
        self._http2.flush_soon()

    def done(self) -> None:
        """The exchange is over, and with it the stream, as far as we are concerned."""
        exchange, self.exchange = self.exchange, None
        self._upload = None
        slow, self._slow = self._slow, None
        if slow is not None:
            slow.close()
        self.due = NEVER
        self._return()
        if exchange is None or self.closed:
            self._http2.forget(self, -1)
            return
        http2 = self._http2
        if self._ending and not self._over:
            if self._trailers:
                http2.engine.trailers(self.number, self._trailers)
            else:
                http2.engine.body(self.number, b"", True)
            self._over = True
        if not self._over:  # nothing was answered, and nothing will be
            self.closed = True
            http2.reset(self, PROTOCOL_ERROR if self._mute else INTERNAL_ERROR, self._mute)
            http2.forget(self, -1)
        elif exchange.upload_done:
            http2.forget(self, -1)
        else:  # the rest of the request is not wanted (RFC 9113 section 8.1), once the answer is out
            http2.forget(self, PROTOCOL_ERROR if self._body is not None and self._body.failed else NO_ERROR)
