"""Workers, keeper, master and backends die under load: what is lost then, for how long, and what must not be."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from time import monotonic, time

import pytest
from crowd import Load, Report
from door import alive, kill, until
from house import CONFIG, WHOLE, Soaked
from mischief import CUT, GONE
from rogue import Line, Rogue
from test_faults_under_load import lost, repeated, show

LIMITED = (
    CONFIG.replace('upstream = "app"', 'upstream = "app"\nlimits = ["l"]')
    + '[limit.l]\nrate = "100000r/s"\nburst = 1000\nnodelay = true\n'
)
ROUNDS = 8 if WHOLE else 3
TWICE = 'servers = [{servers}]\nfail_timeout = "1s"'


def unanswered(report: Report, lines: list[Line]) -> list[str]:
    """Requests that a backend has executed and whose client did not get the answer."""
    executed = {line.nonce for line in lines if line.event == "whole"}
    return [nonce for nonce in executed if report.ends.get(nonce) in (GONE, CUT, "502", "504")]


def served(door: Soaked) -> int:
    """Requests that were, in all."""
    return sum(door.status()["sites"]["s"]["requests"].values())


def await_more(door: Soaked, count: int = 100) -> None:
    """Wait until so many requests more have been served."""
    before = served(door)
    until(lambda: served(door) >= before + count, 10.0, f"{count} more requests")


def grown_up(door: Soaked, slot: int) -> dict[str, int] | None:
    """A worker that has lived long enough to be replaced at once when it dies."""
    worker: dict[str, int] = door.status()["workers"][slot]
    return worker if time() - worker["started"] > 2.1 else None


def test_a_killed_worker_takes_only_its_own_connections_along(tmp_path: Path) -> None:
    bound, deaths, gaps = 0, [], []
    with Rogue(tmp_path, 2) as rogue, Soaked(LIMITED, servers=rogue.servers) as door:
        with Load(port=door.port, connections=32, think=0.01, short=0.2) as load:
            await_more(door)
            for number in range(ROUNDS):
                victim = until(lambda: grown_up(door, number % 2), 5.0, "a worker that has lived a while")  # noqa: B023
                bound += victim["connections"] + 8  # of those that came and went since
                deaths.append(monotonic())
                kill(victim["pid"])
                until(lambda: len(door.workers()) == 2 and victim["pid"] not in door.workers(), 3.0)  # noqa: B023
                gaps.append(monotonic() - deaths[-1])
                await_more(door)
            report = load.finish()
        until(lambda: door.in_flight() == 0, 5.0, "nothing in flight")
        assert door.restarts == ROUNDS
    show(report)
    print(f"{len(report.failures)} requests failed in {ROUNDS} deaths, replaced after {max(gaps):.2f} s at most")
    assert report.violations == [] and report.refused == 0
    assert set(report.ends.values()) <= {"200", GONE, CUT}
    assert max(gaps) < 1.0
    assert len(report.failures) <= bound
    for at, *words in report.failures:
        assert words[3] in (GONE, CUT), words
        assert any(0 <= at - death < 0.5 for death in deaths), (words, deaths, at)
    assert repeated(rogue.lines()) == [] and lost(report, rogue.lines()) == []


def test_a_killed_keeper_costs_nobody_anything(tmp_path: Path) -> None:
    with Rogue(tmp_path, 2) as rogue, Soaked(CONFIG, servers=rogue.servers) as door:
        with Load(port=door.port, connections=16, think=0.005) as load:
            for _ in range(3):
                (keeper,) = set(door.children()) - set(until(door.workers))
                kill(keeper)
                until(lambda: keeper not in door.children() and len(door.workers()) == 2, 5.0)  # noqa: B023
                await_more(door)
            report = load.finish()
        assert door.restarts == 3
    assert set(report.ends.values()) == {"200"} and report.violations == [] and report.refused == 0
    assert len(report.ends) >= 300


def test_without_their_master_workers_answer_what_they_have_and_go(tmp_path: Path) -> None:
    with Rogue(tmp_path, 2) as rogue, Soaked(CONFIG, servers=rogue.servers) as door:
        with Load(port=door.port, connections=32, think=0.005, stubborn=False) as load:
            await_more(door)
            children = door.children()
            assert len(children) == 3
            death = monotonic()
            kill(door.pid)
            until(lambda: not any(map(alive, children)), 5.0, "nobody left")
            print(f"the last was gone after {monotonic() - death:.2f} s")
            report = load.finish()
        assert door.left() == -signal.SIGKILL
        again = Soaked(CONFIG.replace("{port}", str(door.port)), servers=rogue.servers)
        with again, Load(port=door.port, connections=4, requests=50, seed=2) as load:
            assert load.done().outcomes.total() == 50
    assert report.violations == []
    assert unanswered(report, rogue.lines()) == []
    for at, *words in report.failures:
        assert words[3] == GONE and at >= death, words


@pytest.mark.timeout(120)
def test_backends_are_killed_and_started_again_under_load(tmp_path: Path) -> None:
    rogues = [Rogue(tmp_path, 1, name=f"record-{number}") for number in range(3)]
    servers = ", ".join(rogue.servers for rogue in rogues)
    config = CONFIG.replace("servers = [{servers}]\nmax_fails = 0", TWICE)
    deaths: list[float] = []
    with rogues[0], rogues[1], rogues[2], Soaked(config, servers=servers) as door:
        with Load(port=door.port, connections=24, think=0.005, short=0.1) as load:
            await_more(door)
            for number in range(ROUNDS):
                victim = rogues[number % 3]
                deaths.append(victim.kill())
                await_more(door, 500)
                victim.start()
                until(lambda: all(one["state"] == "up" for one in backends(door)), 5.0, "all up again")
                await_more(door)
            report = load.finish()
        before = [one["requests"] for one in backends(door)]
        with Load(port=door.port, requests=300, seed=2) as load:
            assert load.done().outcomes.total() == 300
        until(lambda: all(one["requests"] > count for one, count in zip(backends(door), before, strict=True)))
        lines = [line for rogue in rogues for line in rogue.lines()]
    show(report)
    assert report.violations == [] and report.refused == 0
    last = [at - max(death for death in deaths if death <= at + 0.01) for at, *_ in report.failures]
    longest = max(last, default=0.0)
    print(f"{len(report.failures)} failed in {ROUNDS} deaths; from a death to the last failure: {longest:.3f} s")
    assert len(report.failures) <= 24 * ROUNDS and longest < 1.0
    for _, *words in report.failures:
        assert words[1] in ("POST", "PUT") or words[3] == CUT, words
    assert repeated(lines) == [] and lost(report, lines) == []
    assert Counter(line.event for line in lines)["wrong"] == 0


def backends(door: Soaked) -> list[dict[str, object]]:
    """What /status says of the backends."""
    found: list[dict[str, object]] = door.status()["upstreams"]["app"]["backends"]
    return found
