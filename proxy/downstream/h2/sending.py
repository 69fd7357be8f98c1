"""The side of a stream that sends: its answer goes to the engine, and what its client has no room for waits.

Rules: what a client's windows have no room for waits in the engine, up to PART bytes, and then in a `SlowClient`, whose
transport is the stream itself; so a slow stream is looked after as a slow connection is, and holds no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.clock import NEVER
from proxy.downstream.slow import PART, SlowClient, pour
from proxy.exchange import Exchange

if TYPE_CHECKING:
    from proxy.downstream.h2.connection import Http2
    from proxy.downstream.upload import Upload
    from proxy.http.streams import Fields


class Sending:
    """What a stream is to a SlowClient. `due`: when something has to have come, or to have been taken."""

    __slots__ = (
        "_ending", "_held", "_http2", "_live", "_over", "_slow", "_trailers", "_upload", "_written", "clock", "closed",
        "due", "exchange", "number"
    )  # fmt: skip

    def __init__(self, http2: Http2, number: int) -> None:
        self._http2 = http2
        self.number = number
        self.clock = http2.clock
        self.due = NEVER
        self.closed = False  # nothing can be sent: it was reset, or its connection is gone
        self.exchange: Exchange | None = None
        self._upload: Upload | None = None
        self._slow: SlowClient | None = None  # while its client does not take what it gets
        self._held = False  # nothing more of the request is wanted
        self._live = False  # the answer is not to be kept for a slow client
        self._over = False  # the end of the answer has been given to the engine
        self._ending = False  # it is whole, and will be sent when the rest of it is
        self._trailers: Fields = ()
        self._written = 0  # bytes given to the engine, since it was last asked how many of them wait

    def wait_until(self, due: float) -> None:
        """Look at it then."""
        self.due = due
        if due < self._http2.due:
            self._http2.due = due

    def _send(self, exchange: Exchange, data: bytes, end: bool) -> None:
        """Give it to the engine, or have it wait for a client that does not keep up."""
        if self._written + len(data) > PART and self._slow is None:
            data = pour(self, exchange, data, False)  # type: ignore[arg-type]  # of a transport it asks what we have
        if self._slow is not None:
            if data:
                self._slow.add(data)
            self._ending = end
        elif self._trailers and end:
            if data:
                self._http2.engine.body(self.number, data, False)
            self._http2.engine.trailers(self.number, self._trailers)
            self._over = True
        elif end:
            self._http2.engine.body(self.number, data, True)
            self._over = True
        elif data:
            self.write(data)
        self._http2.flush_soon()

    def write(self, data: bytes) -> None:
        """Give the engine more of the body, and find out whether it goes out."""
        http2 = self._http2
        http2.engine.body(self.number, data, False)
        self._written += len(data)
        if self._written > PART:
            http2.flush()
            self._written = http2.engine.queued(self.number)
            if self._written > PART and self not in http2.full:
                http2.full.add(self)
                self._pause()
        http2.flush_soon()

    def _pause(self) -> None:
        """The client does not keep up."""
        exchange = self.exchange
        if self._slow is not None:  # it is being fed, and that made somebody send more
            self._slow.wait()
        elif exchange is not None and not self.closed:
            kept = not self._live and exchange.route.response_buffering
            spool = self._http2.listener.spool() if kept else None
            self._slow = slow = SlowClient(self, exchange, spool)  # type: ignore[arg-type]
            self.wait_until(self.clock.now + slow.patience)

    def resume_writing(self) -> None:
        """The client has caught up."""
        exchange = self.exchange
        self._written = 0
        if exchange is None:
            return
        if self._slow is not None and not self._slow.feed():
            if self._slow is not None:  # else the exchange is over
                self._slow.wait()
        else:
            self._slow = None
            upload = self._upload
            waits = upload is not None and not exchange.upload_done and not self._held
            self.wait_until(upload.patience() if upload is not None and waits else NEVER)

    def get_write_buffer_size(self) -> int:
        """Bytes of the body that the client's windows have no room for."""
        return self._http2.engine.queued(self.number)

    def get_extra_info(self, name: str) -> Any:
        """Nothing of its own: what the kernel holds is the connection's."""
        return None

    def is_closing(self) -> bool:
        """Whether nothing is sent any more."""
        return self.closed
