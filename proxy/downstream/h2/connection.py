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
    ENHANCE_YOUR_CALM,
    MOST_STREAMS,
    NO_ERROR,
    REFUSED_STREAM,
    SETTINGS_TIMEOUT,
    Engine,
)
from proxy.downstream.h2.engines import best
from proxy.downstream.h2.outlet import Outlet
from proxy.downstream.h2.stream import Stream
from proxy.downstream.leave import Leave, reset
from proxy.downstream.slow import PART
from proxy.exchange import Exchange
from proxy.http.gate import PREFACE
from proxy.http.message import NOTHING
from proxy.http.streams import Fields, fields_of
from proxy.parties import Client, Connection

if TYPE_CHECKING:
    from proxy.downstream.listener import Listener
    from proxy.http.proxy_protocol import Proxied

NO_SETTINGS: Final = b"\0\0\0\4\0\0\0\0\0"  # a frame
EVER: Final = (1 << 31) - 1
AGREE: Final = 10.0  # seconds in which a client has to acknowledge our settings
FAREWELL: Final = 1.0  # seconds in which a request may come that was sent before we said that we go

log = logging.getLogger("frontgate")


class Http2(Outlet):
    """A client connection. It is its own protocol for uvloop; each of its streams is a Downstream."""

    __slots__ = ("_come", "_date", "_dated", "_facts", "_last", "client", "proxied", "requests")

    options = OPTIONS

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        make = best()
        assert make is not None, "a listener speaks HTTP/2 without an engine"
        self.client: Client
        self.proxied: Proxied | None = None
        self.requests = 0
        self.engine: Engine = make(self)
        self._last = 0  # the last stream that was served
        self._come = 0 if listener.reader.dialect.lenient else len(PREFACE) + 1  # bytes, while the first matter
        self._facts: Connection | None = None
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
        if self.listener.remembers:
            self.facts(0)
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
        self.close(False)
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
        if self._come <= len(PREFACE):
            data = self._opened(data)
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

    def _opened(self, data: bytes) -> bytes:
        """The first bytes, as nginx takes them: without SETTINGS behind the preface."""
        at = len(PREFACE) - self._come
        self._come += len(data)
        if len(data) <= at or (data[at + 3 : at + 4] == b"\4" and not data[at + 4] & 1):
            return data
        return data[:at] + NO_SETTINGS + data[at:]

    def _end(self, code: int) -> None:
        """The client does what none may, or what none needs to."""
        if self._gate.flood:
            log.warning("a flood of HTTP/2 frames (%s) from %s: closed", self._gate.flood, self.client.address.decode())
        self.engine.leave(code, self._last)
        self.flush()
        self.close(True)

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
        if not ours:
            self._gate.close(number)
        if number not in self._gate.spared:
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
        self.give_up(now)
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
        self.close(False)

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

    def close(self, linger: bool) -> None:
        """Close behind what has been written."""
        transport, self.transport = self.transport, None
        self.due = NEVER
        if transport is not None and not transport.is_closing():
            self.listener.replace(self, Leave(self.listener, transport, linger, self.listener.timeouts))
        self._leave_all()
