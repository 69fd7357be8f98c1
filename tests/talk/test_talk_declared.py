"""Conversations: variables that the configuration declares, and limits that count by them."""

from __future__ import annotations

import pytest
from stage import ONE

SITE = ONE + "[site.all]\ndefault = true\nnames = ['door']\n"
UP = '[upstream.app]\nservers = ["10.0.0.1:1"]\n'
REPLY = "reply = { body = 'in' }"


def route(path, *lines, match="prefix"):
    return f"[[site.all.route]]\nmatch = '{match}'\npath = '{path}'\n" + "\n".join(lines) + "\n"


def says(text):
    return "script = [{ return = 200, to = '" + text + "' }]"


def told(door, target=b"/", more=b"", peer=("192.0.2.7", 4711)):
    client = door.client(peer)
    client.get(target, more)
    return client.answer().body


MAP = r"""
[map.y]
from = "$args"
default = "none"
hostnames = true
[map.y.cases]
"example.com" = "foo"
"example.*" = "right"
"*.example.com" = "left"
".dot.example.com" = "special"
"~^REGEX.EXAMPLE\\.ORG$" = "sensitive"
"~*^(?<first>www).regex.(.*)$" = "insensitive $first $2"
'\~text' = "literal"
server = "$server_name"
other = "$z"
loop = "$y"
[map.z]
from = "$arg_a$arg_b$args"
cases = { other = "of $uri", 12 = "" }
[map.Both]
from = "$arg_a-$arg_b"
default = "$arg_a"
cases = { "1-2" = "joined" }
"""


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        (b"example.com", b"foo"), (b"EXAMPLE.COM", b"foo"), (b"example.com.", b"foo"), (b"example.org", b"right"),
        (b"foo.example.com", b"left"), (b"a.b.example.com.", b"left"), (b"dot.example.com", b"special"),
        (b"www.dot.example.com", b"special"), (b"REGEX.EXAMPLE.ORG", b"sensitive"), (b"regex.example.org", b"none"),
        (b"WWW.regex.x", b"insensitive WWW x"), (b"~text", b"literal"), (b"server", b"door"), (b"other", b"of /"),
        (b"loop", b""), (b"", b"none"),
    ],
)  # fmt: skip
def test_cases_of_a_map(opened, asked, value):
    assert told(opened(MAP + SITE + route("/", says("$y"))), b"/?" + asked) == value


def test_a_map_of_several_variables(opened):
    door = opened(MAP + SITE + route("/", says("$both")))
    assert told(door, b"/?a=1&b=2") == b"joined" and told(door, b"/?a=3&b=2") == b"3"


def test_a_map_is_found_once_unless_it_is_volatile(opened):
    maps = "[map.kept]\nfrom='$uri'\ndefault='$uri'\n[map.fresh]\nfrom='$uri'\ndefault='$uri'\nvolatile=true\n"
    script = "{ set = 'a', to = '$kept$fresh' }, { rewrite = '^', to = '/b' }"
    door = opened(maps + SITE + route("/", f"script = [{script}, {{ return = 200, to = '$a $kept$fresh' }}]"))
    assert told(door, b"/a") == b"/a/a /a/b"


GEO = """
[geo.by_client]
default = "world"
networks = { "192.0.2.0/24" = "test", "192.0.2.7" = "one", "2001:db8::/32" = "six", "255.255.255.255" = "none" }
[geo.by_text]
from = "$arg_ip"
default = "default"
networks = { "10.0.0.0-10.0.0.9" = "range", "10.0.0.5-10.0.0.6" = "inner", "255.255.255.255" = "none" }
[geo.by_proxy]
default = "default"
proxies = ["192.0.2.0/24"]
recursive = true
networks = { "203.0.113.0/24" = "behind" }
"""


def test_networks_of_a_geo(opened):
    door = opened(GEO + SITE + route("/", says("$by_client $by_text $by_proxy")))
    assert told(door) == b"one none default"
    assert told(door, peer=("192.0.2.8", 1)) == b"test none default"
    assert told(door, peer=("198.51.100.1", 1)) == b"world none default"
    assert told(door, peer=("2001:db8::5", 1)) == b"six none default"
    assert told(door, peer="") == b"none none default"
    assert told(door, b"/?ip=10.0.0.4").split()[1] == b"range"
    assert told(door, b"/?ip=10.0.0.6").split()[1] == b"inner"
    assert told(door, b"/?ip=10.0.0.10").split()[1] == b"default"
    assert told(door, b"/?ip=10.0.0.4:80").split()[1] == told(door, b"/?ip=[::1]").split()[1] == b"none"
    assert told(door, more=b"X-Forwarded-For: 203.0.113.1, 192.0.2.9\r\n").split()[2] == b"behind"
    assert told(door, more=b"X-Forwarded-For: 203.0.113.1, 8.8.8.8\r\n").split()[2] == b"default"


