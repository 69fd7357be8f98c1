"""nginx's way to read requests: what it repairs, and that framing is none of it."""

from __future__ import annotations

import pytest

from proxy import faults
from proxy.downstream.reader import HeadReader
from proxy.http.dialect import PLAIN, UNDERSCORES, Dialect

NGINX = Dialect(lenient=True, unusual=PLAIN)


def read(head, dialect=NGINX, **limits):
    return HeadReader(dialect=dialect, **limits).read(head + b"\r\n")


def request(target=b"/", *lines, method=b"GET", minor=1):
    return b"%b %b HTTP/1.%d\r\n%b" % (method, target, minor, b"".join(line + b"\r\n" for line in (b"Host: a", *lines)))


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/a#b", b"/a", b""),
        (b"/a?b#c", b"/a", b"b"),
        (b"/foo/..#x", b"/", b""),
        (b"/\xc3\xa4", b"/\xc3\xa4", b""),
        (b"/%02", b"/\x02", b""),
    ],
)
def test_targets_that_nginx_takes(target, path, query):
    head = read(request(target))
    assert head.fault is None and (head.line.path, head.line.query) == (path, query)
    assert b"#" not in head.line.origin


@pytest.mark.parametrize("target", [b"/%", b"/%1", b"/a%zz", b"/%00", b"/../x", b"x"])
def test_targets_that_nginx_refuses(target):
    assert read(request(target)).fault is faults.BAD_REQUEST


def test_the_host_of_the_target_counts_more_than_that_of_the_field():
    head = read(request(b"http://b:81/x", b"X: y"))
    assert head.fault is None and head.fields.host == b"b:81"
    assert head.fields.forward.startswith(b"Host: b:81\r\n") and b"Host: a" not in head.fields.forward
    assert b"X: y\r\n" in head.fields.forward


def test_any_method_in_capitals():
    assert read(request(method=b"FROB")).fault is None
    assert read(request(method=b"frob")).fault is faults.METHOD_UNKNOWN
    assert read(request(method=b"TRACE")).fault is faults.METHOD_REFUSED


@pytest.mark.parametrize(
    ("dialect", "passed"),
    [
        (NGINX, [b"plain"]),
        (Dialect(True, UNDERSCORES, underscores=True), [b"plain", b"x_y"]),
        (Dialect(True, None, underscores=True), [b"plain", b"x_y", b"x.y"]),
    ],
)
def test_unusual_names(dialect, passed):
    head = read(request(b"/", b"plain: 1", b"x_y: 1", b"x.y: 1"), dialect)
    assert head.fault is None
    assert [name for name, _ in head.fields.fields if name != b"host"] == passed
    assert [name for name in (b"plain", b"x_y", b"x.y") if b"%b: 1" % name in head.fields.forward] == passed


def test_names_that_no_parser_takes_are_left_out():
    head = read(request(b"/", b"a<b: 1", b"good: 2", b"(c): 3"))
    assert head.fault is None and head.fields.get(b"good") == b"2" and len(head.fields.fields) == 2


@pytest.mark.parametrize(
    "line",
    [
        b": x",
        b" x: y",
        b"x\x02: y",
        b"x : y",
        b"a<b: 1\r\n Transfer-Encoding: chunked",  # what follows would join the line before
        b"Content-Length : 5",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Host: b",
    ],
)
def test_what_stays_wrong(line):
    assert read(request(b"/", line)).fault is faults.BAD_REQUEST


def test_underscores_do_not_smuggle_what_only_we_say():
    dialect = Dialect(True, None, underscores=True)
    head = read(request(b"/", b"x_forwarded_for: 1.2.3.4", b"x_real_ip: 1.2.3.4"), dialect)
    assert b"1.2.3.4" not in head.fields.forward


def test_whom_one_may_ask_to_connect_to():
    assert read(request(b"a:80", method=b"CONNECT")).fault is faults.METHOD_REFUSED
    for target in (b"/", b"a", b"http://a:80/"):
        assert read(request(target, method=b"CONNECT")).fault is faults.BAD_REQUEST


@pytest.mark.parametrize("host", [b".", b"a..b", b"a..", b".."])
def test_names_with_empty_labels(host):
    assert HeadReader().read(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host).fault is faults.BAD_REQUEST


def test_slashes():
    assert read(request(b"/a//b")).line.path == b"/a/b"
    assert read(request(b"/a//b"), Dialect(True, slashes=False)).line.path == b"/a//b"


def test_too_much_is_a_bad_request_to_nginx():
    assert read(request(b"/", *[b"x: 1"] * 5), max_fields=5).fault.status == 494
    assert read(request(b"/", b"x: " + b"y" * 2000), max_head=1024).fault.status == 494
    assert read(request(b"/", b"x: " + b"y" * 61), max_target=64).fault.status == 494
    assert read(request(b"/", b"x: " + b"y" * 50, b"z: " + b"y" * 50), max_target=64).fault is None
    assert read(request(b"/" + b"x" * 100), max_target=64).fault.status == 414
