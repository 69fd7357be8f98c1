"""The metrics of all workers in Prometheus text, read from the arena when somebody asks.

Rules: names, types and units as Prometheus wants them (https://prometheus.io/docs/practices/naming/): counters end in
_total, times are seconds and sizes bytes, always. Counters of what a reload has removed stay, because a counter that
vanishes breaks rates. Label values come from the configuration, from tables of this program and from slots of workers,
never from what a client sends, so nobody can make series grow; combinations that have not occurred are left out where
there would be many. Families stand in modules by subject, each with a function `families`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from proxy.admin.metrics import apps, backends, host, http2, limits, redis, tls, traffic, upstreams
from proxy.admin.metrics.sums import Sums
from proxy.admin.standing import Standing

# Written out: what prometheus_client calls its latest differs from release to release.
PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Arenas(Collector):
    """Turns a Standing into metric families. `monotonic` is the host's monotonic clock in seconds."""

    def __init__(self, standing: Standing, monotonic: float) -> None:
        self.standing = standing
        self.monotonic = monotonic

    def collect(self) -> Iterator[Metric]:
        """All families."""
        sums = Sums(self.standing.arena)
        yield from traffic.families(sums)
        yield from backends.families(self.standing, sums, self.monotonic)
        yield from upstreams.families(self.standing, sums)
        yield from limits.families(sums)
        yield from http2.families(sums)
        yield from tls.families(sums)
        yield from redis.families(sums)
        yield from apps.families(sums)
        yield from host.families(self.standing, sums)


def render(standing: Standing, monotonic: float, accept: str = "") -> tuple[str, bytes]:
    """Content-Type and text for Prometheus: OpenMetrics if the Accept field names it, else what everybody reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Arenas(standing, monotonic))
    if "application/openmetrics-text" in accept.lower():
        return OPEN_METRICS, openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]  # not typed in every release
    return PLAIN, generate_latest(registry)
