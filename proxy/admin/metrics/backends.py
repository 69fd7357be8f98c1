"""What backends do: attempts, answers and their times, whether they are up, and their breakers.

Rules: `backend` is the server as the configuration writes it; one that is a name stands for all its addresses.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from proxy.admin.metrics.sums import Sums
from proxy.admin.standing import Standing
from proxy.admin.status import state
from proxy.policy.breaker import WORDS
from proxy.policy.counts import CLASSES

LABELS = ("upstream", "backend")
COUNTERS = {
    "taken": ("frontgate_backend_requests", "Attempts at a backend."),
    "failures": ("frontgate_backend_failures", "Attempts that failed."),
    "ejections": ("frontgate_backend_ejections", "Times a worker has left a backend alone for its failures."),
    "breaker_opened": ("frontgate_breaker_opened", "Times a breaker has opened."),
    "breaker_probing": ("frontgate_breaker_probing", "Times an open breaker has let an attempt through to see."),
    "breaker_closed": ("frontgate_breaker_closed", "Times a breaker has closed again."),
}
TIMES = {
    "header": ("frontgate_backend_header_seconds", "From having a connection to the head of the answer."),
    "whole": ("frontgate_backend_duration_seconds", "From having a connection to the end of the answer."),
    "connect": ("frontgate_backend_connect_seconds", "To connect to a backend, where no idle connection was there."),
}


def families(standing: Standing, sums: Sums, monotonic: float) -> Iterator[Metric]:
    """All of these."""
    places = sums.places("backend", 2)
    for word, (name, words) in COUNTERS.items():
        family = CounterMetricFamily(name, words, labels=LABELS)
        for place in places:
            family.add_metric(place, sums.of("backend", *place, word))
        yield family
    in_flight = GaugeMetricFamily("frontgate_backend_in_flight", "Requests at a backend now.", labels=LABELS)
    answers = CounterMetricFamily(
        "frontgate_backend_responses", "Answers of a backend, by class of status.", labels=[*LABELS, "status"]
    )
    for place in places:
        in_flight.add_metric(place, sums.of("backend", *place, "inflight"))
        for status in CLASSES[1:]:
            if sums.has("backend", *place, "answers", status):
                answers.add_metric([*place, status], sums.of("backend", *place, "answers", status))
    yield from (in_flight, answers)
    for word, (name, words) in TIMES.items():
        histogram = HistogramMetricFamily(name, words, labels=LABELS)
        for place in places:
            sums.histogram(histogram, place, "backend", *place, word)
        yield histogram
    yield from states(standing, monotonic)


def states(standing: Standing, monotonic: float) -> Iterator[Metric]:
    """What is configured now, and how it is."""
    up = GaugeMetricFamily(
        "frontgate_backend_up",
        "1, or 0 while configured down or drained, ill, or kept out by a worker for its failures.",
        labels=LABELS,
    )
    weight = GaugeMetricFamily("frontgate_backend_weight", "The configured weight of a backend.", labels=LABELS)
    breaker = GaugeMetricFamily(
        "frontgate_breaker_state", "1 for the state that a breaker is in, 0 for the others.", labels=[*LABELS, "state"]
    )
    for name, upstream in standing.model.upstream.items():
        for server in upstream.servers:
            place = (name, server.key)
            kept_out = state(standing, name, server, monotonic) in ("down", "draining")
            up.add_metric(place, 0 if kept_out else 1)
            weight.add_metric(place, server.weight)
            if upstream.breaker is not None:
                found = max((standing.cell(slot, "backend", *place, "breaker") for slot in standing.pids), default=0)
                for number, word in enumerate(WORDS):
                    breaker.add_metric([*place, word], int(number == found))
    yield from (up, weight, breaker)
