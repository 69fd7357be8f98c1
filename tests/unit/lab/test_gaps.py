"""What lies between a door and its backends, and what holds when there is none: networks, timeouts, fallbacks, bound
clients, requests in flight."""

from __future__ import annotations

import pytest

from proxy.lab import simulate
from proxy.lab.scenario import of

ALONE = {"backends": 1, "service": "det:10ms", "arrivals": "constant", "warmup": 0, "requests": 100}


def settled(outcome):
    """Whether every backend was settled as often as it was taken, and nothing is left in flight."""
    backends = [backend for worker in outcome.world.doors.workers for backend in worker.backends]
    return all(one.taken == one.settled and not one.inflight.total() for one in backends)


@pytest.mark.parametrize(("upstream", "dialling"), [({}, 4.0), ({"tls": {}}, 8.0)])
def test_a_network_costs_a_round_trip_and_a_connection_one_or_two_more(upstream, dialling):
    outcome = simulate(of({**ALONE, "network": "4ms", "rate": 10.0, "upstream": upstream}))
    assert outcome.latency.p50 == pytest.approx(14.0)
    assert outcome.slowest == pytest.approx(14.0 + dialling)
    assert outcome.world.servers[0].dialled == 1 and settled(outcome)


@pytest.mark.parametrize(
    ("upstream", "dialled"),
    [({}, 100), ({"keepalive_timeout": "3s"}, 1), ({"keepalive_timeout": "3s", "keepalive": 0}, 100)],
)
def test_connections_are_kept_as_long_as_the_table_says(upstream, dialled):
    outcome = simulate(of({**ALONE, "network": "4ms", "rate": 0.5, "upstream": upstream}))
    assert outcome.world.servers[0].dialled == dialled


def test_doors_that_know_fewer_backends_dial_less():
    said = {"doors": 10, "backends": 100, "network": "1ms", "load": 0.1, "service": "exp:5ms", "requests": 5000}
    few, many = (simulate(of({**said, "subset": subset})) for subset in (10, 100))
    dialled = [sum(server.dialled for server in one.world.servers) for one in (few, many)]
    assert dialled[0] < dialled[1] / 5
    assert few.latency.mean < many.latency.mean


def test_a_backend_that_goes_down_is_refused_a_round_trip_away():
    event = [{"at": "1s", "do": "down"}]
    outcome = simulate(of({**ALONE, "network": "4ms", "rate": 10.0, "event": event, "upstream": {"max_fails": 0}}))
    assert outcome.failed == {"connect_refused": 91} and outcome.answered == 9
    assert settled(outcome)


def test_who_waits_no_longer_for_a_network_is_answered_once():
    said = {"backends": 2, "network": "30ms", "timeout": "40ms", "service": "exp:10ms", "load": 0.7, "requests": 3000}
    for cancels in (False, True):
        outcome = simulate(of({**said, "cancels": cancels, "upstream": {"max_fails": 0, "retry": {"on": ["timeout"]}}}))
        assert outcome.failed["read_timeout"] and outcome.retries and settled(outcome)
        assert outcome.answered + sum(outcome.failed.values()) == 2850


def test_a_door_that_is_told_nothing_waits_120_seconds():
    event = [{"at": "1s", "do": "hang"}]
    outcome = simulate(of({**ALONE, "rate": 10.0, "event": event, "upstream": {"max_fails": 0}}))
    assert outcome.failed == {"read_timeout": 91}
    assert outcome.world.clock.now == pytest.approx(1000 + 10 + 120, abs=0.1)
    assert len(outcome.world.heap) <= 1


def test_one_alarm_serves_all_who_wait():
    """Or each request of the last 120 seconds would have one in the heap."""
    outcome = simulate(of({"backends": 4, "load": 0.5, "requests": 20_000, "event": [{"at": "1s", "do": "up"}]}))
    assert len(outcome.world.heap) <= 8 and not outcome.failed
    assert max(len(server.watched) for server in outcome.world.servers) < 200


@pytest.mark.parametrize(
    ("upstream", "why"),
    [({"fallback": {"status": 200}}, "fallback"), ({"unavailable": 502}, "no_live_backend"), ({}, "no_backend")],
)
def test_who_answers_when_no_backend_can_be_asked(upstream, why):
    server = [{"address": "10.0.0.1:80", "down": True}]
    outcome = simulate(of({**ALONE, "backends": 1, "upstream": {"servers": server, **upstream}}))
    assert outcome.failed == {why: 100} and not outcome.answered


@pytest.mark.parametrize(
    "sticky", [{"cookie": "a"}, {"learn": {"create": ["$upstream_cookie_a"], "lookup": ["$cookie_a"]}}]
)
def test_a_client_stays_where_it_was_until_that_is_gone(sticky):
    event = [{"at": "10s", "do": "down", "backends": [0]}]
    said = {"backends": 4, "load": 0.3, "keys": 40, "requests": 2000, "event": event, "warmup": 0}
    outcome = simulate(of({**said, "upstream": {"max_fails": 1, "fail_timeout": "1h", "sticky": sticky}}))
    bound = outcome.world.doors.workers[0].group.balancer.learning.sessions
    sids = {client.address: bound.backend_of(client.address, 0.0) for client in outcome.world._clients}
    names = [one.sid for one in outcome.world.doors.workers[0].backends]
    assert set(sids.values()) == set(names[1:])
    without = simulate(of({**said, "upstream": {"max_fails": 1, "fail_timeout": "1h"}}))
    assert outcome.imbalance > without.imbalance  # by turns they get as many clients, not as many requests
    assert outcome.latency.mean > without.latency.mean and settled(outcome)


def test_sessions_that_servers_begin_are_known_to_one_door():
    learn = {"learn": {"create": ["$upstream_cookie_a"], "lookup": ["$cookie_a"]}}
    tables = {}
    for name, sticky in (("cookie", {"cookie": "a"}), ("learn", learn)):
        world = simulate(of({"doors": 3, "workers": 2, "requests": 300, "upstream": {"sticky": sticky}})).world
        tables[name] = len({id(worker.group.balancer.learning.sessions) for worker in world.doors.workers})
    assert tables == {"cookie": 1, "learn": 3}


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_client_has_so_many_requests_in_flight_at_most(dry_run):
    said = {"backends": 10, "load": 0.5, "keys": 2, "requests": 2000, "warmup": 0}
    outcome = simulate(of({**said, "limit": {"in_flight": 2, "dry_run": dry_run}}))
    told = outcome.limit
    assert told["offered"] == 2000 and told["passed"] < 2000
    assert outcome.failed.get("limited", 0) == (0 if dry_run else 2000 - told["passed"])
    assert settled(outcome)
