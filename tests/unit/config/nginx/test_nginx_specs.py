"""What a check says of a tree."""

from __future__ import annotations

import pytest

from proxy.config.nginx import ignored
from proxy.config.nginx.parser import parse_text
from proxy.config.nginx.specs import Spec, check, joined, spec

ANYWHERE = "http, if-location, location, server"
EXCEPT = "http { server { location / { limit_except GET {\ngzip on; } } } }"
KNOWN = {
    "events": spec("main", block=True, once=True),
    "http": spec("main", block=True, once=True),
    "server": spec("http", block=True),
    "upstream": spec("http", 1, block=True),
    "upstream/server": spec("upstream", 1, None, once=False),
    "location": spec("server location", 1, 2, block=True),
    "limit_except": spec("location", 1, None, block=True),
    "if": spec("server location if-server if-location", 1, None, block=True),
    "map": spec("http", 2, block=True),
    "listen": spec("server", 1, None, once=False),
    "root": spec("http server location if-location", 1),
    "return": spec("server location if-server if-location", 1, 2, once=False),
    "deny": spec("http server location limit_except", 1, once=False),
    "gzip": spec("http server location if-location", flag=True),
    "internal": spec("location"),
    "proxy_store": spec("http server location", 1, only="off"),
}


def found(text, lenient=False):
    """(errors, warnings), each as "line: sentence"."""
    findings = check(parse_text(text, "x.conf"), KNOWN, lenient)
    return tuple([f"{problem.line}: {problem.sentence}" for problem in problems] for problems in findings)


def test_nothing_is_wrong():
    text = """
        events { }
        http {
            root /a; gzip ON; proxy_store off;
            map $a $b { default 0; volatile; anything 'at all'; root 1; root 2; }
            upstream app { server a:1; server b:1 weight=2; }
            server {
                root /b; listen 80; listen 81;
                if ($a) { return 404; if ($b) { return 403; } }
                location / { internal; location ~ x { if ($c) { root /c; if ($d) { gzip off; } } }
                    limit_except GET { deny all; } }
            }
            server { }
        }
    """
    assert found(text) == ([], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("foo;", '1: unknown directive "foo"'),
        ("events {}\nhttp { gzib on; }", '2: unknown directive "gzib" (did you mean "gzip"?)'),
        ("http { fastcgi_pass a; }", '1: unknown directive "fastcgi_pass" (frontgate has no FastCGI)'),
        ("stream { server { } }", '1: unknown directive "stream" (frontgate has no TCP and UDP proxy)'),
        ("upstream/server a;", '1: unknown directive "upstream/server"'),
        ("'';", '1: unknown directive ""'),
        ("listen 80;", '1: "listen" directive is not allowed here (but in: server)'),
        ("http { server { server { } } }", '1: "server" directive is not allowed here (but in: http, upstream)'),
        ("http { upstream a { root /; } }", f'1: "root" directive is not allowed here (but in: {ANYWHERE})'),
        ("http { server { if ($a) { root /; } } }", f'1: "root" directive is not allowed here (but in: {ANYWHERE})'),
        (EXCEPT, f'2: "gzip" directive is not allowed here (but in: {ANYWHERE})'),
        ("http { root; }", '1: invalid number of arguments in "root" directive'),
        ("http { root a b; }", '1: invalid number of arguments in "root" directive'),
        ("http { gzip on off; }", '1: invalid number of arguments in "gzip" directive'),
        ("http { server { location { } } }", '1: invalid number of arguments in "location" directive'),
        ("http { server { listen; } }", '1: invalid number of arguments in "listen" directive'),
        ("http { upstream a { server; } }", '1: invalid number of arguments in "server" directive'),
        ("http;", '1: directive "http" has no opening "{"'),
        ("http { server; }", '1: directive "server" has no opening "{"'),
        ("http { root / { x; } }", '1: directive "root" is not terminated by ";"'),
        ("http { gzip yes; }", '1: invalid value "yes" in "gzip" directive, it must be "on" or "off"'),
        ("http {\n root a;\n root b; }", '3: "root" directive is duplicate (the other is in line 2)'),
        ("http {}\nhttp {}", '2: "http" directive is duplicate (the other is in line 1)'),
        ("http { map $a $b { a { b; } } }", '1: unexpected "{"'),
        ("http { proxy_store on; }", '1: "proxy_store" directive is supported as "proxy_store off" alone'),
    ],
)  # fmt: skip
def test_what_is_wrong(text, expected):
    assert found(text) == ([expected], [])


def test_everything_is_told():
    errors, warnings = found("foo;\nhttp {\n gzip a;\n bar { baz; }\n server { location / { root; } }\n}\nlisten 1;")
    assert [error.partition(":")[0] for error in errors] == ["1", "3", "4", "5", "7"]
    assert not warnings


def test_a_lenient_check_warns_of_what_is_not_known():
    errors, warnings = found("foo;\nhttp { proxy_store on;\nbar { baz; }\n gzip a; }\nlisten 1;", lenient=True)
    assert [warning.partition(" (")[0] for warning in warnings] == [
        '1: unknown directive "foo"',
        '2: "proxy_store" directive is supported as "proxy_store off" alone',
        '3: unknown directive "bar"',
    ]
    assert [error[:1] for error in errors] == ["4", "5"]


def test_specs_in_short():
    assert spec("http", 1) == Spec(frozenset(["http"]), 1, 1, False, False, True, "")
    assert spec("http server", 1, None).most is None
    assert spec("main").most == 0
    assert spec("main", block=True).once is False
    assert (spec("main", flag=True).least, spec("main", 1, flag=True).most) == (1, 1)
    for contexts in ("", "htpp", "http servers"):
        with pytest.raises(ValueError, match="no such context"):
            spec(contexts)


def test_tables_are_joined():
    assert joined(KNOWN, ignored.SPECS, {"root": KNOWN["root"]})["sendfile"].flag
    with pytest.raises(ValueError, match='"root" is specified twice'):
        joined(KNOWN, {"root": spec("http", 2)})


def test_what_is_dropped_is_checked():
    text = "worker_priority 5; events { multi_accept on; }\nhttp { sendfile on; open_file_cache max=1 inactive=2s;"
    text += "\n tcp_nopush maybe; client_body_temp_path a 1 2 3 4; disable_symlinks on; }"
    findings = check(parse_text(text, "x.conf"), joined(KNOWN, ignored.SPECS))
    assert [str(problem) for problem in findings.errors] == [
        'x.conf:3: invalid value "maybe" in "tcp_nopush" directive, it must be "on" or "off"',
        'x.conf:3: invalid number of arguments in "client_body_temp_path" directive',
        'x.conf:3: "disable_symlinks" directive is supported as "disable_symlinks off" alone',
    ]
