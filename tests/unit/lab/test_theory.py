"""The simulation against closed forms of queueing theory, each within 2 % or within its interval of confidence."""

from __future__ import annotations

from math import ceil, factorial

import pytest

from proxy.clock import Clock
from proxy.lab import Machine, Scenario, simulate
from proxy.lab.scenario import of
from proxy.policy.backend import Backend
from proxy.policy.balance.ring import Ring
from proxy.policy.balance.round_robin import RoundRobin


def near(found, outcome, wanted):
    """Whether a mean is within 2 %, or its interval of confidence if that is wider."""
    return abs(found - wanted) <= max(0.02 * wanted, outcome.margin)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_server(load):
    """M/M/1: the mean time is 1 / (mu - lambda) (Kleinrock, Queueing Systems 1, 1975, section 3.2)."""
    outcome = simulate(Scenario(backends=1, load=load, requests=150_000))
    assert near(outcome.latency.mean, outcome, 20.0 / (1 - load))
    assert outcome.backends[0].utilisation == pytest.approx(load, rel=0.02)


def erlang_c(servers, load):
    """The share of requests that wait (Erlang 1917)."""
    offered = servers * load
    top = offered**servers / factorial(servers) / (1 - load)
    return top / (sum(offered**k / factorial(k) for k in range(servers)) + top)


@pytest.mark.parametrize(("servers", "load"), [(2, 0.7), (5, 0.8)])
def test_several_servers_with_one_line(servers, load):
    """M/M/c: the mean wait is C(c, a) * s / (c (1 - load)) (Kleinrock section 3.5)."""
    outcome = simulate(Scenario(backends=(Machine(concurrency=servers),), load=load, requests=150_000))
    wait = erlang_c(servers, load) * 20.0 / (servers * (1 - load))
    assert near(outcome.latency.mean, outcome, 20.0 + wait)


def test_the_queue_at_the_door_is_one_line():
    """With max_conns = concurrency the door's own queue makes M/M/c of separate backends, too."""
    servers = [{"address": f"10.0.0.{i}:80", "max_conns": 1} for i in range(4)]
    upstream = {"servers": servers, "queue": {"size": 100000, "timeout": "1000s"}}
    outcome = simulate(Scenario(strategies="least_conn", load=0.8, requests=150_000, upstream=upstream))
    assert near(outcome.latency.mean, outcome, 20.0 + erlang_c(4, 0.8) * 20.0 / (4 * 0.2))
    assert not outcome.failed


@pytest.mark.parametrize("service", ["det:20ms", "uniform:10ms:30ms", "bimodal:10ms:110ms:0.1", "lognormal:20ms:1.2"])
def test_any_service_times(service):
    """M/G/1: the mean wait is lambda E[S^2] / 2 (1 - load) (Pollaczek 1930, Khinchine 1932)."""
    scenario = Scenario(backends=1, load=0.6, service=service, requests=150_000)
    outcome = simulate(scenario)
    draw = scenario.draw(0)
    wait = scenario.arriving * draw.square / (2 * 0.4)
    assert near(outcome.latency.mean, outcome, 1000 * (draw.mean + wait))


class Best:
    """The least busy of `choices` by lot, with replacement: the supermarket model's rule."""

    choices = 1

    def __init__(self, backends, clock, rng):
        self.backends, self.rng = backends, rng

    def pick(self, exchange, tried):
        drawn = [self.backends[int(self.rng.random() * len(self.backends))] for _ in range(self.choices)]
        return min(drawn, key=lambda backend: backend.inflight.total())


@pytest.mark.parametrize("choices", [1, 2, 3])
def test_the_supermarket_model(choices):
    """Of queues, lambda^((d^k - 1) / (d - 1)) have at least k (Mitzenmacher 1996; Vvedenskaya et al. 1996); the mean
    number in a queue is the sum of these, and by Little's law the mean time that over lambda. It is the limit of many
    queues: with 200 of them and three choices the mean was 2.4 % above it."""
    own = type("Own", (Best,), {"choices": choices})
    load = 0.8
    outcome = simulate(Scenario(backends=500, load=load, requests=120_000, warmup=0.2), own)
    exponents = [k if choices == 1 else (choices**k - 1) / (choices - 1) for k in range(1, 60)]
    number = sum(load**power for power in exponents if power < 1000)
    assert near(outcome.latency.mean, outcome, 20.0 * number / load)


