"""The side of an HTTP/2 connection that sends: when the engine is asked for what is to be sent, and how streams end.

Rules: what is to be sent in one turn of the loop is one write. While the client takes nothing, nothing is asked of the
engine, where it waits. A stream that is over is reset, if it has to be, when all of its answer is out; one whose client
does not take the rest is given up after a while.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.clock import NEVER
from proxy.downstream.h2.engine import CANCEL, Engine
from proxy.downstream.slow import PART
from proxy.http.gate import Gate

if TYPE_CHECKING:
    from proxy.downstream.h2.stream import Stream
    from proxy.downstream.listener import Listener


class Outlet:
    """What a connection is to its streams. `full` are those whose clients do not keep up."""

    __slots__ = (
        "_agree", "_blocked", "_closing", "_farewell", "_feeding", "_gate", "_leaving", "_lingering", "_soon",
        "_streams", "clock", "due", "engine", "full", "listener", "transport"
    )  # fmt: skip

    engine: Engine

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.clock = listener.clock
        self.due = NEVER
        self.transport: asyncio.Transport | None = None
        self.full: set[Stream] = set()
        self._streams: dict[int, Stream] = {}
        self._closing: dict[int, int] = {}  # streams that are over, and how they are reset when all of them is out
        self._lingering: dict[int, float] = {}  # of these, those that wait for their clients, and until when
        self._gate = Gate(self.clock.now)
        self._leaving = False  # the client knows that we go
        self._farewell = NEVER  # when it is told which requests are not served; 0.0: it was
        self._agree = NEVER  # until when the client has to acknowledge our settings
        self._blocked = False  # the client does not keep up
        self._soon = False  # there is something to be sent in this turn
        self._feeding = False

    def close(self, linger: bool) -> None:
        """Close behind what has been written."""
        raise NotImplementedError

    def reset(self, stream: Stream, code: int, blame: bool = False) -> None:
        """Break a stream off; whether it counts as what its client has brought about."""
        if self.transport is None:
            return
        if blame:
            self._gate.reset(self.clock.now)
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
            if code < 0:
                self._gate.close(stream.number)
        if not self._streams and not self._blocked:
            self.due = min(self._farewell, self._agree, self.clock.now + self.listener.timeouts.client_idle)
        self.flush_soon()

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
            if transport.get_write_buffer_size() > PART:  # it says that it is full not before the turn is over
                self.flush_soon()
                break
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
            self.close(True)
        elif self._leaving and not self._streams and not self._lingering and self._farewell <= 0.0:
            self.close(False)

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
                self.engine.reset(number, code)
                wanted = True
        if wanted:
            self.flush_soon()

    def give_up(self, now: float) -> None:
        """Streams whose clients have had time enough."""
        for number, until in list(self._lingering.items()):
            if until <= now:
                self._closing.pop(number, None)
                del self._lingering[number]
                self._gate.spare(number)
                self.engine.reset(number, CANCEL)
