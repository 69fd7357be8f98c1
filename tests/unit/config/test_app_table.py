"""The table of an application: what it means as an upstream, and what is wrong with it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from proxy.config import app as apps
from proxy.config.model import Model
from proxy.config.source import ConfigError
from proxy.config.toml import load

TABLES = {
    "runtime": "/r",
    "listen": {"web": {"address": "127.0.0.1:0"}},
    "site": {"s": {"default": True, "route": [{"path": "/", "upstream": "main"}]}},
}


def model(app=None, **more):
    return Model.model_validate({**TABLES, "app": {"main": {"app": "main:app", "workers": 2, **(app or {})}}, **more})


def test_an_app_is_an_upstream_with_one_seat_more_than_workers():
    upstream = model().upstream["main"]
    assert [server.address for server in upstream.servers] == [f"unix:/r/main/{seat}.sock" for seat in range(3)]
    assert upstream.balance == "least_conn"
    assert upstream.keepalive_timeout < apps.KEPT  # so that a worker never closes an idle connection first
    assert {server.max_conns for server in upstream.servers} == {1000}
    assert {server.max_fails for server in upstream.servers} == {0}
    assert upstream.queue.size == 1000


@pytest.mark.parametrize(("word", "number"), [("async", 1000), ("threads", 40), ("blocking", 1), (7, 7)])
def test_how_many_at_a_time(word, number):
    found = model({"concurrency": word})
    assert found.app["main"].at_a_time == number
    assert {server.max_conns for server in found.upstream["main"].servers} == {number}


def test_the_upstream_beside_it_may_say_the_rest():
    upstream = model(upstream={"main": {"balance": "random_two", "retry": {"attempts": 1}}}).upstream["main"]
    assert (upstream.balance, upstream.retry.attempts, len(upstream.servers)) == ("random_two", 1, 3)
    assert upstream.keepalive_timeout == apps.IDLE


def test_the_number_of_workers(monkeypatch):
    monkeypatch.setattr(apps, "cores", lambda: 4)
    assert model({"workers": None}).app["main"].crew == 5
    assert model({"workers": "2x+1"}).app["main"].crew == 9
    assert model({"workers": None, "reload": True}).app["main"].crew == 1
    assert len(model({"workers": "2x+1"}).upstream["main"].servers) == 10


def test_what_is_dumped_is_the_same_when_it_is_read():
    found = model({"ready": "/healthz"}, upstream={"main": {"slow_start": "5s"}})
    assert Model.model_validate(found.model_dump(by_alias=True)) == found


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"upstream": {"main": {"servers": ["127.0.0.1:1"]}}}, "leave out servers"),
        ({"upstream": {"main": {"health": {"path": "/"}}}}, "write ready in"),
        ({"upstream": {"main": {"tls": {}}}}, "leave it out"),
    ],
)
def test_what_does_not_go_together(tables, words):
    with pytest.raises(ValidationError, match=words):
        model(**tables)


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ({"app": "main"}, "MODULE:NAME"),
        ({"app": "main.py:app:x"}, "MODULE:NAME"),
        ({"workers": 0}, "workers"),
        ({"workers": "many"}, "workers"),
        ({"concurrency": "none"}, "concurrency"),
        ({"root_path": "api"}, "root_path"),
        ({"env": {"A B": "x"}}, "names of variables"),
        ({"reload": True, "workers": 3}, "workers = 1"),
        ({"config": "gunicorn.conf.py"}, 'server = "gunicorn"'),
        ({"serve": "uvicorn"}, "serve"),
    ],
)
def test_what_is_wrong_with_an_app(app, words):
    with pytest.raises(ValidationError, match=words):
        model(app)


def test_paths_begin_at_the_file(tmp_path):
    path = tmp_path / "frontgate.toml"
    path.write_text(
        'runtime = "r"\n[app.main]\napp = "main:app"\napp_dir = "src"\nenv_files = [".env"]\nreload_dirs = ["src"]\n'
    )
    found = load(path)[0]
    app = found.app["main"]
    assert (found.runtime, app.folder, app.app_dir) == (f"{tmp_path}/r", str(tmp_path), f"{tmp_path}/src")
    assert (app.env_files, app.reload_dirs) == ((f"{tmp_path}/.env",), (f"{tmp_path}/src",))


def test_mistakes_are_told_with_their_lines(tmp_path):
    path = tmp_path / "frontgate.toml"
    path.write_text('[app.main]\napp = "main"\nworkers = 0\n\n[app.other]\napp = "other:app"\nserver = "hypercorn"\n')
    with pytest.raises(ConfigError) as wrong:
        load(path)
    assert {problem.line for problem in wrong.value.errors} == {2, 3, 7}


def test_programs_that_take_turns_have_sockets_of_their_own(monkeypatch):
    monkeypatch.delenv(apps.SIDE, raising=False)
    first, other = apps.folder("/r", "main"), apps.other_side()
    monkeypatch.setenv(apps.SIDE, other)
    assert apps.folder("/r", "main") != first
    monkeypatch.setenv(apps.SIDE, apps.other_side())
    assert apps.folder("/r", "main") == first
