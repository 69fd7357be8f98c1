"""A series: the same scenario again and again, with one thing changed.

Rules: each value's scenario is compared under all strategies with the same seed, so what differs comes of the value.
Ctrl-C ends a series with what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from proxy.lab.outcome import Comparison, Outcome
from proxy.lab.scenario import Scenario
from proxy.lab.simulate import Progress, compare


def _failed(outcome: Outcome) -> float:
    failed = sum(outcome.failed.values())
    return failed / ((failed + outcome.answered) or 1)


class Measure(NamedTuple):
    """What can be looked at: its name in words, its label with its unit, what it is of an outcome, and what its axis
    shows at least."""

    title: str
    label: str
    of: Callable[[Outcome], float]
    least: float | None = 0.0
    most: float | None = None


MEASURES: Final[Mapping[str, Measure]] = {
    "mean": Measure("mean latency", "milliseconds", lambda one: one.latency.mean),
    "p50": Measure("median latency", "milliseconds", lambda one: one.latency.p50),
    "p90": Measure("90th percentile of latency", "milliseconds", lambda one: one.latency.p90),
    "p99": Measure("99th percentile of latency", "milliseconds", lambda one: one.latency.p99),
    "max": Measure("highest latency", "milliseconds", lambda one: one.slowest),
    "imbalance": Measure("imbalance", "most used backend over the mean of all", lambda one: one.imbalance, 1.0, 1.1),
    "failed": Measure("failed requests", "share of all requests", _failed),
    "retries": Measure(
        "retries", "attempts beyond the first, over answers", lambda one: one.retries / (one.answered or 1)
    ),
}


class Series:
    """What came of it: a comparison for each of the values of `key` that it came to, in their order."""

    def __init__(self, key: str, values: Sequence[str]) -> None:
        self.key = key
        self.values = tuple(values)
        self.found: list[Comparison] = []

    @property
    def numbers(self) -> list[float] | None:
        """The values, if all of them are numbers."""
        try:
            return [float(value) for value in self.values]
        except ValueError:
            return None

    @property
    def complete(self) -> bool:
        """Whether nobody stopped it."""
        return len(self.found) == len(self.values) and all(found.complete for found in self.found)

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        points = [{"value": value, **found.told()} for value, found in zip(self.values, self.found, strict=False)]
        return {"vary": self.key, "values": list(self.values), "points": points}


def series(key: str, scenarios: Mapping[str, Scenario], progress: Progress | None = None) -> Series:
    """Compare the strategies of each of the scenarios, which are there by the value of `key` that they have."""
    made = Series(key, list(scenarios))
    for value, scenario in scenarios.items():
        told = None if progress is None else _told(f"{key}={value}", progress)
        try:
            made.found.append(compare(scenario, progress=told))
        except KeyboardInterrupt:  # before there was anything of this one
            if not made.found:
                raise
            break
        if not made.found[-1].complete:
            break
    return made


def _told(lead: str, progress: Progress) -> Progress:
    return lambda strategy, number: progress(f"{lead} {strategy}", number)