@pytest.mark.parametrize("load", [0.6, 0.9])
def test_the_shortest_queue_lies_between_its_bounds(load):
    """Joining the shortest queue is worse than one line for all and better than queues by lot (Winston 1977)."""
    scenario = Scenario(strategies="least_conn", backends=4, load=load, requests=80_000)
    found = simulate(scenario)
    pooled = 20.0 + erlang_c(4, load) * 20.0 / (4 * (1 - load))
    assert pooled - found.margin < found.latency.mean < 20.0 / (1 - load) * 0.75


def test_round_robin_is_exact():
    """Smooth weighted round robin's sequence for 5, 1, 1 (nginx, commit 52327e0627f4), and shares by weight."""
    backends = [Backend(name, weight=weight) for name, weight in (("a", 5), ("b", 1), ("c", 1))]
    balancer = RoundRobin(backends, Clock())
    (exchange,) = simulate(Scenario(requests=1, warmup=0)).world.servers[0].spare  # an exchange, as strategies want it
    assert "".join(balancer.pick(exchange, ()).address for _ in range(14)) == "aabacaa" * 2
    scenario = of({"backends": [{"weight": weight} for weight in (5, 1, 1)], "load": 0.2, "requests": 7000})
    outcome = simulate(scenario.model_copy(update={"warmup": 0.0}))
    assert [server.served for server in outcome.world.servers] == [5000, 1000, 1000]


def keys_of(count):
    backends = [Backend(f"10.0.0.{place}:80") for place in range(count)]
    ring = Ring(backends, Clock(), None, lambda exchange: exchange)
    return [ring.pick(b"key %d" % key, ()).address for key in range(10_000)]


def test_a_ring_moves_its_share_of_the_keys():
    """One server more takes 1 / n of the keys, and nobody else gets any (Karger et al. 1997)."""
    before, after = keys_of(9), keys_of(10)
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"10.0.0.9:80"}
    assert len(moved) / 10_000 == pytest.approx(0.1, rel=0.2)


class Bounded:
    """A ring with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2016): nobody has more than 1.25 times the mean."""

    def __init__(self, backends, clock, rng):
        self.backends = backends
        self.ring = Ring(backends, clock, rng, lambda exchange: exchange.client.address)

    def pick(self, exchange, tried):
        busy = [backend.inflight.total() for backend in self.backends]
        most = ceil(1.25 * (sum(busy) + 1) / len(busy))
        full = [one for one, number in zip(self.backends, busy, strict=True) if number >= most]
        chosen = self.ring.pick(exchange, [*tried, *full])
        assert chosen is not None
        self.worst = max(getattr(self, "worst", 0.0), (chosen.inflight.total() + 1) / most)
        return chosen


def test_bounded_loads_are_bounded():
    """Keys of a skewed popularity overload a ring's servers, and not one with bounded loads."""
    scenario = Scenario(
        strategies="hash", backends=10, load=0.7, requests=20_000, popularity=1.0, upstream={"consistent": True}
    )
    plain, bounded = simulate(scenario), simulate(scenario, Bounded)
    assert plain.imbalance > 1.35 > 1.26 > bounded.imbalance
    assert bounded.world.doors.workers[0].group.balancer.worst <= 1.0
    assert bounded.latency.p99 < plain.latency.p99 / 5


def test_a_leaky_bucket_admits_what_arithmetic_says():
    """Of an even stream of 100 a second for 10 s, a limit of 10r/s with burst 20 lets 1 + 20 + 10 * 10 pass."""
    limit = {"rate": "10r/s", "burst": 20, "nodelay": True}
    said = {"arrivals": "constant", "rate": 100, "requests": 1000, "keys": 1, "warmup": 0, "service": "det:1ms"}
    outcome = simulate(of({**said, "limit": limit}))
    assert outcome.answered == pytest.approx(1 + 20 + 100, abs=1)
    assert outcome.answered + outcome.failed["limited"] == 1000
    held = simulate(of({**said, "limit": {"rate": "10r/s", "burst": 20}}))
    assert held.latency.p99 == pytest.approx(2001, abs=110)  # a burst of 20 is worked off in 2 s
