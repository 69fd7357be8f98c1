"""Replays of logs whose outcome is known by hand, and of logs that simulations wrote."""

from __future__ import annotations

import json
from math import inf

import pytest

from proxy.lab import Machine, Scenario, replay
from proxy.lab.logs.logged import Outage, read
from proxy.lab.logs.replay import as_logged
from proxy.lab.outcome import Outcome
from proxy.lab.world import World

BEGAN = 1_700_000_000.0


def row(arrival, time, *addresses, **more):
    """A line of our JSON log."""
    return json.dumps(
        {
            "time": BEGAN + arrival + time, "remote_addr": "192.0.2.1", "method": "GET", "target": "/", "status": 200,
            "request_time": time, "attempt_time": time, "attempts": list(addresses), "fault": None, **more,
        }
    )  # fmt: skip


@pytest.fixture
def log(tmp_path):
    """Write a log of rows, and give its path."""

    def write(*rows):
        path = tmp_path / "access.log"
        path.write_text("\n".join(rows))
        return str(path)

    return write


def times(outcome):
    """The latencies of an outcome in the order of their arrivals, in seconds."""
    pairs = zip(outcome.world.starts, outcome.world.latencies, strict=True)
    return [pytest.approx(latency, abs=1e-5) for _, latency in sorted(pairs)]


def settled(outcome):
    """Whether every backend was settled as often as it was taken."""
    backends = [backend for worker in outcome.world.doors.workers for backend in worker.backends]
    return all(one.taken == one.settled for one in backends) and not outcome.world.work.numbers


def test_by_hand(log):
    path = log(row(0.0, 10.0, "a:1"), row(0.1, 1.0, "b:2"), row(2.0, 1.0, "a:1"), row(3.5, 1.0, "b:2"))
    found = replay(path, as_logged(read(path), strategies="round_robin,least_conn", concurrency=1))
    assert times(found["round_robin"]) == [10.0, 1.0, 9.0, 1.0]  # the third waits behind the first
    assert times(found["least_conn"]) == [10.0, 1.0, 1.0, 1.0]
    assert found["round_robin"].imbalance == pytest.approx(11.0 / 6.5, abs=1e-4)
    assert found["least_conn"].imbalance == pytest.approx(10.0 / 6.5, abs=1e-4)
    told = found.told()
    assert told["as_logged"]["latency_ms"] == {"mean": 3250.0, "p50": 1000.0, "p90": 10000.0, "p99": 10000.0}
    assert told["as_logged"]["imbalance"] == pytest.approx(11.0 / 6.5, abs=1e-4)
    assert [one["share"] for one in told["as_logged"]["backends"]] == [0.5, 0.5]
    assert told["log"]["requests"] == 4 and told["strategies"]["least_conn"]["latency_ms"]["mean"] == 3250.0


def test_the_same_request_has_the_same_answer(log):
    rows = [row(number, 0.5, "ab"[number % 2] + ":1", status=(200, 500, 404)[number % 3]) for number in range(12)]
    found = replay(log(*rows))
    for outcome in found.values():
        assert outcome.failed == {"500": 4} and outcome.answered == 8 and settled(outcome)
    assert found.told()["as_logged"]["failed"] == {"500": 4}


def test_a_status_that_is_tried_again_is_the_same_again(log):
    path = log(*[row(number, 0.5, "a:1", status=503) for number in range(3)], row(9.0, 0.5, "b:1"))
    scenario = as_logged(read(path), strategies=("round_robin",), upstream={"retry": {"on": [503]}})
    one = replay(path, scenario)["round_robin"]
    assert one.failed == {"503": 3} and one.retries == 3 and settled(one)
    assert times(one) == [0.5]


