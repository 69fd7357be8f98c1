"""What the slices of declared variables, limits and access make of an nginx.conf."""

from __future__ import annotations

import pytest

from proxy.config.nginx import reader
from proxy.config.source import ConfigError

FRAME = "events {}\nhttp {\n%s\nserver { listen 127.0.0.1:8080; %s location / { %s } }\n}\n"


@pytest.fixture
def read(tmp_path):
    """Reads a configuration of these directives of http, server and location: (tables, the location's route)."""

    def make(http="", server="", location="return 204;", lenient=False):
        path = tmp_path / "nginx.conf"
        path.write_text(FRAME % (http, server, location))
        reading = reader.read(path, str(tmp_path), lenient=lenient)
        (site,) = reading.model["site"].values()
        return reading.model, site, next(one for one in site["route"] if one["path"] == "/")

    return make


def refused(read, *parts):
    with pytest.raises(ConfigError) as told:
        read(*parts)
    return "; ".join(problem.sentence for problem in told.value.errors)


def test_map(read):
    text = r'map $host$uri $X { hostnames; volatile; default "a $uri"; *.A.org 1; ~^(?<n>x) $n; \include 2; "" 3; }'
    table = read(text)[0]["map"]["x"]
    assert table == {
        "from": "$host$uri",
        "hostnames": True,
        "volatile": True,
        "default": "a $uri",
        "cases": {"*.a.org": "1", "~^(?<n>x)": "$n", r"\include": "2", "": "3"},
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("map $uri x { }", 'invalid variable name "x"'),
        ("map $uri $x { a b c; }", "invalid number of the map parameters"),
        ("map $uri $x { a 1; A 2; }", 'conflicting parameter "A"'),
        ("map $uri $x { default 1; default 2; }", "duplicate default map parameter"),
        ("map $uri $x { a $nothing; }", 'unknown "nothing" variable'),
        ("geo $x { a 1; }", 'invalid network "a"'),
        ("geo $x { ranges; 1.1.1.9-1.1.1.1 1; }", 'invalid range "1.1.1.9-1.1.1.1"'),
        ("split_clients $uri $x { 60% a; 50% b; }", "percent total is greater than 100%"),
        ("split_clients $uri $x { a b; }", 'invalid percent value "a"'),
        ("limit_req_zone $uri zone=a:1m rate=x;", 'invalid rate "rate=x"'),
        ("limit_req_zone $uri zone=a:1k rate=1r/s;", 'zone "a:1k" is too small'),
        ("limit_req_zone $uri rate=1r/s sync=1;", 'invalid parameter "sync=1"'),
        ("limit_conn_zone $uri zone=a:1m; limit_conn_zone $uri zone=a:1m;", "already bound to key"),
        ("limit_req zone=none;", 'zero size shared memory zone "none"'),
        ("limit_conn none 1;", 'zero size shared memory zone "none"'),
        ("limit_conn_zone $uri zone=a:1m; limit_conn a x;", 'invalid number of connections "x"'),
        ("limit_conn_zone $uri zone=a:1m; limit_conn a 1; limit_conn a 2;", "directive is duplicate"),
        ("allow nonsense;", 'invalid parameter "nonsense"'),
        ("set_real_ip_from nothing.invalid;", "host not found in set_real_ip_from"),
        ("satisfy some;", 'invalid value "some"'),
        ("auth_request_set user $uri;", 'invalid variable name "user"'),
    ],
)
def test_what_is_refused(read, text, sentence):
    assert sentence in refused(read, text)


def test_geo(read):
    text = "geo $x { default d; 10.0.0.1/8 a; 2001:db8::/32 b; delete 10.0.0.0/8; proxy 127.0.0.1; proxy_recursive; }"
    assert read(text)[0]["geo"]["x"] == {
        "default": "d",
        "networks": {"2001:db8::/32": "b"},
        "proxies": ["127.0.0.1/32"],
        "recursive": True,
    }
    assert read("geo $arg_ip $x { 1.1.1.1 a; }")[0]["geo"]["x"]["from"] == "$arg_ip"


