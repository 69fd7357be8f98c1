"""How much flows through the host: a sample each second, and rates and percentiles over the last ten.

Rules: it only reads the arena, and is bounded: ten minutes of samples, eleven of what they were made of. A percentile
is estimated within its bucket of the histogram, as Prometheus' histogram_quantile does it; None when nothing was
counted. A counter that has become less (a restart in its row) counts from 0.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from proxy.admin.shapes import Latency, Sample
from proxy.admin.standing import Standing

WINDOW: Final = 10  # seconds that rates look back
KEPT: Final = 600  # samples
CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")
TIMED: Final = "header"  # of a backend's times: until its answer began, since some bodies never end
QUANTILES: Final = (0.5, 0.9, 0.99)

Buckets = Mapping[str, int]


class Totals(NamedTuple):
    """Counters as they stood at a time of the monotonic clock; of sites and of backends each by its name."""

    at: float
    sites: dict[str, dict[str, int]]  # classes, "<=BOUND" for buckets, duration_us, bytes_in, bytes_out
    backends: dict[tuple[str, str], dict[str, int]]  # taken, and buckets where backends have them
    rejected: int
    faults: int


class Flow:
    """The samples of a Standing. `tick` wants to be called once a second."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self._totals: deque[Totals] = deque(maxlen=WINDOW + 1)

    def tick(self, monotonic: float, wall: float) -> Sample:
        """Take a sample; the first is all zeros, for there is nothing to compare with."""
        now = self._read(monotonic)
        before = self._totals[-1] if self._totals else now
        self._totals.append(now)
        sample = self._sample(before, now, wall)
        self.samples.append(sample)
        return sample

    # --- questions --------------------------------------------------------------------------------------------------

    def site(self, name: str) -> tuple[float, Latency]:
        """Requests per second of a site, and how long they took."""
        seconds, change = self._change(lambda totals: totals.sites.get(name, {}))
        requests = sum(change.get(word, 0) for word in CLASSES)
        return _rate(requests, seconds), _latency(change)

    def backend(self, upstream: str, address: str) -> tuple[float, Latency]:
        """Attempts per second at a backend, and how long they took."""
        seconds, change = self._change(lambda totals: totals.backends.get((upstream, address), {}))
        return _rate(change.get("taken", 0), seconds), _latency(change)

    def _change(self, part: object) -> tuple[float, dict[str, int]]:
        """Seconds of the window, and what was counted in it in a part of the totals."""
        assert callable(part)
        if len(self._totals) < 2:
            return 0.0, {}
        first, last = self._totals[0], self._totals[-1]
        return last.at - first.at, _less(part(last), part(first))

    # --- reading ----------------------------------------------------------------------------------------------------

    def _read(self, monotonic: float) -> Totals:
        standing = self.standing
        total = standing.arena.total
        sites: dict[str, dict[str, int]] = {}
        for name in standing.under("site"):
            found = sites.setdefault(name[1], {})
            if name[2] == "requests" and len(name) == 4:
                found[name[3]] = total(name)
            elif name[2] == "duration" and len(name) == 4:
                found[f"<={name[3]}"] = total(name)
            elif name[2] in ("duration_us", "bytes_in", "bytes_out"):
                found[name[2]] = total(name)
        backends: dict[tuple[str, str], dict[str, int]] = {}
        for name in standing.under("backend"):
            if len(name) == 4 and name[3] == "taken":
                backends.setdefault(name[1:3], {})["taken"] = total(name)
            elif len(name) == 5 and name[3] == TIMED:
                backends.setdefault(name[1:3], {})[f"<={name[4]}"] = total(name)
            elif len(name) == 4 and name[3] == f"{TIMED}_us":
                backends.setdefault(name[1:3], {})["duration_us"] = total(name)
        rejected = sum(total(name) for name in standing.under("limit") if name[-1] == "rejected")
        faults = sum(total(name) for name in standing.under("fault"))
        return Totals(monotonic, sites, backends, rejected, faults)

    def _sample(self, before: Totals, now: Totals, wall: float) -> Sample:
        standing = self.standing
        seconds = now.at - before.at
        change: dict[str, int] = {}
        for name, counts in now.sites.items():
            for word, number in _less(counts, before.sites.get(name, {})).items():
                change[word] = change.get(word, 0) + number
        classes = {word: _rate(change.get(word, 0), seconds) for word in CLASSES}
        return Sample(
            at=round(wall, 3),
            requests=round(sum(classes.values()), 2),
            classes=classes,
            bytes_in=_rate(change.get("bytes_in", 0), seconds),
            bytes_out=_rate(change.get("bytes_out", 0), seconds),
            latency=_latency(change),
            connections=standing.total("worker", "connections"),
            in_flight=max(0, sum(standing.total("backend", *one, "inflight") for one in now.backends)),
            waiting=sum(standing.total("upstream", name, "waiting") for name in standing.model.upstream),
            rejected=_rate(now.rejected - before.rejected, seconds),
            faults=_rate(now.faults - before.faults, seconds),
        )


def quantile(share: float, counts: Sequence[tuple[float, int]]) -> float | None:
    """A quantile of a histogram: pairs of an upper bound in seconds and how many lie below it and above the one before,
    in rising order."""
    total = sum(number for _, number in counts)
    if not total:
        return None
    wanted, reached, below = share * total, 0, 0.0
    for bound, number in counts:
        if number and reached + number >= wanted:
            if math.isinf(bound):
                return below
            return below + (bound - below) * (wanted - reached) / number
        reached += number
        if not math.isinf(bound):
            below = bound
    return below


def _less(now: Buckets, before: Buckets) -> dict[str, int]:
    """What has been added."""
    return {word: max(0, number - before.get(word, 0)) for word, number in now.items()}


def _rate(number: int, seconds: float) -> float:
    return round(max(0, number) / seconds, 2) if seconds > 0 else 0.0


def _latency(change: Buckets) -> Latency:
    """Percentiles and mean of the buckets in a change."""
    pairs = ((float(word[2:].replace("+Inf", "inf")), number) for word, number in change.items() if word[:2] == "<=")
    counts = sorted(pairs)
    total = sum(number for _, number in counts)
    if not total:
        return Latency()
    p50, p90, p99 = (_short(quantile(share, counts)) for share in QUANTILES)
    mean = _short(change["duration_us"] / 1e6 / total) if "duration_us" in change else None
    return Latency(p50=p50, p90=p90, p99=p99, mean=mean)


def _short(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
