"""Conversations: backends that die, clients that leave, second attempts, and what is never shown to anybody."""

from __future__ import annotations

import pytest
from stage import APP, DATE, SOLO

PUT = b"PUT / HTTP/1.1\r\nHost: door\r\nContent-Length: 2\r\n\r\nab"


def test_refused_goes_to_the_next_whatever_the_method(opened):
    door = opened(APP)
    door.backend(0).accepts = False
    client = door.client()
    client.post(b"body")
    assert door.backend(1).request()[2] == b"body"
    door.backend(1).answers()
    assert client.status() == 200 and door.fault is None
    assert [backend.address for backend in door.last.tried] == ["10.0.0.1:1", "10.0.0.2:2"]
    assert door.state(0).fails == 1 and door.state(1).fails == 0


def test_a_slow_connect_goes_to_the_next(opened):
    door = opened(APP)
    door.backend(0).accepts = None
    client = door.client()
    client.post(b"body")
    door.wait(5.5)
    door.backend(1).answers()
    assert client.status() == 200


def test_tries_bounds_the_attempts(opened):
    door = opened(APP.replace("[site.all]", "retry = { attempts = 2 }\n[site.all]"))
    for backend in door.backends.values():
        backend.accepts = False
    client = door.client()
    client.get()
    assert client.status() == 502 and len(door.last.tried) == 2


def idle(door):
    """A client whose next request will be sent on a link that has been used."""
    client = door.client()
    client.get()
    door.backend().heard()
    door.backend().answers()
    client.heard()
    return client


def test_reuse_race_get(door):
    client = idle(door)
    client.get(b"/again")
    door.backend().wires[0].resets()
    assert len(door.backend().wires) == 2
    assert door.backend().wires[1].heard().startswith(b"GET /again ")
    door.backend().answers()
    assert client.status() == 200 and door.state().fails == 0 and len(door.last.tried) == 1


def test_reuse_race_put_with_a_body(door):
    client = idle(door)
    client.says(PUT)
    assert door.backend().wires[0].heard().endswith(b"ab")
    door.backend().wires[0].hangs_up()
    assert door.backend().wires[1].heard().endswith(b"\r\n\r\nab")
    door.backend().answers()
    assert client.status() == 200


def test_reuse_race_put_whose_body_comes_later(door):
    client = idle(door)
    client.says(PUT[:-2])
    door.backend().wires[0].hangs_up()
    client.says(b"ab")
    assert door.backend().wires[1].heard().endswith(b"\r\n\r\nab")
    door.backend().answers()
    assert client.status() == 200


def test_reuse_race_put_whose_body_has_gone(door):
    client = idle(door)
    client.says(PUT[:-1])
    door.backend().wires[0].hangs_up()
    assert client.answer().status == 502 and len(door.backend().wires) == 1


def test_reuse_race_post(door):
    client = idle(door)
    client.post(b"ab")
    door.backend().wires[0].resets()
    assert client.status() == 502 and door.fault == "reuse_race" and door.state().fails == 0
    assert len(door.backend().wires) == 1


def test_a_link_that_was_dialled_for_nobody_is_an_idle_link_too(opened):
    """A client that leaves while its link is dialled: the next request on it races like on any other."""
    door = opened()
    door.backend().accepts = None
    client = door.client()
    client.get()
    client.resets()
    door.backend().accepts = True
    door.connect()
    client = door.client()
    client.get()
    assert len(door.backend().wires) == 1
    door.backend().wires[0].resets()
    door.backend().answers()
    assert client.status() == 200 and door.state().fails == 0 and len(door.last.tried) == 1


def test_the_backend_dies_before_its_answer(opened):
    door = opened(APP)
    client = door.client()
    client.get()
    door.backend(0).resets()
    door.backend(1).answers()
    assert client.status() == 200 and door.state(0).fails == 1
    client.post(b"x")
    door.backend(2).resets()
    assert client.status() == 502 and door.fault == "closed_early" and len(door.last.tried) == 1


@pytest.mark.parametrize("how", ["resets", "hangs_up"])
def test_the_backend_dies_in_its_head(door, how):
    client = door.client()
    client.get()
    door.backend().says(b"HTTP/1.1 200 O")
    getattr(door.backend(), how)()
    assert client.status() == 502 and door.fault == "closed_early"


