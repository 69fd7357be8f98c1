"""The simulation against effects that were published, each with its source."""

from __future__ import annotations

import pytest

from proxy.lab import Machine, Scenario, simulate
from proxy.lab.scenario import of


def test_stale_loads_make_herds():
    """With a board that is old, all go where few were: the least loaded choice becomes worse than chance, and two
    choices stay better than it (Mitzenmacher 2000, How Useful Is Old Information?)."""
    fresh = Scenario(backends=20, load=0.8, service="exp:20ms", requests=40_000)
    stale = fresh.model_copy(update={"stale": 0.4})
    best = simulate(fresh, "least_conn").latency.mean
    herd = simulate(stale, "least_conn").latency.mean
    two = simulate(stale, "random_two").latency.mean
    lot = simulate(stale, "random").latency.mean
    assert best < two < herd
    assert herd > lot


def test_two_choices_against_the_least_busy_with_many_doors():
    """Where each of many doors knows its own requests alone, least_conn has lost most of its lead over two choices,
    which it has with one door (HAProxy's test: Tarreau 2019, Test Driving "Power of Two Random Choices")."""
    one = Scenario(backends=20, load=0.8, requests=40_000)
    many = one.model_copy(update={"doors": 20})
    lead = simulate(one, "random_two").latency.mean / simulate(one, "least_conn").latency.mean
    lead_of_many = simulate(many, "random_two").latency.mean / simulate(many, "least_conn").latency.mean
    assert lead > 1.3
    assert lead_of_many < 1 + (lead - 1) * 0.6


def test_one_slow_replica():
    """A replica ten times slower spoils the tail of whoever asks it in turn; choices by latency leave it alone
    (Dean and Barroso 2013, The Tail at Scale; Finagle's Peak EWMA)."""
    machines = tuple(Machine(concurrency=8, speed=0.1 if place == 0 else 1.0) for place in range(5))
    scenario = Scenario(backends=machines, rate=300.0, requests=30_000, service="lognormal:20ms:0.5")
    turns, aware = simulate(scenario, "round_robin"), simulate(scenario, "peak_ewma")
    assert aware.backends[0].share < turns.backends[0].share / 3
    assert aware.latency.p90 < turns.latency.p90 / 2
    assert aware.latency.mean < turns.latency.mean


STORM = {
    "backends": 4, "service": "exp:20ms", "load": 0.7, "requests": 14_000, "warmup": 0, "timeout": "500ms",
    "event": [{"at": "10s", "do": "speed", "value": 0.3}, {"at": "15s", "do": "speed", "value": 1}],
}  # fmt: skip


@pytest.mark.parametrize(("share", "floor", "ends"), [(1.0, 100_000, False), (0.1, 0, True)])
def test_a_retry_storm_stays_until_a_budget_ends_it(share, floor, ends):
    """Five seconds of slowness, and with retries the overload feeds itself when they are long over; with a budget it
    ends (Bronson et al. 2021, Metastable Failures in Distributed Systems)."""
    retry = {"on": ["timeout"], "attempts": 4, "budget": share, "floor": floor}
    outcome = simulate(of({**STORM, "upstream": {"max_fails": 0, "retry": retry}}))
    world = outcome.world
    late = world.since + 60.0
    well = sum(start > late for start in world.starts)
    bad = sum(start > late for start in world.failures)
    assert well + bad > 3000
    assert (bad < 0.01 * well) is ends
    assert (bad > well) is not ends


class Prequal:
    """The least latency among the probed that are not hot, else the least busy (Wydrowski et al. 2024, Load is not
    what you should balance: Introducing Prequal); a probe tells of requests in flight and of the latest latency."""

    def __init__(self, backends, clock, rng):
        self.backends, self.rng, self.probes = backends, rng, []
        self.latency = dict.fromkeys(backends, 0.0)

    def pick(self, exchange, tried):
        for _ in range(3):
            probed = self.backends[int(self.rng.random() * len(self.backends))]
            self.probes.append((probed.inflight.total(), self.latency[probed], self.rng.random(), probed))
        self.probes = self.probes[-16:]
        hot = sorted(probe[0] for probe in self.probes)[int(0.8 * len(self.probes))]
        cold = [probe for probe in self.probes if probe[0] < hot]
        best = min(cold, key=lambda probe: probe[1:]) if cold else min(self.probes)
        self.probes.remove(best)
        return best[3]

    def ended(self, exchange):
        self.latency[exchange.tried[-1]] = exchange.answered - exchange.attempted


def test_prequal_against_round_robin():
    """Probing keeps the tail short where round robin of uneven machines does not: in thirty lines of a strategy."""
    machines = tuple(Machine(concurrency=2, speed=0.6 if place % 4 == 0 else 1.2) for place in range(16))
    scenario = Scenario(backends=machines, load=0.7, requests=30_000)
    assert simulate(scenario, Prequal).latency.p99 < simulate(scenario, "round_robin").latency.p99 / 2
