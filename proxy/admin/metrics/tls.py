"""How clients shake hands."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric

from proxy.admin.metrics.sums import Sums
from proxy.downstream.shaken import KINDS, REASONS


def families(sums: Sums) -> Iterator[Metric]:
    """All of these."""
    done = CounterMetricFamily("frontgate_tls_handshakes", "TLS handshakes with clients, by kind.", labels=["kind"])
    for kind in KINDS:
        done.add_metric([kind], sums.of("tls", kind))
    failed = CounterMetricFamily(
        "frontgate_tls_handshake_failures", "TLS handshakes with clients that failed, by reason.", labels=["reason"]
    )
    for reason in REASONS:
        failed.add_metric([reason], sums.of("tls", f"failed_{reason}"))
    yield from (done, failed)
