"""What clients do: requests, how long they take, their bytes and connections.

Rules: `route` is a route's path as the configuration has it, with nginx's sign for what else it matches by; "-" is what
no route of its site takes, and site "-" what reaches no site. `upstream` is the route's own. `method` is one of eight,
`status` a class. A combination is shown from its first request on.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from proxy.admin.metrics.sums import Sums

ROUTE = ("site", "route", "upstream")


def families(sums: Sums) -> Iterator[Metric]:
    """All of these."""
    yield from requests(sums)
    yield from sites(sums)
    yield from routes(sums)
    yield from connections(sums)


def requests(sums: Sums) -> Iterator[Metric]:
    """Requests, as finely as they are counted."""
    family = CounterMetricFamily(
        "frontgate_requests", "Requests answered, by method and class of status.", labels=[*ROUTE, "method", "status"]
    )
    for (site, route, upstream, *rest), number in sums.by_kind("route"):
        if number and rest[0] == "requests":
            family.add_metric([site, route, upstream, *rest[1:]], number)
    yield family


def sites(sums: Sums) -> Iterator[Metric]:
    """Durations and bytes of each site."""
    durations = HistogramMetricFamily(
        "frontgate_request_duration_seconds", "From a request's first byte to its end.", labels=["site"]
    )
    received = CounterMetricFamily(
        "frontgate_request_bytes", "Bytes of request bodies from clients, without heads.", labels=["site"]
    )
    sent = CounterMetricFamily(
        "frontgate_response_bytes", "Bytes of response bodies to clients, without heads.", labels=["site"]
    )
    for (site,) in sums.places("site", 1):
        sums.histogram(durations, [site], "site", site, "duration")
        received.add_metric([site], sums.of("site", site, "bytes_in"))
        sent.add_metric([site], sums.of("site", site, "bytes_out"))
    yield from (durations, received, sent)


def routes(sums: Sums) -> Iterator[Metric]:
    """The same of each route that has had a request."""
    durations = HistogramMetricFamily(
        "frontgate_route_duration_seconds", "From a request's first byte to its end, by route.", labels=[*ROUTE]
    )
    received = CounterMetricFamily(
        "frontgate_route_request_bytes", "Bytes of request bodies from clients, by route.", labels=[*ROUTE]
    )
    sent = CounterMetricFamily(
        "frontgate_route_response_bytes", "Bytes of response bodies to clients, by route.", labels=[*ROUTE]
    )
    asked = dict.fromkeys(rest[:3] for rest, number in sums.by_kind("route") if number and rest[3] == "duration")
    for route in asked:
        sums.histogram(durations, route, "route", *route, "duration")
        received.add_metric(route, sums.of("route", *route, "bytes_in"))
        sent.add_metric(route, sums.of("route", *route, "bytes_out"))
    yield from (durations, received, sent)


def connections(sums: Sums) -> Iterator[Metric]:
    """Client connections, and the requests that are on their way."""
    yield GaugeMetricFamily(
        "frontgate_connections_open",  # OpenMetrics has one family for a name, and the counter's is without _total
        "Client connections that are open.",
        sums.of("worker", "connections"),
    )
    yield CounterMetricFamily("frontgate_connections", "Client connections accepted.", sums.of("worker", "accepted"))
    yield GaugeMetricFamily(
        "frontgate_requests_in_flight",
        "Requests that are being answered, seen once a second.",
        sums.of("worker", "writing"),
    )
