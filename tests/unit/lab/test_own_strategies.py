"""A strategy of one's own in the laboratory: the file that is the example, by its name and as an object.

The same file in the real door: tests/live/test_own_strategy.py and test_lab_live.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from proxy import cli
from proxy.config.imported import imported
from proxy.lab import Scenario, compare, simulate
from proxy.lab.scenario import read

ROOT = Path(__file__).parents[3]
CONFIG = str(ROOT / "config")
NAME = "strategies.least_loaded:LeastLoaded"


def scenario(**said):
    return Scenario(backends=5, load=0.8, requests=20_000, upstream={"balance_from": CONFIG}, **said)


def test_the_example_has_ten_lines_at_most():
    source = (ROOT / "config" / "strategies" / "least_loaded.py").read_text().rpartition('"""')[2]
    assert len([line for line in source.splitlines() if line.strip()]) <= 10


def test_by_name_and_as_an_object_it_is_the_same():
    named = compare(scenario(strategies=f"{NAME},least_conn,round_robin"))
    given = simulate(scenario(), imported(NAME, CONFIG))
    assert given.told() == named[NAME].told() and given.strategy == "LeastLoaded"
    assert named[NAME].latency.mean == pytest.approx(named["least_conn"].latency.mean, rel=0.1)
    assert named[NAME].latency.mean < 0.7 * named["round_robin"].latency.mean


def test_it_need_not_know_of_health_or_places():
    class First:
        def __init__(self, backends, clock, rng):
            self.backends = backends

        def pick(self, exchange, tried):
            return self.backends[0]

    bounded = {"servers": [{"address": f"a{n}:1", "max_conns": 1} for n in range(5)], "queue": {"size": 9999}}
    full = simulate(Scenario(requests=5000, load=0.5, upstream=bounded), First)
    assert not full.failed and all(0.1 < one.share < 0.4 for one in full.backends)
    gone = [{"at": "1s", "do": "down", "backends": [0]}]
    dead = simulate(Scenario(requests=5000, load=0.1, backends=5, event=gone), First)
    assert not dead.failed and dead.retries < 50 and dead.backends[0].share < dead.backends[1].share


def test_it_may_do_with_its_list_what_it_likes():
    class Sorts:
        def __init__(self, backends, clock, rng):
            backends.reverse()
            self.backends = backends

        def pick(self, exchange, tried):
            return self.backends.pop() if len(self.backends) > 1 else self.backends[0]

    found = simulate(Scenario(requests=100, load=0.5, warmup=0.0), Sorts)
    group = found.world.doors.workers[0].group
    assert [one.address for one in group.backends] == [f"10.0.0.{n}:8000" for n in range(4)]
    assert found.answered == 100 and found.backends[3].share > 0.9


def test_its_faults_are_loud():
    class Broken:
        def __init__(self, backends, clock, rng):
            pass

        def pick(self, exchange, tried):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        simulate(Scenario(requests=10), Broken)
    with pytest.raises(ValueError, match=r"Pickless has no pick\(exchange, tried\)"):
        simulate(Scenario(requests=10), lambda backends, clock, rng: type("Pickless", (), {})())


def test_the_command_takes_it_from_where_one_is(tmp_path):
    words = ["lab", "simulate", "--requests", "2000", "--strategy", f"{NAME},least_conn", "--json", "-"]
    found = subprocess.run(
        [sys.executable, "-P", "-m", "proxy.cli", *words],
        cwd=CONFIG, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert list(json.loads(found.stdout)["strategies"]) == [NAME, "least_conn"]


def test_a_configuration_that_names_it(tmp_path, capsys):
    file = tmp_path / "frontgate.toml"
    file.write_text(
        f'[listen.web]\naddress = "127.0.0.1:8080"\n[upstream.app]\nbalance = "{NAME}"\nbalance_from = "{CONFIG}"\n'
        'servers = ["127.0.0.1:1", "127.0.0.1:2"]\n[site.s]\ndefault = true\n'
        'route = [{ path = "/", upstream = "app" }]\n'
    )
    assert cli.main(["lab", "simulate", "-c", str(file), "--requests", "2000", "--json", "-"]) == 0
    assert list(json.loads(capsys.readouterr().out)["strategies"]) == [NAME]


def test_a_scenario_file_beside_it(tmp_path):
    (tmp_path / "beside.py").write_text((ROOT / "config" / "strategies" / "least_loaded.py").read_text())
    file = tmp_path / "scenario.toml"
    for said in ('strategies = ["least_conn", "beside:LeastLoaded"]', 'strategy = "beside:LeastLoaded"'):
        file.write_text(f"{said}\nrequests = 100\n")
        assert cli.main(["lab", "simulate", str(file)]) == 0
        assert simulate(read(str(file)), "beside:LeastLoaded").answered == 95
    file.write_text(f'strategy = "least_loaded:LeastLoaded"\n[upstream]\nbalance_from = "{CONFIG}/strategies"\n')
    assert read(str(file)).upstream == {"balance_from": f"{CONFIG}/strategies"}
