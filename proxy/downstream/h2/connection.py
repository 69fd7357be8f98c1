"""One client connection that speaks HTTP/2 (RFC 9113): its streams, its engine, and its end.

Rules: what comes is counted by a Gate before the engine sees it, and whoever floods is told so (GOAWAY,
ENHANCE_YOUR_CALM) and goes. What is to be sent in one turn of the loop is one write. While the client takes nothing,
nothing is asked of the engine, where it waits. A connection that is to end tells so first (GOAWAY), and ends when its
last stream is over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy.clock import NEVER
from proxy.downstream.h1 import OPTIONS
from proxy.downstream.h2.engine import ENHANCE_YOUR_CALM, NO_ERROR, REFUSED_STREAM, SETTINGS_TIMEOUT, Engine
from proxy.downstream.h2.outlet import Outlet
from proxy.downstream.h2.stream import Stream
from proxy.downstream.leave import LINGER, Leave, reset
from proxy.downstream.slow import PART
from proxy.exchange import Exchange
from proxy.http.gate import FRAME, PREFACE
from proxy.http.message import NOTHING, ResponseHead
from proxy.http.streams import Fields, fields_of, response_fields
from proxy.parties import Client, Connection, Outbox

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

    __slots__ = (
        "_begun", "_come", "_date", "_dated", "_facts", "_last", "_latest", "_most", "_outbox", "_whole", "client",
        "proxied", "requests",
    )  # fmt: skip

    options = OPTIONS

    def __init__(self, listener: Listener) -> None:
        terms = listener.terms
        assert terms is not None, "a listener speaks HTTP/2 without an engine"
        super().__init__(listener, terms)
        self.client: Client
        self.proxied: Proxied | None = None
        self.requests = 0
        self.engine: Engine = terms.make(self, terms)
        self._most = terms.streams
        self._last = 0  # the last stream that was served
        self._come = 0 if listener.reader.dialect.lenient else len(PREFACE) + 1  # bytes, while the first matter
        self._begun = NEVER  # since when a frame or a block is not whole
        self._facts: Connection | None = None
        self._date = b""
        self._dated: Fields = ()
        self._outbox = Outbox()  # requests of one read, which are begun together
        self._latest: ResponseHead | None = None  # of whose fields `_whole` are made, with the date
        self._whole: Fields = ()

    # --- the connection -------------------------------------------------------------------------------------------

    def begin(self, transport: asyncio.Transport, client: Client) -> None:
        """The connection is there, and its TLS if it has any."""
        self.transport = transport
        transport.set_write_buffer_limits(high=PART, low=PART // 4)
        self.client = client if self.proxied is None else self.listener.introduced(client, self.proxied)
        self._rest = self.clock.now + self.listener.timeouts.client_header
        self._agree = self.clock.now + AGREE
        self.due = self.next_due()
        self.counts.connections += 1
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
        """The client sends no more: it is taken as gone, behind what it has been answered."""
        self.clock.now = monotonic()
        self.flush()
        self.close(False)
        return False

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._blocked = True
        if not self._streams:
            self._rest = self.clock.now + self.listener.timeouts.send
            self.due = self.next_due()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._blocked = False
        if not self._streams:
            self._rest = self.clock.now + self.listener.timeouts.client_idle
            self.due = self.next_due()
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        now = self.clock.now = monotonic()
        if self.transport is None:
            return
        if self._come <= len(PREFACE):
            data = self._opened(data)
        gate = self._gate
        if not gate.look(data, now):
            self._end(gate.wrong or ENHANCE_YOUR_CALM)
            return
        if gate.since != self._begun:  # both are NEVER, nearly always
            self._begun = gate.since
            self._midway = gate.since + self.listener.timeouts.client_header
            self.due = min(self.due, self._midway)
        self._feeding = self._outbox.open = True
        try:
            if gate.wide:
                self._widened(data, gate.wide)
            else:
                self.engine.feed(data)
        finally:
            self._feeding = False
            self._outbox.send()
        if gate.flood:
            self._end(ENHANCE_YOUR_CALM)
        elif self.engine.over:
            self.flush()
        else:
            self.flush_soon()

    def _widened(self, data: bytes, wide: list[tuple[int, int, int]]) -> None:
        """Feed what may open windows too wide: that is an error of the stream alone (RFC 9113 section 6.9.1)."""
        done = 0
        for at, number, wider in wide:
            self.engine.feed(data[done:at])
            done = at
            if number in self._gate.spared:  # it is closed as soon as that is said
                done += FRAME + 4
            elif number in self._streams and self.engine.room(number) + wider > EVER:
                done += FRAME + 4
                self._streams[number].burst()
        self.engine.feed(data[done:])

    def _opened(self, data: bytes) -> bytes:
        """The first bytes, as nginx takes them: without SETTINGS behind the preface."""
        at = len(PREFACE) - self._come
        self._come += len(data)
        if len(data) <= at or (data[at + 3 : at + 4] == b"\4" and not data[at + 4] & 1):
            return data
        return data[:at] + NO_SETTINGS + data[at:]

    def _end(self, code: int) -> None:
        """The client does what none may, or what none needs to."""
        self.counts.goaways += 1
        if self._gate.flood:
            self.counts.flood(self._gate.flood)
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
        if self._farewell <= 0.0 or len(self._streams) + len(self._closing) + len(self._unread) >= self._most:
            self.engine.reset(number, REFUSED_STREAM)
            self._gate.reset(self.clock.now)
            self.counts.refused += 1
            return
        self._last = number
        self.requests += 1
        self.counts.streams += 1
        if not self._streams:
            self.due = min(self._agree, self._farewell or NEVER, self._midway)
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
        exchange.outbox = self._outbox
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
        else:
            self._drop(number, len(data), end)

    def _drop(self, number: int, size: int, end: bool) -> None:
        """More of a body that nobody wants."""
        self.engine.taken(number, size)
        rest = self._unread.get(number)
        if rest is not None and end:
            del self._unread[number]
            self._gate.close(number)
        elif rest is not None:
            rest.until = min(self.clock.now + LINGER, rest.most)

    def trailed(self, number: int, fields: Fields) -> None:
        """The end of a request."""
        stream = self._streams.get(number)
        if stream is not None:
            stream.came(b"", True, fields)
        else:
            self._drop(number, 0, True)

    def gone(self, number: int, code: int, ours: bool) -> None:
        """A stream was reset; by whomever, it counts, unless it was we who wanted it."""
        self._closing.pop(number, None)
        self._lingering.pop(number, None)
        self._unread.pop(number, None)
        self.withdraw(number)
        if not ours:
            self.counts.resets_client += 1
        elif number not in self._gate.spared:
            self._gate.reset(self.clock.now)
            self.counts.resets_own += 1
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

    def dated(self, head: ResponseHead) -> Fields:
        """The fields of a head without a Date, and the Date field of this second."""
        if self._date is not self.clock.date:
            self._date = self.clock.date
            self._dated = fields_of(self._date)
            self._latest = None
        if self._latest is not head:
            self._latest = head
            self._whole = response_fields(head) + self._dated
        return self._whole

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
        resting = not (self._streams or self._lingering or self._unread) and self._rest <= now
        if now >= self._agree or now >= self._midway or (resting and self._midway != NEVER):
            self.counts.flood("timeout")
            self._end(SETTINGS_TIMEOUT if now >= self._agree else ENHANCE_YOUR_CALM)
            return
        self.give_up(now)
        for stream in list(self._streams.values()):
            if stream.due <= now:
                stream.expired(now)
        if not (self._streams or self._lingering or self._unread) and self._rest <= now:
            self._idle()
            return
        self.due = self.next_due()
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
    def busy(self) -> int:
        """How many exchanges it has."""
        return len(self._streams)

    @property
    def streams(self) -> Iterable[Stream]:
        """Those that are open."""
        return self._streams.values()

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
        if self._streams or self._lingering or self._unread or self.transport is None or self._blocked:
            return NEVER
        timeouts = self.listener.timeouts
        return self._rest - (timeouts.client_idle if self.served else timeouts.client_header)

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
