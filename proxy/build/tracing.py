"""Makes what knows the traces of requests, and what sends their spans away.

Rules: without `[trace]`, or where a route says `traced = false`, nothing is made, and costs nothing. Spans outlive a
reload that leaves their place as it is.
"""

from __future__ import annotations

import importlib
from random import Random

from proxy.config.model import Model
from proxy.config.trace import Export
from proxy.exchange import Observer, Step
from proxy.observe.spans import Spans
from proxy.policy.forwarded import Trusted
from proxy.policy.intervals import interval
from proxy.policy.tracing import Tracing

MISSING = 'spans are to be sent, and OpenTelemetry is not installed: pip install "frontgate[otel]" first'


class Traces:
    """Of a Runtime: `step` knows the trace of an exchange, `spans` observes (both None where nobody asks for it)."""

    def __init__(self, model: Model, previous: Traces | None = None) -> None:
        """ValueError with a sentence when something is missing."""
        table = model.trace
        self.export = table.export if table is not None else None
        self.spans: Spans | None = None
        self.step: Tracing | None = None
        if table is None:
            return
        if self.export is not None:
            same = previous is not None and previous.export == self.export
            self.spans = previous.spans if same and previous is not None else _spans(self.export)
        peers = None
        if table.trusted is not None:
            networks = tuple([interval(one) for one in table.trusted if one != "unix"])
            peers = Trusted(networks, "unix" in table.trusted)
        self.step = Tracing(table.share, peers, self.export is not None, Random())

    def steps(self, said: bool) -> tuple[Step, ...]:
        """The first steps of a route; `said`: it is not to be left out."""
        return () if self.step is None or not said else (self.step,)

    def observers(self, said: bool) -> tuple[Observer, ...]:
        """Who hears of its ends."""
        return () if self.spans is None or not said else (self.spans,)

    def tick(self) -> None:
        """Hand over what has gathered."""
        if self.spans is not None:
            self.spans.tick()

    def retire(self, successor: Traces) -> None:
        """After a reload."""
        if self.spans is not None and self.spans is not successor.spans:
            self.spans.retire()

    def close(self) -> None:
        """At the end of the worker."""
        if self.spans is not None:
            self.spans.close()


def _spans(table: Export) -> Spans:
    try:
        otel = importlib.import_module("proxy.observe.otel")
    except ImportError:
        raise ValueError(MISSING) from None
    send = otel.Otlp(table.endpoint, table.headers, table.timeout, table.service)
    return Spans(send, table.endpoint, table.waiting)
