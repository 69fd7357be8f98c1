"""The host: processes, their memory and loops, reloads, certificates, the version.

Rules: `process` is "master", "keeper" or "worker", and `worker` the slot of one, a small number that its successor
takes over, so a restart makes no new series; "" for the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from proxy.admin.metrics.processes import usage
from proxy.admin.metrics.sums import BOUNDS, MICRO, Sums
from proxy.admin.standing import Standing
from proxy.policy.counts import BUCKET_NAMES

LABELS = ("process", "worker")


def families(standing: Standing, sums: Sums) -> Iterator[Metric]:
    """All of these."""
    yield GaugeMetricFamily("frontgate_workers", "Worker processes that live.", len(standing.pids))
    yield CounterMetricFamily("frontgate_worker_restarts", "Workers that died and were replaced.", standing.restarts)
    yield CounterMetricFamily(
        "frontgate_keeper_restarts", "Keepers that died and were replaced.", standing.keeper_restarts
    )
    yield from lags(standing)
    yield from processes(standing)
    yield from reloads(standing)
    yield certificates(standing)


def lags(standing: Standing) -> Iterator[Metric]:
    """How late the loops of the workers were."""
    lag = HistogramMetricFamily(
        "frontgate_event_loop_lag_seconds",
        "How late a worker's tick was, ten times a second: it was busy with something else.",
        labels=["worker"],
    )
    longest = GaugeMetricFamily(
        "frontgate_event_loop_lag_max_seconds", "The longest lag of the last 10 to 20 seconds.", labels=["worker"]
    )
    for slot in sorted(standing.pids):
        reached, buckets = 0, []
        for bound, word in zip(BOUNDS, BUCKET_NAMES, strict=True):
            reached += standing.cell(slot, "worker", "lag", word)
            buckets.append((bound, float(reached)))
        lag.add_metric([str(slot)], buckets, standing.cell(slot, "worker", "lag_us") / MICRO)
        longest.add_metric([str(slot)], standing.cell(slot, "worker", "lag_max_us") / MICRO)
    yield from (lag, longest)


def processes(standing: Standing) -> Iterator[Metric]:
    """What the system says of each process."""
    memory = GaugeMetricFamily(
        "frontgate_process_resident_memory_bytes",
        "Memory of a process, with what it shares with its siblings.",
        labels=LABELS,
    )
    busy = CounterMetricFamily("frontgate_process_cpu_seconds", "Time that a process has computed.", labels=LABELS)
    files = GaugeMetricFamily("frontgate_process_open_fds", "Open descriptors of a process.", labels=LABELS)
    most = GaugeMetricFamily("frontgate_process_max_fds", "Descriptors that a process may have.", labels=LABELS)
    began = GaugeMetricFamily(
        "frontgate_process_start_time_seconds", "When a process began, in seconds since 1970.", labels=LABELS
    )
    places = [("master", "", standing.pid), ("keeper", "", os.getpid())]
    places += [("worker", str(slot), pid) for slot, pid in sorted(standing.pids.items())]
    for name, slot, pid in places:
        found = usage(pid)
        for family, number in (
            (memory, found.memory),
            (busy, found.busy),
            (files, found.files),
            (most, found.most),
            (began, found.began),
        ):
            if number is not None:
                family.add_metric([name, slot], number)
    yield from (memory, busy, files, most, began)


def reloads(standing: Standing) -> Iterator[Metric]:
    """The configuration, and the program."""
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


def certificates(standing: Standing) -> Metric:
    """When certificates end."""
    ends = GaugeMetricFamily(
        "frontgate_certificate_expiry_timestamp_seconds",
        "When a certificate ends, in seconds since 1970; 0 while an ordered one is still to come.",
        labels=["site", "certificate"],
    )
    for site, name, end in standing.certificates:
        ends.add_metric([site, name], end)
    return ends
