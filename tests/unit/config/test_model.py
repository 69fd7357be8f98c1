"""The Model: defaults, the contract's example, and a table of bad configurations with the sentences they get.

In the table the line that a sentence must name is marked with `#!`.
"""

from __future__ import annotations

import copy
import datetime
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from proxy.config.model import Model, schema
from proxy.config.scan import scan
from proxy.config.toml import ConfigError, Source, read, validate

EXAMPLE = """\
workers = 2
[admin]
listen = "127.0.0.1:9000"
[log]
access = "-"
format = "combined"
[timeouts]
client_header = "10s"
client_body = "30s"
client_idle = "75s"
connect = "5s"
send = "60s"
read = "120s"
[http]
max_head = "32k"
max_fields = 100
max_body = "10m"
bare_lf = "reject"
[listen.web]
address = "0.0.0.0:8443"
tls = true
[listen.plain]
address = "0.0.0.0:8080"
redirect = "https"
[limit.per_ip]
key = "address"
rate = "10r/s"
burst = 20
nodelay = true
memory = "10m"
[upstream.app]
balance = "least_conn"
servers = ["127.0.0.1:8001", { address = "unix:/run/app-2.sock", weight = 3, max_fails = 3 }]
[site.api]
names = ["api.example.com", "*.example.com"]
listen = ["web"]
certificate = "certs/api.pem"
key = "certs/api.key"
[[site.api.route]]
path = "/static/"
files = "static/"
expires = "30d"
[[site.api.route]]
path = "/"
upstream = "app"
limits = ["per_ip"]
"""

APP = '[upstream.app]\nservers = ["h:1"]\n'
SITE = APP + '[site.s]\nnames = ["x.org"]\n'
ROUTE = SITE + '[[site.s.route]]\nupstream = "app"\npath = "/"\n'
LIMIT = '[limit.l]\nrate = "1r/s"\n'

