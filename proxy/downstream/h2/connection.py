"""One client connection that speaks HTTP/2 (RFC 9113): its streams, its engine, and its end.

Rules: what comes is counted by a Gate before the engine sees it, and whoever floods is told so (GOAWAY,
ENHANCE_YOUR_CALM) and goes. What is to be sent in one turn of the loop is one write. While the client takes nothing,
nothing is asked of the engine, where it waits. A connection that is to end tells so first (GOAWAY), and ends when its
last stream is over.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy.clock import NEVER
from proxy.downstream.h1 import OPTIONS
from proxy.downstream.h2.engine import (
    CANCEL,
    ENHANCE_YOUR_CALM,
    MOST_STREAMS,
    NO_ERROR,
    REFUSED_STREAM,
    SETTINGS_TIMEOUT,
    Engine,
)
from proxy.downstream.h2.engines import best
from proxy.downstream.h2.stream import Stream
from proxy.downstream.leave import Leave, reset
from proxy.downstream.slow import PART
from proxy.exchange import Exchange
from proxy.http.gate import Gate
from proxy.http.message import NOTHING
from proxy.http.streams import Fields, fields_of
from proxy.parties import Client, Connection

if TYPE_CHECKING:
    from proxy.downstream.listener import Listener
    from proxy.http.proxy_protocol import Proxied

EVER: Final = (1 << 31) - 1
AGREE: Final = 10.0  # seconds in which a client has to acknowledge our settings
FAREWELL: Final = 1.0  # seconds in which a request may come that was sent before we said that we go

log = logging.getLogger("frontgate")


class Http2:
    """A client connection. It is its own protocol for uvloop; each of its streams is a Downstream."""

    __slots__ = (
        "_agree", "_blocked", "_blameless", "_closing", "_date", "_dated", "_facts", "_farewell", "_feeding", "_gate",
        "_last", "_leaving", "_lingering", "_soon", "_streams", "client", "clock", "due", "engine", "full", "listener",
        "proxied", "requests", "transport",
    )  # fmt: skip

    options = OPTIONS

    def __init__(self, listener: Listener) -> None:
        make = best()
        assert make is not None, "a listener speaks HTTP/2 without an engine"
        self.listener = listener
        self.clock = listener.clock
        self.due = NEVER
        self.transport: asyncio.Transport | None = None
        self.client: Client
        self.proxied: Proxied | None = None
        self.requests = 0
        self.engine: Engine = make(self)
        self.full: set[Stream] = set()  # streams whose clients do not keep up
        self._streams: dict[int, Stream] = {}
        self._closing: dict[int, int] = {}  # streams that are over, and how they are reset when all of them is out
        self._lingering: dict[int, float] = {}  # of these, those that wait for their clients, and until when
        self._blameless: set[int] = set()  # streams that we have reset for reasons of our own
        self._gate = Gate(self.clock.now)
        self._gate.live = self._streams
        self._last = 0  # the last stream that was served
        self._leaving = False  # the client knows that we go
        self._farewell = NEVER  # when it is told which requests are not served
        self._blocked = False  # the client does not keep up
        self._soon = False  # there is something to be sent in this turn
        self._feeding = False
        self._facts: Connection | None = None
        self._agree = NEVER  # until when the client has to acknowledge our settings
        self._date = b""
        self._dated: Fields = ()

    # --- the connection -------------------------------------------------------------------------------------------

    def begin(self, transport: asyncio.Transport, client: Client) -> None:
        """The connection is there, and its TLS if it has any."""
        self.transport = transport
        transport.set_write_buffer_limits(high=PART, low=PART // 4)
        self.client = client if self.proxied is None else self.listener.introduced(client, self.proxied)
        self.due = self.clock.now + self.listener.timeouts.client_header
        self._agree = self.clock.now + AGREE
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whomever."""
        self.transport = None
        self.due = NEVER
        self.listener.dismiss(self)
        self.clock.now = monotonic()
        self._leave_all()

    def _leave_all(self) -> None:
        for stream in list(self._streams.values()):
            stream.gone()
        self.full.clear()

    def eof_received(self) -> bool:
        """The client sends no more: it is taken as gone."""
        self.clock.now = monotonic()
        self._close(False)
        return False

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._blocked = True
        if not self._streams:
            self.due = self.clock.now + self.listener.timeouts.send

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._blocked = False
        if not self._streams:
            self.due = self.clock.now + self.listener.timeouts.client_idle
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        now = self.clock.now = monotonic()
        if self.transport is None:
            return
        if not self._gate.look(data, now):
            self._end(self._gate.wrong or ENHANCE_YOUR_CALM)
            return
        self._feeding = True
        self.engine.feed(data)
        self._feeding = False
        if self._gate.flood:
            self._end(ENHANCE_YOUR_CALM)
        else:
            if not self._streams and self.due == NEVER:
                self.due = now + self.listener.timeouts.client_idle
            self.flush()

    def _end(self, code: int) -> None:
        """The client does what none may, or what none needs to."""
        if self._gate.flood:
            log.warning("a flood of HTTP/2 frames (%s) from %s: closed", self._gate.flood, self.client.address.decode())
        self.engine.leave(code, self._last)
        self.flush()
        self._close(True)

    # --- what the client asks (see `engine.Hearer`) -----------------------------------------------------------------

    def asked(self, number: int, fields: Fields, end: bool) -> None:
        """A request."""
        listener = self.listener
        if self._gate.flood or self.transport is None:
            return
        if self._farewell <= 0.0 or len(self._streams) >= MOST_STREAMS:
            self.engine.reset(number, REFUSED_STREAM)
            self._gate.reset(self.clock.now)
            return
        self._last = number
        self.requests += 1
        if not self._streams:
            self.due = min(self._agree, self._farewell or NEVER)
        head = listener.streams.read(fields, end)
        self._streams[number] = stream = Stream(self, number)
        if head is None:
            route = listener.sites.site(None).otherwise
            exchange = Exchange(stream, self.client, NOTHING.line, NOTHING.fields, self.clock, route)
            exchange.upload_done = end
            stream.refuse(exchange)
            return
        route = head.route if head.sites is listener.sites else listener.route(head)  # type: ignore[assignment]
        exchange = Exchange(stream, self.client, head.line, head.fields, self.clock, route)
        exchange.fault = head.fault
        exchange.request_id = head.fields.request_id or next(listener.ids)
        if self.client.trusted:
            exchange.client = listener.believe(self.client, head.fields)
        if self.requests >= listener.most_requests:
            self.drain()
        stream.begin(exchange, end, head.last_hop, head.fields.upgrade)

    def came(self, number: int, data: bytes, end: bool) -> None:
        """More of a body."""
        stream = self._streams.get(number)
        if stream is not None:
            stream.came(data, end)
        elif data:  # of a request that is answered already
            self.engine.taken(number, len(data))

    def trailed(self, number: int, fields: Fields) -> None:
        """The end of a request."""
        stream = self._streams.get(number)
        if stream is not None:
            stream.came(b"", True, fields)

    def gone(self, number: int, code: int, ours: bool) -> None:
        """A stream was reset; by whomever, it counts, unless it was we who wanted it."""
        self._closing.pop(number, None)
        self._lingering.pop(number, None)
        if number in self._blameless:
            self._blameless.discard(number)
        else:
            self._gate.reset(self.clock.now)
        stream = self._streams.get(number)
        if stream is not None:
            stream.gone()

    def agreed(self) -> None:
        """It has acknowledged our settings."""
        self._agree = NEVER

    # --- what streams ask ------------------------------------------------------------------------------------------

    def facts(self, order: int) -> Connection:
        """What is known of the connection, by a stream whose request was the `order`th."""
        known = self._facts
        if known is None:
            self._facts = known = self.listener.facts(self.transport)
            known.http2 = b"h2" if known.tls is not None else b"h2c"
            known.proxied = self.proxied
        known.requests = order
        known.keeps = not self._leaving
        return known

    def dated(self) -> Fields:
        """The Date field of this second."""
        if self._date is not self.clock.date:
            self._date = self.clock.date
            self._dated = fields_of(self._date)
        return self._dated

    def taken(self, number: int, size: int) -> None:
        """So many bytes of a body are not here any more."""
        if self.transport is not None:
            self.engine.taken(number, size)

    def reset(self, stream: Stream, code: int, blame: bool = False) -> None:
        """Break a stream off; whether it counts as what its client has brought about."""
        if self.transport is None:
            return
        if blame:
            self._gate.reset(self.clock.now)
        self._blameless.add(stream.number)
        self._gate.spare(stream.number)
        self.engine.reset(stream.number, code)
        self.flush_soon()

    def drop(self, stream: Stream) -> None:
        """A stream is closed: nothing of it is looked after."""
        self.full.discard(stream)

    def forget(self, stream: Stream, code: int) -> None:
        """A stream is over; reset it with `code` when all is out, if that is one (-1: none)."""
        self.full.discard(stream)
        if self._streams.pop(stream.number, None) is None or self.transport is None:
            return
        if not stream.closed:
            self._closing[stream.number] = code
        if not self._streams and not self._blocked:
            self.due = min(self._farewell, self.clock.now + self.listener.timeouts.client_idle)
        self.flush_soon()

    # --- sending ----------------------------------------------------------------------------------------------------

    def flush_soon(self) -> None:
        """Send what there is at the end of this turn of the loop."""
        if not self._soon and not self._feeding and self.transport is not None:
            self._soon = True
            asyncio.get_running_loop().call_soon(self._now)

    def _now(self) -> None:
        self._soon = False
        self.flush()

    def flush(self) -> None:
        """Send what there is, as far as the client takes it."""
        transport, engine = self.transport, self.engine
        if transport is None or transport.is_closing():
            return
        while not self._blocked:
            out = engine.output(PART)
            if not out:
                break
            self._gate.sent(len(out))
            transport.write(out)
        if self._closing:
            self._settle()
        for stream in list(self.full):
            if engine.queued(stream.number) <= PART // 4:
                self.full.discard(stream)
                stream.resume_writing()
        if engine.over and not self._blocked and not self._feeding:
            self._close(True)
        elif self._leaving and not self._streams and not self._lingering and self._farewell <= 0.0:
            self._close(False)

    def _settle(self) -> None:
        """Streams that are over: what becomes of them depends on whether all of them is out."""
        closing, self._closing = self._closing, {}
        until = self.clock.now + self.listener.timeouts.send
        wanted = False
        for number, code in closing.items():
            if self._blocked or self.engine.queued(number):
                self._closing[number] = code
                if self._lingering.setdefault(number, until) < self.due:
                    self.due = self._lingering[number]
                continue
            self._lingering.pop(number, None)
            if code >= 0:
                self._gate.spare(number)
                self._blameless.add(number)
                self.engine.reset(number, code)
                wanted = True
        if wanted:
            self.flush_soon()

    # --- ending -----------------------------------------------------------------------------------------------------

    def expired(self, now: float) -> None:
        """Somebody has waited long enough: a stream, or the connection for one."""
        self.clock.now = now
        transport = self.transport
        if transport is None:
            self.due = NEVER
            return
        if now >= self._farewell > 0.0:
            self._farewell = 0.0
            self.engine.leave(NO_ERROR, self._last)
            self.flush()
            if self.transport is None:
                return
        if now >= self._agree:
            self._end(SETTINGS_TIMEOUT)
            return
        for number, until in list(self._lingering.items()):
            if until <= now:
                self._closing.pop(number, None)
                del self._lingering[number]
                self._blameless.add(number)
                self.engine.reset(number, CANCEL)
        for stream in list(self._streams.values()):
            if stream.due <= now:
                stream.expired(now)
        if not self._streams and not self._lingering and self.due <= now:
            self._idle()
            return
        waits = [stream.due for stream in self._streams.values()]
        self.due = min((self._farewell or NEVER, self._agree, *waits, *self._lingering.values()), default=NEVER)
        self.flush()

    def _idle(self) -> None:
        """Nothing has been asked for too long."""
        if self._blocked:
            self.abort()
            return
        if not self._leaving:
            self.engine.leave(NO_ERROR, self._last)
            self.flush()
        self._close(False)

    def drain(self) -> None:
        """End when the streams that are there are over: the client is told at once, and when what was on its way has
        come, it is told which was the last (RFC 9113 section 6.8)."""
        if self._leaving or self.transport is None:
            return
        self._leaving = True
        self._farewell = self.clock.now + FAREWELL
        self.due = min(self.due, self._farewell)
        self.engine.leave(NO_ERROR, EVER)
        self.flush_soon()

    @property
    def idle(self) -> bool:
        """Whether it has no exchange."""
        return not self._streams

    @property
    def served(self) -> bool:
        """Whether it is between two requests."""
        return self.requests > 0

    @property
    def idle_since(self) -> float:
        """Since when there has been no request; NEVER while there is one."""
        if self._streams or self._lingering or self.transport is None or self._blocked:
            return NEVER
        timeouts = self.listener.timeouts
        return self.due - (timeouts.client_idle if self.served else timeouts.client_header)

    @property
    def reading(self) -> bool:
        """Whether the beginning of a request is here."""
        return False

    def give_way(self) -> None:
        """Make room for another connection: close at once."""
        transport, self.transport = self.transport, None
        self.due = NEVER
        if transport is not None:
            transport.abort()

    def abort(self) -> None:
        """Break off."""
        transport, self.transport = self.transport, None
        if transport is not None:
            reset(transport)

    def _close(self, linger: bool) -> None:
        """Close behind what has been written."""
        transport, self.transport = self.transport, None
        self.due = NEVER
        if transport is not None and not transport.is_closing():
            self.listener.replace(self, Leave(self.listener, transport, linger, self.listener.timeouts))
        self._leave_all()
