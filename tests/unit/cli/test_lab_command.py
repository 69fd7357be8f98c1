"""`frontgate lab simulate`: options, files, and what it prints."""

from __future__ import annotations

import json
import sys

from proxy import cli

SMALL = ["lab", "simulate", "--requests", "2000"]


def told(capsys, *words):
    assert cli.main([*SMALL, *words, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_example(capsys):
    words = "--strategy least_conn --backends 4 --arrivals poisson --service exp:20ms --load 0.6 --seed 1"
    found = told(capsys, *words.split())
    assert set(found["latency_ms"]) == {"mean", "p50", "p90", "p99"}
    assert found["strategies"]["least_conn"]["latency_ms"] == found["latency_ms"]
    assert len(found["backends"]) == 4
    assert found["scenario"]["seed"] == 1 and found["scenario"]["strategies"] == ["least_conn"]


def test_machines_and_keys(capsys):
    found = told(
        capsys, "--weights", "3,1", "--concurrency", "2", "--set", "upstream.retry.budget=0.5", "--load", "0.2"
    )
    assert found["backends"][0]["share"] > 0.74
    assert found["scenario"]["backends"] == [{"concurrency": 2, "weight": 3}, {"concurrency": 2, "weight": 1}]
    assert found["scenario"]["upstream"] == {"retry": {"budget": 0.5}}


def test_a_table(capsys):
    assert cli.main([*SMALL, "--strategy", "random,least_conn", "--max-conns", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2000 requests at 120/s, load 0.6, 4 backends")
    assert [line.split()[0] for line in lines[2:]] == ["strategy", "random", "least_conn"]


def test_an_upstream_of_a_configuration(capsys, tmp_path):
    file = tmp_path / "frontgate.toml"
    file.write_text(
        '[listen.web]\naddress = "127.0.0.1:8080"\n[site.a]\nnames = ["a"]\n[[site.a.route]]\npath = "/"\n'
        'upstream = "app"\n[upstream.app]\nbalance = "least_conn"\nmax_fails = 5\n'
        'servers = ["127.0.0.1:1", { address = "127.0.0.1:2", weight = 2 }]\n'
    )
    found = told(capsys, "-c", str(file))
    assert list(found["strategies"]) == ["least_conn"] and len(found["backends"]) == 2


def test_mistakes(capsys):
    for words, sentence in (
        (["--strategy", "best"], "balance: Input should be"),
        (["--weights", "a"], "--weights takes numbers"),
        (["--weights", "1,2,3", "--backends", "2"], "--weights says 3 numbers, and there are 2 backends"),
        (["--set", "nonsense"], "--set takes KEY=VALUE"),
        (["--json", "n" * 300], "cannot be written: File name too long"),
        (["--set", "upstream=3", "--speeds", "1,2"], "upstream: Input should be a valid dictionary"),
        (["--backends", "99999999999", "--speeds", "1"], "must be 1 to 100000 backends"),
        ([sys.executable], "cannot be read as a scenario: 'utf-8' codec"),
        (["nowhere.toml"], "nowhere.toml cannot be read as a scenario"),
        (["--strategy", "no.such:thing"], 'there is no strategy "no.such:thing"'),
    ):
        assert cli.main([*SMALL, *words]) == 1
        assert sentence in capsys.readouterr().err
