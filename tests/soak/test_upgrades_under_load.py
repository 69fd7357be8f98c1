"""Twenty reloads and an upgrade under load: not one request fails, on kept connections and on new ones."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from crowd import Load
from door import until
from house import CONFIG, WHOLE, Soaked
from rogue import Rogue
from test_deaths_under_load import await_more
from test_faults_under_load import lost, repeated, show
from test_reloads_under_load import FIXED

RELOADS = 20
UPGRADES = 5 if WHOLE else 1


@pytest.mark.timeout(180)
def test_reloads_and_upgrades_under_load_fail_nobody(tmp_path: Path) -> None:
    with Rogue(tmp_path, 2) as rogue, Soaked(CONFIG, servers=rogue.servers) as door:
        master = door.pid
        loads = [
            Load(port=door.port, seed=1, connections=24, short=0.0, think=0.01),
            Load(port=door.port, seed=2, connections=8, short=1.0, think=0.01),
            Load(port=door.port, seed=3, connections=8, only="drip", short=0.5),
        ]
        try:
            with loads[0], loads[1], loads[2]:
                await_more(door)
                for number in range(RELOADS):
                    door.reload((FIXED, CONFIG)[number % 2])
                for _ in range(UPGRADES):
                    await_more(door)
                    old = master
                    done = door.command("upgrade")
                    assert done.returncode == 0, done.stderr
                    master = int((door.folder / "pid").read_text())
                    assert f"process {master} serves; process {old} finishes" in done.stdout
                    until(lambda: not (door.folder / "pid.oldbin").exists(), 10.0, "the end of the old one")
                await_more(door)
                reports = [load.finish() for load in loads]
            lines = rogue.lines()
        finally:
            os.kill(master, signal.SIGTERM)
        until(lambda: not (door.folder / "pid").exists())
        assert door.left() == 0
    for report in reports:
        show(report)
        assert report.violations == [] and report.failures == [] and report.refused == 0
        assert set(report.ends.values()) == {"200"}
        assert lost(report, lines) == []
    assert repeated(lines) == []
