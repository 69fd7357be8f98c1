"""What happens in a simulation besides service: events, retries, breakers, checks, workers, seeds."""

from __future__ import annotations

from pathlib import Path
from random import Random
from time import process_time

import pytest

from proxy import catalog, cli
from proxy.lab import Machine, Scenario, compare, simulate
from proxy.lab.arrivals import Arrivals
from proxy.lab.draws import draw
from proxy.lab.scenario import of, read


def settled(outcome):
    """Whether every backend was settled as often as it was taken, and nothing is left in flight."""
    backends = [backend for worker in outcome.world.doors.workers for backend in worker.backends]
    return all(one.taken == one.settled for one in backends) and not any(one.inflight.total() for one in backends)


STRATEGIES = ("round_robin", "least_conn", "ip_hash", "hash", "random", "random_two", "least_time", "peak_ewma")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_seed_gives_the_same(strategy):
    scenario = Scenario(strategies=strategy, backends=5, load=0.7, requests=4000, doors=2, workers=2)
    first, second = compare(scenario), compare(scenario)
    assert first.told() == second.told()
    other = compare(scenario.model_copy(update={"seed": 2}))
    assert other.told()["latency_ms"] != first.told()["latency_ms"]
    assert settled(first[strategy])
    assert first[strategy].answered + sum(first[strategy].failed.values()) == 3800


def test_what_is_told():
    told = compare(Scenario(strategies="round_robin, least_conn", backends=3, requests=2000)).told()
    assert set(told["strategies"]) == {"round_robin", "least_conn"}
    one = told["strategies"]["least_conn"]
    assert list(one["latency_ms"]) == ["mean", "p50", "p90", "p99"]
    assert [set(backend) for backend in one["backends"]] == [{"share", "utilisation"}] * 3
    assert sum(backend["share"] for backend in one["backends"]) == pytest.approx(1.0, abs=1e-5)
    assert told["offered"]["load"] == pytest.approx(0.6)
    assert of(told["scenario"]).model_dump() == of({**told["scenario"]}).model_dump()


def test_a_scenario_can_be_repeated_from_what_is_told():
    scenario = Scenario(strategies="least_conn", backends=(Machine(speed=2.0), Machine()), load=0.5, requests=2000)
    told = compare(scenario).told()
    assert compare(of(told["scenario"])).told() == told


def test_a_backend_that_dies_loses_what_it_has_and_is_left_alone():
    event = [{"at": "5s", "do": "down", "backends": [0]}]
    said = {"backends": 3, "load": 0.5, "requests": 3000, "warmup": 0, "event": event}
    lost = simulate(of({**said, "upstream": {"max_fails": 1, "retry": {"on": [502], "attempts": 1}}}))
    assert 0 < sum(lost.failed.values()) < 40
    assert set(lost.failed) <= {"connect_refused", "closed_early"}
    assert settled(lost)
    kept = simulate(of({**said, "upstream": {"max_fails": 1}}))
    assert not kept.failed and kept.retries > 0 and settled(kept)
    assert kept.backends[0].share < 0.15


def test_checks_find_a_backend_that_hangs():
    event = [{"at": "5s", "do": "hang", "backends": [0]}, {"at": "20s", "do": "up", "backends": [0]}]
    said = {"backends": 3, "load": 0.3, "requests": 2000, "warmup": 0, "event": event, "timeout": "1s"}
    upstream = {"max_fails": 0, "health": {"interval": "1s", "timeout": "500ms", "fall": 1, "rise": 1}}
    checked, not_checked = (
        simulate(of({**said, "upstream": upstream})),
        simulate(of({**said, "upstream": {"max_fails": 0}})),
    )
    assert 0 < checked.failed["read_timeout"] < not_checked.failed["read_timeout"] / 5
    assert settled(checked) and settled(not_checked)
    assert checked.world.servers[0].served > 100  # it is asked again


def test_a_breaker_keeps_requests_from_errors():
    machines = [{"errors": 1.0}, {}, {}]
    said = {"backends": machines, "load": 0.3, "requests": 3000}
    open_ = simulate(of({**said, "upstream": {"breaker": {"failures": 5, "recovery": "10s"}}}))
    without = simulate(of(said))
    assert open_.failed.get("503", 0) < 30 < without.failed["503"]
    assert without.failed["503"] == pytest.approx(2850 / 3, rel=0.02)


