"""Variables that speak of the trace that a request belongs to; nothing where there is no [trace]."""

from __future__ import annotations

from typing import Final

from proxy.exchange import Exchange
from proxy.policy.template import Getter
from proxy.policy.tracing import trace_of


def _trace(exchange: Exchange) -> bytes | None:
    found = trace_of(exchange)
    return None if found is None else found.trace


def _span(exchange: Exchange) -> bytes | None:
    found = trace_of(exchange)
    return None if found is None else found.span


def _parent(exchange: Exchange) -> bytes | None:
    found = trace_of(exchange)
    return None if found is None or found.parent is None else found.parent.span


def _sampled(exchange: Exchange) -> bytes | None:
    found = trace_of(exchange)
    return None if found is None else b"1" if found.sampled else b"0"


KNOWN: Final[dict[str, Getter]] = {
    "trace_id": _trace,
    "span_id": _span,
    "parent_span_id": _parent,
    "trace_sampled": _sampled,
}