def test_the_waiting_is_taken_out(log):
    path = log(row(0.0, 1.0, "a:1"), row(0.1, 1.0, "a:1"), row(0.2, 1.8, "a:1"), row(0.3, 2.0, "b:1"))
    logged = read(path)
    assert logged.most == 3 and logged.least_places() == 1
    logged.unqueue(2)
    assert list(logged.times) == pytest.approx([1.0, 1.0, 1.0, 2.0])
    logged.unqueue(1)  # which the log allows as well: who knows the places must say them
    assert list(logged.times) == pytest.approx([1.0, 0.1, 0.9, 2.0])
    logged.unqueue(3)
    assert list(logged.times) == pytest.approx([1.0, 1.0, 1.8, 2.0])


def test_a_line_that_the_log_contradicts(log):
    logged = read(log(row(0.0, 10.0, "a:1"), row(0.1, 0.2, "a:1"), row(0.2, 0.2, "a:1")))
    with pytest.raises(ValueError, match=r"contradicts --service-places 1: 2 of 3 answers .* needs 2 places at least"):
        logged.unqueue(1)


def test_whole_seconds_hold_no_waiting(tmp_path):
    path = tmp_path / "combined.log"
    begin = '1.1.1.1 - - [23/Nov/2026:20:45:0{} +0000] "GET / HTTP/1.1" 200 1 "-" "-" 0.100 0.090 a:1 0f'
    path.write_text("\n".join(begin.format(number // 50) for number in range(100)))
    logged = read(str(path))
    assert logged.notes() == ["the log has times of whole seconds: requests are spread over their second at random"]
    assert 1.5 < logged.starts[-1] < 2.0 and list(logged.starts) == sorted(logged.starts)
    assert read(str(path)).starts == logged.starts
    with pytest.raises(ValueError, match="needs times of milliseconds"):
        logged.unqueue(1)


def test_backends_that_failed(log):
    """The second takes nothing from 1 s, when an attempt at it failed, until 6 s, when one did not."""
    rows = [row(number, 0.1, "a:1") for number in range(10)]
    rows += [
        row(0.5, 0.1, "b:1"),
        row(1.0, 0.1, "b:1", "a:1"),
        row(2.0, 0.0, "b:1", fault="connect_refused", status=502),
    ]
    rows += [row(6.0, 0.1, "b:1"), row(9.0, 0.1, "b:1", "a:1")]
    logged = read(log(*rows))
    assert logged.outages() == [Outage("b:1", 1.0, 6.0), Outage("b:1", 9.0, inf)]
    told = logged.told()
    assert told["failed"] == {"502": 1} and told["retries"] == 2 and told["answered"] == 14
    once = {"retry": {"attempts": 1}, "max_fails": 0}
    one = replay(logged, as_logged(logged, strategies=("round_robin",), upstream=once))["round_robin"]
    # Round robin sends every second request there: those of 1, 2, 3 and so on until it comes back.
    assert set(one.failed) == {"connect_refused"} and 3 <= one.failed["connect_refused"] <= 6 and settled(one)
    again = replay(logged, as_logged(logged, strategies=("round_robin",)))
    assert not again["round_robin"].failed and again["round_robin"].retries > 0
    assert "2 of 2 outages that the log shows are played as well" in again.notes()
    assert "1 requests that no backend answered have the time of the request before them" in again.notes()


def test_what_does_not_count_is_told(log):
    path = log("{", row(0.0, 0.5, "a:1"), row(1.0, 0.1), row(2.0, 0.3, "a:1", status=499), "no")
    found = replay(path, strategies="round_robin")
    assert found.notes()[:3] == [
        f"2 of 5 lines could not be read, the first is {path}:1",
        "1 requests that no backend was asked for were left out",
        "1 clients did not wait (499): their requests' times are shorter than the work",
    ]
    assert found.told()["log"]["bad"] == 2 and found["round_robin"].answered == 2
    with pytest.raises(ValueError, match=r"1 lines, 0 of them could not be read, and no line tells of a backend: log "):
        read(log(row(1.0, 0.1)))


def test_hashes_go_by_the_logged_client(log):
    rows = [row(number, 0.5, "ab"[number % 2] + ":1", remote_addr=f"10.{number % 5}.0.1") for number in range(50)]
    world = replay(log(*rows), strategies="hash")["hash"].world
    assert len(world._clients) == 5 and sum(server.served for server in world.servers) == 50


def test_posts_are_not_sent_twice(log):
    rows = [row(number, 0.5, "ab"[number % 2] + ":1", method="POST", status=503) for number in range(4)]
    logged = read(log(*rows))
    scenario = as_logged(logged, strategies=("round_robin",), upstream={"retry": {"on": [503]}})
    assert replay(logged, scenario)["round_robin"].retries == 0


class Written(World):
    """A simulation that writes a log."""

    def __init__(self, scenario, strategy):
        self.rows = []
        super().__init__(scenario, strategy)

    def _record(self, exchange):
        super()._record(exchange)
        arrival, address = exchange.started, exchange.tried[-1].address
        self.rows.append(
            row(arrival, exchange.finished - arrival, address, remote_addr=exchange.client.address.decode())
        )


@pytest.mark.parametrize(
    ("strategy", "places"),
    [("round_robin", 1), ("least_conn", 1), ("least_conn", 3), ("random_two", 2), ("peak_ewma", 1), ("hash", 1)],
)
def test_there_and_back(log, strategy, places):
    """A simulated run, its log, and the replay of that under the same strategy give the same times."""
    scenario = Scenario(
        strategies=strategy, backends=(Machine(concurrency=places),) * 4, load=0.7, requests=5000, warmup=0, keys=50
    )
    world = Written(scenario, strategy)
    assert world.run()
    simulated = Outcome(strategy, world, True)
    found = replay(log(*world.rows), strategies=strategy, service_places=places)
    assert found[strategy].latency == pytest.approx(simulated.latency, rel=1e-3)
    assert found[strategy].imbalance == pytest.approx(simulated.imbalance, rel=1e-2)
    assert tuple(found.told()["as_logged"]["latency_ms"].values()) == pytest.approx(simulated.latency, rel=1e-3)
    assert found.told()["as_logged"]["imbalance"] == pytest.approx(simulated.imbalance, rel=1e-2)
    assert found.logged.early == 0


def test_another_strategy_is_predicted(log):
    """A log of round robin says of least_conn what a simulation of that says: the requests are the same."""
    scenario = Scenario(strategies="round_robin,least_conn", backends=4, load=0.8, requests=20_000, warmup=0)
    world = Written(scenario, "round_robin")
    world.run()
    found = replay(log(*world.rows), strategies="least_conn", service_places=1)["least_conn"]
    other = World(scenario, "least_conn")
    other.run()
    assert found.latency == pytest.approx(Outcome("least_conn", other, True).latency, rel=0.05)


def test_a_strategy_of_ones_own_and_a_stop(log):
    path = log(*[row(number / 10, 0.5, "ab"[number % 2] + ":1") for number in range(50)])

    class First:
        def __init__(self, backends, clock, rng):
            self.backends = backends

        def pick(self, exchange, tried):
            return self.backends[0]

    found = replay(path, strategies="round_robin", own={"first": First})
    assert [one.share for one in found["first"].backends] == [1.0, 0.0]

    def stop(name, number):
        raise KeyboardInterrupt

    stopped = replay(path, progress=stop)
    assert list(stopped) == ["round_robin"] and not stopped["round_robin"].complete


def test_a_door_does_not_wait_for_ever(log):
    """Where all go to one backend, more come than it can do: those that wait longer than a door does have failed."""
    rows = [row(number, 2.0, "ab"[number % 2] + ":1") for number in range(400)]
    path = log(*rows)
    found = replay(path, as_logged(read(path), strategies=("round_robin", "ip_hash"), concurrency=1))
    assert not found["round_robin"].failed and found["round_robin"].latency.p99 == pytest.approx(2000.0)
    assert found["ip_hash"].failed["read_timeout"] > 100 and found["ip_hash"].slowest <= 120_000.0
    assert settled(found["ip_hash"])
    with pytest.raises(ValueError, match="network cannot be said of a replay"):
        replay(path, as_logged(read(path), network="1ms"))