UP = "[upstream.u]\nservers = ['h:1']\n"
BAD = [
    # keys
    ("worker = 2 #!", 'unknown key "worker" in the top level; did you mean "workers"?'),
    (
        '[upstream.app]\nbalence = "ip_hash" #!\nservers = ["h:1"]',
        'unknown key "balence" in [upstream.app]; did you mean "balance"?',
    ),
    ("[zzz] #!", 'unknown key "zzz" in the top level; known are acme, admin, app, buffer, daemon, explain, '),
    (ROUTE + "timeouts = { raed = 1 } #!", 'unknown key "raed" in [site.s.route.timeouts]; did you mean "read"?'),
    ('[upstream.app]\nservers = [\n"h:1",\n{ address = "h:2", wieght = 2 }, #!\n]', 'did you mean "weight"?'),
    (ROUTE + "pid = 'x' #!", "in [[site.s.route]]; it belongs to the top level, above the first table"),
    ("trusted_proxies = [] #!", 'unknown key "trusted_proxies" in the top level; it belongs to [http]'),
    (SITE + "read = 5 #!", "belongs to [site.s.timeouts] or [site.s.route.timeouts]"),
    (ROUTE + "weight = 5 #!", "it belongs to [upstream.NAME.servers]"),
    (ROUTE + "limit = 'l' #!", 'did you mean "limits"? limit belongs to the top level'),
    ("[limit.l] #!", 'limit "l" has no rate: add rate = "10r/s", or in_flight = 10'),
    ("[limit.l]\nrate = '1r/s'\nin_flight = 1 #!", 'limit "l" has both rate and in_flight: make two limits'),
    (UP + "fallback = { upstream = 'v' } #!", 'there is no upstream "v"'),
    (UP + "fallback = { upstream = 'u' } #!", "the fallbacks of u lead in a circle"),
    (UP + "fallback = { body = 'x', page = 'y' } #!", "a fallback has both body and page: keep one"),
    (UP + "retry = { on = ['reset'] } #!", "must be one of connect, closed, timeout, invalid, or a status from 400"),
    (UP + "retry = { on = [399] } #!", "or a status from 400 to 599 (got 399)"),
    (UP + "retry = { budget = 2 } #!", "budget must be 1.0 or less (got 2)"),
    (UP + "health = { status = ['2xx'] } #!", 'must be a status or a range of them, such as 200 or "200-399"'),
    (UP + "health = { body = '(' } #!", "must be a regular expression"),
    (UP + "panic = 101 #!", "panic must be 100 or less"),
    ("[listen.l] #!", '[listen.l] has no address: add address = "0.0.0.0:8080"'),
    ("[upstream.u] #!", '[upstream.u] has no servers: add servers = ["127.0.0.1:8001"]'),
    (SITE + '[[site.s.route]] #!\nupstream = "app"', 'has no path: add path = "/"'),
    ('[upstream."a b"] #!\nservers = ["h:1"]', '"a b" must be a name of letters'),
    # types
    ('workers = "2" #!', 'workers must be a whole number (got "2")'),
    ("workers = 0 #!", "workers must be 1 or more (got 0)"),
    ("workers = 2.5 #!", "workers must be a whole number (got 2.5)"),
    ("workers = true #!", "workers must be a whole number (got true)"),
    ("pid = 5 #!", "pid must be a string in quotes (got 5)"),
    ('pid = "" #!', "pid must be a path"),
    ("log = 1 #!", "log must be a table (got 1)"),
    ("site = [] #!", "site must be a table (got an array)"),
    (APP + "[site.s]\nnames = 'x' #!", "names must be an array, in brackets"),
    ("[listen.l]\naddress = 'h:1'\ntls = 1 #!", "tls must be true or false (got 1)"),
    # quantities
    ("[timeouts]\nread = '10x' #!", 'read must be a duration, such as "10s"'),
    ("[timeouts]\nread = 0 #!", "read must be more than 0 (got 0)"),
    ("[timeouts]\nread = '0s' #!", 'read must be more than 0 (got "0s")'),
    ("[timeouts]\nread = -1 #!", "0 or more (got -1)"),
    ("[http]\nmax_head = '32x' #!", 'max_head must be a size, such as "32k"'),
    ("[http]\nmax_head = 5 #!", "max_head must be 1024 or more (got 5)"),
    ("[limit.l]\nrate = '10' #!", 'rate must be a rate, such as "10r/s" or "600r/m" (got "10")'),
    ("[limit.l]\nrate = 10 #!", "rate must be a rate"),
    ("[limit.l]\nrate = '0r/s' #!", "rate must let something pass"),
    (LIMIT + "burst = -1 #!", "burst must be 0 or more (got -1)"),
    (LIMIT + "status = 200 #!", "status must be 400 or more (got 200)"),
    (LIMIT + "ipv6_prefix = 129 #!", "ipv6_prefix must be 128 or less (got 129)"),
    # words
    ("[http]\nbare_lf = 'allow' #!", 'bare_lf must be "reject" or "accept" (got "allow")'),
    ("[log]\nlevel = 'warn' #!", 'did you mean "warning"?'),
    ("[log]\nformat = 'jsn' #!", 'there is no format "jsn"; did you mean "json"?'),
    ("[log]\nformat = '{x}' #!", "format must be the name of a format, or a format string with $variables"),
    (SITE + "logs = [{ path = '/x', format = 'shrt' }] #!", 'there is no format "shrt"'),
    (
        "[listen.web]\naddress = 'h:1'\ndefault = 'shop' #!\n" + SITE,
        'there is no site "shop"',
    ),
    ("[log]\nformat = '$bogus' #!", "must not have the unknown variable $bogus; `frontgate schema` lists all (got"),
    ("[log]\nformat = '$status ${statsu}' #!", "unknown variable $statsu; did you mean $status? `frontgate schema`"),
    ("[log]\nformat = '$http_' #!", "unknown variable $http_; did you mean $http_NAME?"),
    ("[http]\ntrusted_proxies = ['10.0.0.0/8',\n'10.1.1.1/8'] #!", 'write "10.0.0.0/8" (got "10.1.1.1/8")'),
    ("[http]\ntrusted_proxies = ['me'] #!", "entry 1 of trusted_proxies must be an address, a network"),
    (LIMIT + "key = 'ip' #!", 'key must be "address", "site", "route"'),
    (LIMIT + "key = 'header:' #!", 'key must name a header: write "header:NAME"'),
    (LIMIT + "key = 'site:x' #!", 'key must be "site" alone'),
    (SITE.replace('"x.org"', '"x.org:80"') + " #!", "must be a host name without a port"),
    # addresses
    ("[listen.l]\naddress = '8080' #!", 'address must be "host:port", "[v6]:port" or "unix:/path" (got "8080")'),
    ("[listen.l]\naddress = 'h:99999' #!", "must end in a port from 0 to 65535"),
    ("[listen.l]\naddress = '::1:80' #!", "must have brackets around an IPv6 address"),
    ("[listen.l]\naddress = '[::x]:80' #!", "must have an IPv6 address between the brackets"),
    ("[listen.l]\naddress = '300.1.1.1:80' #!", "four numbers from 0 to 255"),
    ("[listen.l]\naddress = 'unix:' #!", 'must name a socket file behind "unix:"'),
    (f"[listen.l]\naddress = 'unix:/{'x' * 120}' #!", "at most 107 bytes"),
    ("[upstream.u]\nservers = ['http://h:1'] #!", "entry 1 of servers must be an address without scheme and path"),
    ("[upstream.u]\nservers = ['h:0'] #!", "port from 1 to 65535"),
    (
        "[upstream.u]\nservers = [\n'h:1',\n5] #!",
        "entry 2 of servers must be a string, or a table with address (got 5)",
    ),
    ("[upstream.u]\nservers = [{ address = 'h:1', weight = 0 }] #!", "weight must be 1 or more (got 0)"),
    # header edits
    (ROUTE + "response_headers.set.Connection = 'close' #!", '"Connection" must not be edited'),
    (ROUTE + "response_headers.add = { 'Content-Length' = '1' } #!", '"Content-Length" must not be edited'),
    (ROUTE + "request_headers.set = { 'a b' = '1' } #!", '"a b" must be a header name'),
    (ROUTE + 'request_headers.set.X = "a\\r\\nb" #!', "X must not contain line breaks"),
    (ROUTE + "request_headers.remove = ['Host'] #!", "Host can be given in request_headers.set only"),
    (ROUTE + "request_headers.remove = ['Transfer-Encoding'] #!", "must not be edited"),
    (ROUTE + "request_headers.set = { X = 'a', x = 'b' } #!", 'header "x" is set twice'),
    (ROUTE + "response_headers = { set = { X = 'a' }, remove = ['x'] } #!", "both set and removed"),
    # routes
    (SITE + "[[site.s.route]]\npath = 'static' #!\nupstream = 'app'", 'path must begin with "/": write "/static"'),
    (SITE + "[[site.s.route]]\npath = '/a?b' #!\nupstream = 'app'", "must be a path alone"),
    ("[upstream.u]\nservers = ['h:1']\nhealth.path = '/a?b#c' #!", "must be a path with or without a query"),
    ("[upstream.u]\nservers = ['h:1']\nhealth.path = '/a b?c' #!", "must be a path with or without a query"),
    ("[upstream.u]\nservers = ['h:1']\nhealth.path = 'a?b' #!", 'path must begin with "/": write "/a"'),
    (SITE + "[[site.s.route]] #!\npath = '/'", 'route "/" leads nowhere: add one of upstream, files, redirect, reply'),
    (ROUTE + "redirect = 'https://x.org{path}' #!", 'route "/" has upstream and redirect: keep exactly one'),
    (ROUTE + "[[site.s.route]]\nupstream = 'app'\npath = '/' #!", 'site "s" has two routes for path "/"'),
    (ROUTE + "limits = ['nil'] #!", 'there is no limit "nil"; add a table [limit.NAME]'),
    (LIMIT + ROUTE + "limits = ['l',\n'l'] #!", 'limit "l" is named twice'),
    (ROUTE.replace('upstream = "app"', 'upstream = "ap" #!'), 'there is no upstream "ap"; did you mean "app"?'),
    (ROUTE + "expires = '1x' #!", "expires must be a time such as"),
    (ROUTE + "try = ['$uri'] #!", "try must have two entries at least"),
    (ROUTE + "try = ['$uri', '=x'] #!", "try must have a status behind its"),
    (SITE + "[[site.s.route]]\npath = '/'\nredirect = 'x.org' #!", "redirect must be an address such as"),
    (
        SITE + "[[site.s.route]]\npath = '/'\nredirect.to = '/{uri}' #!",
        "no other placeholders than {host}, {scheme}, {path}",
    ),
    (SITE + "[[site.s.route]]\npath = '/'\nredirect = { to = '/a', status = 200 } #!", "status must be 301, 302"),
    (
        SITE + "[[site.s.route]]\npath = '/'\nreply = { status = 204, body = 'x' } #!",
        "a reply with status 204 has no body",
    ),
    # one thing beside another
    (LIMIT + "nodelay = true\ndelay = 5 #!", 'limit "l" has both nodelay and delay: keep one'),
    ("[upstream.u]\nservers = [] #!", 'upstream "u" has no server'),
    ("[upstream.u]\nservers = ['h:1',\n'h:1'] #!", 'upstream "u" has server h:1 twice'),
    (
        "[upstream.u]\nbalance = 'ip_hash'\nservers = ['h:1',\n{ address = 'h:2', backup = true }] #!",
        "ip_hash knows no backup servers",
    ),
    (SITE + "listen = ['web'] #!", 'there is no listener "web"; add a table [listen.NAME]'),
    (
        "[listen.l]\naddress = 'h:1'\ntls = true\n" + SITE + "listen = ['l'] #!\n",
        "but has no certificate: add certificate and key",
    ),
    ("[listen.l]\naddress = 'h:1'\ntls = true\n[site.s] #!\nnames = ['x']", "but has no certificate"),
    ("[listen.l]\naddress = 'h:1'\ntls = true\nredirect = 'https' #!", "would redirect https to itself"),
    (
        "[listen.l]\naddress = 'h:1'\n[listen.m]\naddress = 'h:1' #!",
        'listener "l" and listener "m" have the same address h:1',
    ),
    ("[listen.l]\naddress = '0.0.0.0:80'\n[admin]\nlisten = '127.0.0.1:80' #!", "(the other is in line 2)"),
    ("[listen.l]\naddress = '[::1]:80'\n[admin]\nlisten = '[::]:80' #!", "addresses, [::1]:80 and [::]:80: change"),
    (
        "[listen.l]\naddress = '127.0.0.1:80'\n[admin]\nlisten = '127.0.0.1:80' #!",
        'listener "l" and the admin door have the same address 127.0.0.1:80: change or remove one',
    ),
    ("[listen.l]\naddress = 'unix:/a'\n[admin]\nlisten = 'unix:/a' #!", "the admin door have the same address"),
    (SITE + "certificate = 'c.pem' #!", "has a certificate without key"),
    (SITE + "key = 'k.pem' #!", "has a key without certificate"),
    (SITE + "certificate = ['a', 'b']\nkey = ['k'] #!", "has another number of keys than of certificates"),
    (APP + "[site.s] #!", 'site "s" is never reached'),
    (
        "[listen.l]\naddress = 'h:1'\n[site.a]\ndefault = true\n[site.b]\ndefault = true #!",
        'sites "a" and "b" are both default on listener "l"',
    ),
    (
        "[listen.l]\naddress = 'h:1'\n[site.a]\nnames = ['X.org']\n[site.b]\nnames = ['y.org',\n'x.org'] #!",
        'sites "a" and "b" both have the name "x.org" on listener "l"',
    ),
    ("[site.a]\nnames = ['x.org',\n'X.ORG'] #!", 'site "a" has the name "x.org" twice'),
]


