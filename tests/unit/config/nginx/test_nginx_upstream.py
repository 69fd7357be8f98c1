"""upstream blocks: what becomes of each directive, and nginx's sentences about what is wrong."""

from __future__ import annotations

import pytest

from proxy.config.nginx import addresses
from proxy.config.nginx.reader import read
from proxy.config.source import ConfigError

AROUND = "events {{}}\nhttp {{\n{}\nserver {{ listen 127.0.0.1:8080; location / {{ return 204; }} }}\n}}\n"


@pytest.fixture
def reading(tmp_path):
    def made(text):
        file = tmp_path / "nginx.conf"
        file.write_text(AROUND.format(text))
        return read(str(file), str(tmp_path)).model["upstream"]

    return made


@pytest.fixture
def wrong(reading):
    def sentence(text):
        with pytest.raises(ConfigError) as error:
            reading(text)
        return str(error.value.errors[0])

    return sentence


@pytest.fixture(autouse=True)
def names(monkeypatch):
    known = {"two.test": ["10.0.0.1", "10.0.0.2", "::1"]}

    def looked_up(host):
        if host not in known:
            raise ValueError("host not found")
        return known[host]

    monkeypatch.setattr(addresses, "looked_up", looked_up)


def test_a_server_and_its_defaults(reading):
    table = reading("upstream u { server 127.0.0.1; }")["u"]
    assert table["servers"] == [{"address": "127.0.0.1:80", "name": "127.0.0.1"}]
    assert (table["max_fails"], table["fail_timeout"], table["queue"]) == (1, 10.0, {"size": 0})
    kept = ("keepalive", "keepalive_all", "keepalive_timeout", "keepalive_requests", "keepalive_time")
    assert [table[key] for key in kept] == [32, 32, 60.0, 1000, 3600.0]


def test_everything_a_server_can_say(reading):
    words = "weight=3 max_conns=7 max_fails=0 fail_timeout=1m slow_start=30s backup down route=one"
    server = reading(f"upstream u {{ server 10.0.0.9:1; server unix:/run/app.sock {words}; }}")["u"]["servers"][1]
    assert server == {
        "address": "unix:/run/app.sock", "name": "unix:/run/app.sock", "weight": 3, "max_conns": 7, "max_fails": 0,
        "fail_timeout": 60, "slow_start": 30, "backup": True, "down": True, "route": "one",
    }  # fmt: skip


def test_all_addresses_of_a_name_are_servers(reading):
    servers = reading("upstream u { server two.test:81 weight=2; }")["u"]["servers"]
    assert [one["address"] for one in servers] == ["10.0.0.1:81", "10.0.0.2:81", "[::1]:81"]
    assert {one["name"] for one in servers} == {"two.test:81"} and {one["weight"] for one in servers} == {2}


def test_an_address_may_be_there_twice(reading):
    servers = reading("upstream u { server 10.0.0.1; server 10.0.0.1:80; }")["u"]["servers"]
    assert [one.get("tag") for one in servers] == [None, "2"]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("least_conn;", {"balance": "least_conn"}),
        ("ip_hash;", {"balance": "ip_hash"}),
        ("hash $arg_a;", {"balance": "hash", "hash": "$arg_a", "consistent": False}),
        ("hash $arg_a$uri consistent;", {"balance": "hash", "hash": "$arg_a$uri", "consistent": True}),
        ("random;", {"balance": "random"}),
        ("random two;", {"balance": "random_two", "random_by": "least_conn"}),
        ("random two least_time=last_byte;", {"balance": "random_two", "least_time": "last_byte"}),
        ("least_time header;", {"balance": "least_time", "least_time": "header", "inflight": False}),
        ("least_time last_byte inflight;", {"balance": "least_time", "least_time": "last_byte", "inflight": True}),
    ],
)
def test_methods(reading, method, expected):
    table = reading(f"upstream u {{ {method} server 10.0.0.1; }}")["u"]
    assert expected.items() <= table.items()


def test_idle_connections_and_a_queue(reading):
    text = "keepalive 3 local; keepalive_requests 5; keepalive_time 2m; keepalive_timeout 5s; queue 10 timeout=7s;"
    table = reading(f"upstream u {{ server 10.0.0.1; {text} }}")["u"]
    kept = ("keepalive", "keepalive_all", "keepalive_timeout", "keepalive_requests", "keepalive_time")
    assert [table[key] for key in kept] == [3, 3, 5.0, 5, 120.0] and table["queue"] == {"size": 10, "timeout": 7.0}


