"""The side of an HTTP/2 connection that sends: when the engine is asked for what is to be sent, and how streams end.

Rules: what is to be sent in one turn of the loop is one write. While the client takes nothing, nothing is asked of the
engine, where it waits. A stream that is over is reset, if it has to be, when all of its answer is out; one whose client
does not take the rest is given up after a while. The rest of a body that nobody wants is read and dropped as behind an
answer of HTTP/1 (`leave`), for many clients take a reset for a failure before they have read the answer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.clock import NEVER
from proxy.downstream.h2.counts import StreamCounts
from proxy.downstream.h2.engine import CANCEL, NO_ERROR, Engine, Hearer, Terms
from proxy.downstream.leave import LINGER, LONGEST
from proxy.downstream.slow import LOOK, PART, enough
from proxy.http.gate import Gate

if TYPE_CHECKING:
    from proxy.downstream.h2.sending import Sending
    from proxy.downstream.h2.stream import Stream
    from proxy.downstream.listener import Listener
    from proxy.http.streams import Fields


class Lingering:
    """What is `left` in the engine of an answer that is over, and `until` when its client has to take some of it: at
    least for `patience` seconds more."""

    __slots__ = ("left", "patience", "until")

    def __init__(self, left: int, until: float, patience: float) -> None:
        self.left = left
        self.until = until
        self.patience = patience


class Unread:
    """The rest of a body that nobody wants: read `until` then, unless more of it comes, and no longer than `most`."""

    __slots__ = ("most", "until")

    def __init__(self, now: float) -> None:
        self.until = now + LINGER
        self.most = now + LONGEST


class Outlet(Hearer):
    """What a connection is to its streams. `full` are those whose clients do not keep up."""

    __slots__ = (
        "_agree", "_answers", "_blocked", "_closing", "_farewell", "_feeding", "_gate", "_leaving", "_lingering",
        "_midway", "_rest", "_soon", "_streams", "_unread", "clock", "counts", "due", "engine", "full", "listener",
        "transport"
    )  # fmt: skip

    engine: Engine

    def __init__(self, listener: Listener, terms: Terms) -> None:
        self.listener = listener
        self.clock = listener.clock
        self.counts: StreamCounts = listener.counts
        self.due = NEVER
        self.transport: asyncio.Transport | None = None
        self.full: set[Sending] = set()
        self._streams: dict[int, Stream] = {}
        self._closing: dict[int, int] = {}  # streams that are over, and how they are reset when all of them is out
        self._lingering: dict[int, Lingering] = {}  # of these, those that wait for their clients
        self._answers: list[tuple[int, Fields, bytes]] = []  # whole ones, for the engine at the end of this turn
        self._unread: dict[int, Unread] = {}  # streams that are answered, and whose clients still send
        self._gate = Gate(self.clock.now, terms.control, terms.resets)
        self._leaving = False  # the client knows that we go
        self._farewell = NEVER  # when it is told which requests are not served; 0.0: it was
        self._rest = NEVER  # when it is given up, if there is no stream then
        self._midway = NEVER  # until when a frame or a block of fields has to be whole
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
            self.counts.resets_own += 1
        self._gate.spare(stream.number)
        self.engine.reset(stream.number, code)
        self.flush_soon()

    def drop(self, stream: Stream) -> None:
        """A stream is closed: nothing of it is looked after."""
        self.full.discard(stream)

    def forget(self, stream: Stream, code: int) -> None:
        """A stream is over; reset it with `code` when all is out, if that is one (-1: none)."""
        if self.full:
            self.full.discard(stream)
        if self._streams.pop(stream.number, None) is None or self.transport is None:
            return
        if not stream.closed:
            self._closing[stream.number] = code
            if code < 0:
                self._gate.close(stream.number)
        if not self._streams and not self._blocked:
            self._rest = self.clock.now + self.listener.timeouts.client_idle
            self.due = self.next_due()
        self.flush_soon()

    def answer(self, number: int, fields: Fields, body: bytes) -> None:
        """Send a whole answer, with the others of this turn: so the engine's code and memory are fetched once for all
        of them."""
        self._answers.append((number, fields, body))
        self.flush_soon()

    def withdraw(self, number: int) -> None:
        """A stream is broken off: an answer that waits is not for the engine any more, or there would be a reset behind
        the client's own (RFC 9113 section 5.4.2)."""
        if self._answers:
            self._answers = [answer for answer in self._answers if answer[0] != number]

    def _hand_over(self) -> None:
        """Give the engine the answers of this turn."""
        engine = self.engine
        answers, self._answers = self._answers, []
        for number, fields, body in answers:
            engine.head(number, fields, not body)
            if body:
                engine.body(number, body, True)

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
        if self._answers:
            self._hand_over()
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
        elif self._leaving and not (self._streams or self._lingering or self._unread) and self._farewell <= 0.0:
            self.close(False)

    def _settle(self) -> None:
        """Streams that are over: what becomes of them depends on whether all of them is out."""
        closing, self._closing = self._closing, {}
        wanted = False
        waits = self._blocked or self.engine.waits()
        for number, code in closing.items():
            if waits and (self._blocked or self.engine.queued(number)):
                self._closing[number] = code
                if number not in self._lingering:
                    self._linger(number)
                continue
            if self._lingering:
                self._lingering.pop(number, None)
            if code == NO_ERROR:
                self._unread[number] = one = Unread(self.clock.now)
                self.due = min(self.due, one.until)
            elif code >= 0:
                self._gate.spare(number)
                self.engine.reset(number, code)
                wanted = True
        if wanted:
            self.flush_soon()

    def _linger(self, number: int) -> None:
        """The rest of an answer waits for its client, as long as that takes enough of it."""
        timeouts = self.listener.timeouts
        patience = min(timeouts.send, LOOK) if timeouts.min_rate else timeouts.send
        self._lingering[number] = one = Lingering(self.engine.queued(number), self.clock.now + patience, patience)
        self.due = min(self.due, one.until)

    def give_up(self, now: float) -> None:
        """Streams whose clients have had time enough."""
        for number, one in list(self._lingering.items()):
            if one.until > now:
                continue
            left, before = self.engine.queued(number), one.left
            one.left, one.until = left, now + one.patience
            if self._blocked or not enough(before - left, one.patience, self.listener.timeouts):
                self._closing.pop(number, None)
                del self._lingering[number]
                self._gate.spare(number)
                self.engine.reset(number, CANCEL)

        for number, rest in list(self._unread.items()):
            if rest.until <= now:
                del self._unread[number]
                self._gate.spare(number)
                self.engine.reset(number, NO_ERROR)

    def next_due(self) -> float:
        """When somebody will have waited long enough: a stream, a client for the last of one, or we for the client."""
        due = min(self._farewell or NEVER, self._agree, self._midway)
        for stream in self._streams.values():
            due = min(due, stream.due)
        for one in self._lingering.values():
            due = min(due, one.until)
        for rest in self._unread.values():
            due = min(due, rest.until)
        return due if self._streams else min(due, self._rest)