def problems(folder: Path, text: str) -> list[tuple[int, str]]:
    file = folder / "frontgate.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert str(caught.value).splitlines()[0].startswith(str(file))
    return [(problem.line, problem.sentence) for problem in caught.value.errors]


@pytest.mark.parametrize(("text", "fragment"), BAD)
def test_a_bad_configuration_gets_one_sentence_at_its_line(tmp_path: Path, text: str, fragment: str) -> None:
    text = text.replace('["x.org:80"]\n #!', '["x.org:80"] #!')
    [line] = [number for number, content in enumerate(text.splitlines(), 1) if "#!" in content]
    [(found, sentence)] = problems(tmp_path, text)
    assert fragment in sentence
    assert found == line


def test_all_errors_at_once_by_line(tmp_path: Path) -> None:
    text = """\
workers = 0
[listen.web]
address = "0.0.0.0:8443"
tls = true
[limit.l]
burst = -1
nodelay = true
[upstream.app]
servers = ["127.0.0.1", { address = "h:2", weight = 0 }]
balance = "ip-hash"
[site.a]
names = ["x.org"]
[[site.a.route]]
path = "/"
upstream = "ap"
limits = ["l", "m"]
[[site.a.route]]
path = "/x"
reply = { status = 99 }
[[site.a.route]]
path = "/y"
redirect = "/z"
reply = {}
"""
    found = problems(tmp_path, text)
    expected = [
        (1, "workers must be 1 or more"),
        (6, "burst must be 0 or more (got -1)"),
        (9, 'entry 1 of servers must be "host:port"'),
        (9, "weight must be 1 or more"),
        (10, 'did you mean "ip_hash"?'),
        (11, "but has no certificate"),
        (15, 'there is no upstream "ap"; did you mean "app"?'),
        (16, 'there is no limit "m"'),
        (19, "status must be 200 or more"),
        (23, "keep exactly one of"),
    ]
    assert [line for line, _ in found] == [line for line, _ in expected]
    assert all(fragment in sentence for (_, sentence), (_, fragment) in zip(found, expected, strict=True))


