"""A filter that lets an answer go no faster than so many bytes a second (nginx's limit_rate and proxy_limit_rate).

Rules: a second's worth goes at once, and then what the time allows, as nginx counts. While something waits, the link is
held; the filter stands in the link's place, so that a client which does not keep up holds the filter. When it has all
of an answer, the backend is free, and the exchange finishes with the last byte.
"""

from __future__ import annotations

from typing import Final

from proxy import engine
from proxy.clock import Parking
from proxy.content.filter import Passing
from proxy.exchange import Downstream, Exchange
from proxy.http.answer import Answer
from proxy.http.message import ResponseHead
from proxy.parties import Link
from proxy.policy.rates import rate as rate_of
from proxy.policy.template import Template

STEP: Final = 0.1  # seconds between two parts


class Pace:
    """`rate` bytes a second, of which `after` so many; `backends`: of what backends answer only."""

    __slots__ = ("_after", "_backends", "_parking", "_rate")

    def __init__(self, rate: Template, after: Template, parking: Parking, backends: bool = False) -> None:
        self._rate = rate
        self._after = after
        self._parking = parking
        self._backends = backends

    def __call__(self, exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
        """Have the body slowed down."""
        if self._backends and exchange.backend is None:
            return below
        course = exchange.course
        rate = None if course is None or self._backends else rate_of(course.values.get("limit_rate"))
        if rate is None:  # what steps say counts for more, if it is a rate; 0 is one
            rate = rate_of(self._rate(exchange))
        if not rate:
            return below
        answer.live = True  # what waits, waits here
        return Paced(below, exchange, rate, rate_of(self._after(exchange)) or 0, self._parking)


class Paced(Passing):
    """Lets a body through at its rate; also the Link of the exchange, as far as the client's side sees it."""

    __slots__ = (
        "_after", "_began", "_blocked", "_end", "_exchange", "_held", "_left", "_link", "_parked", "_parking", "_rate",
        "_sent", "_trailers"
    )  # fmt: skip

    def __init__(self, below: Downstream, exchange: Exchange, rate: int, after: int, parking: Parking) -> None:
        super().__init__(below)
        self._exchange = exchange
        self._rate = rate
        self._after = after
        self._parking = parking
        self._began = exchange.clock.now
        self._left = bytearray()
        self._sent = 0
        self._end = self._blocked = self._held = self._parked = False
        self._trailers = b""
        self._link: Link | None = None

    # --- the answer -------------------------------------------------------------------------------------------------

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """The head, and as much of the body as may go at once."""
        if exchange.link is not None:
            self._link, exchange.link = exchange.link, self.as_link
        most = self._allowed()
        if len(body) <= most:
            self._sent += len(body)
            self.below.head(exchange, head, body, end)
            return
        self._sent += most
        self.below.head(exchange, head, body[:most], False)
        self.body(body[most:], end)

    def body(self, data: bytes, end: bool, trailers: bytes = b"") -> None:
        """More of it, now or later."""
        self._left += data
        self._trailers += trailers
        if end:
            self._end, self._link = True, None
        self._pump()

    def behind(self) -> bool:
        """Whether something is left."""
        return bool(self._left) or self.below.behind()

    def _allowed(self) -> int:
        """Bytes that may go now."""
        elapsed = self._exchange.clock.now - self._began
        return max(0, int(self._rate * (elapsed + 1)) + self._after - self._sent)

    def _pump(self) -> None:
        """Send what may go, and arrange for the rest."""
        exchange, left = self._exchange, self._left
        if exchange.finished:
            return
        size = 0 if self._blocked else min(len(left), self._allowed())
        part = bytes(left[:size])
        del left[:size]
        self._sent += size
        if not left and self._end:
            exchange.link = None
            self.below.body(part, True, self._trailers)
            if exchange.ended and not exchange.finished and not self.below.behind():
                engine.finish(exchange)
            return
        if part:
            self.below.body(part, False)  # before the link may go on: what it brings at once comes behind this
        if exchange.finished:
            return
        self._hold(bool(left))
        if left and not self._blocked and not self._parked:
            self._park()

    def _park(self) -> None:
        self._parked = True
        now = self._exchange.clock.now
        until = self._began + (self._sent - self._after + min(len(self._left), self._rate * STEP)) / self._rate - 1
        self._parking.park(max(until, now + 0.001), self._wake)

    def _wake(self) -> None:
        self._parked = False
        self._pump()

    def _hold(self, on: bool) -> None:
        """Have no more come while something is left."""
        if self._end:
            self._exchange.link = self.as_link
        elif on is not self._held and self._link is not None:
            self._held = on
            if on:
                self._link.hold()
            else:
                self._link.release()

    @property
    def as_link(self) -> Link:
        """What stands in the place of the exchange's link."""
        return Stopping(self)


class Stopping:
    """The link of an exchange whose answer goes at a pace."""

    __slots__ = ("_paced",)

    def __init__(self, paced: Paced) -> None:
        self._paced = paced

    def body(self, data: bytes, end: bool) -> None:
        """More of the request's body."""
        if self._paced._link is not None:
            self._paced._link.body(data, end)

    def hold(self) -> None:
        """The client does not keep up even with this."""
        self._paced._blocked = True

    def release(self) -> None:
        """It does again."""
        self._paced._blocked = False
        self._paced._pump()

    def abort(self) -> None:
        """The exchange is over."""
        link, self._paced._link = self._paced._link, None
        self._paced._left.clear()
        if link is not None:
            link.abort()
