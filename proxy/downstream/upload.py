"""The body of one request on its way from the client to a link.

Rules: the body goes straight to the exchange's link; until there is one it gathers in the exchange, and past STUFFED
bytes the client is held. A body over the route's limit, or one that comes slower than SLOWEST bytes a second after
GRACE seconds without our asking for it, ends the exchange.
"""

from __future__ import annotations

from typing import Final

from proxy import engine, faults
from proxy.exchange import Exchange
from proxy.faults import Fault
from proxy.http.body import body_of

STUFFED: Final = 65536
SLOWEST: Final = 500
GRACE: Final = 10.0


class Upload:
    """A request body. `expects`: the client waits for 100 (Continue)."""

    __slots__ = ("_body", "_counted", "_exchange", "_held", "_started", "expects")

    def __init__(self, exchange: Exchange) -> None:
        fields = exchange.fields
        exchange.upload_done = False
        self._exchange = exchange
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
        else:
            exchange.body += data
            if len(exchange.body) > STUFFED and not body.done:
                exchange.downstream.hold()
        return body.rest

    def _fault(self) -> Fault | None:
        exchange = self._exchange
        if self._body.failed:
            return faults.BAD_REQUEST
        if exchange.body_in > exchange.route.max_body:
            return faults.BODY_TOO_LARGE
        late = exchange.clock.now - self._started - GRACE
        come = exchange.body_in - self._counted
        if late > 0 and not self._held and not self._body.done and come < late * SLOWEST:
            return faults.BODY_TIMEOUT
        return None
