"""Conversations: what is refused, what comes too late, what is too large."""

from __future__ import annotations

import pytest
from stage import APP, DATE, ONE, SOLO

BODY = b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"),
        (400, b"GET / HTTP/1.1\nHost: a\n\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
        (400, b"GET /\r\n\r\n"),
        (400, b"GET /\r\n"),
        (400, b"\x16\x03\x01\x02"),
        (400, b"get lower\r\n\r\n"),
        (400, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET /../x HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"),
        (400, b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"),
        (400, b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (400, CHUNKED + b"x\r\n"),
        (400, CHUNKED + b"1\nab"),
        (405, b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
        (405, b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (413, BODY % (11 << 20)),
        (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
        (414, b"GET /" + b"a" * 9000),
        (417, b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 33000 + b"\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 33000),
        (501, b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"),  # as nginx; RFC 9112 section 6.1
        (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        (505, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    ],
)
def test_refused_and_closed(door, status, text):
    client = door.client()
    client.says(text + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n" * (status != 414 and text.endswith(b"\r\n\r\n")))
    assert client.eof_sent or client.gone
    answer = client.answer()
    assert answer.status == status and answer["connection"] == b"close" and answer["server"] == b"frontgate"
    assert not door.backends["10.0.0.1:1"].wires or not door.backend().asked or text.startswith(CHUNKED)
    assert len(door.finished) == 1 and door.last.status == status
    client.says(b"more")
    client.hears_nothing()
    door.wait(2)
    assert client.gone


def test_405_says_what_is_allowed(door):
    client = door.client()
    client.says(b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"GET" in client.answer()["allow"]  # RFC 9110 section 15.5.6: MUST


def test_nothing_is_decided_by_a_second_host_after_a_good_request(door):
    client = door.client()
    client.get()
    door.backend().answers()
    assert client.status() == 200
    client.says(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert client.status() == 400 and door.fault == "bad_request"


def test_a_head_that_is_larger_than_a_kernel_read(opened):
    door = opened("[http]\nmax_head = '128k'\nmax_target = '1k'\n" + SOLO)
    client = door.client()
    client.says(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70000)
    client.says(b"z" * 1000 + b"\r\n\r\n")
    assert len(door.backend().request()[1][b"x"]) == 71000
    door.backend().answers()


def test_http10_cannot_upgrade(door):
    """RFC 9110 section 7.8: a server MUST ignore an Upgrade that it receives in an HTTP/1.0 request."""
    client = door.client()
    client.says(b"POST / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 9\r\n\r\n")
    if door.backend().wires and door.backend().asked:
        assert b"upgrade" not in door.backend().request()[1]
    else:
        assert client.status() == 400


def test_body_limit_by_length_and_by_chunks(opened):
    door = opened(SOLO + "max_body = 10\n")
    client = door.client()
    client.says(BODY % 11 + b"x" * 11)
    assert client.status() == 413 and not door.backend().wires
    client = door.client()
    client.says(BODY % 10 + b"x" * 10)
    door.backend().heard()
    door.backend().answers()
    assert client.status() == 200
    client.says(CHUNKED + b"8\r\n12345678\r\n")
    door.backend().heard()
    client.says(b"3\r\n123\r\n")
    assert client.status() == 413 and door.backend().wire.aborted
    assert door.last.fault.name == "body_too_large" and door.state().fails == 0
    door.wait(2)
    assert client.gone


def test_an_endless_body_that_was_refused_is_not_read_for_ever(opened):
    door = opened(SOLO + "max_body = 10\n")
    client = door.client()
    client.says(BODY % 1000000)
    for _ in range(100):
        client.says(b"x" * 1000)
        door.wait(0.5)
        if client.gone:
            break
    assert client.gone and door.clock.now < 1010


def test_header_timeout_is_absolute(door):
    client = door.client()
    client.says(b"GET / HTTP/1.1\r\n")
    for _ in range(18):
        door.wait(0.5)
        client.says(b"X: y\r\n")
    assert not client.told
    door.wait(2)
    assert client.answer().status == 408 and door.fault == "header_timeout"


def test_header_timeout_holds_for_what_was_sent_ahead(door):
    client = door.client()
    client.get()
    client.says(b"GET /next HTTP/1.1\r\nHo")
    door.backend().answers()
    client.heard()
    door.wait(12)
    assert client.answer().status == 408


def test_a_silent_connection_is_closed_without_a_word(door):
    client = door.client()
    door.wait(11)
    assert client.gone
    client.hears_nothing()


def test_an_idle_connection_is_closed(door):
    client = door.client()
    client.get()
    door.backend().answers()
    client.heard()
    door.wait(74)
    assert not client.closing
    door.wait(2)
    assert client.gone
    client.hears_nothing()


def test_body_timeout(door):
    client = door.client()
    client.says(BODY % 100000 + b"x" * 40000)
    door.wait(29)
    client.says(b"more")
    door.wait(29)
    client.hears_nothing()
    door.wait(3)
    assert client.answer().status == 408 and door.fault == "body_timeout" and door.state().fails == 0
    assert door.backend().wire.aborted


def test_least_rate_of_a_body(door):
    client = door.client()
    client.says(BODY % 100000 + b"x" * 100)
    for _ in range(60):
        if client.told:
            break
        door.wait(1)
        client.says(b"x")
    assert client.answer().status == 408 and door.clock.now < 1015


def test_least_rate_holds_after_the_backend_was_slow_once(door):
    client = door.client()
    client.says(BODY % (1 << 20))
    wire = door.backend().wire
    wire.jammed = True
    client.says(b"x" * 70000)
    assert not client.reading
    wire.flows()
    assert client.reading
    wire.jammed = False
    for _ in range(400):
        if client.told:
            break
        door.wait(1)
        client.says(b"x")
    assert client.answer().status == 408


def test_expect_100_continue(door):
    client = door.client()
    client.says(BODY.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n") % 2)
    client.hears(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert b"expect" not in door.backend().request()[1]
    client.says(b"ab")
    door.backend().hears(b"ab")
    door.backend().answers()
    assert client.status() == 200


def test_expect_100_continue_of_one_who_does_not_wait(door):
    client = door.client()
    client.says(BODY.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n") % 2 + b"ab")
    client.hears_nothing()
    door.backend().answers()
    assert client.status() == 200


def test_expect_100_continue_is_not_answered_when_no_backend_is_there(door):
    door.backend().accepts = False
    client = door.client()
    client.says(BODY.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n") % 2)
    assert client.heard().startswith(b"HTTP/1.1 502 ")


def test_502_when_nobody_accepts(opened):
    door = opened(APP.replace("[site.all]", "max_fails = 1\n[site.all]", 1))
    for backend in door.backends.values():
        backend.accepts = False
    client = door.client()
    client.get()
    assert client.status() == 502 and door.fault == "connect_refused" and len(door.last.tried) == 3
    client.get()  # all are left alone for their failures: whoever rests longest is tried rather than nobody
    assert client.status() == 502 and door.fault == "connect_refused" and len(door.last.tried) == 1
    assert not client.closing


def test_504_when_nobody_accepts(door):
    door.backend().accepts = None
    client = door.client()
    client.get()
    door.wait(4.5)
    client.hears_nothing()
    door.wait(1)
    assert client.status() == 504 and door.fault == "connect_timeout" and door.state().fails == 1


def test_504_when_nobody_answers(door):
    client = door.client()
    client.get()
    door.wait(119)
    client.hears_nothing()
    door.wait(2)
    assert client.status() == 504 and door.fault == "read_timeout" and door.backend().wire.aborted


def test_504_when_the_request_is_not_taken(door):
    client = door.client()
    client.says(BODY % (1 << 20))
    door.backend().wire.jammed = True
    client.says(b"x" * 70000)
    assert not client.reading
    door.wait(62)
    assert client.answer().status == 504 and door.fault == "send_timeout"


@pytest.mark.parametrize(
    "text",
    [
        b"nonsense",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 17,
    ],
)
def test_malformed_answers(door, text):
    client = door.client()
    client.get()
    door.backend().says(text)
    assert client.status() == 502 and door.fault == "bad_response" and door.state().fails == 1
    assert door.backend().wire.aborted and not client.closing


@pytest.mark.parametrize("status", [600, 999])
def test_statuses_beyond_599(door, status):
    client = door.client()
    client.get()
    door.backend().answers(status=b"%d Odd" % status)
    assert client.status() in (status, 502) and len(door.finished) == 1
    client.get()
    door.backend().answers()
    assert client.status() == 200


def test_no_route_and_no_site(opened):
    door = opened(ONE + '[site.s]\nnames = ["a"]\n[[site.s.route]]\npath = "/x/"\nreply = {body = "x"}\n')
    client = door.client()
    client.get(b"/", host=b"a")
    assert client.status() == 404 and door.fault == "no_route" and not client.closing
    client.get(b"/x/y", host=b"A:80")
    assert client.answer().body == b"x"


def test_a_redirect_and_a_reply(opened):
    door = opened(
        ONE
        + """
[site.s]
default = true
response_headers = {set = {X-Frame-Options = "DENY"}}
[[site.s.route]]
path = "/old/"
redirect = {to = "https://new.example.com{path}", status = 308}
[[site.s.route]]
path = "/"
reply = {status = 200, body = "<p>", content_type = "text/html"}
"""
    )
    client = door.client()
    client.get(b"/old/a?b=c", host=b"Door:8080")
    answer = client.answer()
    assert answer.status == 308 and answer["location"] == b"https://new.example.com/old/a?b=c"
    assert answer["x-frame-options"] == b"DENY"
    client.says(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = client.answer("HEAD")
    assert answer["content-length"] == b"3" and answer.body == b"" and answer["content-type"] == b"text/html"
    client.says(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert client.answer()["connection"] == b"keep-alive" and not client.closing


def test_a_reply_to_a_post_that_is_still_coming(opened):
    door = opened(ONE + '[site.s]\ndefault = true\n[[site.s.route]]\npath = "/"\nreply = {body = "x"}\n')
    client = door.client()
    client.says(BODY % 5 + b"12345")
    assert client.status() == 200 and not client.closing
    client.says(BODY % 5 + b"12")
    answer = client.answer()
    assert answer.status == 200 and answer["connection"] == b"close" and client.eof_sent
    client.says(b"345")
    door.wait(2)
    assert client.gone


def test_a_date_is_in_every_answer_of_ours(door):
    door.backend().accepts = False
    client = door.client()
    client.get()
    assert DATE in client.heard()


OPTIONS = b"OPTIONS /a HTTP/1.1\r\nHost: a\r\n%b\r\n"


def test_options_that_may_go_no_further_are_answered_here(door):
    """RFC 9110 section 7.6.2; whatever their body, and the connection goes on."""
    client = door.client()
    client.says(OPTIONS % b"Max-Forwards: 0\r\n")
    answer = client.answer("OPTIONS")
    assert answer.status == 200 and b"GET, HEAD, POST" in answer["allow"] and answer.body == b""
    client.says(OPTIONS % b"Max-Forwards: 0\r\nContent-Length: 3\r\n" + b"abc" + OPTIONS % b"Max-Forwards: 3\r\n")
    assert client.answer("OPTIONS").status == 200
    line, fields, _ = door.backend().request()
    assert line == b"OPTIONS /a HTTP/1.1" and fields[b"max-forwards"] == b"2"
    door.backend().answers(more=b"Allow: GET\r\n")
    assert client.answer("OPTIONS")["allow"] == b"GET" and len(door.backend().wires) == 1


def test_options_whose_body_is_not_there_end_the_connection(door):
    client = door.client()
    client.says(OPTIONS % b"Max-Forwards: 0\r\nContent-Length: 3\r\n")
    answer = client.answer("OPTIONS")
    assert answer.status == 200 and answer["connection"] == b"close" and client.eof_sent
