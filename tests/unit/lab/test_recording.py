"""What a run remembers, and the figures that are made of it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from proxy.cli.lab.pictured import figures
from proxy.lab import Scenario, compare, recording
from proxy.lab.figures import over_time, plots
from proxy.lab.outcome import quantile
from proxy.lab.recording import Recorder
from proxy.lab.report.page import Study, report
from proxy.lab.scenario import of
from proxy.lab.series import MEASURES, series

SCENARIO = Scenario(strategies="round_robin,least_conn", backends=4, load=0.8, requests=6000, warmup=0)


@pytest.fixture(scope="module")
def found():
    return compare(SCENARIO, recorder=Recorder(window=(5.0, 5.5)))


def test_a_run_that_is_recorded_goes_as_it_would_without(found):
    assert compare(SCENARIO).told() == found.told()
    assert all(outcome.world.recording is None for outcome in compare(SCENARIO).values())


@pytest.mark.parametrize("strategy", ["peak_ewma", "random_two", "hash", "least_time", "ip_hash", "random"])
def test_explaining_changes_no_choice(strategy):
    scenario = of({"strategy": strategy, "backends": 4, "doors": 2, "workers": 2, "load": 0.8, "requests": 3000})
    told, plain = compare(scenario, recorder=Recorder((1.0, 8.0))), compare(scenario)
    assert told.told() == plain.told()
    assert told[strategy].world.recording.decisions[0].picks[0].why != "the strategy does not say why"


def test_a_run_that_was_stopped_can_be_seen(tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    for progress in (stop, None):
        recorder = Recorder((0.0, 1.0), watcher=None if progress else stop)
        found = compare(SCENARIO, progress=progress, recorder=recorder)
        assert not found["round_robin"].complete and len(found) == 1
        study = Study("t", "f", SCENARIO, found.told()["scenario"], "c", (0.0, 1.0))
        page = report(study, found, figures(found, ""))
        assert "It was stopped: this is what there is." in page


def test_samples_are_of_all_that_happened(found):
    for outcome in found.values():
        samples = outcome.world.recording.samples
        assert recording.SAMPLES / 2 <= len(samples) <= 2 * recording.SAMPLES
        answers = [sum(sample.answers[place] for sample in samples) for place in range(4)]
        assert sum(answers) == pytest.approx(6000, abs=20)  # but those of the last moment
        assert answers[0] == pytest.approx(6000 * outcome.backends[0].share, abs=20)
        # Little's law: what is there on average is the rate times the time that each stays.
        there = sum(sum(sample.lengths) for sample in samples) / len(samples)
        assert there == pytest.approx(6000 / outcome.seconds * outcome.latency.mean / 1e3, rel=0.1)


def test_the_warm_up_does_not_disturb_the_samples():
    warm = compare(SCENARIO.model_copy(update={"warmup": 0.5}), recorder=Recorder())["least_conn"].world.recording
    assert sum(sum(sample.answers) for sample in warm.samples) == pytest.approx(6000, rel=0.02)
    assert all(work >= 0 for sample in warm.samples for work in sample.work)


def test_a_long_run_needs_no_more_memory(monkeypatch):
    monkeypatch.setattr(recording, "SAMPLES", 20)
    bursts = compare(
        of({"backends": 2, "requests": 4000, "rate": 50, "event": [{"at": "1s", "do": "speed", "value": 0.2}]}),
        recorder=Recorder(),
    )["round_robin"].world
    assert bursts.clock.now - 1000 > 2 * 4000 / 50  # it took longer than was to be expected
    samples = bursts.recording.samples
    assert 16 <= len(samples) <= 40
    assert sum(sum(sample.answers) for sample in samples) == pytest.approx(4000, rel=0.05)
    gaps = {round(after.at - before.at, 6) for before, after in pairwise(samples)}
    assert len(gaps) <= 2


def test_decisions_are_those_of_the_window(found):
    scenario = SCENARIO.arriving
    for name, outcome in found.items():
        recorded = outcome.world.recording
        assert len(recorded.decisions) == pytest.approx(0.5 * scenario, rel=0.3)
        assert all(5.0 <= decision.at < 5.5 for decision in recorded.decisions)
        assert {decision.outcome for decision in recorded.decisions} == {"200"}
        latencies = dict(zip(outcome.world.starts, outcome.world.latencies, strict=True))
        for decision in recorded.decisions:
            (pick,) = decision.picks
            assert pick.strategy == name and pick.why
            assert latencies[min(latencies, key=lambda at: abs(at - 1000 - decision.at))] == decision.taken
            if name == "least_conn":
                busy = {one[0]: one[3] for one in pick.candidates}
                assert busy[pick.chosen] == min(busy.values())
        assert type(outcome.world.doors.workers[0].group.balancer).__name__ != "Explained"  # taken off again
    numbers = [[decision.number for decision in outcome.world.recording.decisions] for outcome in found.values()]
    assert numbers[0] == numbers[1] == sorted(set(numbers[0]))


def test_decisions_tell_of_retries_and_faults():
    said = {"backends": 2, "requests": 1000, "load": 0.3, "event": [{"at": "0s", "do": "down", "backends": [0]}]}
    world = compare(of({**said, "upstream": {"max_fails": 0}}), recorder=Recorder((0.0, 1.0)))["round_robin"].world
    tried = [decision for decision in world.recording.decisions if len(decision.picks) > 1]
    assert tried
    for decision in tried:
        first, second = decision.picks
        assert first.chosen != second.chosen
        assert [one[8] for one in second.candidates if one[0] == first.chosen] == [True]


def test_few_decisions_are_kept(monkeypatch):
    monkeypatch.setattr(recording, "DECISIONS", 7)
    recorded = compare(SCENARIO, recorder=Recorder((5.0, 6.0)))["least_conn"].world.recording
    assert len(recorded.decisions) == 7 and recorded.left_out > 50


def test_the_figures_say_what_the_outcomes_say(found):
    for name, outcome in found.items():
        body = next(line for line in plots.cdf(found).panels[0].lines if line.name == name)
        median = min(body.points, key=lambda point: abs(point[1] - 0.5))
        assert median[0] == pytest.approx(outcome.latency.p50, rel=0.02)
        tail = next(line for line in plots.cdf(found).panels[1].lines if line.name == name)
        slow = min(tail.points, key=lambda point: abs(point[1] - 0.01))
        assert slow[0] == pytest.approx(outcome.latency.p99, rel=0.02)
        assert next(row for row in plots.cdf(found).table[1] if row[0] == "99 %")[1:] == tuple(
            one.latency.p99 for one in found.values()
        )
        answers = sum(y for line in plots.rates(found).panels[0].lines if line.name == name for _, y in line.points)
        seconds = max(found["round_robin"].world.starts) - 1000
        assert answers * seconds / plots.SPANS == pytest.approx(6000, rel=1e-6)
        shares = dict(plots.shares(found).panels[0].values)[name]
        assert shares == tuple(one.share for one in outcome.backends)


def test_percentiles_over_time_are_of_the_requests_that_came_then(found):
    figure = plots.percentiles(found)
    world = found["least_conn"].world
    line = next(one for one in figure.panels[1].lines if one.name == "least_conn")
    parts = len(line.points)
    assert parts == 6000 // plots.ENOUGH
    end = max(world.starts) - 1000
    first = sorted(
        latency for start, latency in zip(world.starts, world.latencies, strict=True) if start - 1000 < end / parts
    )
    assert line.points[0] == (pytest.approx(end / parts / 2), pytest.approx(1e3 * quantile(first, 0.9)))


def test_heat_is_the_load_of_each_backend():
    said = {"backends": 3, "requests": 4000, "load": 0.5}
    found = compare(
        of({**said, "event": [{"at": "5s", "do": "speed", "backends": [2], "value": 0.3}]}), recorder=Recorder()
    )
    (panel,) = over_time.heat(found).panels
    assert panel.names == ("0", "1", "2") and len(panel.starts) == len(panel.cells[0]) + 1 <= over_time.COLUMNS + 1
    samples = found["round_robin"].world.recording.samples
    assert sum(panel.cells[0]) / len(panel.cells[0]) == pytest.approx(
        sum(sample.lengths[0] for sample in samples) / len(samples), rel=0.05
    )
    assert max(panel.cells[2]) > 3 * max(panel.cells[0][-20:])
    lines = {panel.title: panel.lines[0] for panel in over_time.queues(found).panels}
    assert max(y for _, y in lines["In the longest line"].points) == max(sample.longest for sample in samples)
    uneven = over_time.imbalance(found).panels[1].lines[0].points
    assert uneven[0][1] < uneven[-1][1] <= 3.0


def test_many_backends_share_rows():
    found = compare(Scenario(backends=90, requests=2000, load=0.5), recorder=Recorder())
    figure = over_time.heat(found)
    assert len(figure.panels[0].names) == 30 and figure.panels[0].names[0] == "0-2"
    assert figure.note == "Each row is the mean of 3 backends."
    bars = plots.shares(found).panels
    assert [len(panel.groups) for panel in bars] == [30, 30]
    assert sum(bars[0].values[0][1]) == pytest.approx(1.0)


def test_queues_at_the_door_are_shown_where_there_are_any():
    said = {"backends": 2, "requests": 2000, "load": 0.9}
    servers = [{"address": f"10.0.0.{place}:1", "max_conns": 1} for place in range(2)]
    found = compare(
        of({**said, "upstream": {"servers": servers, "queue": {"size": 500, "timeout": "60s"}}}), recorder=Recorder()
    )
    titles = [panel.title for panel in over_time.queues(found).panels]
    assert "At the doors" in titles
    found = compare(of(said), recorder=Recorder())
    assert "At the doors" not in [panel.title for panel in over_time.queues(found).panels]


def test_a_series_compares_each_value():
    scenarios = {text: SCENARIO.model_copy(update={"load": float(text), "requests": 2000}) for text in ("0.3", "0.9")}
    seen = set()
    made = series("load", scenarios, lambda name, number: seen.add(name))
    assert seen == {f"load={value} {name}" for value in ("0.3", "0.9") for name in SCENARIO.strategies}
    alone = compare(scenarios["0.9"])
    assert made.found[1].told() == alone.told() and made.complete
    figure = plots.vary(made, ["p99", "imbalance"])
    assert figure.panels[0].lines[1].points[1] == (0.9, alone["least_conn"].latency.p99)
    assert figure.panels[1].lines[0].points[0][1] == made.found[0]["round_robin"].imbalance
    assert set(MEASURES) == {"mean", "p50", "p90", "p99", "max", "imbalance", "failed", "retries"}
    assert made.told()["points"][0]["value"] == "0.3"


def test_values_that_are_no_numbers_are_bars():
    scenarios = {
        text: SCENARIO.model_copy(update={"service": text, "requests": 500}) for text in ("exp:20ms", "det:20ms")
    }
    (panel,) = plots.vary(series("service", scenarios), ["mean"]).panels
    assert panel.groups == ("exp:20ms", "det:20ms")
    assert dict(panel.values)["least_conn"][1] < dict(panel.values)["least_conn"][0]
