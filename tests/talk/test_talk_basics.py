"""Conversations: plain requests and answers, in every framing, whole and in pieces."""

from __future__ import annotations

import pytest
from stage import APP, DATE, ONE, SOLO

from proxy.downstream.h1 import STUFFED

GET = b"GET / HTTP/1.1\r\nHost: door\r\n\r\n"


def test_a_request_and_its_answer(door):
    client = door.client()
    client.says(b"GET /a?b=%20 HTTP/1.1\r\nHost: door\r\nX-Request-ID: q1\r\nUser-Agent: x\r\n\r\n")
    door.backend().hears(
        b"GET /a?b=%20 HTTP/1.1\r\nHost: door\r\nX-Forwarded-Host: door\r\nUser-Agent: x\r\nVia: 1.1 frontgate\r\n"
        b"X-Real-IP: 192.0.2.7\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Request-ID: q1\r\n\r\n"
    )
    door.backend().says(b"HTTP/1.1 200 Fine\r\n" + DATE + b"Server: s\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhi")
    client.hears(b"HTTP/1.1 200 Fine\r\n" + DATE + b"Server: s\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhi")
    assert door.last.status == 200 and door.last.body_out == 2 and not client.closing


def test_keep_alive_uses_one_link(door):
    client = door.client()
    for number in range(5):
        client.get()
        assert door.backend().request()[0] == b"GET / HTTP/1.1"
        door.backend().answers(b"%d" % number)
        assert client.answer().body == b"%d" % number
    assert len(door.backend().wires) == 1 and len(door.finished) == 5


def test_an_answer_without_date_gets_ours(door):
    client = door.client()
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    client.hears(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + DATE + b"\r\n")


def test_pipelining_keeps_order_and_has_one_in_flight(opened):
    door = opened(APP)
    client = door.client()
    client.says(b"".join(b"GET /%d HTTP/1.1\r\nHost: door\r\n\r\n" % number for number in range(7)))
    for number in range(7):
        asked = [backend for backend in door.backends.values() if backend.asked]
        assert len(asked) == 1
        assert asked[0].request()[0] == b"GET /%d HTTP/1.1" % number
        client.hears_nothing()
        asked[0].answers(b"%d" % number)
        assert client.answer().body == b"%d" % number


def test_a_thousand_requests_in_one_write(opened):
    door = opened(ONE + '[site.s]\ndefault = true\n[[site.s.route]]\npath = "/"\nreply = {body = "x"}\n')
    client = door.client()
    client.says(GET * 1000)
    assert len(door.finished) == 1000
    assert client.heard().count(b"HTTP/1.1 200 OK\r\n") == 1000 and not client.closing


def test_a_thousand_requests_in_one_write_to_a_backend(door):
    client = door.client()
    client.says(GET * 1000)
    for _ in range(1000):
        assert door.backend().heard().count(b"GET / ") == 1
        door.backend().answers()
    assert client.heard().count(b"HTTP/1.1 200 OK\r\n") == 1000


