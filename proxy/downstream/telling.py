"""Client connections that say `Connection: keep-alive` to HTTP/1.1 clients too, as nginx does and some of its clients
expect; those of HTTP/1.0 are told anyway, because they have to be.

Rules: the line counts among `extra_fields`, so that logs count its bytes. Where the connection ends nothing is added.
Answers of the common kind are written here, in one go as in `Writer.head`; all others there.
"""

from __future__ import annotations

from typing import Final

from proxy.downstream.h1 import Http1
from proxy.exchange import Exchange
from proxy.http.message import ResponseHead
from proxy.verdict import Reply

LINE: Final = b"Connection: keep-alive\r\n"
LAST_LINE: Final = LINE + b"\r\n"


class Telling(Http1):
    """A connection of a listener that speaks as nginx does."""

    __slots__ = ()

    def head(self, exchange: Exchange, head: ResponseHead, body: bytes, end: bool) -> None:
        """Send a final response head with the first part of the body."""
        transport = self.transport
        if transport is not None and self._keep and exchange.line.minor and (exchange.upload_done or not end):
            if head.simple and not exchange.extra_fields:
                exchange.replied = True
                exchange.body_out = len(body)
                exchange.extra_fields = LINE
                self._live, self._chunking = head.live, False
                date = b"" if head.dated else self.clock.date
                transport.write(b"".join((head.forward, date, LAST_LINE, body)))
                return
            framed = head.length >= 0 or head.chunks or head.bodyless or exchange.line.method == b"HEAD"
            if framed:
                exchange.extra_fields += LINE
        super().head(exchange, head, body, end)

    def reply(self, exchange: Exchange, reply: Reply) -> None:
        """Send an answer of our own."""
        if self._keep and exchange.line.minor and exchange.upload_done and not reply.close:
            exchange.extra_fields += LINE
        super().reply(exchange, reply)