def test_parts_of_a_split(opened):
    parts = "{ percent = 51.2, value = 'one' }, { percent = 10, value = 'two' }"
    door = opened(f"[split.v]\nfrom = '$arg_n'\nparts = [{parts}]\ndefault = 'three'\n" + SITE + route("/", says("$v")))
    found = [told(door, b"/?n=%d" % number) for number in range(1, 21)]
    assert [found.count(name) for name in (b"one", b"two", b"three")] == [12, 2, 6]  # as nginx has it for these
    assert found == [told(door, b"/?n=%d" % number) for number in range(1, 21)]


def limit(*lines):
    return "[limit.l]\n" + "\n".join(lines) + "\n"


def test_a_limit_by_a_text(opened):
    door = opened(limit("key = '$arg_a$arg_b'", "rate = '1r/m'") + SITE + route("/", REPLY, "limits = ['l']"))
    client = door.client()
    for target, status in (
        (b"/?a=1", 200),
        (b"/?a=1", 429),
        (b"/?b=1", 429),
        (b"/?a=2", 200),
        (b"/", 200),
        (b"/", 200),
    ):
        client.get(target)
        assert client.status() == status, target


def test_a_route_says_otherwise(opened):
    door = opened(
        limit("rate = '1r/m'")
        + SITE
        + route("/", REPLY, "limits = ['l']")
        + route("/more", REPLY, "limits = [{ name = 'l', burst = 2, nodelay = true, status = 503 }]")
        + route("/dry", REPLY, "limits = [{ name = 'l', dry_run = true }]")
    )
    client = door.client()

    def status(target):
        client.get(target)
        return client.status()

    assert [status(b"/"), status(b"/")] == [200, 429]
    assert [status(b"/more"), status(b"/more"), status(b"/more")] == [200, 200, 503]
    assert status(b"/dry") == 200 and door.last.limit_status == "rejected_dry_run"


def test_what_a_limit_tells_the_error_log(opened, caplog):
    door = opened(
        limit("rate = '1r/m'", "log = 'error'")
        + "[limit.c]\nin_flight = 1\nlog = 'info'\n"
        + UP
        + SITE
        + route("/", REPLY, "limits = ['l']")
        + route("/slow", REPLY, "limits = [{ name = 'l', burst = 1 }]")
        + route("/held", "upstream = 'app'", "limits = ['c']")
        + route("/quiet", REPLY, "limits = [{ name = 'c', dry_run = true }]")
    )
    client = door.client()
    with caplog.at_level(0):
        client.get(b"/")
        client.get(b"/")
        door.client().get(b"/slow")
        held, other = door.client(), door.client()
        held.get(b"/held")
        other.get(b"/held")
        other.get(b"/quiet")
    door.wait(100, step=10)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "frontgate"]
    assert ("ERROR", 'limiting requests, excess: 1.000 by zone "l"') in lines
    assert ("INFO", 'limiting connections by zone "c"') in lines
    assert ("INFO", 'limiting connections, dry run, by zone "c"') in lines
    assert ("WARNING", 'delaying request, excess: 1.000, by zone "l"') in [
        (record.levelname, record.getMessage()) for record in caplog.records
    ]


def test_what_is_in_flight_is_given_back_on_whatever_route_it_ends(opened):
    door = opened(
        "[limit.c]\nin_flight = 1\n"
        + UP
        + SITE
        + "error_pages = [{ status = [502, 503], to = '/page' }]\n"
        + route("/", "upstream = 'app'", "limits = [{ name = 'c', status = 503 }]")
        + route("/page", says("page $limit_conn_status"))
    )
    door.backend().accepts = False
    for _ in range(3):
        assert told(door) == b"page PASSED"
    assert told(door, b"/page") == b"page "
    door.backend().accepts = True
    door.wait(30)
    held = door.client()
    held.get()
    assert told(door) == b"page REJECTED"
    door.backend().answers(b"ok")
    assert held.answer().body == b"ok"


def test_a_request_is_charged_once_whatever_routes_it_takes(opened):
    door = opened(
        limit("rate = '1r/m'", "burst = 1", "nodelay = true")
        + SITE
        + "error_pages = [{ status = [404], to = '/page' }]\n"
        + route("/", "reply = { status = 404 }", "limits = ['l']")
        + route("/page", "reply = { body = 'page' }", "limits = ['l']")
    )
    assert [told(door) for _ in range(2)] == [b"page", b"page"]
    assert told(door) != b"page"


def test_a_variable_of_the_house_that_a_route_sets_is_its_own_elsewhere(opened):
    door = opened(
        SITE
        + route("/set", "script = [{ set = 'http_x', to = 'set' }, { return = 200, to = '$http_x' }]")
        + route("/", says("$http_x"))
    )
    assert told(door, b"/set", b"X: sent\r\n") == b"set" and told(door, b"/", b"X: sent\r\n") == b"sent"
