"""Reloads and graceful stops under load lose nothing: every kind of connection, every request."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from crowd import Load
from door import until
from house import CONFIG, WHOLE, Soaked
from rogue import Rogue
from test_deaths_under_load import await_more, unanswered
from test_faults_under_load import lost, repeated, show

FIXED = CONFIG + '[[site.s.route]]\npath = "/fixed"\nreply = { body = "new words" }\n'
RELOADS = 50 if WHOLE else 10
STOPS = 5 if WHOLE else 1


@pytest.mark.timeout(180)
def test_reloads_under_load_lose_nothing(tmp_path: Path) -> None:
    """Kept connections, connections for one request, downloads that take their time, and tunnels that stay."""
    with Rogue(tmp_path, 2) as rogue, Soaked(CONFIG, servers=rogue.servers) as door:
        loads = [
            Load(port=door.port, seed=1, connections=16, short=0.0, think=0.01, tunnels=4),
            Load(port=door.port, seed=2, connections=8, short=1.0, think=0.01),
            Load(port=door.port, seed=3, connections=8, only="drip", short=0.5),
        ]
        with loads[0], loads[1], loads[2]:
            await_more(door)
            for number in range(RELOADS):
                door.reload((FIXED, CONFIG)[number % 2])
            door.tell(signal.SIGHUP)
            door.tell(signal.SIGHUP)
            await_more(door)
            door.reload(CONFIG.replace("servers", "server"), good=False)
            await_more(door)
            reports = [load.finish() for load in loads]
        assert door.restarts == 0 and len(door.workers()) == 2
        lines = rogue.lines()
    assert reports[0].echoed > 100_000
    for report in reports:
        show(report)
        assert report.violations == [] and report.failures == [] and report.refused == 0
        assert set(report.ends.values()) == {"200"}
        assert lost(report, lines) == []
    assert repeated(lines) == []


def staff(door: Soaked) -> tuple[int, int]:
    """How many workers serve, and how many children there are."""
    return len(door.workers()), len(door.children())


@pytest.mark.timeout(120)
def test_workers_that_come_and_go_under_load_lose_nothing(tmp_path: Path) -> None:
    more = CONFIG.replace("workers = 2", "workers = 3")
    with (
        Rogue(tmp_path, 2) as rogue,
        Soaked(CONFIG, servers=rogue.servers) as door,
        Load(port=door.port, connections=24, short=0.5, think=0.003) as load,
    ):
        for config, workers in ((more, 3), (CONFIG, 2)) * (RELOADS // 5):
            door.reload(config)
            until(lambda: staff(door) == (workers, workers + 1), 10.0, f"{workers} workers")  # noqa: B023
            await_more(door)
        report = load.finish()
    show(report)
    assert report.violations == [] and report.refused == 0 and report.failures == []
    assert unanswered(report, rogue.lines()) == [] and repeated(rogue.lines()) == []


@pytest.mark.parametrize("only", ["ok", "drip"])
def test_a_graceful_stop_loses_no_reply(tmp_path: Path, only: str) -> None:
    """What a backend has executed is answered; what is refused then, nobody has executed."""
    for number in range(STOPS):
        with Rogue(tmp_path, 2, name=f"record-{number}") as rogue, Soaked(CONFIG, servers=rogue.servers) as door:
            with Load(port=door.port, connections=32, only=only, short=0.3, stubborn=False, seed=number) as load:
                await_more(door)
                assert door.stop(signal.SIGQUIT, 8.0) == 0
                report = load.finish()
            lines = rogue.lines()
        print(f"{len(report.ends)} requests, {len(report.failures)} not begun any more")
        assert report.violations == []
        assert unanswered(report, lines) == [] and repeated(lines) == [] and lost(report, lines) == []
        assert len(report.ends) >= 100
