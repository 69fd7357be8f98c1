"""proxy_pass and its kin: what becomes of each directive, how it is inherited, and nginx's sentences."""

from __future__ import annotations

import pytest

from proxy.config.nginx.reader import load, read
from proxy.config.source import ConfigError

AROUND = "events {{}}\nhttp {{\n{}\nupstream u {{ server 10.0.0.1; server 10.0.0.2; }}\n"
AROUND += "server {{ listen 127.0.0.1:8080; {}\n}}\n}}\n"


@pytest.fixture
def routes(tmp_path):
    """The routes of a server's text, by their paths; all is validated."""

    def made(text, http=""):
        file = tmp_path / "nginx.conf"
        file.write_text(AROUND.format(http, text))
        load(str(file), str(tmp_path))
        (site,) = read(str(file), str(tmp_path)).model["site"].values()
        return {route["path"]: route for route in site["route"]}

    return made


@pytest.fixture
def wrong(routes):
    def sentence(text):
        with pytest.raises(ConfigError) as error:
            routes(text)
        return str(error.value.errors[0])

    return sentence


def location(routes, words, path="/"):
    return routes(f"location {path} {{ {words} }}")[path]


def test_an_upstream_and_a_uri(routes):
    route = location(routes, "proxy_pass http://u/x/;", "/a/")
    assert route["upstream"] == "u"
    proxy = route["proxy"]
    assert (proxy["path"], proxy["replaces"], proxy["name"], proxy["port"]) == ("/x/", "/a/", "u", 80)
    assert proxy["redirects"] == [{"from": "http://u/x/", "to": "/a/"}]


def test_an_address(routes):
    route = location(routes, "proxy_pass http://10.0.0.9:81;", "/a/")
    proxy = route["proxy"]
    assert "path" not in proxy and (proxy["name"], proxy["port"]) == ("10.0.0.9:81", 81)
    assert proxy["redirects"] == [{"from": "http://10.0.0.9:81/", "to": "/"}]


def test_variables(routes):
    route = location(routes, "proxy_pass http://$host/x; resolver 10.0.0.53;")
    assert route["url"] == "http://$host/x" and "upstream" not in route
    assert route["resolver"]["servers"] == ["10.0.0.53:53"] and "redirects" not in route["proxy"]


def test_what_nginx_does_by_default(routes):
    route = location(routes, "proxy_pass http://u;")
    proxy = route["proxy"]
    assert proxy["identity"] is False and proxy["version"] == "1.1" and proxy["accel"] is True
    assert proxy["hide"][:2] == ["Date", "Server"]
    assert route["request_buffering"] and route["response_buffering"] and not route["intercept"]
    assert route["retry"] == {
        "on": ["connect", "closed", "timeout"],
        "non_idempotent": False,
        "attempts": 0,
    }
    assert {key: route["timeouts"][key] for key in ("connect", "send", "read", "tunnel")} == {
        "connect": 60.0, "send": 60.0, "read": 60.0, "tunnel": 60.0,
    }  # fmt: skip


def test_a_location_inside_does_not_proxy_but_an_if_does(routes):
    inside = "location /a/b { } if ($arg_c) { add_header D e; }"
    found = routes(f"location /a {{ proxy_pass http://u/x; {inside} }} location /z {{ }}")
    assert "upstream" not in found["/a"]["route"][0]
    under = next(route for path, route in found.items() if path.startswith("if"))
    assert under["upstream"] == "u" and under["proxy"]["path"] == "/x" and under["proxy"]["replaces"] == "/a"


def test_fields_are_all_inherited_or_none(routes):
    found = routes(
        "proxy_set_header A 1; proxy_set_header B 2;"
        "location /a { proxy_pass http://u; } location /b { proxy_pass http://u; proxy_set_header C 3; }"
    )
    assert [one["name"] for one in found["/a"]["proxy"]["set_headers"]] == ["A", "B"]
    assert [one["name"] for one in found["/b"]["proxy"]["set_headers"]] == ["C"]


