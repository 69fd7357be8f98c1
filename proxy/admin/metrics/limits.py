"""What limits have decided, what has gone wrong, and what became of spans."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric

from proxy.admin.metrics.sums import Sums


def families(sums: Sums) -> Iterator[Metric]:
    """All of these."""
    outcomes = CounterMetricFamily(
        "frontgate_limit_requests", "Requests charged, by what became of them.", labels=["limit", "outcome"]
    )
    for (limit, outcome, *_), number in sums.by_kind("limit"):
        outcomes.add_metric([limit, outcome], number)
    faults = CounterMetricFamily("frontgate_faults", "Exchanges that went wrong, by fault.", labels=["fault"])
    for (fault, *_), number in sums.by_kind("fault"):
        faults.add_metric([fault], number)
    spans = CounterMetricFamily(
        "frontgate_traced_requests", "Requests whose spans were to be sent, by what became of them.", labels=["outcome"]
    )
    for (outcome, *_), number in sums.by_kind("trace"):
        spans.add_metric([outcome], number)
    yield from (outcomes, faults, spans)