def test_ranges_of_a_geo(read):
    text = "geo $x { ranges; 10.0.0.0-10.0.0.255 a; 10.0.0.1-10.0.0.2 b; delete 10.0.0.0-10.0.0.0; }"
    assert read(text)[0]["geo"]["x"]["networks"] == {
        "10.0.0.3-10.0.0.255": "a",
        "10.0.0.1-10.0.0.2": "b",
    }


def test_split_clients(read):
    table = read('split_clients "$remote_addr!" $x { 0.5% .one; 10% .two; * ""; }')[0]["split"]["x"]
    parts = [{"percent": 0.5, "value": ".one"}, {"percent": 10.0, "value": ".two"}]
    assert table == {"from": "$remote_addr!", "parts": parts, "default": ""}


def test_limits(read):
    zones = (
        "limit_req_zone $binary_remote_addr zone=a:1m rate=30r/m; limit_req_zone $uri$args zone=b:64k rate=5;"
        "limit_conn_zone $server_name zone=c:1m; limit_req_status 429; limit_conn_log_level warn;"
    )
    uses = "limit_req zone=a burst=5 nodelay; limit_req zone=b burst=4 delay=2; limit_conn c 7; limit_conn_dry_run on;"
    tables, _, route = read(zones, uses)
    assert tables["limit"]["a"] == {
        "memory": 1 << 20, "rate": "30r/m", "key": "address", "ipv6_prefix": 128, "headers": "none",
    }  # fmt: skip
    assert (tables["limit"]["b"]["key"], tables["limit"]["b"]["rate"]) == ("$uri$args", "5r/s")
    common = {"log": "error", "dry_run": False, "status": 429}
    assert route["limits"] == [
        {"name": "a", "burst": 5, "nodelay": True, "delay": 0, **common},
        {"name": "b", "burst": 4, "nodelay": False, "delay": 2, **common},
        {"name": "c", "in_flight": 7, "log": "warning", "dry_run": True, "status": 503},
    ]


def test_access_and_passwords(read, tmp_path):
    server = 'allow 10.0.0.1/8; allow unix:; deny all; satisfy any; auth_basic "a $host"; auth_basic_user_file $arg_f;'
    _, site, route = read("auth_delay 500ms;", server, "auth_request /a; auth_request_set $u $uri; return 204;")
    assert "access" not in site
    assert route["access"] == [{"allow": "10.0.0.0/8"}, {"allow": "unix"}, {"deny": "all"}]
    assert route["auth_basic"] == {"realm": "a $host", "users": f"{tmp_path}/$arg_f"}
    assert (route["auth_delay"], route["satisfy"]) == (0.5, "any")
    assert route["auth_request"] == {"path": "/a", "set": {"u": "$uri"}}
    off = read("auth_request /a;", server, "auth_basic off; auth_request off; allow all; return 204;")[2]
    assert "auth_basic" not in off and "auth_request" not in off and off["access"] == [{"allow": "all"}]


def test_who_the_client_is(read):
    said = {"trust": ["127.0.0.0/8", "unix"], "field": "x-real-ip", "recursive": False}
    _, site, route = read("set_real_ip_from 127.0.0.1/8; set_real_ip_from unix:;", "", "real_ip_header proxy_protocol;")
    assert site["real_ip"] == said and route["real_ip"] == said | {"field": "proxy_protocol"}


def test_the_rest(read):
    _, site, route = read(
        "mirror /m; secure_link_md5 $uri;",
        "valid_referers none *.a.org/x; log_subrequest on;",
        "secure_link $arg_x; mirror_request_body off; limit_except GET { deny all; } return 204;",
    )
    assert site["referers"] == route["referers"] == ["none", "*.a.org/x"]
    assert route["mirror"] == {"path": "/m", "paths": [], "body": False}
    assert route["secure_link"] == {"link": "$arg_x", "signed": "$uri"} and route["log_subrequests"] is True
    others = next(one for one in site["route"] if "@" + one["path"] == route["other_methods"]["use"])
    assert route["other_methods"]["than"] == ["GET"] and others["access"] == [{"deny": "all"}]
    secret = read("secure_link $uri; secure_link_md5 x;", "", "secure_link_secret s; return 204;")[2]
    assert secret["secure_link"] == {"secret": "s"}