@pytest.mark.parametrize("how", ["resets", "hangs_up"])
@pytest.mark.parametrize("framing", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
def test_the_backend_dies_in_its_body(door, how, framing):
    client = door.client()
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n1\r\na\r\n")
    getattr(door.backend(), how)()
    assert client.aborted and client.options and door.fault == "truncated"
    assert b"0\r\n\r\n" not in client.heard()


def test_a_reset_in_a_body_until_close_is_passed_on(door):
    client = door.client()
    client.get()
    door.backend().says(b"HTTP/1.0 200 OK\r\n\r\nab")
    door.backend().resets()
    assert client.aborted and door.fault == "truncated"


def test_nobody_answers_in_the_middle(door):
    client = door.client()
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
    door.wait(122)
    assert client.aborted and door.fault == "read_timeout"


def test_excess_bytes_are_not_shown_and_close_the_link(door):
    client = door.client()
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n")
    client.hears(b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 2\r\n\r\nok")
    assert door.backend().wire.aborted
    client.get()
    assert len(door.backend().wires) == 2
    door.backend().says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nmore")
    assert client.answer().body == b"ok" and door.backend().wire.aborted


def test_excess_bytes_behind_a_known_head(door):
    client = door.client()
    for _ in range(3):
        client.get()
        door.backend().answers()
    client.heard()
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 2\r\n\r\nok!")
    assert client.answer().body == b"ok" and not client.told and door.backend().wire.aborted


def test_unsolicited_bytes_close_an_idle_link(door):
    client = idle(door)
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert door.backend().wire.aborted
    client.hears_nothing()
    client.get()
    assert len(door.backend().wires) == 2
    client.hears_nothing()
    door.backend().answers()
    assert client.status() == 200


def test_idle_links_grow_old(door):
    idle(door)
    door.wait(3)
    assert door.backend().wire.aborted


def test_a_closed_idle_link_is_not_used(door):
    client = idle(door)
    door.backend().hangs_up()
    client.get()
    assert len(door.backend().wires) == 2
    door.backend().answers()


def test_a_link_has_so_many_requests(opened):
    door = opened(SOLO.replace("[site.all]", "keepalive_requests = 2\n[site.all]"))
    client = door.client()
    for _ in range(4):
        client.get()
        door.backend().answers()
    assert client.heard().count(b"200 OK") == 4 and len(door.backend().wires) == 2


@pytest.mark.parametrize("how", ["resets", "hangs_up"])
@pytest.mark.parametrize("stage", ["head", "dialling", "asked", "answered", "body", "upload"])
def test_the_client_leaves(door, how, stage):
    client = door.client()
    if stage == "dialling":
        door.backend().accepts = None
    if stage == "head":
        client.says(b"GET / HT")
    elif stage == "upload":
        client.says(PUT[:-1])
    else:
        client.get()
    if stage == "answered":
        door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Le")
    if stage == "body":
        door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
    getattr(client, how)()
    assert client.gone
    if stage == "head":
        assert not door.made
        return
    assert door.fault == "client_left" and door.state().fails == 0
    assert door.last.status == (200 if stage == "body" else 499)
    if stage == "dialling":
        door.backend().accepts = True
        door.connect()
        assert not door.backend().asked and not door.backend().wire.closing
    else:
        assert door.backend().wire.aborted
    other = door.client()
    other.get()
    door.backend().answers()
    assert other.status() == 200


def test_interim_answers_are_passed_on(door):
    client = door.client()
    client.get()
    door.backend().says(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nConnection: x\r\n\r\n")
    client.hears(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    door.backend().says(b"HTTP/1.1 100 Continue\r\n\r\n")
    client.hears_nothing()
    door.backend().says(b"HTTP/1.1 102 Processing\r\n\r\n")
    client.hears(b"HTTP/1.1 102 Processing\r\n\r\n")
    door.backend().answers()
    assert client.status() == 200


def test_a_backend_that_fails_after_an_interim_answer_has_failed(door):
    client = idle(door)
    client.post(b"x")
    door.backend().says(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    door.backend().hangs_up()
    assert client.heard().endswith(b"502 Bad Gateway\n")
    assert door.fault == "closed_early"


def test_backpressure_of_a_slow_client(door):
    client = door.client()
    client.get()
    client.jammed = True
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 50000)
    assert door.backend().reading
    door.backend().says(b"x" * 50000)
    assert not door.backend().reading
    client.flows(30000)
    assert not door.backend().reading
    client.flows(60000)
    assert door.backend().reading
    door.backend().says(b"x" * 100000)
    client.flows()
    assert len(client.answer().body) == 200000 and door.fault is None
    assert not door.backend().closing


def test_backpressure_of_a_slow_backend(door):
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 200000\r\n\r\n")
    wire = door.backend().wire
    wire.jammed = True
    client.says(b"x" * 70000)
    assert not client.reading
    client.says(b"x" * 30000)
    wire.flows()
    assert client.reading
    client.says(b"x" * 100000)
    wire.flows()
    assert len(door.backend().request()[2]) == 200000
    wire.answers = None
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert client.status() == 200 and client.reading


def test_a_body_waits_in_the_kernel_while_nobody_takes_it(door):
    door.backend().accepts = None
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 200000\r\n\r\n" + b"x" * 70000)
    assert not client.reading
    client.inbox.append(b"x" * 130000)
    door.backend().accepts = True
    door.connect()
    assert client.reading and len(door.backend().request()[2]) == 200000
    door.backend().answers()
    assert client.status() == 200


def test_a_client_that_stops_reading(door):
    client = door.client()
    client.get()
    client.jammed = True
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 90000)
    for _ in range(5):
        door.wait(40)
        client.flows(10000)
        assert not client.closing or not client.buffer
    door.wait(130)
    assert client.aborted and door.fault == "client_stalled" and door.state().fails == 0


def test_a_client_that_stops_reading_the_end(door):
    client = door.client()
    client.jammed = True
    client.get(more=b"Connection: close\r\n")
    door.backend().answers(b"x" * 10000)
    assert len(door.finished) == 1 and client.closing
    door.wait(130)
    assert client.aborted


def test_a_slow_client_gets_all_of_an_early_answer(door):
    """The answer of a backend that does not want the rest of the upload, to one who reads 10 kB a second."""
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 100\r\n\r\nx")
    client.jammed = True
    door.backend().answers(b"x" * 60000)
    for _ in range(12):
        door.wait(1)
        client.flows(10000)
    assert len(client.answer().body) == 60000


def test_a_slow_client_is_not_the_backends_fault(door):
    """What a backend may take is counted from when it may speak, not while it is held for a slow client."""
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 2\r\n\r\nx")
    client.jammed = True
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 150000)
    assert not door.backend().reading
    client.says(b"y")  # the upload ends; the backend is still held
    for _ in range(7):
        door.wait(20)
        client.flows(20000)
    assert not client.aborted and not door.finished


def test_a_slow_backend_is_not_the_clients_fault(door):
    """The client is not late with its body while nobody reads it."""
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 200000\r\n\r\n")
    wire = door.backend().wire
    wire.jammed = client.jammed = True
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 70000)
    client.says(b"x" * 70000)
    assert not client.reading
    client.flows()  # the client catches up; the backend does not
    for _ in range(8):
        door.wait(8)
        if door.finished:
            break
    assert not door.finished or door.fault != "body_timeout"


def test_an_early_answer_closes_the_connection_and_says_so(door):
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 100\r\n\r\nx")
    door.backend().answers(b"no", status=b"403 Forbidden")
    answer = client.answer()
    assert answer.status == 403 and client.eof_sent and door.backend().wire.aborted
    assert answer["connection"] == b"close"
    client.says(b"y" * 99)
    door.wait(2)
    assert client.gone


def test_an_early_answer_that_goes_on_while_the_upload_ends(door):
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 2\r\n\r\nx")
    door.backend().says(b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 4\r\n\r\nab")
    client.says(b"y")
    door.backend().says(b"cd")
    assert client.answer().body == b"abcd" and not client.closing
    client.get()
    door.backend().heard()
    door.backend().answers()
    assert client.status() == 200 and len(door.backend().wires) == 1