def test_a_wrong_value_is_not_told_twice(tmp_path: Path) -> None:
    text = "[upstream.u]\nservers = 5\n[site.s]\nnames = ['x']\n[[site.s.route]]\npath = '/'\nupstream = 5\n"
    assert [line for line, _ in problems(tmp_path, text)] == [2, 7]


@pytest.mark.parametrize(
    "addresses",
    [
        ("0.0.0.0:80", "[::]:80"),  # IPv6 sockets are opened for IPv6 alone
        ("[::]:80", "127.0.0.1:80"),
        ("0.0.0.0:80", "127.0.0.1:81"),
        ("127.0.0.1:80", "127.0.0.2:80"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("unix:/a", "unix:/b"),
    ],
)
def test_addresses_that_live_side_by_side(addresses: tuple[str, str]) -> None:
    listen = {name: {"address": address} for name, address in zip("lm", addresses, strict=True)}
    assert len(Model.model_validate({"listen": listen}).listen) == 2
    Model.model_validate({"admin": {"listen": addresses[0]}, "listen": {"m": listen["m"]}})


def test_keys_are_offered_as_they_are_written(tmp_path: Path) -> None:
    [(_, offered)] = problems(tmp_path, ROUTE + "zzz = 1\n")
    assert "files, " in offered and " try, " in offered and "try_" not in offered
    [(_, elsewhere)] = problems(tmp_path, "files = 'www'\n")
    assert "belongs to [site.NAME.route]" in elsewhere


@pytest.mark.parametrize("to", ["{scheme}://{host}{path}", "https://{host}:8443{path}", "{scheme}://x.org/", "{path}"])
def test_redirects_may_repeat_the_request(to: str) -> None:
    route = {"path": "/", "redirect": to}
    redirect = Model.model_validate({"site": {"s": {"default": True, "route": [route]}}}).site["s"].route[0].redirect
    assert redirect is not None and redirect.to == to


@pytest.mark.parametrize("to", ["{host}/x", "https://{path}", "{scheme}:{path}", "https://{scheme}", "https://", "//{"])
def test_redirects_that_lead_nowhere(to: str) -> None:
    with pytest.raises(ValidationError):
        Model.model_validate({"site": {"s": {"default": True, "route": [{"path": "/", "redirect": to}]}}})


def places(value: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in pairs for place in [(*where, key), *places(inner, (*where, key))]]


TABLES = tomllib.loads(EXAMPLE)
SCALARS = (
    st.integers()
    | st.booleans()
    | st.floats()
    | st.text("ab:/{}*. \n\0é", max_size=5)
    | st.sampled_from(["{x}", "h:1", "unix:x"])
)
WRONG = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2),
    st.dictionaries(st.text("ab \n", max_size=3), SCALARS, max_size=2),
    st.sampled_from([datetime.date(2020, 1, 1), {"path": "/"}, [{}], {"set": {"a": []}}]),
)


