"""The metrics of all workers in Prometheus text, read from the arena when somebody asks.

Rules: counters of what a reload has removed stay, because a counter that vanishes breaks rates. Durations are seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from proxy.admin.standing import Standing
from proxy.admin.status import state

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
        yield from self.sites()
        yield from self.connections()
        yield from self.backends()
        yield from self.limits()
        yield from self.certificates()
        yield from self.host()

    def sites(self) -> Iterator[Metric]:
        """Requests, durations and bytes of each site."""
        standing = self.standing
        requests = CounterMetricFamily(
            "frontgate_requests", "Requests answered, by class of status.", labels=["site", "status"]
        )
        durations = HistogramMetricFamily(
            "frontgate_request_duration_seconds", "From a request's first byte to its end.", labels=["site"]
        )
        received = CounterMetricFamily(
            "frontgate_request_bytes", "Bytes of request bodies from clients, without heads.", labels=["site"]
        )
        sent = CounterMetricFamily(
            "frontgate_response_bytes", "Bytes of response bodies to clients, without heads.", labels=["site"]
        )
        for site in standing.second_words("site"):
            for status, number in standing.totals(standing.arena.layout.under("site", site, "requests")):
                requests.add_metric([site, status], number)
            buckets = self.buckets(site)
            if buckets:
                durations.add_metric([site], buckets, standing.total("site", site, "duration_us") / 1e6)
            received.add_metric([site], standing.total("site", site, "bytes_in"))
            sent.add_metric([site], standing.total("site", site, "bytes_out"))
        yield from (requests, durations, received, sent)

    def buckets(self, site: str) -> list[tuple[str, float]]:
        """The histogram of a site: bounds and how many requests took no longer; [] when nothing is counted."""
        counts = dict(self.standing.totals(self.standing.arena.layout.under("site", site, "duration")))
        if not counts:
            return []
        counts.setdefault("+Inf", 0)
        sums: list[tuple[str, float]] = []
        reached = 0
        for bound in sorted(counts, key=float):
            reached += counts[bound]
            sums.append((bound, reached))
        return sums

    def connections(self) -> Iterator[Metric]:
        """Client connections, open and accepted."""
        yield GaugeMetricFamily(
            "frontgate_connections_open",  # OpenMetrics has one family for a name, and the counter's is without _total
            "Client connections that are open.",
            self.standing.total("worker", "connections"),
        )
        yield CounterMetricFamily(
            "frontgate_connections", "Client connections accepted.", self.standing.total("worker", "accepted")
        )

    def backends(self) -> Iterator[Metric]:
        """Attempts at each backend."""
        labels = ["upstream", "backend"]
        taken = CounterMetricFamily("frontgate_backend_requests", "Attempts at a backend.", labels=labels)
        failures = CounterMetricFamily("frontgate_backend_failures", "Attempts that failed.", labels=labels)
        in_flight = GaugeMetricFamily("frontgate_backend_in_flight", "Requests at a backend now.", labels=labels)
        for group, address in self.standing.backends():
            for family, word in ((taken, "taken"), (failures, "failures"), (in_flight, "inflight")):
                family.add_metric([group, address], self.standing.total("backend", group, address, word))
        up = GaugeMetricFamily(
            "frontgate_backend_up",
            "1, or 0 while configured down or drained, ill, or kept out by a worker for its failures.",
            labels=labels,
        )
        for name, upstream in self.standing.model.upstream.items():
            for server in upstream.servers:
                kept_out = state(self.standing, name, server, self.monotonic) in ("down", "draining")
                up.add_metric([name, server.key], 0 if kept_out else 1)
        yield from (taken, failures, in_flight, up, *self.breakers(), *self.upstreams())

    def breakers(self) -> Iterator[Metric]:
        """What breakers have come to."""
        for event, words in (
            ("opened", "Times a breaker has opened."),
            ("probing", "Times an open breaker has let an attempt through to see."),
            ("closed", "Times a breaker has closed again."),
        ):
            family = CounterMetricFamily(f"frontgate_breaker_{event}", words, labels=["upstream", "backend"])
            for group, address in self.standing.backends():
                number = self.standing.total("backend", group, address, f"breaker_{event}")
                family.add_metric([group, address], number)
            yield family

    def upstreams(self) -> Iterator[Metric]:
        """What waits for each upstream, and what was tried again there."""
        waiting = GaugeMetricFamily("frontgate_queue_length", "Requests that wait for a backend.", labels=["upstream"])
        queued = CounterMetricFamily("frontgate_queued", "Requests that have waited.", labels=["upstream"])
        seconds = CounterMetricFamily("frontgate_queue_seconds", "Seconds they have waited.", labels=["upstream"])
        retries = CounterMetricFamily("frontgate_retries", "Attempts beyond the first.", labels=["upstream"])
        for name in self.standing.second_words("upstream"):
            for family, word in ((waiting, "waiting"), (queued, "queued"), (retries, "retries")):
                family.add_metric([name], self.standing.total("upstream", name, word))
            seconds.add_metric([name], self.standing.total("upstream", name, "queued_us") / 1e6)
        yield from (waiting, queued, seconds, retries)

    def limits(self) -> Iterator[Metric]:
        """What limits have decided, and what has gone wrong."""
        standing = self.standing
        outcomes = CounterMetricFamily(
            "frontgate_limit_requests", "Requests charged, by what became of them.", labels=["limit", "outcome"]
        )
        for limit in standing.second_words("limit"):
            for outcome, number in standing.totals(standing.arena.layout.under("limit", limit)):
                outcomes.add_metric([limit, outcome], number)
        faults = CounterMetricFamily("frontgate_faults", "Exchanges that went wrong, by fault.", labels=["fault"])
        for fault in standing.second_words("fault"):
            faults.add_metric([fault], standing.total("fault", fault, "total"))
        yield from (outcomes, faults)

    def certificates(self) -> Iterator[Metric]:
        """When certificates end."""
        ends = GaugeMetricFamily(
            "frontgate_certificate_expiry_timestamp_seconds",
            "When a certificate ends, in seconds since 1970; 0 while an ordered one is still to come.",
            labels=["site", "certificate"],
        )
        for site, name, end in self.standing.certificates:
            ends.add_metric([site, name], end)
        yield ends

    def host(self) -> Iterator[Metric]:
        """Processes, reloads and the version."""
        standing = self.standing
        yield GaugeMetricFamily("frontgate_workers", "Worker processes that live.", len(standing.pids))
        yield CounterMetricFamily("frontgate_worker_restarts", "Processes replaced.", standing.restarts)
        yield GaugeMetricFamily(
            "frontgate_config_last_reload_success", "1 if the last reload went well.", float(standing.reload_good)
        )
        yield GaugeMetricFamily(
            "frontgate_config_last_reload_timestamp_seconds",
            "When the configuration was last read, in seconds since 1970.",
            standing.reloaded or standing.started,
        )
        about = GaugeMetricFamily("frontgate_info", "The program.", labels=["version"])
        about.add_metric([standing.version], 1)
        yield about


def render(standing: Standing, monotonic: float, accept: str = "") -> tuple[str, bytes]:
    """Content-Type and text for Prometheus: OpenMetrics if the Accept field names it, else what everybody reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Arenas(standing, monotonic))
    if "application/openmetrics-text" in accept.lower():
        return OPEN_METRICS, openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]  # not typed in every release
    return PLAIN, generate_latest(registry)
