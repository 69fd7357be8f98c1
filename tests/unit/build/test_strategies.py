"""Strategies of one's own are tried before anything is served, and problems stand in the line that names them."""

from __future__ import annotations

import logging
import os
import sys

import pytest

from proxy import catalog, cli
from proxy.build import balance, strategies
from proxy.clock import Clock
from proxy.config.balance import NAMES

CONFIG = """\
[listen.web]
address = "127.0.0.1:8080"
[upstream.app]
servers = ["127.0.0.1:1", { address = "127.0.0.1:2", weight = 2 }]
balance = "tried_one:Mine"
[site.s]
default = true
route = [{ path = "/", upstream = "app" }]
"""
GOOD = """\
class Mine:
    def __init__(self, backends, clock, rng):
        assert [one.weight for one in backends] == [1, 2]
"""


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (f"{GOOD}    def pick(self, exchange, tried): return None\n", ""),
        (GOOD, '"tried_one:Mine" makes no strategy: Mine has no pick(exchange, tried)'),
        ("", "tried_one.py has no Mine"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "it ended the process that made it"),
    ],
)
def test_check(tmp_path, capfd, source, sentence):
    (tmp_path / "tried_one.py").write_text(source)
    (tmp_path / "frontgate.toml").write_text(CONFIG)
    assert cli.main(["check", "-c", str(tmp_path / "frontgate.toml")]) == bool(sentence)
    said = capfd.readouterr().err
    assert sentence in said and (f"{tmp_path}/frontgate.toml:5: " in said) is bool(sentence)
    assert "tried_one" not in sys.modules


def test_one_that_takes_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(strategies, "LONGEST", 1)
    (tmp_path / "for_ever.py").write_text("import threading\nthreading.Event().wait()\n")
    table = strategies.Upstream(balance="for_ever:Mine", balance_from=str(tmp_path), servers=["a:1"])
    assert "took too long" in strategies.tried(table, lambda: None)


def test_it_is_tried_as_whom_it_would_serve(tmp_path):
    """Before others' code runs, what workers may not do is given up, for a master may be root."""
    (tmp_path / "tried_one.py").write_text("import os\nraise ValueError(os.environ['BECAME'])\n")
    table = strategies.Upstream(balance="tried_one:Mine", balance_from=str(tmp_path), servers=["a:1"])

    def become():
        os.environ["BECAME"] = "nobody"

    assert "ValueError: nobody" in strategies.tried(table, become) and "BECAME" not in os.environ

    def unknown():
        raise KeyError("name not found")

    assert strategies.tried(table, unknown) == ""


def test_a_name_that_is_not_known(tmp_path, capsys):
    file = tmp_path / "frontgate.toml"
    for name, sentence in (
        ("least_con", '(got "least_con"); did you mean "least_conn"?'),
        ("mine", """or "package.module:factory" (got "mine")"""),
    ):
        file.write_text(CONFIG.replace("tried_one:Mine", name))
        assert cli.main(["check", "-c", str(file)]) == 1
        assert f"{file}:5: balance must be " in (said := capsys.readouterr().err) and sentence in said
    file.write_text(CONFIG.replace("tried_one:Mine", 'hash"\nhash = "$uri"\nbalance_from = "x'))
    assert cli.main(["check", "-c", str(file)]) == 1
    assert f"{file}:7: balance_from goes with a balance of one's own only" in capsys.readouterr().err


def test_complaints_come_once_in_a_while(caplog):
    clock = Clock(1000.0)
    wrong = balance.Complaints("own:Mine", clock)
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            wrong(KeyError("x"))
        clock.now += balance.COMPLAIN_EVERY
        wrong(KeyError("x"))
    assert [record.args[1] for record in caplog.records] == [1, 5]
    assert "balance = own:Mine failed 1 times; what it did not pick, round_robin did: KeyError: 'x'" in caplog.text


def test_every_name_of_a_configuration_is_in_the_catalog():
    assert set(catalog.BALANCE) == set(NAMES)
