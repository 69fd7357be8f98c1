"""The body of one request on its way from the client to a link.

Rules: a body that is to be whole before a backend gets any of it is gathered, in memory and then in a file. Any other
goes straight to the exchange's link; until there is one it waits in the exchange, and past STUFFED bytes the client is
held. A body over the route's limit, or one that comes slower than `min_rate` after GRACE seconds without our asking for
it, ends the exchange.
"""

from __future__ import annotations

import logging
from typing import Final

from proxy import engine, faults
from proxy.downstream.spool import Spool, Spools
from proxy.exchange import Exchange
from proxy.faults import Fault
from proxy.http.body import body_of
from proxy.http.chunked import ChunkedDecoder

STUFFED: Final = 65536
GRACE: Final = 10.0
NO_LIMIT: Final = 1 << 62  # the body's own limit is the route's

log = logging.getLogger("frontgate")


class Upload:
    """A request body. `expects`: the client waits for 100 (Continue); `gathers`: it is to be whole first."""

    __slots__ = ("_body", "_counted", "_exchange", "_held", "_spools", "_started", "_store", "expects", "gathers")

    def __init__(self, exchange: Exchange, spools: Spools) -> None:
        fields = exchange.fields
        exchange.upload_done = False
        self._exchange = exchange
        self._spools = spools
        self._store: Spool | None = None
        self.gathers = False
        self._body = body_of(fields.length, fields.chunked)
        self._started = exchange.clock.now
        self.expects = fields.expects and exchange.line.minor == 1
        self._counted = 0  # bytes that had come at `_started`
        self._held = self.expects  # until we say 100 (Continue), nothing has to come

    def hold(self) -> None:
        """The client is asked to wait: from here on it is not its fault if nothing comes."""
        self._held = True

    def release(self) -> None:
        """It may send: if it had to wait, its rate is measured from here."""
        if self._held:
            self._held = False
            self._started = self._exchange.clock.now
            self._counted = self._exchange.body_in

    def take(self, data: bytes) -> bytes:
        """Take the body's part of `data` and pass it on or keep it; gives back what comes behind the body.

        The exchange may have failed after this.
        """
        exchange, body = self._exchange, self._body
        data = body.feed(data)
        exchange.body_in += len(data)
        if data:
            self.expects = False
        fault = self._fault()
        if fault is not None:
            engine.failed(exchange, fault)
            return b""
        if body.done:
            exchange.trailers = body.trailers
            exchange.upload_done = True
        link = exchange.link
        if link is not None:
            exchange.streamed = True
            if data or body.done:
                link.body(data, body.done)
        elif self.gathers:
            self._gather(exchange, data)
        else:
            exchange.body += data
            if len(exchange.body) > STUFFED and not body.done:
                exchange.downstream.hold()
        return body.rest

    def _gather(self, exchange: Exchange, data: bytes) -> None:
        """Keep a part; when it was the last one, the exchange goes on."""
        store = self._store
        if store is None and len(exchange.body) + len(data) > self._spools.memory:
            exchange.store = self._store = store = self._spools.open(NO_LIMIT, keep=True)
            data, exchange.body = exchange.body + data, b""
        if store is None:
            exchange.body += data
        elif data and not store.add(data):
            log.warning("a request body cannot be kept: %s", store.trouble)
            engine.failed(exchange, faults.NO_SPACE)
            return
        if exchange.upload_done:
            engine.resume(exchange)

    def _fault(self) -> Fault | None:
        exchange = self._exchange
        if self._body.failed:
            return faults.BAD_REQUEST
        announced = self._body.left if isinstance(self._body, ChunkedDecoder) else 0  # of the chunk that is coming
        if exchange.body_in + announced > exchange.route.max_body:
            return faults.BODY_TOO_LARGE
        taken = exchange.clock.now - self._started
        come = exchange.body_in - self._counted
        slow = come < taken * exchange.route.timeouts.min_rate
        if slow and taken > GRACE and not self._held and not self._body.done:
            return faults.BODY_TIMEOUT
        return None