def test_slow_start_spares_a_cold_backend():
    def waiting(upstream):
        machines = [{"cold": "20s"}, {}, {}, {}]
        event = [{"at": "20s", "do": "restart", "backends": [0], "value": 12}]
        health = {"interval": "1s", "rise": 1, "fall": 1}
        said = {"backends": machines, "load": 0.6, "requests": 8000, "event": event}
        return simulate(of({**said, "upstream": {"health": health, **upstream}}))

    assert waiting({"slow_start": "20s"}).latency.p99 < waiting({}).latency.p99 / 2


def test_a_full_queue_and_a_long_wait_are_refused():
    servers = [{"address": f"10.0.0.{place}:80", "max_conns": 1} for place in range(2)]
    upstream = {"servers": servers, "queue": {"size": 10, "timeout": "200ms"}}
    outcome = simulate(of({"load": 2.0, "requests": 3000, "workers": 2, "upstream": upstream}))
    assert outcome.failed["queue_timeout"] or outcome.failed["queue_full"]
    assert max(server.length for server in outcome.world.servers) == 0
    assert settled(outcome)


def test_workers_share_what_is_in_flight():
    """As in production: two workers of a door are as good as one, and two that know nothing of each other are not."""
    one = Scenario(strategies="least_conn", backends=4, load=0.8, requests=20_000)
    alone = simulate(one).latency.mean
    shared = simulate(one.model_copy(update={"workers": 4})).latency.mean
    apart = simulate(one.model_copy(update={"workers": 4, "shared": "worker"})).latency.mean
    assert shared == pytest.approx(alone, rel=0.1)
    assert apart > shared * 1.15


def test_a_first_in_ten_lines():
    """A strategy of one's own: a function that makes an object with `pick`."""

    class First:
        def __init__(self, backends, clock, rng):
            self.backends = backends

        def pick(self, exchange, tried):
            return self.backends[0]

    outcome = compare(Scenario(requests=1000, load=0.1), own={"first": First})["first"]
    assert [one.share for one in outcome.backends] == [1.0, 0, 0, 0]


def test_what_is_there_when_it_is_stopped():
    def stop(strategy, number):
        if number > 9000:
            raise KeyboardInterrupt

    found = compare(Scenario(strategies="random,round_robin", requests=100_000), progress=stop)
    assert list(found) == ["random"]
    assert not found["random"].complete and 5000 < found["random"].answered < 20_000


@pytest.mark.parametrize(
    ("text", "mean"),
    [("exp:20ms", 0.02), ("det:1s", 1), ("lognormal:20ms:2", 0.02), ("pareto:20ms:2.5", 0.02),
     ("bimodal:10ms:110ms:0.1", 0.02), ("uniform:10ms:30ms", 0.02), ("measured:10ms,30ms", 0.02)],
)  # fmt: skip
def test_draws(text, mean):
    source = draw(text)
    times = source.batch(Random(1), 200_000)
    assert source.mean == pytest.approx(mean)
    assert sum(times) / len(times) == pytest.approx(mean, rel=0.03)
    if "pareto" not in text:
        assert sum(time * time for time in times) / len(times) == pytest.approx(source.square, rel=0.1)


@pytest.mark.parametrize("text", ["poisson", "constant", "bursts:10s:1s:5", "diurnal:10s:0.8"])
def test_arrivals(text):
    arrivals, times = Arrivals(text), []
    for batch in arrivals.batches(100.0, Random(1)):
        times += batch
        if len(times) > 50_000:
            break
    assert times == sorted(times)
    assert len(times) / times[-1] == pytest.approx(100, rel=0.03)


def test_traces_and_files(tmp_path: Path):
    trace, file = tmp_path / "trace", tmp_path / "scenario.toml"
    trace.write_text("5.0\n5.5\n6.0\n")
    file.write_text(f'strategy = "random"\nbackends = 2\nwarmup = 0\narrivals = "trace:{trace}"\n')
    outcome = simulate(read(str(file)))
    assert outcome.answered == 3 and outcome.strategy == "random"
    assert outcome.world.rate == 2.0


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"service": "exp"}, 'service: cannot read "exp"'),
        ({"arrivals": "sometimes"}, 'arrivals: cannot read "sometimes"'),
        ({"strategies": "best"}, "balance: Input should be 'round_robin'"),
        ({"load": 0.5, "rate": 1}, "load and rate cannot both be given"),
        ({"event": [{"at": 1, "do": "down", "backends": [4]}]}, "for a backend that is not there (0 to 3)"),
        ({"upstream": {"fallback": {"upstream": "b"}}}, "upstream.fallback.upstream cannot be simulated"),
        ({"limit": {"burst": 3}}, "limit needs a rate"),
        ({"backends": 0}, "must be 1 to 100000 backends"),
        ({"upstream": {"slow_strat": 1}}, "slow_strat: Extra inputs are not permitted"),
    ],
)
def test_mistakes_are_sentences(said, sentence):
    with pytest.raises(ValueError) as raised:
        of(said)
    assert sentence in str(raised.value)