def test_reading_stops_when_too_much_is_sent_ahead(door):
    client = door.client()
    client.says(GET)
    client.says(GET * (STUFFED // len(GET)))
    assert client.reading
    client.says(GET * 3)
    assert not client.reading
    total = STUFFED // len(GET) + 4
    for _ in range(total):
        door.backend().answers()
    assert client.heard().count(b"HTTP/1.1 200 OK\r\n") == total and client.reading


def test_what_is_sent_ahead_stays_bounded(door):
    client = door.client()
    client.says(GET)
    for _ in range(200):
        client.inbox.append(GET * 1000)
    client.deliver()
    for _ in range(50):
        door.backend().answers()
    assert len(client.protocol._begun) < 3 * STUFFED


def test_head_has_no_body(door):
    client = door.client()
    client.says(b"HEAD / HTTP/1.1\r\nHost: door\r\n\r\n")
    assert door.backend().request()[0] == b"HEAD / HTTP/1.1"
    door.backend().says(b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 99\r\n\r\n")
    client.hears(b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 99\r\n\r\n")
    client.get()
    door.backend().answers()
    assert client.answer().body == b"ok" and len(door.backend().wires) == 1


def test_head_of_a_chunked_answer(door):
    client = door.client()
    client.says(b"HEAD / HTTP/1.1\r\nHost: door\r\n\r\n")
    door.backend().says(b"HTTP/1.1 200 OK\r\n" + DATE + b"Transfer-Encoding: chunked\r\n\r\n")
    assert client.answer("HEAD").status == 200
    assert len(door.finished) == 1 and not client.closing


def test_head_with_a_body_costs_the_link_its_life(door):
    client = door.client()
    client.says(b"HEAD / HTTP/1.1\r\nHost: door\r\n\r\n")
    door.backend().says(b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 2\r\n\r\nno")
    client.hears(b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 2\r\n\r\n")
    assert door.backend().wire.aborted


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_statuses_without_body(door, status):
    client = door.client()
    client.get()
    door.backend().says(b"HTTP/1.1 %b\r\n" % status + DATE + b"ETag: x\r\n\r\n")
    client.hears(b"HTTP/1.1 %b\r\n" % status + DATE + b"ETag: x\r\n\r\n")
    client.get()
    door.backend().answers()
    assert client.answer().body == b"ok" and len(door.backend().wires) == 1


def test_304_keeps_its_content_length_and_204_loses_it(door):
    client = door.client()
    client.get()
    door.backend().says(b"HTTP/1.1 304 Not Modified\r\n" + DATE + b"Content-Length: 9\r\n\r\n")
    assert b"Content-Length: 9\r\n" in client.heard()
    client.get()
    door.backend().says(b"HTTP/1.1 204 No Content\r\n" + DATE + b"Content-Length: 0\r\n\r\n")
    assert b"Content-Length" not in client.heard() and len(door.finished) == 2


def test_http10_closes(door):
    client = door.client()
    client.says(b"GET / HTTP/1.0\r\n\r\n")
    line, fields, _ = door.backend().request()
    assert line == b"GET / HTTP/1.1" and fields[b"host"] == b"10.0.0.1:1" and b"x-forwarded-host" not in fields
    door.backend().answers()
    client.hears(b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 2\r\nConnection: close\r\n\r\nok")
    assert client.gone and not client.aborted


def test_http10_keep_alive(door):
    client = door.client()
    for _ in range(2):
        client.says(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        door.backend().answers()
        client.hears(b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 2\r\nConnection: keep-alive\r\n\r\nok")
    assert not client.closing


def test_http10_gets_a_chunked_answer_until_the_end(door):
    client = door.client()
    client.says(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    door.backend().says(b"HTTP/1.1 200 OK\r\n" + DATE + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
    client.hears(b"HTTP/1.1 200 OK\r\n" + DATE + b"Connection: close\r\n\r\nab")
    door.backend().says(b"1\r\nc\r\n0\r\n\r\n")
    client.hears(b"c")
    assert client.gone and len(door.backend().wires) == 1


def test_http10_never_sees_interim_answers(door):
    client = door.client()
    client.says(b"GET / HTTP/1.0\r\n\r\n")
    door.backend().says(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
    client.hears_nothing()
    door.backend().answers()
    assert client.answer().status == 200


def test_connection_close(door):
    client = door.client()
    client.get(more=b"Connection: close\r\n")
    assert b"connection" not in door.backend().request()[1]
    door.backend().answers()
    assert client.answer()["connection"] == b"close" and client.gone
    assert not door.backend().wire.closing


def test_the_backend_closes_and_the_client_stays(door):
    client = door.client()
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\n" + DATE + b"Connection: close\r\nContent-Length: 2\r\n\r\nok")
    answer = client.answer()
    assert answer.body == b"ok" and not answer["connection"] and not client.closing
    client.get()
    assert len(door.backend().wires) == 2
    door.backend().answers()


def test_a_body_until_close_becomes_chunks(door):
    client = door.client()
    client.get()
    door.backend().says(b"HTTP/1.0 200 OK\r\n" + DATE + b"\r\nab")
    door.backend().says(b"cd")
    client.hears(b"HTTP/1.1 200 OK\r\n" + DATE + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n")
    door.backend().hangs_up()
    client.hears(b"0\r\n\r\n")
    assert door.fault is None and not client.closing


def test_bodies_with_content_length(door):
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 6\r\n\r\nab")
    assert door.backend().request()[2] == b"ab"
    client.says(b"cd")
    door.backend().hears(b"cd")
    client.says(b"efGET /next HTTP/1.1\r\nHost: door\r\n\r\n")
    door.backend().hears(b"ef")
    door.backend().answers()
    assert door.last.body_in == 6
    assert door.backend().request()[0] == b"GET /next HTTP/1.1"
    door.backend().answers()


def test_bodies_in_chunks(door):
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n")
    _, fields, body = door.backend().request()
    assert fields[b"transfer-encoding"] == b"chunked" and body == b"3\r\nabc\r\n"
    client.says(b"2\r\nde\r\n0\r\n\r\n")
    door.backend().hears(b"2\r\nde\r\n0\r\n\r\n")
    door.backend().says(b"HTTP/1.1 200 OK\r\n" + DATE + b"Transfer-Encoding: chunked\r\n\r\n2;q\r\nxy\r\n")
    client.hears(b"HTTP/1.1 200 OK\r\n" + DATE + b"Transfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n")
    door.backend().says(b"0\r\n\r\n")
    client.hears(b"0\r\n\r\n")
    assert door.last.body_in == 5 and door.last.body_out == 2


def test_trailers_are_dropped(door):
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert door.backend().request()[2] == b"1\r\na\r\n0\r\n\r\n"
    door.backend().says(
        b"HTTP/1.1 200 OK\r\n" + DATE + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 2\r\n\r\n"
    )
    client.hears(b"HTTP/1.1 200 OK\r\n" + DATE + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")


@pytest.mark.parametrize("apart", [False, True])
def test_trailers_are_passed_where_a_route_asks(opened, apart):
    door = opened(SOLO + "trailers = true\n")
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    client.says(b"0\r\nX-Sum: 1\r\nContent-Type: evil\r\n\r\n")
    assert door.backend().request()[2] == b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"
    door.backend().says(b"HTTP/1.1 200 OK\r\n" + DATE + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    if apart:
        client.heard()
    door.backend().says(b"0\r\nX-Sum: 2\r\nSet-Cookie: no\r\n\r\n")
    assert client.heard().endswith(b"0\r\nX-Sum: 2\r\n\r\n")


def test_trailers_of_an_answer_that_comes_whole(opened):
    door = opened(SOLO + "trailers = true\n")
    client = door.client()
    client.get()
    door.backend().says(
        b"HTTP/1.1 200 OK\r\n" + DATE + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 2\r\n\r\n"
    )
    assert client.heard().endswith(b"1\r\na\r\n0\r\nX-Sum: 2\r\n\r\n")


def test_server_sent_events_come_at_once(door):
    client = door.client()
    client.get()
    door.backend().says(
        b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert client.heard().endswith(b"Transfer-Encoding: chunked\r\n\r\n")
    for number in range(20):
        event = b"data: %d\n\n" % number
        door.backend().says(b"%x\r\n%b\r\n" % (len(event), event))
        client.hears(b"%x\r\n%b\r\n" % (len(event), event))
        door.wait(100)
    assert not door.finished


REQUESTS = {
    "get": b"GET /a HTTP/1.1\r\nHost: door\r\nX: y\r\n\r\n",
    "length": b"POST /a HTTP/1.1\r\nHost: door\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"POST /a HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;a=b\r\nhello\r\n2\r\n..\r\n0\r\nT: v\r\n\r\n",
    "empty lines": b"\r\n\r\nGET /a HTTP/1.1\r\nHost: door\r\n\r\n",
    "http10": b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "pipelined": b"POST /a HTTP/1.1\r\nHost: door\r\nContent-Length: 5\r\n\r\n"
    b"helloGET /b HTTP/1.1\r\nHost: door\r\n\r\n",
}


def without_chunks(text):
    """Two renderings of one chunked body are the same body."""
    head, _, body = text.partition(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" not in head:
        return head, body
    plain = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        if int(size, 16) == 0:
            return head, plain, body
        plain, body = plain + body[: int(size, 16)], body[int(size, 16) + 2 :]


@pytest.mark.parametrize("kind", REQUESTS)
def test_requests_split_anywhere(door, kind):
    whole = REQUESTS[kind]

    def asked(*parts):
        client = door.client()
        door.runtime.listeners["web"].ids = iter([b"id1", b"id2"])
        for part in parts:
            client.says(part)
        heard = [without_chunks(door.backend().heard())]
        door.backend().answers()
        if kind == "pipelined":
            heard.append(door.backend().heard())
            door.backend().answers()
        answers = client.heard()
        assert not client.closing and answers.count(b"200 OK") == (2 if kind == "pipelined" else 1)
        return heard, answers

    expected = asked(whole)
    for at in range(1, len(whole)):
        assert asked(whole[:at], whole[at:]) == expected, whole[:at]
    assert asked(*[whole[at : at + 1] for at in range(len(whole))]) == expected


RESPONSES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
    "dated": b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 5\r\nX: y\r\n\r\nhello",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n2\r\n..\r\n0\r\nT: v\r\n\r\n",
    "interim": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "continue": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "bodyless": b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
    "empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("kind", RESPONSES)
def test_answers_split_anywhere(door, kind):
    whole = RESPONSES[kind]
    client = door.client()

    def told(*parts):
        client.get()
        for part in parts:
            door.backend().says(part)
        return without_chunks(client.heard())

    expected = told(whole)
    for at in range(1, len(whole)):
        assert told(whole[:at], whole[at:]) == expected, whole[:at]
    assert told(*[whole[at : at + 1] for at in range(len(whole))]) == expected
    assert len(door.backend().wires) == 1 and not client.closing


def test_a_body_until_close_split_anywhere(door):
    whole = b"HTTP/1.1 200 OK\r\n" + DATE + b"\r\nhello"
    client = door.client()
    seen = set()
    for at in range(1, len(whole) + 1):
        client.get()
        door.backend().says(whole[:at])
        if whole[at:]:
            door.backend().says(whole[at:])
        door.backend().hangs_up()
        seen.add(without_chunks(client.heard()))
    assert len(seen) == 1


def test_bare_line_feeds_where_they_are_accepted(opened):
    door = opened("[http]\nbare_lf = 'accept'\n" + SOLO)
    whole = b"GET /a HTTP/1.1\nHost: door\n\n"
    for at in range(1, len(whole) + 1):
        client = door.client()
        client.says(whole[:at])
        if whole[at:]:
            client.says(whole[at:])
        assert door.backend().request()[0] == b"GET /a HTTP/1.1"
        door.backend().says(b"HTTP/1.1 200 OK\n" + DATE.replace(b"\r", b"") + b"Content-Length: 2\n\nhi")
        assert client.answer().body == b"hi"
