"""The configuration as it is shown: lines, defaults, and no secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.admin.configured import HIDDEN, configuration
from proxy.config import reading, toml
from proxy.config.model import Model

ROOT = Path(__file__).resolve().parents[3]

SECRETS = """
[admin]
listen = "127.0.0.1:9000"
token = "token.txt"
[acme.eab]
kid = "who"
key = "SECRET-hmac"
[redis]
url = "redis://user:SECRET@10.0.0.1:6379/0"
secret = "SECRET-hashing"
[trace.export]
endpoint = "http://127.0.0.1:4318/v1/traces"
headers = { x-honeycomb-team = "SECRET" }
[listen.web]
address = "127.0.0.1:80"
[upstream.app]
servers = ["127.0.0.1:8001", { address = "127.0.0.1:8002", weight = 3 }]
sticky = { cookie = "route" }
[site.s]
names = ["a.example.com"]
certificate = "data:SECRET-----BEGIN PRIVATE KEY-----"
key = "data:SECRET"
[[site.s.route]]
path = "/"
upstream = "app"
request_headers = { set = { Authorization = "Basic SECRET", X-Api-Key = "SECRET", X-Plain = "shown" } }
proxy = { set_headers = [{ name = "Proxy-Authorization", value = "SECRET" }, { name = "X", value = "Bearer SECRET" }] }
[[site.s.route]]
path = "/files"
upstream = "app"
[site.s.route.secure_link]
secret = "SECRET"
"""


def shown(tmp_path, text, name="frontgate.toml"):
    path = tmp_path / name
    path.write_text(text)
    found = configuration(reading.load(str(path))[0])
    assert found.file == str(path)
    return {value.key: value for value in found.values}


def test_each_value_has_its_line_and_defaults_have_none(tmp_path):
    found = shown(tmp_path, SECRETS)
    lines = SECRETS.splitlines()
    for key, value in (
        ("admin.listen", "127.0.0.1:9000"),
        ("upstream.app.servers.0.address", "127.0.0.1:8001"),
        ("upstream.app.servers.1.weight", 3),
        ("site.s.names", ["a.example.com"]),
        ("site.s.route.1.path", "/files"),
    ):
        assert found[key].value == value and found[key].said
        shown_in = lines[found[key].line - 1]
        assert str(value[0] if isinstance(value, list) else value) in shown_in
    default = found["upstream.app.balance"]
    assert (default.value, default.said, default.line, default.file) == ("round_robin", False, None, None)
    assert not found["upstream.app.servers.0.weight"].said


@pytest.mark.parametrize("password", ["SECRET", "SEC@RET", "SE/CRET"])
def test_a_password_of_redis_is_hidden_whatever_is_in_it(tmp_path, password):
    found = shown(tmp_path, SECRETS.replace("user:SECRET", f"user:{password}"))
    assert found["redis.url"].value == f"redis://{HIDDEN}@10.0.0.1:6379/0"


def test_secrets_are_never_shown(tmp_path):
    found = shown(tmp_path, SECRETS)
    assert "SECRET" not in repr(found)
    for key in ("acme.eab.key", "redis.secret", "site.s.route.1.secure_link.secret", "site.s.key.0", "site.s.key"):
        if key in found:
            assert found[key].value == HIDDEN and found[key].secret
    assert found["redis.url"].value == f"redis://{HIDDEN}@10.0.0.1:6379/0"
    assert found["site.s.route.0.request_headers.set.X-Plain"].value == "shown"
    assert found["upstream.app.sticky.cookie"].value == "route"  # a name is no secret
    assert found["admin.token"].value == str(tmp_path / "token.txt")  # nor is where one lies


def test_an_nginx_conf_names_its_own_lines(tmp_path):
    text = """events {}
http {
  upstream app {
    server 127.0.0.1:8001 weight=2;
  }
  server {
    listen 127.0.0.1:8080;
    location / { proxy_pass http://app; }
  }
}
"""
    found = shown(tmp_path, text, "nginx.conf")
    weight = next(value for key, value in found.items() if key.endswith("servers.0.weight"))
    assert (weight.value, weight.line) == (2, 4) and weight.file == str(tmp_path / "nginx.conf")


def test_the_whole_example_can_be_shown(tmp_path):
    path = tmp_path / "frontgate.toml"
    path.write_text((ROOT / "config" / "frontgate.toml").read_text())
    found = configuration(toml.read(path))
    assert len(found.values) > 100 and all(value.line for value in found.values if value.said)
    found.model_dump_json()


def test_a_model_that_was_not_read_from_a_file_has_no_lines():
    found = configuration(Model.model_validate({"workers": 2}))
    assert found.file is None and not any(value.said for value in found.values)


@pytest.mark.parametrize("text", ["workers = 2\n", "\n\nworkers = 2\n"])
def test_where_a_configuration_was_read_from_is_no_part_of_what_it_says(tmp_path, text):
    (tmp_path / "a.toml").write_text("workers = 2\n")
    (tmp_path / "b.toml").write_text(text)
    one, other = toml.read(tmp_path / "a.toml"), toml.read(tmp_path / "b.toml")
    assert one == other and one.origin.file != other.origin.file
