"""What HTTP/2 is used for, and what it is abused for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric

from proxy.admin.metrics.sums import Sums
from proxy.downstream.h2.counts import KINDS

COUNTERS: Final = {
    "connections": ("frontgate_http2_connections", "Connections that speak HTTP/2."),
    "streams": ("frontgate_http2_streams", "Streams of HTTP/2 that clients have begun."),
    "refused": ("frontgate_http2_refused_streams", "Streams that were refused as one too many."),
    "goaways": ("frontgate_http2_goaways", "Connections that were ended with an error (GOAWAY)."),
}


def families(sums: Sums) -> Iterator[Metric]:
    """All of these."""
    for word, (name, words) in COUNTERS.items():
        yield CounterMetricFamily(name, words, sums.of("http2", word))
    resets = CounterMetricFamily("frontgate_http2_resets", "Streams that were reset, by whom.", labels=["by"])
    for by, word in (("client", "resets_client"), ("frontgate", "resets_own")):
        resets.add_metric([by], sums.of("http2", word))
    floods = CounterMetricFamily(
        "frontgate_http2_floods", "Connections that were ended for too much of something, by kind.", labels=["kind"]
    )
    for kind in KINDS:
        floods.add_metric([kind], sums.of("http2", f"flood_{kind}"))
    yield from (resets, floods)