def test_many_backends_and_doors():
    outcome = simulate(Scenario(strategies="random_two", backends=1000, doors=5, load=0.5, requests=2000))
    assert outcome.answered == 1900 and settled(outcome)


def test_it_is_fast_enough_to_be_used():
    """Far below what one core does when it has nothing else to do, for machines of tests have."""
    scenario = Scenario(strategies="least_conn", backends=10, requests=50_000)
    before = process_time()
    simulate(scenario)
    assert 50_000 / (process_time() - before) > 50_000


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"rate": float("inf")}, "rate: Input should be a finite number"),
        ({"load": 1e300}, "requests a second cannot be simulated"),
        ({"rate": 1e-300}, "requests a second cannot be simulated"),
        ({"service": "measured:0,0"}, "all of its times are 0"),
        ({"service": "lognormal:20ms:1e300"}, "must be between 0 and 1e+06"),
        ({"arrivals": "bursts:10s:1s:nan"}, "a number above 0"),
        ({"arrivals": "bursts:10s:1s:inf"}, "a number above 0"),
        ({"upstream": 3}, "upstream: Input should be a valid dictionary"),
        ({"upstream": {"servers": 3}}, "upstream.servers must be a list"),
        ({"upstream": {"servers": [3]}}, "upstream.servers must be a list"),
        ({"upstream": {"balance": 3}}, "strategies.0: Input should be a valid string"),
        ({"event": [{"at": 1, "do": "errors", "value": 7}]}, "errors are a share"),
        ({"doors": 10**20}, "let each door know a subset"),
        ({"backends": [{"concurrency": 10**400}]}, "concurrency: Input should be less than"),
    ],
)
def test_a_scenario_that_cannot_be_is_a_sentence(said, sentence):
    with pytest.raises(ValueError) as found:
        of(said)
    assert sentence in str(found.value)
    assert "at least 1 item" not in str(found.value)


def test_a_trace_of_no_numbers_is_a_sentence(tmp_path):
    trace = tmp_path / "trace"
    trace.write_text("1 nan 3")
    with pytest.raises(ValueError, match="no number of seconds"):
        of({"arrivals": f"trace:{trace}"})


def test_lulls_keep_the_rate():
    times: list[float] = []
    for batch in Arrivals("bursts:10s:5s:0.25").batches(100.0, Random(1)):
        times += batch
        if times[-1] > 1000.0:
            break
    times = [time for time in times if time < 1000.0]
    assert len(times) == pytest.approx(100_000, rel=0.02)
    assert sum(time % 10.0 < 5.0 for time in times) == pytest.approx(20_000, rel=0.03)


def test_the_balance_of_an_upstream_table_is_what_runs(tmp_path):
    file = tmp_path / "scenario.toml"
    file.write_text('requests = 500\n[upstream]\nbalance = "least_conn"\n')
    scenario = read(str(file))
    assert scenario.strategies == ("least_conn",)
    assert list(compare(scenario)) == ["least_conn"]
    assert scenario.but(strategies="random").strategies == ("random",)


def test_very_unequal_clients_can_be_drawn():
    outcome = simulate(Scenario(strategies="hash", popularity=1e9, keys=1000, requests=500, warmup=0))
    assert max(one.share for one in outcome.backends) == 1.0


def test_who_is_stopped_while_a_strategy_is_set_up_gets_the_others(monkeypatch, capsys):
    def stopped(wanted):
        raise KeyboardInterrupt

    monkeypatch.setitem(catalog.BALANCE, "random", stopped)
    found = compare(Scenario(strategies="least_conn,random", requests=500))
    assert list(found) == ["least_conn"] and found["least_conn"].complete and not found.complete
    words = ["lab", "simulate", "--requests", "500"]
    assert cli.main([*words, "--strategy", "least_conn,random"]) == 130
    assert "stopped; this is what there is" in capsys.readouterr().err
    assert cli.main([*words, "--strategy", "random", "--vary", "load=0.2,0.4"]) == 130
    assert capsys.readouterr().err == "frontgate: stopped\n"
