"""The Model that `frontgate run` makes of its options."""

from __future__ import annotations

import os

import pytest

from proxy.cli import parser
from proxy.cli.asking import Trouble
from proxy.cli.running import model_of, name_of, public
from proxy.config.source import ConfigError


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def made(*words):
        asked = parser().parse_args(["run", "main:app", "--runtime", str(tmp_path / "r"), *words])
        return model_of(asked, name_of(asked))

    return made


def test_alone_it_is_for_this_host(made, tmp_path):
    model = made()
    assert [(one.address, one.tls) for one in model.listen.values()] == [("127.0.0.1:8000", False)]
    assert model.site["main"].default and model.site["main"].route[0].upstream == "main"
    assert model.app["main"].folder == str(tmp_path)
    assert model.pid == f"{tmp_path}/r/main.pid"


def test_a_folder_that_somebody_else_has_made_is_not_touched(made, tmp_path, monkeypatch):
    (tmp_path / "r" / "main").mkdir(parents=True)
    (tmp_path / "r" / "main" / "lock").write_text("5")
    user = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: user)
    if os.stat(tmp_path).st_uid:  # what is root's is everybody's to trust
        with pytest.raises(Trouble, match="belongs to another user"):
            made()
    else:
        os.chown(tmp_path / "r", 12345, -1)
        with pytest.raises(Trouble, match="belongs to another user"):
            made()
    assert (tmp_path / "r" / "main" / "lock").read_text() == "5"


def test_a_public_domain_has_https_and_a_certificate(made):
    model = made("--domain", "api.example.com", "--email", "me@example.com")
    assert {(one.address, one.tls, one.redirect) for one in model.listen.values()} == {
        ("0.0.0.0:80", False, "https"),
        ("0.0.0.0:443", True, None),
    }
    assert model.site["main"].ordered and model.site["main"].names == ("api.example.com",)
    assert model.acme.agree and model.acme.email == "me@example.com"


@pytest.mark.parametrize("name", ["localhost", "app.internal", "10.0.0.1", "box", "app.test", "printer.local"])
def test_no_authority_certifies_these(made, name):
    assert not public(name)
    model = made("--domain", name)
    assert not model.site["main"].certificate and not any(one.tls for one in model.listen.values())


def test_ports_and_addresses(made):
    model = made("--domain", "api.example.com", "--http", "8080", "--https", "[::1]:8443")
    assert [one.address for one in model.listen.values()] == ["0.0.0.0:8080", "[::1]:8443"]
    assert list(made("--domain", "api.example.com", "--http", "off").listen) == ["https"]


def test_what_is_said_of_the_app(made, tmp_path):
    lives = ["--ready", "/up", "--max-requests", "9", "--drain", "5s", "--factory"]
    words = ["--server", "asgi", "--workers", "2x+1", "--concurrency", "threads", *lives]
    app = made(*words, "--env", "A=1", "--env", "x.env", "--server-arguments=--preload").app["main"]
    assert (app.server, app.workers, app.concurrency, app.ready.path) == ("asgi", "2x+1", "threads", "/up")
    assert (app.max_requests, app.drain, app.factory, app.arguments) == (9, 5.0, True, ("--preload",))
    assert (app.env, app.env_files) == ({"A": "1"}, (f"{tmp_path}/x.env",))
    assert made("--reload").app["main"].crew == made("--reload", "--workers", "2").app["main"].crew == 1


def test_the_root_path_is_stripped(made):
    routes = made("--root-path", "/api/").site["main"].route
    assert [(route.path, route.proxy.path) for route in routes] == [("/", None), ("/api/", "/")]


def test_beside_a_file(made, tmp_path):
    path = tmp_path / "frontgate.toml"
    path.write_text(
        '[listen.own]\naddress = "127.0.0.1:0"\n[upstream.main]\nretry = { attempts = 1 }\n[limit.l]\nrate = "1r/s"\n'
        '[site.own]\ndefault = true\n[[site.own.route]]\npath = "/"\nupstream = "main"\nlimits = ["l"]\n'
    )
    model = made("-c", str(path))
    assert list(model.listen) == ["own"] and list(model.site) == ["own"]
    assert model.upstream["main"].retry.attempts == 1 and len(model.upstream["main"].servers) > 1
    path.write_text('[site.x]\nname = ["a"]\n')
    with pytest.raises(ConfigError, match=r"frontgate.toml:2"):
        made("-c", str(path))


@pytest.mark.parametrize("words", [["--workers", "0"], ["--workers", "x"], ["--concurrency", "0"], ["--server", "no"]])
def test_what_cannot_be_understood_is_2(words):
    with pytest.raises(SystemExit) as left:
        parser().parse_args(["run", "main:app", *words])
    assert left.value.code == 2


def test_a_gunicorn_conf_says_how_many(made, tmp_path):
    pytest.importorskip("gunicorn")
    (tmp_path / "gunicorn.conf.py").write_text("workers = 2 * 3\n")
    assert made("--server", "gunicorn").app["main"].workers == 6
    assert made("--server", "gunicorn", "--workers", "2").app["main"].workers == 2
    assert made().app["main"].workers is None
