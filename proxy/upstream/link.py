"""One connection to a backend (RFC 9112): it carries one exchange after another, and none in between.

Rules: `start` is one write. What a backend sends unasked, or beyond what it announced, closes the link and is never
shown to anybody. A link that is done with an exchange has let go of it, and is back in its pool or closed, before the
engine hears of it; for the engine may start the client's next request on the very same link before it returns.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy import engine, faults
from proxy.exchange import Exchange
from proxy.http.body import Body, UntilClose, body_of
from proxy.http.events import Events
from proxy.http.frames import Frames, closing
from proxy.http.headers import BARE_LF, mended
from proxy.http.message import ResponseHead
from proxy.http.request import WEBSOCKET, upgrades
from proxy.http.response import EVENTS, LARGE
from proxy.upstream.reader import MAX_HEAD, read_response
from proxy.upstream.sender import Sender
from proxy.upstream.spare import NONE, drop, last_words

if TYPE_CHECKING:
    import asyncio

    from proxy.upstream.pool import Pool

WRITE_HIGH: Final = 65536  # bytes to a slow backend that are held before the client is asked to stop
INTERIMS: Final = 16  # 1xx responses to one request
SILENT: Final = b"-"  # of a stream that ends without a word


class Link(Sender):
    """A pooled connection. It is its own protocol for uvloop."""

    __slots__ = ("_begun", "_body", "_events", "_frames", "_parting", "reused")

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.reused = False  # it has been idle, so the backend may have closed it just now
        self._begun = b""  # a head that is not whole
        self._body: Body = UntilClose()
        self._events: Events | None = None  # of an event stream, that it can end behind one of them
        self._frames: Frames | None = None  # of a WebSocket, likewise
        self._parting = b""  # what is said to the client of a stream that is to end, between two frames

    # --- the connection -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Connected."""
        self.transport = transport
        self.opened = self.clock.now
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
        if self.exchange is None and self.due > 0.0:
            self.clock.now = monotonic()
            self.pool.left(self)
            self.due = 0.0  # nobody is to have it any more
        return False

    def expired(self, now: float) -> None:
        """What was waited for has not come."""
        self.clock.now = now
        exchange = self.exchange
        if exchange is None or self._tunnel:
            self.close()
        else:
            self._fail(exchange, self._overdue(exchange))

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
            if self._frames is None:
                exchange.downstream.body(data, False)
            else:
                self._follow(exchange, self._frames, data)
        elif self._head is not None:
            self._read_body(exchange, self._head, data)

    def _read_head(self, exchange: Exchange, data: bytes) -> None:
        """Take response heads until a final one is whole."""
        seen = max(0, len(self._begun) - 3)  # bytes in which no head ends
        if self._begun:
            data = self._begun + data
            self._begun = b""
        while True:
            if self.pool.bare_lf:
                data = mended(data, seen)
            end = data.find(b"\r\n\r\n", seen) + 4
            if end < 4:
                self._unfinished(exchange, data, seen)
                return
            seen = 0
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

    def _unfinished(self, exchange: Exchange, data: bytes, seen: int) -> None:
        """A head that is not whole: wait, unless it can be seen that it will never be right."""
        wrong = not b"HTTP/1.".startswith(data[:7]) or len(data) > MAX_HEAD
        if wrong or (BARE_LF.search(data, seen) is not None and not self.pool.bare_lf):
            self._fail(exchange, faults.BAD_RESPONSE)
        else:
            self._begun = data
            timeouts = exchange.route.timeouts
            if not self._blocked and timeouts.answer == timeouts.read and not exchange.deadline:
                self.due = self.clock.now + timeouts.read  # it is slow, but it goes on

    def _interim(self, exchange: Exchange, head: ResponseHead, rest: bytes) -> bool:
        """A 1xx response; False when no final one follows here."""
        self._interims += 1
        if head.status == 101:
            if not head.upgrade or not _asked_for(exchange, (head.get(b"upgrade") or b"").lower()):
                self._fail(exchange, faults.BAD_RESPONSE)
            else:
                self._tunnel = True
                if (head.get(b"upgrade") or b"").lower() == WEBSOCKET:
                    self._frames = Frames()
                    self._frames.feed(rest)
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
            composer = exchange.route.composer  # it may have asked with another method, and then there is a body
            kept = (
                head.keep_alive and not data and (composer is None or composer.method(exchange) == exchange.line.method)
            )
            self._let_go(exchange, kept)
            engine.answered(exchange, head, b"", True)
            return
        self._head = head
        if not self._blocked:
            self.due = self.clock.now + exchange.route.timeouts.read
        self._body = body = body_of(head.length, head.chunked)
        data = body.feed(data)
        if head.live and head.length < 0 and (head.get(b"content-type") or b"").lower().startswith(EVENTS):
            self._events = Events()
            self._events.feed(data)
        if body.failed:
            self._fail(exchange, faults.BAD_RESPONSE)
            return
        if not body.done:
            engine.answered(exchange, head, data, False)
            return
        self._let_go(exchange, head.keep_alive and not body.rest)
        trailers = body.trailers if exchange.route.trailers else b""
        if not trailers and len(data) <= LARGE:
            engine.answered(exchange, head, data, True)
            return
        if engine.answered(exchange, head, data, False) and not exchange.finished:
            exchange.downstream.body(b"", True, trailers)
            engine.ended(exchange)

    def _read_body(self, exchange: Exchange, head: ResponseHead, data: bytes) -> None:
        """More of the body. What is beyond its end costs the link its life."""
        body = self._body
        data = body.feed(data)
        if body.failed:
            self._fail(exchange, faults.BAD_RESPONSE)
        elif body.done:
            self._let_go(exchange, head.keep_alive and not body.rest)
            engine.free(exchange)
            exchange.downstream.body(data, True, body.trailers if exchange.route.trailers else b"")
            engine.ended(exchange)
        elif data and self._events is not None:
            self._pass_events(exchange, self._events, data)
        elif data:
            exchange.downstream.body(data, False)

    # --- streams that are to end ------------------------------------------------------------------------------------

    @property
    def lasting(self) -> bool:
        """Whether it carries a stream that may never end by itself, and can be ended well."""
        return self._frames is not None or self._events is not None

    def farewell(self, code: int) -> None:
        """End such a stream as soon as that is clean: an event stream behind an event, a WebSocket by a Close frame
        behind a whole one, whose answer passes to the backend, so that this ends it too."""
        exchange, frames = self.exchange, self._frames
        if exchange is None or self._parting:
            return
        self.clock.now = monotonic()
        if frames is not None and not frames.lost and not frames.closed:
            self._parting = closing(code)
            if frames.between:
                self._part(exchange, b"")
        elif self._events is not None:
            self._parting = SILENT
            if self._events.between:
                self._finish(exchange, b"")

    def _follow(self, exchange: Exchange, frames: Frames, data: bytes) -> None:
        """More of a WebSocket. Behind a Close frame of ours nothing is for the client any more."""
        if not self._parting:
            frames.feed(data)
            exchange.downstream.body(data, False)
        elif not frames.closed:
            end = frames.feed(data)
            if frames.closed:  # the backend says it itself
                self._parting = b""
            if end < 0 or frames.closed:
                exchange.downstream.body(data, False)
            else:
                self._part(exchange, data[:end])

    def _part(self, exchange: Exchange, data: bytes) -> None:
        """Send the last of a WebSocket and our Close frame."""
        if self._frames is not None:
            self._frames.closed = True
        exchange.downstream.body(data + self._parting, False)

    def _pass_events(self, exchange: Exchange, events: Events, data: bytes) -> None:
        """More of an event stream."""
        end = events.first(data) if self._parting else -1
        if end >= 0:
            self._finish(exchange, data[:end])
        else:
            events.feed(data)
            exchange.downstream.body(data, False)

    def _finish(self, exchange: Exchange, data: bytes) -> None:
        """End an answer here: this is its last."""
        self._let_go(exchange, False)
        exchange.downstream.body(data, True)
        engine.ended(exchange)

    def _let_go(self, exchange: Exchange, keep: bool) -> None:
        """Done with an exchange: back to the pool if nothing speaks against it, else closed."""
        self.exchange = exchange.link = None
        self._spare = drop(self._spare)
        keep = keep and exchange.upload_done and not self._begun and not self._blocked and self._pouring is None
        self._pouring = None
        self._muted = False
        self._head = self._events = None
        self._parting = b""
        if self.transport is None:
            return
        if keep:
            if self._held:
                self.release()
            self.pool.give_back(self)
        else:
            self.close()


def _asked_for(exchange: Exchange, protocol: bytes) -> bool:
    """Whether the request asks for the protocol that its backend switches to."""
    composer = exchange.route.composer
    if composer is None:
        return protocol == WEBSOCKET and upgrades(exchange.line, exchange.fields)
    return composer.upgrades(exchange, protocol)
