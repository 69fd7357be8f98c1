"""The table of Redis: what URLs say, what is wrong with them, and that passwords are not shown."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from proxy.config.model import Model
from proxy.config.redis import CLUSTER, ONE, SENTINEL, shown, whereabouts
from proxy.config.toml import ConfigError, load


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("redis://h", {"kind": ONE, "hosts": (("h", 6379),)}),
        ("redis://127.0.0.1:7/3", {"hosts": (("127.0.0.1", 7),), "database": 3}),
        ("rediss://[::1]:7?db=2", {"hosts": (("::1", 7),), "tls": True, "database": 2}),
        ("redis://me:p%40ss@h", {"user": "me", "password": "p@ss"}),
        ("redis://:p/a:s@s@h:1", {"user": None, "password": "p/a:s@s", "hosts": (("h", 1),)}),
        ("unix:///run/redis.sock?db=1", {"path": "/run/redis.sock", "database": 1, "hosts": ()}),
        ("unix://me:x@/run/r", {"path": "/run/r", "user": "me", "password": "x"}),
        (
            "redis+sentinel://a,b:2/front/4?sentinel_username=u&sentinel_password=p",
            {
                "kind": SENTINEL,
                "hosts": (("a", 26379), ("b", 2)),
                "service": "front",
                "database": 4,
                "sentinel_user": "u",
                "sentinel_password": "p",
            },
        ),
        ("rediss+cluster://a:1,b", {"kind": CLUSTER, "hosts": (("a", 1), ("b", 6379)), "tls": True}),
    ],
)
def test_urls(url, found):
    said = whereabouts(url)
    assert {key: getattr(said, key) for key in found} == found


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://h", "redis://"),
        ("redis://", "redis://"),
        ("redis://a,b", "redis://"),
        ("redis://h:0", "ports"),
        ("redis://h/x", "number"),
        ("redis://h?password=x", 'option "password"'),
        ("unix://", "socket file"),
        ("redis+sentinel://a:1", "the Sentinels know"),
        ("redis+cluster://a/1", "only one"),
        ("redis://h o", "redis://"),
    ],
)
def test_urls_that_say_nothing(url, word):
    with pytest.raises(ValueError, match=word.replace("+", r"\+")):
        whereabouts(url)


def test_passwords_are_not_shown():
    assert shown("redis://me:secret@h:1/0") == "redis://me:***@h:1/0"
    assert shown("redis://:a:b@c/d@h") == "redis://:***@h"
    assert shown("redis://h") == "redis://h"
    assert "p" not in shown("redis+sentinel://a/f?sentinel_password=p").rpartition("=")[2]


LIMIT = '[listen.web]\naddress = "127.0.0.1:1"\n[site.s]\ndefault = true\n[limit.l]\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('rate = "1r/s"\nshared = "redis"', 'limit "l" is shared, but there is no Redis: add [redis] with url'),
        ('rate = "1r/s"\nlease = 5', 'limit "l" has lease, which needs shared = "redis"'),
        ('rate = "1r/s"\non_failure = "open"', 'limit "l" has on_failure, which needs shared = "redis"'),
        ('in_flight = 3\nshared = "redis"', 'limit "l" counts requests in flight, which is done on each host'),
        ('rate = "1r/s"\nshared = "memcached"', "shared must be"),
        ('rate = "1r/s"\nshared = "redis"\nlease = 0', "lease must be 1 or more"),
        ('rate = "1r/s"\n[redis]\nurl = "redis://u:hidden@h:99999"', "must have ports from 1 to 65535"),
        ('rate = "1r/s"\n[redis]\nurl = "redis://h"\non_failure = "closed"', "on_failure must be"),
        ('rate = "1r/s"\n[redis]\nurl = "redis://h"\nsecret = "short"', "secret"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, sentence):
    file = tmp_path / "frontgate.toml"
    file.write_text(LIMIT + text)
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert sentence in str(raised.value) and f"{file}:" in str(raised.value)
    assert "hidden" not in str(raised.value)


def test_defaults():
    model = Model.model_validate({})
    assert (model.redis.url, model.redis.deadline, model.redis.on_failure) == (None, 0.025, "local")


def test_paths_begin_at_the_file(tmp_path):
    file = tmp_path / "frontgate.toml"
    file.write_text(LIMIT + 'rate = "1r/s"\n[redis]\nurl = "rediss://h"\ntrusted_ca = "ca.pem"')
    assert load(file)[0].redis.trusted_ca == str(tmp_path / "ca.pem")


def test_an_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="host"):
        Model.model_validate({"redis": {"host": "h"}})