@given(st.dictionaries(st.sampled_from(places(TABLES)), WRONG, max_size=3))
def test_whatever_stands_there_becomes_a_model_or_sentences(changes: dict[tuple[Any, ...], Any]) -> None:
    tables = copy.deepcopy(TABLES)
    for where in sorted(changes, key=len, reverse=True):
        holder = tables
        for part in where[:-1]:
            holder = holder[part]
        holder[where[-1]] = changes[where]
    try:
        validate(tables, Source("f.toml", scan(EXAMPLE)))
    except ConfigError as error:
        assert error.errors
        assert all(problem.line and problem.sentence for problem in error.errors)
        assert len(str(error).splitlines()) == len(error.errors)
        assert "Input should" not in str(error)


def test_the_example_of_the_contract(tmp_path: Path) -> None:
    file = tmp_path / "frontgate.toml"
    file.write_text(EXAMPLE)
    model = read(file)
    assert model.limit["per_ip"].rate == 10_000
    first, second = model.upstream["app"].servers
    assert (first.address, first.weight, second.weight, second.max_fails) == ("127.0.0.1:8001", 1, 3, 3)
    assert model.http.max_head == 32768
    site = model.site["api"]
    assert site.certificate == str(tmp_path / "certs/api.pem")
    assert [route.path for route in site.route] == ["/static/", "/"]
    assert site.route[0].expires == "30d"


