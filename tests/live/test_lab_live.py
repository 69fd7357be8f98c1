"""`frontgate lab live`: the real door beside the simulation, what it leaves behind, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from door import ROOT, UNDER_TEST, alive, until

from proxy.lab import Scenario, live


def command(*words):
    """The command, running."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "proxy.cli", "lab", "live", *words],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": UNDER_TEST}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def small(**said):
    return Scenario(**{"service": "det:20ms", "requests": 60, "arrivals": "constant", "warmup": 0.0, **said})


def test_what_can_be_known_exactly_is_exact():
    """Round robin gives each its turn; nobody is faster than the simulation, which knows of no other work."""
    found = live(small(backends=[{"weight": 3}, {}, {}]))
    assert found.measured.shares == found.predicted.shares == [0.6, 0.2, 0.2]
    assert found.measured.answered == found.predicted.answered == 60
    pairs = zip(found.measured.latency, found.predicted.latency, strict=True)
    assert all(real > foreseen - found.overhead - 0.1 for real, foreseen in pairs)


def test_clients_workers_and_errors():
    """Each client has its backend, in whichever worker; one backend answers with errors, which are not tried again."""
    backends = [{"errors": 1.0, "error_status": 500}, {}, {}]
    found = live(small(strategies="ip_hash", backends=backends, keys=20, workers=2, method="POST"))
    failed = 60 - found.predicted.answered
    assert failed and found.measured.failed == found.predicted.failed == {"500": failed}
    assert found.measured.shares == found.predicted.shares and found.measured.shares[0] == 0.0


def test_who_finds_the_queue_full_is_told_so_on_both_sides():
    """All come at once: four are worked on, three wait, and nobody else is let in."""
    servers = [{"address": f"a:{port}", "max_conns": 1} for port in range(1, 5)]
    said = {"queue": {"size": 3}, "servers": servers}
    found = live(small(service="det:2s", rate=200.0, load=None, requests=30, upstream=said))
    assert found.measured.failed == found.predicted.failed == {"503": 23}
    assert found.measured.answered == found.predicted.answered == 7


def test_the_example_strategy():
    found = live(small(upstream={"balance_from": str(ROOT / "config")}), "strategies.least_loaded:LeastLoaded")
    assert found.measured.answered == 60 and sum(found.measured.shares) == pytest.approx(1.0)


def test_in_a_notebook_a_loop_runs_already():
    async def cell():
        return live(small(requests=5))

    assert asyncio.run(cell()).measured.answered == 5


def test_it_can_be_stopped_and_gives_what_there_is():
    def progress(strategy, number):
        assert strategy == "round_robin"
        if number == 40:
            raise KeyboardInterrupt

    found = live(small(requests=3000), progress=progress)
    assert not found.complete and 20 <= found.measured.answered <= 40
    assert found.predicted.answered >= found.measured.answered


def test_ctrl_c_leaves_nobody_behind(tmp_path):
    process = command("--requests", "9000", "--json", str(tmp_path / "told.json"))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    born = until(lambda: len(found := children.read_text().split()) == 2 and found, 30.0)
    process.send_signal(signal.SIGINT)
    assert process.wait(30.0) == 130
    assert not any(alive(int(pid)) for pid in born)
    assert json.loads((tmp_path / "told.json").read_text())["scenario"]["requests"] == 9000
    assert b"stopped; this is what there is" in process.communicate()[1]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_whoever_is_gone_leaves_nobody_behind(number):
    process = command("--requests", "9000")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    born = until(lambda: len(found := children.read_text().split()) == 2 and found, 30.0)
    process.send_signal(number)
    process.communicate(timeout=30.0)
    until(lambda: not any(alive(int(pid)) for pid in born), 20.0)


def test_where_nothing_can_be_written_is_said_before_the_run(tmp_path):
    process = command("--requests", "9000", "--json", str(tmp_path / "nowhere" / "told.json"))
    errors = process.communicate(timeout=30.0)[1]
    assert process.returncode == 1 and b"there is no folder" in errors


def test_what_cannot_be_done_is_said():
    process = command("--doors", "2")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and not output
    assert errors == b"frontgate: doors: live starts one door; leave it out, or see `frontgate lab simulate`\n"


def test_the_table():
    process = command("--requests", "30", "--service", "det:20ms")
    output = process.communicate(timeout=60)[0].decode().splitlines()
    assert output[0] == "30 requests at 120/s, load 0.6, 4 backends, seed 1; in ms"
    assert [line.split()[0] for line in output[3:6]] == ["round_robin", "predicted", "off"]
    assert output[-1].startswith("in the prediction: ") and "while nothing else went on" in output[-1]