def test_sticky_by_cookie(reading):
    words = 'cookie srv "expires=1h 3m" domain=.$host path=/ httponly secure samesite=lax'
    assert reading(f"upstream u {{ server 10.0.0.1; sticky {words}; }}")["u"]["sticky"] == {
        "cookie": "srv", "expires": 3780, "domain": ".$host", "path": "/", "httponly": True, "secure": True,
        "samesite": "lax",
    }  # fmt: skip
    assert reading("upstream u { server 10.0.0.1; sticky cookie s expires=max; }")["u"]["sticky"]["expires"] == "max"


def test_sticky_by_route_and_session(reading):
    routes = reading("upstream u { server 10.0.0.1; sticky route $cookie_a $arg_b; }")["u"]["sticky"]
    assert routes == {"route": ["$cookie_a", "$arg_b"]}
    words = "create=$upstream_cookie_s lookup=$cookie_s lookup=$arg_s zone=z:1m timeout=1h header sync"
    assert reading(f"upstream u {{ server 10.0.0.1; sticky learn {words}; }}")["u"]["sticky"]["learn"] == {
        "create": ["$upstream_cookie_s"], "lookup": ["$cookie_s", "$arg_s"], "memory": 1 << 20, "timeout": 3600.0,
        "at": "head",
    }  # fmt: skip


def test_names_that_are_looked_up_while_running(reading):
    text = "resolver 127.0.0.1:5353 valid=30s ipv6=off; resolver_timeout 5s;"
    text += "upstream u { zone u 64k; server late.test resolve; server late.test service=http resolve; }"
    table = reading(text)["u"]
    assert [one["address"] for one in table["servers"]] == ["late.test:80", "late.test:80"]
    assert table["resolver"] == {"servers": ["127.0.0.1:5353"], "valid": 30, "ipv6": False, "timeout": 5.0}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("upstream u { }", "no servers are inside upstream"),
        ("upstream u { server 10.0.0.1 backup; }", 'no servers in upstream "u"'),
        ("upstream u { server 10.0.0.1; }\nupstream U { server 10.0.0.1; }", 'duplicate upstream "U"'),
        ("upstream u { server none.test; }", 'host not found in upstream "none.test"'),
        ("upstream u { server 10.0.0.1:0; }", 'invalid port in upstream "10.0.0.1:0"'),
        ("upstream u { server 10.0.0.1 weight=0; }", 'invalid parameter "weight=0"'),
        ("upstream u { server 10.0.0.1 sideways; }", 'invalid parameter "sideways"'),
        ("upstream u { server 10.0.0.1 route=; }", "route is empty"),
        (f"upstream u {{ server 10.0.0.1 route={'x' * 33}; }}", "route is longer than 32"),
        ("upstream u { ip_hash; server 10.0.0.1 backup; }", 'balancing method does not support parameter "backup"'),
        ("upstream u { hash $uri twice; server 10.0.0.1; }", 'invalid parameter "twice"'),
        ("upstream u { random three; server 10.0.0.1; }", 'invalid parameter "three"'),
        ("upstream u { server 10.0.0.1; zone z 1k; }", 'zone "z" is too small'),
        ("upstream u { server 10.0.0.1; keepalive x; }", 'invalid value "x" in "keepalive" directive'),
        ("upstream u { server 10.0.0.1; sticky route name; }", 'invalid variable name "name"'),
        ("upstream u { server 10.0.0.1; sticky cookie s color=red; }", 'unknown parameter "color=red"'),
        ("upstream u { server 10.0.0.1; sticky cookie s samesite=no; }", 'invalid "samesite" parameter value'),
        ("upstream u { server 10.0.0.1; sticky learn create=$a lookup=$b; }", '"zone" parameter is not specified'),
        ("upstream u { server late.test resolve; }", "to be in shared memory"),
        ("upstream u { zone z 64k; server late.test resolve; }", "no resolver defined to resolve names at run time"),
        ("upstream u { server 10.0.0.1 service=http; }", 'requires "resolve" parameter'),
        ("upstream u { hash $nothing; server 10.0.0.1; }", 'unknown "nothing" variable'),
    ],
)
def test_what_is_wrong(wrong, text, sentence):
    assert sentence in wrong(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", ("10.0.0.1", 0, "")),
        ("app.test:81", ("app.test", 81, "")),
        ("[::1]", ("::1", 0, "")),
        ("[::1]:81", ("::1", 81, "")),
        ("unix:/run/a.sock", ("", 0, "/run/a.sock")),
        ("unix:/run/a.sock:", ("", 0, "/run/a.sock")),
    ],
)
def test_addresses(text, expected):
    assert tuple(addresses.url(text)) == expected


@pytest.mark.parametrize("text", ["", ":80", "[::1", "[nonsense]", "unix:", "a:b", "a:65536"])
def test_addresses_that_are_none(text):
    with pytest.raises(ValueError):
        addresses.url(text)
