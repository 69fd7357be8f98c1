"""What came of a simulation: latencies, shares of the backends, failures, in numbers and as JSON.

Rules: latencies are those of requests that went well and came after the warm-up, in milliseconds, from arrival to the
end of the answer. An interval of confidence is of 95 %, by the means of BATCHES parts of the run (Law 2007).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import ceil, sqrt
from typing import Any, Final, NamedTuple

from proxy.lab.scenario import Scenario
from proxy.lab.world import World

BATCHES: Final = 20
STUDENT: Final = 2.093  # of 19 degrees of freedom, 95 % in the middle


class Latency(NamedTuple):
    """Milliseconds."""

    mean: float
    p50: float
    p90: float
    p99: float


class Used(NamedTuple):
    """Of one backend: its share of the answers, and of its time and concurrency that it worked."""

    share: float
    utilisation: float


class Outcome:
    """One strategy's.

    `latency` has mean, p50, p90 and p99 in milliseconds, `margin` is half the 95 % interval of that mean, `slowest` the
    most; `times` are all of them, in seconds. `backends` has the share and the utilisation of each.
    `answered` and `failed` are requests after the warm-up, the failed by what went wrong; `retries` attempts beyond the
    first; `seconds` the simulated time of all that. `complete` is false when it was stopped. `world` holds all of it.
    """

    def __init__(self, strategy: str, world: World, complete: bool) -> None:
        self.strategy = strategy
        self.world = world
        self.complete = complete
        since = world.since
        self.seconds = max(world.clock.now - since, 1e-9)
        self.times = array(
            "d", [latency for start, latency in zip(world.starts, world.latencies, strict=True) if start >= since]
        )  # in seconds, in the order of their ends
        ordered = sorted(self.times)
        self.latency = Latency(
            1e3 * sum(ordered) / len(ordered) if ordered else 0.0,
            *(1e3 * quantile(ordered, share) for share in (0.5, 0.9, 0.99)),
        )
        self.margin = margin(self.times)
        self.slowest = 1e3 * (ordered[-1] if ordered else 0.0)
        self.answered = len(ordered)
        self.failed = dict(world.failed)
        self.retries = world.retries - world.retries_before
        served = sum(server.served for server in world.servers) or 1
        self.backends = [
            Used(server.served / served, min(1.0, self._worked(server) / (self.seconds * server.concurrency)))
            for server in world.servers
        ]

    @property
    def limit(self) -> dict[str, Any] | None:
        """What the limit let pass, and what it asked of Redis."""
        limits = self.world.doors.limits
        return None if limits is None else limits.told(self.seconds)

    def _worked(self, server: Any) -> float:
        return float(server.worked)

    @property
    def imbalance(self) -> float:
        """The most that a backend was used, over the mean of all."""
        used = [one.utilisation for one in self.backends]
        return max(used) * len(used) / sum(used) if any(used) else 1.0

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "latency_ms": {name: round(value, 4) for name, value in self.latency._asdict().items()},
            "backends": [{name: round(value, 6) for name, value in one._asdict().items()} for one in self.backends],
            "mean_margin_ms": None if self.margin is None else round(self.margin, 4),
            "max_ms": round(self.slowest, 4),
            "answered": self.answered,
            "failed": self.failed,
            "retries": self.retries,
            "imbalance": round(self.imbalance, 4),
            "seconds": round(self.seconds, 6),
            "complete": self.complete,
            **({} if self.limit is None else {"limit": self.limit}),
        }


class Comparison(dict[str, Outcome]):
    """Outcomes by strategy, and the scenario that they are of; `complete` is false when it was stopped."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        self.scenario = scenario
        self.complete = True

    def told(self) -> dict[str, Any]:
        """As JSON has it: for one strategy its numbers, too, stand where one looks first."""
        outcomes = {name: outcome.told() for name, outcome in self.items()}
        first = next(iter(outcomes.values())) if len(outcomes) == 1 else {}
        scenario = {
            **self.scenario.model_dump(mode="json", exclude_defaults=True),
            "strategies": list(self.scenario.strategies),
            "seed": self.scenario.seed,
            "requests": self.scenario.requests,
            "arrivals": self.scenario.arrivals,
            "service": self.scenario.service,
            "backends": [one.model_dump(exclude_defaults=True) for one in self.scenario.backends],
        }
        rate = self.scenario.arriving
        offered = {"rate": round(rate, 6), "load": round(rate / self.scenario.capacity, 6)}
        return {"scenario": scenario, "offered": offered, **first, "strategies": outcomes}


def quantile(ordered: Sequence[float], share: float) -> float:
    """The least value that at least this share of them does not exceed; 0.0 of none."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else 0.0


def margin(times: Sequence[float]) -> float | None:
    """Half the width of the interval of confidence of the mean, by batch means, in milliseconds of times in seconds;
    None where there are too few to tell."""
    size = len(times) // BATCHES
    if size < 2:
        return None
    means = [sum(times[place * size : (place + 1) * size]) / size for place in range(BATCHES)]
    middle = sum(means) / BATCHES
    variance = sum((mean - middle) ** 2 for mean in means) / (BATCHES - 1)
    return 1e3 * STUDENT * sqrt(variance / BATCHES)
