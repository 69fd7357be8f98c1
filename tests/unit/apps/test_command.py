"""What is executed for a worker, and with which variables."""

from __future__ import annotations

import json
import sys
from itertools import pairwise

import pytest

from proxy.apps.command import SCRIPT, command, environment, looking, variables, worker_class
from proxy.config.app import IDLE, App


def app(**words):
    return App.model_validate({"app": "main:app", **words})


def test_uvicorn_is_told_where_to_listen_and_how_long_to_keep_connections():
    words = command(app(root_path="/api", factory=True, arguments=["--ws", "wsproto"]), "unix:/r/main/0.sock", {})
    assert words[:5] == [sys.executable, "-P", SCRIPT, "uvicorn", "{}"]
    said = dict(pairwise(words))
    assert said["--uds"] == "/r/main/0.sock" and said["--workers"] == "1"
    assert float(said["--timeout-keep-alive"]) > IDLE
    assert said["--forwarded-allow-ips"] == "*" and said["--root-path"] == "/api" and said["--ws"] == "wsproto"
    assert "--factory" in words and words[-1] == "main:app"


@pytest.mark.parametrize(("server", "kind"), [("gunicorn", "uvicorn_worker.UvicornWorker"), ("asgi", "asgi")])
def test_gunicorn_is_one_worker_that_does_not_end_by_itself(server, kind):
    words = command(app(server=server, factory=True), "unix:/r/main/0.sock", {"max_requests": 100, "workers": 9})
    settings = json.loads(words[4])
    assert (settings["bind"], settings["workers"], settings["worker_class"]) == (["unix:/r/main/0.sock"], 1, kind)
    assert settings["keepalive"] > IDLE and settings["max_requests"] == 0
    assert words[-1] == "main:app()"


def test_a_worker_class_of_ones_own_stays():
    said = {"worker_class": "mine.Worker"}
    assert worker_class(app(server="gunicorn"), said) == "mine.Worker"
    assert worker_class(app(server="asgi"), said) == "asgi"
    deprecated = {"worker_class": "uvicorn.workers.UvicornWorker"}
    assert worker_class(app(server="gunicorn"), deprecated) == "uvicorn_worker.UvicornWorker"


def test_gunicorns_file_is_named_where_it_is_given():
    assert looking(app(server="gunicorn", config="/x/conf.py"))[-3:] == ["--config", "/x/conf.py", "main:app"]


def test_variables_of_ours_do_not_reach_the_application(tmp_path):
    (tmp_path / "env").write_text("A=file\nB=file\n")
    given = {"PATH": "/bin", "A": "given", "NOTIFY_SOCKET": "/x", "LISTEN_FDS": "3", "FRONTGATE_SIDE": "~"}
    found = environment(app(env={"B": "table"}, env_files=[f"{tmp_path}/env"]), "main.0", given)
    assert found["PATH"] == "/bin" and found["A"] == "file" and found["B"] == "table"
    assert found["FRONTGATE_WORKER"] == "main.0"
    assert not {"NOTIFY_SOCKET", "LISTEN_FDS", "FRONTGATE_SIDE"} & found.keys()


def test_files_of_variables():
    text = "# comment\n\nA=1\nexport B='two words' # why\nC=\"x=y\"\nD=plain # why\nE=\n"
    assert variables(text, "f") == {"A": "1", "B": "two words", "C": "x=y", "D": "plain", "E": ""}
    for wrong in ("A", "=1", "A B=1"):
        with pytest.raises(ValueError, match="f:1: must be KEY=VALUE"):
            variables(wrong, "f")