def test_hiding_and_showing(routes):
    words = "proxy_pass http://u; proxy_hide_header X-A; proxy_pass_header server; proxy_ignore_headers Expires;"
    proxy = location(routes, words)["proxy"]
    assert "X-A" in proxy["hide"] and "Server" not in proxy["hide"] and proxy["ignore"] == ["expires"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("proxy_redirect off;", None),
        ("proxy_redirect a b; proxy_redirect ~*^c d;", [{"from": "a", "to": "b"}, {"from": "~*^c", "to": "d"}]),
        ("proxy_redirect a b; proxy_redirect default;", [{"from": "a", "to": "b"}, {"from": "http://u/", "to": "/"}]),
    ],
)
def test_redirects(routes, words, expected):
    assert location(routes, f"proxy_pass http://u; {words}")["proxy"].get("redirects") == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("proxy_next_upstream off;", {"on": []}),
        ("proxy_next_upstream error http_503 non_idempotent;", {"on": ["connect", "closed", 503], "attempts": 0}),
        ("proxy_next_upstream_tries 1;", {"attempts": 1}),
        ("proxy_next_upstream_tries 2;", {"attempts": 0}),  # there are no more
        ("proxy_next_upstream_timeout 5s;", {"within": 5.0}),
    ],
)
def test_next_upstream(routes, words, expected):
    retry = location(routes, f"proxy_pass http://u; {words}")["retry"]
    assert {key: retry[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("words", "key", "expected"),
    [
        ("proxy_method $request_method;", "method", "$request_method"),
        ("proxy_set_body <$args>;", "body", "<$args>"),
        ("proxy_pass_request_body off;", "pass_body", False),
        ("proxy_pass_request_headers off;", "pass_headers", False),
        ("proxy_http_version 1.0;", "version", "1.0"),
        ("proxy_bind $remote_addr transparent;", "bind_transparent", True),
        ("proxy_bind off;", "bind", None),
        ("proxy_socket_keepalive on;", "tcp_keepalive", True),
        ("client_body_in_file_only clean;", "body_file", "clean"),
        ("proxy_cookie_path ~^/a /b;", "cookie_paths", [{"from": "~^/a", "to": "/b"}]),
        ("proxy_cookie_domain off;", "cookie_domains", None),
        ("proxy_cookie_flags a secure;", "cookie_flags", [{"cookie": "a", "flags": ["secure"]}]),
    ],
)
def test_others(routes, words, key, expected):
    assert location(routes, f"proxy_pass http://u; {words}")["proxy"].get(key) == expected


def test_no_file_for_answers_means_that_backends_wait(routes):
    assert location(routes, "proxy_pass http://u; proxy_max_temp_file_size 0;")["response_buffering"] is False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("location / { proxy_pass u; }", "invalid URL prefix"),
        ("location ~ a { proxy_pass http://u/x; }", '"proxy_pass" cannot have URI part in location given by regular'),
        ("location @a { proxy_pass http://u/; }", '"proxy_pass" cannot have URI part'),
        ("location / { proxy_pass http://u:81; }", 'upstream "u" may not have port 81'),
        ("location / { proxy_pass http://u; proxy_pass http://u; }", '"proxy_pass" directive is duplicate'),
        ("location / { proxy_pass http://u; proxy_redirect on; }", 'invalid parameter "on"'),
        ("location / { proxy_pass http://$host; proxy_redirect default; }", '"proxy_redirect default" cannot be used'),
        ("location / { proxy_pass http://u; proxy_next_upstream never; }", 'invalid value "never"'),
        ("location / { proxy_pass http://u; proxy_cookie_flags a sec; }", 'invalid parameter "sec"'),
        ("location / { proxy_pass http://u; proxy_set_header A $nobody; }", 'unknown "nobody" variable'),
        ("proxy_pass http://u;", '"proxy_pass" directive is not allowed here'),
    ],
)
def test_what_is_wrong(wrong, text, expected):
    assert expected in wrong(text)
