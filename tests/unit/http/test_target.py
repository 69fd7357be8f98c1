"""Request lines and targets: what is refused, what is forwarded, what routes see."""

from __future__ import annotations

import pytest

from proxy import faults
from proxy.http.target import canonical_path, host_name, read_request_line, valid_host


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/", b"/"),
        (b"/a/b", b"/a/b"),
        (b"/a//b///c", b"/a/b/c"),
        (b"/a/./b", b"/a/b"),
        (b"/a/../b", b"/b"),
        (b"/a/b/..", b"/a/"),
        (b"/a/.", b"/a/"),
        (b"/..", None),
        (b"/a/../..", None),
        (b"/%2e%2e/x", None),
        (b"/a/%2e%2E/b", b"/b"),
        (b"/a%2fb", b"/a/b"),
        (b"/a%2f%2e%2e%2fadmin", b"/admin"),
        (b"/%252e%252e/", b"/%2e%2e/"),  # decoded once
        (b"/a%00b", b"/a%00b"),
        (b"/%zz", b"/%zz"),
        (b"/.well-known/x", b"/.well-known/x"),
        (b"/...", b"/..."),
        (b"/a%20b", b"/a b"),
        (b"*", b"/"),
    ],
)
def test_canonical_paths(raw, path):
    assert canonical_path(raw) == path


@pytest.mark.parametrize(
    ("line", "method", "origin", "authority"),
    [
        (b"GET / HTTP/1.1", b"GET", b"/", None),
        (b"GET //a/../b?c=%2e HTTP/1.0", b"GET", b"//a/../b?c=%2e", None),
        (b"OPTIONS * HTTP/1.1", b"OPTIONS", b"*", None),
        (b"GET http://Host:80/x?y HTTP/1.1", b"GET", b"/x?y", b"Host:80"),
        (b"GET HTTPS://host HTTP/1.1", b"GET", b"/", b"host"),
        (b"GET http://host?y HTTP/1.1", b"GET", b"/?y", b"host"),
        (b"QUERY / HTTP/1.1", b"QUERY", b"/", None),
    ],
)
def test_request_lines(line, method, origin, authority):
    read = read_request_line(line, 8192)
    assert read.fault is None
    assert (read.method, read.origin, read.authority) == (method, origin, authority)
    assert read.head == method + b" " + origin + b" HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"", faults.BAD_REQUEST),
        (b"GET /", faults.BAD_REQUEST),
        (b"GET / HTTP/1.1 ", faults.BAD_REQUEST),
        (b" GET / HTTP/1.1", faults.BAD_REQUEST),
        (b"GET\t/ HTTP/1.1", faults.BAD_REQUEST),
        (b"GET / a HTTP/1.1", faults.BAD_REQUEST),
        (b"GET /\x80 HTTP/1.1", faults.BAD_REQUEST),
        (b"GET /\0 HTTP/1.1", faults.BAD_REQUEST),
        (b"GET /#a HTTP/1.1", faults.BAD_REQUEST),
        (b"GET * HTTP/1.1", faults.BAD_REQUEST),
        (b"GET a HTTP/1.1", faults.BAD_REQUEST),
        (b"GET ftp://a/ HTTP/1.1", faults.BAD_REQUEST),
        (b"GET http:/// HTTP/1.1", faults.BAD_REQUEST),
        (b"GET http://u@a/ HTTP/1.1", faults.BAD_REQUEST),
        (b"GET /../ HTTP/1.1", faults.BAD_REQUEST),
        (b"GET / http/1.1", faults.BAD_REQUEST),
        (b"GET / HTTP/1.10", faults.BAD_REQUEST),
        (b"GET / HTTP/0.9", faults.VERSION_UNKNOWN),
        (b"GET / HTTP/2.0", faults.VERSION_UNKNOWN),
        (b"GET /%b HTTP/1.1" % (b"a" * 100), faults.TARGET_TOO_LONG),
        (b"CONNECT a:1 HTTP/1.1", faults.METHOD_REFUSED),
        (b"CONNECT [::1]:1 HTTP/1.1", faults.METHOD_REFUSED),
        (b"CONNECT / HTTP/1.1", faults.BAD_REQUEST),
        (b"CONNECT a HTTP/1.1", faults.BAD_REQUEST),
        (b"CONNECT a: HTTP/1.1", faults.BAD_REQUEST),
        (b"CONNECT a:99999 HTTP/1.1", faults.BAD_REQUEST),
        (b"TRACE / HTTP/1.1", faults.METHOD_REFUSED),
        (b"get / HTTP/1.1", faults.METHOD_UNKNOWN),
        (b"PRI * HTTP/1.1", faults.METHOD_UNKNOWN),
    ],
)
def test_refused_lines(line, fault):
    assert read_request_line(line, 100).fault is fault


@pytest.mark.parametrize(
    "host",
    [
        *(b"a", b"a.b", b"a:80", b"a:", b"[::1]", b"[::1]:8080", b"1.2.3.4:65535", b"a_b", b"%41"),
        *(b"a.", b"a.:80", b".a", b"[v1.a,b:c]"),
    ],
)
def test_hosts(host):
    assert valid_host(host)


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"a b",
        b"a,b",
        b"u@a",
        b"a:99999",
        b"a:x",
        b"a:1:2",
        b".",
        b".:80",
        b"a..",
        b"a..b",
        b"a..:1",
        b"[v1.]",
        b"[v.a]",
        b"[::1",
        b"a/b",
        b"a?b",
        b"a#b",
        b"\xc3\xa4",
        b"%4",
        b"a\n",
    ],
)
def test_refused_hosts(host):
    assert not valid_host(host)


@pytest.mark.parametrize(
    ("host", "name"),
    [(b"A.Example.COM:80", b"a.example.com"), (b"a.", b"a"), (b"a.:80", b"a"), (b"[::1]:80", b"[::1]"), (b"a", b"a")],
)
def test_host_names(host, name):
    assert host_name(host) == name
