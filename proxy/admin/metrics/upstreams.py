"""What happens between a route and its backends: who waits, and what is tried again."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from proxy.admin.metrics.sums import Sums
from proxy.admin.standing import Standing

LABELS = ("upstream",)


def families(standing: Standing, sums: Sums) -> Iterator[Metric]:
    """All of these."""
    waiting = GaugeMetricFamily("frontgate_queue_length", "Requests that wait for a backend.", labels=LABELS)
    queued = CounterMetricFamily("frontgate_queued", "Requests that have waited.", labels=LABELS)
    waits = HistogramMetricFamily(
        "frontgate_queue_duration_seconds", "How long requests have waited for a backend.", labels=LABELS
    )
    retries = CounterMetricFamily("frontgate_retries", "Attempts beyond the first.", labels=LABELS)
    left = GaugeMetricFamily(
        "frontgate_retry_budget_left", "Retries that the upstream's budget allows now, in all workers.", labels=LABELS
    )
    for place in sums.places("upstream", 1):
        for family, word in ((waiting, "waiting"), (queued, "queued"), (retries, "retries")):
            family.add_metric(place, sums.of("upstream", *place, word))
        sums.histogram(waits, place, "upstream", *place, "queue")
        if place[0] in standing.model.upstream:
            left.add_metric(place, sums.of("upstream", *place, "budget_left"))
    yield from (waiting, queued, waits, retries, left)
