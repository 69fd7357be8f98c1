"""Gathers finished exchanges whose traces are recorded, and has a thread send their spans away.

Rules: the loop only appends: the observer takes down facts that nobody changes any more, the tick hands over what has
gathered, and everything else happens in a thread of its own, which ends with the worker. What waits is bounded; what
comes beyond is dropped and counted. Each counter has one writer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from time import monotonic
from typing import Final

from proxy.exchange import Exchange
from proxy.policy import attempts
from proxy.policy.attempts import Attempt
from proxy.policy.tracing import Trace, trace_of

BATCH: Final = 256  # exchanges that are sent at a time
QUIET: Final = 60.0  # seconds between two complaints
LEAVE: Final = 3.0  # seconds for the last spans of a worker that goes

log = logging.getLogger("frontgate")


class Finished:
    """What is known of an exchange when it is over. Times are the clock's seconds, and `epoch` is what has to be added
    to have seconds since 1970."""

    __slots__ = (
        "attempts", "client", "epoch", "fault", "fields", "finished", "line", "path", "request_id", "site", "started",
        "status", "trace"
    )  # fmt: skip

    def __init__(self, exchange: Exchange, trace: Trace) -> None:
        self.trace = trace
        self.epoch = exchange.clock.epoch
        self.started = exchange.started
        self.finished = exchange.finished
        self.status = exchange.status
        self.fault = exchange.fault
        self.line = exchange.line
        self.fields = exchange.fields
        self.client = exchange.client
        self.site = exchange.route.site
        self.path: bytes = getattr(exchange.route, "path", b"")
        self.request_id = exchange.request_id
        self.attempts: tuple[Attempt | None, ...] = attempts.all_of(exchange)


Send = Callable[[Sequence[Finished]], bool]


class Spans:
    """An observer, and the thread behind it. `send` is called there and says whether all went well; `where` is the
    place in words, and `most` bounds the exchanges that wait."""

    def __init__(self, send: Send, where: str, most: int) -> None:
        self.send = send
        self.where = where
        self.most = most
        self.exported = self.failed = 0  # exchanges; the thread's
        self.dropped = self.handed = 0  # the loop's
        self._gathered: list[Finished] = []
        self._queue: SimpleQueue[list[Finished] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._complained = -QUIET

    def __call__(self, exchange: Exchange) -> None:
        """Take down a finished exchange, if its trace is recorded."""
        trace = trace_of(exchange)
        if trace is None or not trace.sampled:
            return
        if len(self._gathered) + self.handed - self.exported - self.failed >= self.most:
            self.dropped += 1
        else:
            self._gathered.append(Finished(exchange, trace))

    def tick(self) -> None:
        """Hand over what there is."""
        if self._gathered:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
                self._thread.start()
            self.handed += len(self._gathered)
            self._queue.put(self._gathered)
            self._gathered = []

    def retire(self) -> None:
        """End when what there is has been sent; nobody waits for it."""
        self.tick()
        self._queue.put(None)

    def close(self, seconds: float = LEAVE) -> None:
        """The same, and give it some time."""
        self.retire()
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        gathered: list[Finished] | None
        while (gathered := self._queue.get()) is not None:
            for begin in range(0, len(gathered), BATCH):
                self._export(gathered[begin : begin + BATCH])

    def _export(self, batch: list[Finished]) -> None:
        try:
            good, trouble = self.send(batch), "it did not take them"
        except Exception as error:  # whatever it is, the next batch may fare better
            good, trouble = False, str(error) or type(error).__name__
        if good:
            self.exported += len(batch)
            return
        self.failed += len(batch)
        if monotonic() >= self._complained + QUIET:
            self._complained = monotonic()
            log.warning("spans cannot be sent to %s: %s", self.where, trouble)
