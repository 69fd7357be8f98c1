"""How the Redis of shared limits does; nothing where no limit is shared."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from proxy.admin.metrics.sums import Sums
from proxy.shared.redis.counts import FAILURES


def families(sums: Sums) -> Iterator[Metric]:
    """All of these."""
    if not sums.has("redis", "answered"):
        return
    decisions = CounterMetricFamily(
        "frontgate_redis_decisions", "Decisions that Redis was asked for, by what came of it.", labels=["outcome"]
    )
    for outcome in ("answered", *FAILURES):
        decisions.add_metric([outcome], sums.of("redis", outcome))
    took = HistogramMetricFamily("frontgate_redis_duration_seconds", "How long decisions of Redis took.", labels=[])
    sums.histogram(took, (), "redis", "duration")
    yield from (decisions, took)
    yield CounterMetricFamily(
        "frontgate_redis_circuit_opened", "Times a node was left alone for its failures.", sums.of("redis", "opened")
    )
    yield GaugeMetricFamily(
        "frontgate_redis_nodes_left_alone", "Nodes that workers leave alone now.", sums.of("redis", "left_alone")
    )
    yield GaugeMetricFamily("frontgate_redis_waiting", "Requests that wait for Redis.", sums.of("redis", "waiting"))
