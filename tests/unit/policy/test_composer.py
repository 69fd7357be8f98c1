"""What a backend is sent: line, Host, fields, framing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from proxy.http.headers import CONTROL
from proxy.http.message import RequestLine
from proxy.http.outgoing import Place
from proxy.http.request import judge_request
from proxy.http.target import canonical_path
from proxy.policy.request import Composer, Target
from proxy.policy.script import course_of, sent_to
from proxy.policy.template import Template
from proxy.policy.variables import vocabulary

PLACE = Place(b"app:81", b"81")


def asked(target=b"/a/b?c=d", fields=(), method=b"GET", minor=1, body=b"", host=b"door", **more):
    """An exchange as far as a composer sees it."""
    path, _, query = target.partition(b"?")
    line = RequestLine(method, target, minor, target, canonical_path(path) or path, query)
    judged = judge_request([(b"Host", host), *fields])
    assert judged.fault is None
    exchange = SimpleNamespace(
        line=line,
        fields=judged,
        client=SimpleNamespace(identity=b"X-Real-IP: c\r\nX-Request-ID: ", host_line=b"", address=b"c", scheme=b"http"),
        course=None,
        body=body,
        store=None,
        upload_done=True,
        streamed=False,
        request_id=b"id",
        route=SimpleNamespace(request_edits=SimpleNamespace(edit=lambda lines: lines), site_name=b"", composer=None),
    )
    for key, value in more.items():
        setattr(exchange, key, value)
    return exchange


def text(written):
    return Template(written, vocabulary().getter)


def sent(composer, exchange):
    """(request line, fields by lower-case name, body)."""
    outgoing = composer(exchange, b"10.0.0.1:81")
    head, end, nothing = outgoing.head.partition(b"\r\n\r\n")
    assert end and not nothing
    line, *lines = head.split(b"\r\n")
    fields = {}
    for one in lines:
        name, _, value = one.partition(b": ")
        fields.setdefault(name.lower(), []).append(value)
    return line, {name: b", ".join(values) for name, values in fields.items()}, outgoing.body


def plain(**settings):
    return Composer(place=PLACE, **settings)


# --- the request line


@pytest.mark.parametrize(
    ("path", "own", "target", "expected"),
    [
        (None, 0, b"/a%2Fb//c?x=%20", b"/a%2Fb//c?x=%20"),  # byte for byte
        (b"/n/", 3, b"/a/b?c=d", b"/n/b?c=d"),
        (b"/n", 2, b"/a", b"/n"),
        (b"/n/", 3, b"/a/b%20c", b"/n/b%20c"),  # decoded, and encoded again
        (b"/n/", 3, b"/a/b%3Fc?d", b"/n/b%3Fc?d"),
        (b"/n?x=", 3, b"/a/b", b"/n?x=b"),
        (b"/longer/than/it", 40, b"/a", b"/longer/than/it"),
    ],
)
def test_the_target(path, own, target, expected):
    line, _, _ = sent(plain(target=Target(path, own)), asked(target))
    assert line == b"GET %b HTTP/1.1" % expected


def test_a_changed_uri_is_what_is_sent():
    exchange = asked(b"/a/b")
    course = course_of(exchange)
    sent_to(course, b"/x y", b"z")
    assert sent(plain(), exchange)[0] == b"GET /x%20y?z HTTP/1.1"
    assert sent(plain(target=Target(b"/n", 2)), exchange)[0] == b"GET /n%20y?z HTTP/1.1"
    course.stayed = True  # after `rewrite ... break` nothing is replaced any more
    assert sent(plain(target=Target(b"/n", 2)), exchange)[0] == b"GET /x%20y?z HTTP/1.1"


def test_where_variables_lead_it():
    exchange = asked()
    course_of(exchange).place = Place(b"there:8", b"8", b"/all of\r\nit")
    line, fields, _ = sent(plain(target=Target(b"/n/", 3)), exchange)
    assert line == b"GET /all%20of%0D%0Ait HTTP/1.1" and fields[b"host"] == b"there:8"


def test_method_and_version():
    exchange = asked(method=b"POST", fields=[(b"Content-Length", b"0")])
    assert sent(plain(method=text("get"), minor=0), exchange)[0] == b"GET /a/b?c=d HTTP/1.0"
    assert sent(plain(method=text("G T")), exchange)[0].startswith(b"POST ")
    assert sent(plain(method=text("HEAD")), exchange)[0].startswith(b"POST ")  # its client would wait for a body
    course_of(exchange).method = b"GET"
    assert sent(plain(), exchange)[0].startswith(b"GET ")


# --- fields


def test_what_nginx_sends_by_default():
    fields = [
        (b"X-Mine", b"1"), (b"Connection", b"X-Hop"), (b"X-Hop", b"2"), (b"TE", b"trailers"), (b"Keep-Alive", b"5"),
        (b"Expect", b"100-continue"), (b"X-Forwarded-For", b"liar"), (b"a_b", b"3"), (b"Proxy", b"4"),
        (b"Upgrade", b"h2c"),
    ]  # fmt: skip
    assert sent(plain(), asked(fields=fields))[1] == {
        b"host": b"app:81",
        b"x-mine": b"1",
        b"x-forwarded-for": b"liar",
    }


def test_names_keep_their_case():
    assert b"\r\nX-mInE: 1\r\n" in plain()(asked(fields=[(b"X-mInE", b"1")]), b"").head


def test_fields_that_are_set():
    composer = plain(
        host=text("$host"),
        fields=[
            (b"X-Mine", text("")),
            (b"X-New", text("$http_x_other-$arg_c")),
            (b"X-Empty", text("$http_none")),
            (b"Connection", text("close")),
        ],
    )
    fields = sent(composer, asked(fields=[(b"x-mine", b"1"), (b"X-Other", b"o"), (b"X-Empty", b"2")]))[1]
    assert fields == {b"host": b"door", b"x-new": b"o-d", b"connection": b"close", b"x-other": b"o"}


def test_an_empty_host_is_the_places_in_1_1_and_none_in_1_0():
    assert sent(plain(host=text("$http_none")), asked())[1][b"host"] == b"app:81"
    assert b"host" not in sent(plain(host=text("$http_none"), minor=0), asked())[1]


def test_no_value_ends_its_line():
    composer = plain(host=text("$uri"), fields=[(b"X-Uri", text("$uri"))], target=Target(b"/n", 0))
    head = composer(asked(b"/a%0d%0aX-Evil:%201%00"), b"").head
    assert head.count(b"\r\n") == 5 - 1 and not CONTROL.search(head.replace(b"\r\n", b""))
    assert b"\r\nX-Evil" not in head


def test_no_fields_of_the_client():
    fields = sent(plain(headers=False), asked(fields=[(b"X-Mine", b"1")]))[1]
    assert fields == {b"host": b"app:81"}


def test_framing_is_ours_whatever_is_set():
    composer = plain(fields=[(b"Content-Length", text("99")), (b"transfer-encoding", text("chunked"))])
    exchange = asked(method=b"POST", fields=[(b"Content-Length", b"3")], body=b"abc")
    assert sent(composer, exchange)[1] == {b"host": b"app:81", b"content-length": b"3"}


def test_upgrades_are_asked_for_when_they_are_set():
    wanted = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
    assert not plain().upgrades(asked(fields=wanted))
    composer = plain(fields=[(b"Upgrade", text("$http_upgrade")), (b"Connection", text("upgrade"))])
    assert composer.upgrades(asked(fields=wanted)) and not composer.upgrades(asked())
    assert sent(composer, asked(fields=wanted))[1][b"upgrade"] == b"websocket"


# --- bodies

CHUNKED = [(b"Transfer-Encoding", b"chunked")]


@pytest.mark.parametrize(
    ("settings", "exchange", "framing", "body"),
    [
        ({}, {}, {}, None),
        ({}, {"fields": [(b"Content-Length", b"0")]}, {b"content-length": b"0"}, None),
        ({}, {"fields": CHUNKED, "body": b"abc"}, {b"content-length": b"3"}, None),  # it is whole
        ({}, {"fields": CHUNKED, "upload_done": False}, {b"transfer-encoding": b"chunked"}, None),
        ({"passes": False}, {"fields": [(b"Content-Length", b"3")]}, {b"content-length": b"0"}, b""),
        ({"passes": False}, {}, {}, b""),
        ({"body": "<$arg_c>\r\n"}, {}, {b"content-length": b"5"}, b"<d>\r\n"),
        ({}, {"fields": [(b"Content-Length", b"3")], "streamed": True}, {b"content-length": b"0"}, b""),
    ],
)
def test_bodies(settings, exchange, framing, body):
    if "body" in settings:
        settings = {**settings, "body": text(settings["body"])}
    _, fields, replaced = sent(plain(**settings), asked(method=b"POST", **exchange))
    del fields[b"host"]
    assert (fields, replaced) == (framing, body)


def test_an_error_page_has_no_use_for_a_body_that_is_still_coming():
    exchange = asked(method=b"POST", fields=[(b"Content-Length", b"3")], upload_done=False)
    course_of(exchange).failed = True
    assert sent(plain(), exchange)[2] == b""


# --- our own requests


def test_with_identity_a_request_is_ours():
    composer = Composer(identity=True, fields=[(b"X-Mine", text("$arg_c"))])
    exchange = asked(
        method=b"POST",
        fields=[(b"X-Mine", b"1"), (b"X-Forwarded-For", b"liar"), (b"Content-Length", b"3")],
        body=b"abc",
    )
    line, fields, _ = sent(composer, exchange)
    assert line == b"POST /a/b?c=d HTTP/1.1"
    assert fields[b"host"] == b"door" and fields[b"x-mine"] == b"d" and fields[b"content-length"] == b"3"
    assert fields[b"x-real-ip"] == b"c" and fields[b"x-request-id"] == b"id" and b"x-forwarded-for" not in fields
    assert b"via" in fields


def test_with_identity_a_changed_request_is_sent_as_it_is_now():
    exchange = asked(method=b"POST", fields=[(b"Content-Length", b"3")], upload_done=False)
    course = course_of(exchange)
    sent_to(course, b"/page", b"")
    course.method, course.failed = b"GET", True
    line, fields, body = sent(Composer(identity=True), exchange)
    assert line == b"GET /page HTTP/1.1" and fields[b"content-length"] == b"0" and body == b""
