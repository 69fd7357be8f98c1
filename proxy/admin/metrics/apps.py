"""How applications do whose workers are run here: their seats, restarts and memory; nothing where there are none."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from proxy.admin.metrics.sums import Sums
from proxy.policy.seats import STATES, VACANT

LABELS = ("app", "seat")


def families(sums: Sums) -> Iterator[Metric]:
    """All of these."""
    seats = [place for place in sums.places("app", 2) if place[1].isdigit() and sums.has("app", *place, "state")]
    if not seats:
        return
    taken = [place for place in seats if sums.of("app", *place, "state") != VACANT]
    states = GaugeMetricFamily(
        "frontgate_app_worker_state",
        "1 for the state that a worker of an application is in.",
        labels=[*LABELS, "state"],
    )
    memory = GaugeMetricFamily(
        "frontgate_app_worker_resident_memory_bytes", "Memory of a worker of an application.", labels=LABELS
    )
    for place in taken:
        now = sums.of("app", *place, "state")
        for number, word in STATES.items():
            states.add_metric([*place, word], int(number == now))
        memory.add_metric(place, sums.of("app", *place, "memory"))
    restarts = CounterMetricFamily(
        "frontgate_app_worker_restarts", "Workers of an application that died unasked.", labels=LABELS
    )
    recycled = CounterMetricFamily(
        "frontgate_app_worker_recycled", "Workers replaced for their requests, age or memory.", labels=LABELS
    )
    for place in seats:
        restarts.add_metric(place, sums.of("app", *place, "restarts"))
        recycled.add_metric(place, sums.of("app", *place, "recycled"))
    yield from (states, memory, restarts, recycled)
    for word, name, words in (
        ("rolls", "frontgate_app_rolls", "Rolling restarts of an application."),
        (
            "rollbacks",
            "frontgate_app_rollbacks",
            "Rolling restarts that were undone, as the new workers did not come up.",
        ),
    ):
        family = CounterMetricFamily(name, words, labels=["app"])
        for app in dict.fromkeys(place[0] for place in seats):
            family.add_metric([app], sums.of("app", app, word))
        yield family
