"""The body of one request on its way from the client to a link.

Rules: a body that is to be whole before a backend gets any of it is gathered, in memory and then in a file. Any other
goes straight to the exchange's link; until there is one it waits in the exchange, and past STUFFED bytes the client is
held. A body over the route's limit ends the exchange, and so does one that comes slower than `min_rate` without our
asking for it: GRACE seconds are free, and what came more than two WINDOWs ago is forgotten, so that nobody can save up.
An exchange fails by its body once: it may live on to make an error page, and then the rest of the body is dropped.
"""

from __future__ import annotations

from typing import Final

from proxy import engine, faults
from proxy.clock import NEVER
from proxy.downstream.spool import Spool, Spools
from proxy.exchange import Exchange
from proxy.faults import Fault
from proxy.http.body import Body, body_of
from proxy.http.chunked import ChunkedDecoder
from proxy.policy.routing import NO_LIMIT

STUFFED: Final = 65536
GRACE: Final = 10.0
WINDOW: Final = 15.0


class Upload:
    """A request body. `expects`: the client waits for 100 (Continue); `gathers`: it is to be whole first; `failed`: the
    exchange has failed by it."""

    __slots__ = (
        "_body", "_counted", "_exchange", "_held", "_mark", "_marked", "_spools", "_started", "_store", "expects",
        "failed", "gathers",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, spools: Spools, body: Body | None = None) -> None:
        fields = exchange.fields
        exchange.upload_done = False
        self._exchange = exchange
        self._spools = spools
        self._store: Spool | None = None
        self.gathers = False
        self.failed = False
        self._body = body or body_of(fields.length, fields.chunked)
        self.expects = fields.expects and exchange.line.minor == 1
        self._started = self._mark = exchange.clock.now  # since when its rate is judged, and will be next
        self._counted = self._marked = 0  # bytes that had come then
        self._held = self.expects  # until we say 100 (Continue), nothing has to come

    def hold(self) -> None:
        """The client is asked to wait: from here on it is not its fault if nothing comes."""
        self._held = True

    def release(self) -> None:
        """It may send: if it had to wait, its rate is measured from here."""
        if self._held:
            self._held = False
            self._started = self._mark = self._exchange.clock.now
            self._counted = self._marked = self._exchange.body_in

    def patience(self) -> float:
        """Until when more of it has to come; NEVER if nobody waits for it any more."""
        if self.failed:
            return NEVER
        exchange = self._exchange
        timeouts = exchange.route.timeouts
        until = exchange.clock.now + timeouts.client_body
        if self._held or not timeouts.min_rate:
            return until
        come = exchange.body_in - self._counted
        return min(until, self._started + max(GRACE, come / timeouts.min_rate))

    def take(self, data: bytes) -> bytes:
        """Take the body's part of `data` and pass it on or keep it; gives back what comes behind the body.

        The exchange may have failed after this, see `failed`.
        """
        if self.failed:
            return b""
        exchange, body = self._exchange, self._body
        data = body.feed(data)
        exchange.body_in += len(data)
        if data:
            self.expects = False
        fault = self._fault()
        if fault is not None:
            self.fail(fault)
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

    def fail(self, fault: Fault) -> None:
        """The exchange fails by its body: what else comes of that is dropped."""
        self.failed = True
        engine.failed(self._exchange, fault)

    def _gather(self, exchange: Exchange, data: bytes) -> None:
        """Keep a part; when it was the last one, the exchange goes on."""
        store = self._store
        if store is None and len(exchange.body) + len(data) > self._spools.memory:
            # The route has a limit, and that has been looked at.
            exchange.store = self._store = store = self._spools.open(NO_LIMIT, keep=True)
            data, exchange.body = exchange.body + data, b""
        if store is None:
            exchange.body += data
        elif data and not store.add(data):
            self.fail(faults.NO_SPACE)
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
        now = exchange.clock.now
        taken = now - self._started
        come = exchange.body_in - self._counted
        slow = come < taken * exchange.route.timeouts.min_rate
        if slow and taken > GRACE and not self._held and not self._body.done:
            return faults.BODY_TIMEOUT
        if now - self._mark >= WINDOW:
            self._started, self._counted = self._mark, self._marked
            self._mark, self._marked = now, exchange.body_in
        return None