def test_an_empty_configuration_has_the_defaults() -> None:
    model = Model.model_validate({})
    assert model.workers is None
    assert (model.timeouts.client_header, model.timeouts.read, model.timeouts.shutdown) == (10.0, 120.0, 30.0)
    assert (model.http.max_head, model.http.max_target, model.http.max_body) == (32768, 8192, 10485760)
    assert (model.log.access, model.log.format, model.log.level) == ("-", "combined", "info")


def test_the_model_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Model.model_validate({}).workers = 3  # type: ignore[misc]  # that it is refused is the point


def test_servers_inherit_what_they_do_not_say() -> None:
    upstream = {"max_fails": 5, "fail_timeout": "3s", "servers": ["h:1", {"address": "h:2", "max_fails": 1}]}
    servers = Model.model_validate({"upstream": {"u": upstream}}).upstream["u"].servers
    assert [(server.max_fails, server.fail_timeout) for server in servers] == [(5, 3.0), (1, 3.0)]


def test_texts_that_stand_for_tables_and_normal_forms() -> None:
    routes = [{"path": "/", "redirect": "https://h{path}"}, {"path": "/a", "redirect": {"to": "/b", "status": 308}}]
    tables = {
        "listen": {"l": {"address": "[0:0::1]:80"}},
        "site": {"s": {"names": ["X.Org", "[::1]"], "route": routes}},
    }
    model = Model.model_validate(tables)
    redirects = [route.redirect for route in model.site["s"].route]
    assert [(redirect.to, redirect.status) for redirect in redirects if redirect] == [
        ("https://h{path}", 301),
        ("/b", 308),
    ]
    assert model.site["s"].names == ("x.org", "[::1]")
    assert model.listen["l"].address == "[::1]:80"
    assert model.listeners(model.site["s"]) == ("l",)


def test_host_may_be_set_on_requests() -> None:
    edit = {"request_headers": {"set": {"Host": "inner.example"}}}
    site = {"names": ["x"], "route": [{"path": "/", "reply": {}, **edit}]}
    model = Model.model_validate({"site": {"s": site}})
    assert model.site["s"].route[0].request_headers.set == {"Host": "inner.example"}


def test_without_a_file_the_rules_speak_through_pydantic() -> None:
    limit = {"rate": "1r/s", "nodelay": True, "delay": 1}
    with pytest.raises(ValidationError, match="has both nodelay and delay"):
        Model.model_validate({"limit": {"l": limit}})


def classes(kind: type[BaseModel] = BaseModel) -> list[type[BaseModel]]:
    found = [below for below in kind.__subclasses__() if below.__module__.startswith("proxy.config.")]
    return found + [deeper for below in found for deeper in classes(below)]


def test_every_field_is_described_in_one_line() -> None:
    bare = [
        f"{kind.__name__}.{name}"
        for kind in classes()
        for name, field in kind.model_fields.items()
        if not field.description or "\n" in field.description
    ]
    assert len(classes()) > 15
    assert bare == []


def test_schema() -> None:
    found: dict[str, Any] = schema()
    assert found["title"] == "frontgate configuration"
    limit = found["$defs"]["Limit"]["properties"]
    assert limit["rate"]["anyOf"][0]["type"] == "string"
    assert limit["burst"]["minimum"] == 0
    assert found["$defs"]["Timeouts"]["properties"]["read"]["type"] == ["string", "number"]
    assert found["$defs"]["Timeouts"]["properties"]["read"]["description"] == "seconds between two reads from a backend"
    assert {"type": "string"} in found["$defs"]["Server"]["anyOf"]
    assert found["additionalProperties"] is False
