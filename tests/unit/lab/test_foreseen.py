"""What the real run and the simulation have in common, and what is refused."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from proxy.lab import Scenario, live, simulate
from proxy.lab.outcome import quantile
from proxy.lab.reality.backends import Place
from proxy.lab.reality.foreseen import Foreseen, times, work
from proxy.lab.reality.live import Lived, Side, refuse, sized
from proxy.lab.reality.load import Load, exact
from proxy.lab.reality.stage import configuration, upstream

SMALL = {"requests": 500, "service": "exp:40ms", "warmup": 0.0}


def foreseen(overhead=0.0, **said):
    scenario = Scenario(**{**SMALL, **said})
    world = Foreseen(scenario, scenario.strategies[0], overhead)
    assert world.run()
    return world


def test_the_real_backends_do_what_the_simulated_ones_do():
    """Each request of a simulation is given to the backend that it went to, and takes as long there."""
    world = foreseen(backends=[{"concurrency": 2}, {"speed": 2.0}, {}], strategies="least_conn")
    scenario = world.scenario
    places = [Place(n, 1, one, work(scenario)["exp:40ms"]) for n, one in enumerate(scenario.backends)]
    starts = times(scenario)
    assert len(world.ended) == 500
    for start, latency, backend in sorted(world.ended):
        number = min(range(500), key=lambda one: abs(starts[one] - start))
        assert places[backend].come(start, number) - start == pytest.approx(latency, abs=1e-6)


def test_it_is_the_simulation_but_for_the_times_drawn():
    world = foreseen(requests=20_000)
    usual = simulate(Scenario(**{**SMALL, "requests": 20_000}))
    ours = sorted(one.latency for one in world.ended)
    assert 1e3 * sum(ours) / len(ours) == pytest.approx(usual.latency.mean, rel=0.1)
    assert [one.start for one in sorted(world.ended)] == pytest.approx(times(world.scenario), abs=1e-6)


def test_the_overhead_is_added_once():
    plain, more = foreseen(), foreseen(0.01)
    assert [b.latency - a.latency for a, b in zip(plain.ended, more.ended, strict=True)] == pytest.approx([0.01] * 500)
    servers = {"servers": [{"address": f"a:{n}", "max_conns": 1} for n in range(1, 5)]}
    alone = {"upstream": servers, "service": "det:40ms", "arrivals": "constant", "load": 0.5}
    assert {round(one.latency, 6) for one in foreseen(0.01, **alone).ended} == {0.05}
    held = [foreseen(overhead, **{**alone, "load": 0.9, "arrivals": "poisson"}) for overhead in (0.0, 0.01)]
    means = [sum(one.latency for one in world.ended) / 500 for world in held]
    assert means[1] - means[0] > 0.02  # places are held for longer, so others wait for longer


def test_who_asks_is_remembered():
    world = foreseen(strategies="ip_hash", keys=7)
    assert len(world.clients) == 500 and len(set(world.clients)) == 7
    assert foreseen().clients == [b"127.0.0.1"] * 500


def test_the_crowd():
    assert foreseen(service="det:1s", arrivals="constant", rate=10.0, backends=30, requests=50).crowd == 10


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"doors": 3}, "doors: live starts one door; leave it out"),
        ({"event": [{"at": "1s", "do": "hang"}]}, "event: nothing happens to live backends"),
        ({"stale": "1s"}, "stale: the real door sees at once"),
        ({"limit": {"rate": "1r/s"}}, "limit: live clients are not limited"),
        ({"upstream": {"sticky": {"cookie": "a"}}}, "upstream.sticky: live clients keep no cookies"),
        ({"network": 0.001}, "network: live knows nothing of it"),
        ({"backends": [{"backlog": 3}]}, "backends.backlog: live backends take every connection"),
        ({"backends": 201, "rate": 1.0}, "201 backends are too many: live has room for 200"),
        ({"service": "det:1ms", "backends": 4}, "2400 requests a second are too many: live asks at most 1000"),
        ({"load": 2.0, "requests": 2000}, "requests would be there at a time, and live has room for 400"),
        ({"strategies": "no.such:thing"}, 'there is no strategy "no.such:thing"'),
    ],
)
def test_what_cannot_be_done_is_refused(said, sentence):
    with pytest.raises(ValueError) as caught:
        live(Scenario(**{**SMALL, **said}))
    assert sentence in str(caught.value)


def test_what_is_not_said():
    assert sized(Scenario()).requests == 2000 and sized(Scenario()).service == "exp:40ms"
    assert sized(Scenario(requests=7, service="det:1s")) == Scenario(requests=7, service="det:1s")
    refuse(sized(Scenario()), "round_robin")


def test_the_door_has_the_table_of_the_scenario():
    said = {"retry": {"budget": 0.5}, "tls": {"verify": False}, "servers": [{"address": "a:1", "weight": 3}, "b:1"]}
    scenario = Scenario(upstream=said, backends=[{}, {"weight": 2}], timeout="2s", workers=2)
    table = upstream(scenario, "hash", [8001, 8002])
    servers = [{"address": "127.0.0.1:8001", "weight": 3}, {"address": "127.0.0.1:8002", "weight": 2}]
    assert table == {"retry": {"budget": 0.5}, "servers": servers, "balance": "hash"}
    whole = configuration(scenario, table, 8000)
    assert whole["upstream"]["lab"]["hash"] == "$remote_addr" and whole["workers"] == 2
    assert whole["timeouts"] == {"read": 2.0}


def test_the_difference():
    side = Side([0.01, 0.03], [0, 0], 2, {})
    assert side.shares == [1.0, 0.0] and side.latency.mean == pytest.approx(20.0)
    lived = Lived("x", Side([0.02, 0.03], [0, 1], 2, {}), side, 0.5, 9.0, True)
    assert lived.difference.p50 == pytest.approx(-50.0) and lived.busy
    assert lived.told()["difference_percent"] == {"mean": -20.0, "p50": -50.0, "p90": 0.0, "p99": 0.0}
    nothing = Side([], [], 2, {"502": 3})
    assert Lived("x", nothing, nothing, 0.0, 0.0, False).told()["difference_percent"]["mean"] == 0.0


def test_nobody_waits_for_who_came_before():
    """Coordinated omission: a door that holds everything back gets all requests nevertheless, each when it is due."""
    came = []

    class Door(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            came.append((asyncio.get_running_loop().time(), self.transport))
            if len(came) == 20:
                for _, transport in came:
                    transport.write(b"HTTP/1.1 200 OK\r\nX-Backend: 1\r\nContent-Length: 2\r\n\r\nok")

    async def run():
        server = await asyncio.get_running_loop().create_server(Door, "127.0.0.1", 0)
        load = Load(server.sockets[0].getsockname()[1], "GET", fresh=False)
        await load.run([0.01 * number for number in range(20)], [b"127.0.0.1"] * 20)
        server.close()
        load.close()
        return load.found

    with asyncio.Runner(loop_factory=exact) as runner:
        found = runner.run(run())
    assert sorted(one.number for one in found) == list(range(20))
    assert {one.status for one in found} == {200} and {one.backend for one in found} == {1}
    by_number = {one.number: one.latency for one in found}
    # All were answered at the same time, so each waited by so much less as it was due later.
    assert [by_number[0] - by_number[n] for n in range(20)] == pytest.approx([0.01 * n for n in range(20)], abs=0.005)
    assert quantile(sorted(by_number.values()), 1.0) >= 0.19


def test_a_door_that_is_gone():
    async def run():
        load = Load(1, "GET", fresh=True)
        await load.run([0.0, 0.01], [b"127.0.0.1"] * 2)
        return load.found

    assert [one.status for one in asyncio.run(run())] == [0, 0]


def test_a_fake_exchange_without_anybody():
    times_of = Foreseen._time_of(SimpleNamespace(numbers={}), [0.5, 0.7], 0.1)
    assert times_of(None) == 0.6
