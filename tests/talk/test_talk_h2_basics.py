"""Conversations in HTTP/2: what works in HTTP/1.1 works on streams, with each engine."""

from __future__ import annotations

import struct

import pytest
from frames import (
    ACK,
    DATA,
    END,
    GET,
    GOAWAY,
    HEADERS,
    NO_ERROR,
    PING,
    POST,
    RST,
    SETTINGS,
    SOLO2,
    WINDOW,
    enter,
    frame,
    literals,
)
from stage import DATE

from proxy.downstream.h2 import engines
from proxy.downstream.h2.engines import ENGINES

KEPT2 = SOLO2.replace("buffering = false", "buffering = true")


@pytest.fixture(params=sorted(ENGINES))
def engine(request, monkeypatch):
    monkeypatch.setattr(engines, "ENGINES", {request.param: ENGINES[request.param]})
    return request.param


@pytest.fixture
def door(engine, opened):
    return opened(SOLO2)


@pytest.fixture
def client(door):
    return enter(door)


def test_a_request_and_its_answer(door, client):
    client.ask()
    line, fields, body = door.backend().request()
    assert line == b"GET / HTTP/1.1" and fields[b"host"] == b"door" and body == b""
    door.backend().answers(b"hello", b"X-One: 1\r\nConnection: x-two\r\nX-Two: 2\r\nKeep-Alive: 3\r\n")
    assert client.status() == 200 and client.bodies[1] == b"hello"
    head = client.heads[1][0]
    assert head[b"x-one"] == b"1" and head[b"content-length"] == b"5" and b"date" in head
    assert not {b"connection", b"keep-alive", b"x-two", b"transfer-encoding"} & set(head)
    assert door.last.line.log == b'"GET / HTTP/2.0"'


def test_many_streams_are_answered_as_they_come(door, client):
    for stream in (1, 3, 5):
        client.ask(stream, (*GET[:2], (":path", f"/{stream}"), GET[3]))
    for wire, body in zip(reversed(door.backend().wires), (b"5", b"3", b"1"), strict=True):
        wire.says(b"HTTP/1.1 200 OK\r\n%bContent-Length: 1\r\n\r\n%b" % (DATE, body))
    client.look()
    assert client.bodies == {1: b"1", 3: b"3", 5: b"5"} and client.ends == {1, 3, 5}


def test_requests_that_come_together_are_begun_together(door, client):
    answer = b"HTTP/1.1 200 OK\r\n%bContent-Length: 1\r\n\r\nx" % DATE
    for stream in (1, 3, 5):
        client.ask(stream)
    for wire in door.backend().wires:
        wire.heard()
        wire.says(answer)
    client.gathers = True
    for stream in (7, 9, 11):
        client.ask(stream)
    client.send(RST, 0, 9, struct.pack(">I", 8))  # taken back before any of them was written
    client.pours()
    client.gathers = False
    assert sorted((wire.gone, bool(wire.told)) for wire in door.backend().wires) == [
        (False, True),
        (False, True),
        (True, False),
    ]
    for wire in door.backend().wires:
        if not wire.gone:
            wire.says(answer)
    client.look()
    assert {7, 11} <= client.ends and 9 not in client.heads
    client.alive()


def test_an_answer_to_a_request_that_is_taken_back_in_the_same_turn(door, client):
    client.ask()
    wire = door.backend().wire
    wire.heard()
    wire.protocol.data_received(b"HTTP/1.1 200 OK\r\n%bContent-Length: 1\r\n\r\nx" % DATE)
    client.protocol.data_received(frame(RST, 0, 1, struct.pack(">I", 8)))
    door.run()
    assert client.reset(1) is None and not client.heads, "a reset or an answer behind a reset"
    client.alive()


def test_a_client_that_says_no_more_behind_its_requests(door, client):
    """What was answered by then goes out: by ourselves, or by a backend in the same turn of the loop."""
    client.ask()
    backend = door.backend().wire
    backend.heard()
    refused = (*GET, ("host", "another"))
    backend.protocol.data_received(b"HTTP/1.1 200 OK\r\n%bContent-Length: 1\r\n\r\nx" % DATE)
    client.inbox.append(frame(HEADERS, END | 4, 3, literals(refused)) + frame(PING, 0, 0, b"12345678"))
    client.hangs_up()
    assert client.status(1) == 200 and client.bodies[1] == b"x" and client.status(3) == 400
    assert (PING, ACK, 0, b"12345678") in client.frames and client.gone


def test_a_body_of_known_length(door, client):
    client.ask(1, (*POST, ("content-length", "5")), end=False)
    client.give(1, b"he", end=False)
    client.give(1, b"llo")
    _, fields, body = door.backend().request()
    assert fields[b"content-length"] == b"5" and body == b"hello"
    door.backend().answers()
    assert client.status() == 200


def test_the_last_byte_waits_for_the_end(door, client):
    client.ask(1, (*POST, ("content-length", "5")), end=False)
    client.give(1, b"hello", end=False)
    assert door.backend().request()[2] == b"hell"
    client.give(1, b"")
    assert door.backend().heard() == b"o"
    door.backend().answers()
    assert client.status() == 200


def test_a_body_of_unknown_length_goes_in_chunks(door, client):
    client.ask(1, POST, end=False)
    client.give(1, b"hello", end=False)
    client.give(1, b"", end=True)
    _, fields, body = door.backend().request()
    assert fields[b"transfer-encoding"] == b"chunked" and body == b"5\r\nhello\r\n0\r\n\r\n"
    door.backend().answers()
    assert client.status() == 200


def test_a_body_is_whole_before_a_backend_gets_it(opened, engine):
    door = opened(KEPT2)
    client = enter(door)
    client.ask(1, POST, end=False)
    client.give(1, b"hello", end=False)
    assert not door.backend().wires
    client.give(1, b"")
    assert door.backend().request()[2] == b"5\r\nhello\r\n0\r\n\r\n"
    door.backend().answers()
    assert client.status() == 200


def test_an_answer_in_chunks_and_one_that_ends_with_its_connection(door, client):
    client.ask(1)
    door.backend().says(b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" % DATE)
    client.look()
    assert client.bodies[1] == b"abc" and 1 not in client.ends
    door.backend().says(b"0\r\n\r\n")
    assert client.status(1) == 200
    client.ask(3)
    door.backend().says(b"HTTP/1.1 200 OK\r\n%b\r\nabc" % DATE)
    door.backend().hangs_up()
    assert client.status(3) == 200 and client.bodies[3] == b"abc"


def test_an_answer_that_breaks_off_is_a_reset(door, client):
    client.ask(1)
    door.backend().says(b"HTTP/1.1 200 OK\r\n%bContent-Length: 9\r\n\r\nabc" % DATE)
    door.backend().hangs_up()
    assert client.reset(1) == 2 and 1 not in client.ends
    client.alive()


def test_a_head_of_head_requests_and_bodyless_statuses(door, client):
    client.ask(1, ((":method", "HEAD"), *GET[1:]))
    door.backend().says(b"HTTP/1.1 200 OK\r\n%bContent-Length: 9\r\n\r\n" % DATE)
    assert client.status(1) == 200 and client.heads[1][0][b"content-length"] == b"9"
    client.ask(3)
    door.backend().says(b"HTTP/1.1 304 Not Modified\r\n%b\r\n" % DATE)
    assert client.status(3) == 304
    assert not client.bodies


def test_the_answer_is_ours(door, client):
    client.ask(1, (*GET[:2], (":path", "/../.."), GET[3]))
    assert client.status() == 400 and client.heads[1][0][b"server"] == b"frontgate"
    client.alive()


def test_1xx_is_passed_on(door, client):
    client.ask()
    door.backend().says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    client.look()
    assert client.heads[1] == [{b":status": b"103", b"link": b"</a>"}]
    door.backend().answers()
    client.look()
    assert client.heads[1][1][b":status"] == b"200"


def test_100_continue_is_ours_to_say(door, client):
    client.ask(1, (*POST, ("expect", "100-continue")), end=False)
    client.look()
    assert client.heads[1] == [{b":status": b"100"}]
    client.give(1, b"x")
    assert b"expect" not in door.backend().request()[1]
    door.backend().answers()
    client.look()
    assert client.heads[1][1][b":status"] == b"200"


def test_trailers_both_ways(opened, engine):
    door = opened(SOLO2.replace('upstream = "app"', 'upstream = "app"\ntrailers = true'))
    client = enter(door)
    client.ask(1, POST, end=False)
    client.give(1, b"x", end=False)
    client.send(HEADERS, END | 4, 1, literals((("x-sum", "1"), ("authorization", "7"), ("x-forwarded-for", "1"))))
    assert door.backend().request()[2] == b"1\r\nx\r\n0\r\nx-sum: 1\r\n\r\n"
    door.backend().says(b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 2\r\n\r\n" % DATE)
    client.look()
    assert client.bodies[1] == b"a" and client.heads[1][1] == {b"x-t": b"2"} and 1 in client.ends


def test_cookies_are_one(door, client):
    client.ask(1, (*GET, ("cookie", "a=1"), ("cookie", "b=2")))
    assert door.backend().request()[1][b"cookie"] == b"a=1; b=2"
    door.backend().answers()


def test_an_error_ends_no_connection(opened, engine):
    """As nginx has it: with HTTP/1.1 it would end behind each of these."""
    text = SOLO2.replace('upstream = "app"', 'upstream = "app"\nerror_pages = [{ status = [413, 500], to = "/oops" }]')
    door = opened(text.replace("[site.all]", "[site.all]\nmax_body = 10") + '[http]\ndialect = "nginx"\n')
    client = enter(door)
    client.ask(1, (*POST, ("content-length", "11")), end=False)
    client.alive()
    client.ask(3)
    client.alive()


def test_a_connection_that_has_had_enough_requests_is_drained(opened, engine):
    door = opened(SOLO2 + "[http]\nmax_requests = 2\n")
    client = enter(door)
    client.ask(1)
    client.ask(3)
    for wire in door.backend().wires:
        wire.says(b"HTTP/1.1 200 OK\r\n%bContent-Length: 1\r\n\r\nx" % DATE)
    door.wait(2)
    assert client.farewell() == 0 and client.ends == {1, 3} and client.ended


def test_what_was_configured(opened, engine):
    door = opened(SOLO2 + '[http]\nstreams = 2\n[http2]\nwindow = "128k"\nresets = 10\ncontrol = 100\n')
    client = enter(door)
    for stream in (1, 3, 5):
        client.ask(stream)
    assert client.reset(5) == 7 and client.reset(3) is None
    client.says(frame(PING, 0, 0, b"12345678") * 98)
    client.alive()
    client.says(frame(PING, 0, 0, b"12345678") * 10)
    client.broken(11)
    counts = door.runtime.ledger.http2
    assert (counts.connections, counts.streams, counts.refused, counts.goaways) == (1, 2, 1, 1)
    assert counts.floods["control"] == 1


def test_a_client_that_takes_the_last_of_an_answer_slowly(door, engine):
    """What is whole in the engine is not given up while its client takes enough of it."""
    client = enter(door, struct.pack(">HI", 4, 0))
    client.ask()
    door.backend().answers(b"x" * 60_000)
    for _ in range(30):
        client.send(WINDOW, 0, 1, struct.pack(">I", 2000))
        client.look()
        door.wait(3)
    assert client.status() == 200 and client.bodies[1] == b"x" * 60_000


def test_what_is_neither_protocol(door, engine):
    """RFC 9113 section 3.4: without a word, since nobody knows what would be understood."""
    for words in (b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n\r\nXX", b"GET /\r\n", b"HELLO THERE\r\n", b"\0" * 24):
        one = type(enter(door))(door, door.runtime.listeners["web"].made(None), peername=("192.0.2.8", 1))
        door.clients.append(one)
        one.protocol.connection_made(one)
        one.says(words)
        assert one.ended and not one.heard()


def test_what_is_over_the_limit(opened, engine):
    door = opened(SOLO2.replace("[site.all]", "[site.all]\nmax_body = 10"))
    client = enter(door)
    client.ask(1, (*POST, ("content-length", "11")), end=False)
    client.look()
    assert client.status(1) == 413 and client.reset(1) is None
    client.give(1, b"x" * 4, end=False)
    assert client.reset(1) is None, "it may not have read its answer"
    door.wait(2)
    assert client.reset(1) == NO_ERROR
    client.ask(3, POST, end=False)
    client.give(3, b"x" * 11, end=False)
    assert client.status(3) == 413
    client.alive()


def test_the_rest_of_a_body_that_nobody_wants(opened, engine):
    """It is read and dropped, for a while, however much it is; then there is no need for a reset."""
    door = opened(SOLO2.replace("[site.all]", "[site.all]\nmax_body = 10"))
    client = enter(door)
    client.ask(1, POST, end=False)
    client.give(1, b"x" * 11, end=False)
    for _ in range(30):
        client.give(1, b"x" * 10000, end=False)
    client.give(1, b"x")
    client.ask(3, POST, end=False)
    client.give(3, b"x" * 11, end=False)
    client.send(HEADERS, END | 4, 3, literals((("x-sum", "1"),)))
    client.ask(5, POST, end=False)
    client.give(5, b"x" * 11, end=False)
    for _ in range(8):
        client.give(5, b"x", end=False)
        door.wait(0.9)
    assert [client.status(one) for one in (1, 3, 5)] == [413] * 3
    assert [client.reset(one) for one in (1, 3, 5)] == [None, None, NO_ERROR]
    client.alive()


def test_a_client_that_does_not_know_yet_that_it_was_answered(opened, engine):
    door = opened(SOLO2.replace("[site.all]", "[site.all]\nmax_body = 10"))
    client = enter(door)
    for stream in range(1, 21, 2):
        client.ask(stream, (*POST, ("content-length", "999999")), end=False)
        for _ in range(60):
            client.give(stream, b"x" * 100, end=False)
        client.send(HEADERS, END | 4, stream, literals((("x-sum", "1"),)))
        assert client.status(stream) == 413
    client.alive()


def test_a_reset_takes_the_request_back(door, client):
    client.ask()
    wire = door.backend().wire
    client.send(RST, 0, 1, struct.pack(">I", 8))
    assert wire.gone and door.fault == "client_left"
    client.alive()


def test_the_connection_goes_and_all_that_is_on_it(door, client):
    client.ask(1)
    client.ask(3)
    client.resets()
    assert all(wire.gone for wire in door.backend().wires) and len(door.finished) == 2


def test_windows_of_the_client(door, engine):
    client = enter(door, struct.pack(">HI", 4, 10))
    client.ask()
    door.backend().answers(b"x" * 30)
    client.look()
    assert client.bodies[1] == b"x" * 10 and 1 not in client.ends
    client.send(WINDOW, 0, 1, struct.pack(">I", 15))
    client.look()
    assert client.bodies[1] == b"x" * 25
    client.send(SETTINGS, 0, 0, struct.pack(">HI", 4, 15))
    assert client.status() == 200 and client.bodies[1] == b"x" * 30


@pytest.mark.parametrize("buffered", (False, True))
def test_a_large_answer_to_a_client_that_does_not_take_it(opened, engine, buffered):
    door = opened(KEPT2 if buffered else SOLO2)
    client = enter(door)
    client.ask()
    size = 1_000_000
    backend = door.backend().wire
    backend.says(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (DATE, size) + b"x" * 250_000)
    client.look()
    assert len(client.bodies[1]) == 65535
    assert backend.reading is buffered
    for _ in range(3):
        backend.says(b"x" * 250_000)
    if buffered:
        assert backend.protocol.exchange is None, "the backend is free"
    assert client.protocol.engine.queued(1) <= 250_000
    while 1 not in client.ends:
        client.send(WINDOW, 0, 1, struct.pack(">I", 100_000))
        client.send(WINDOW, 0, 0, struct.pack(">I", 100_000))
        client.look()
    assert client.bodies[1] == b"x" * size and door.last.body_out == size and backend.reading
    client.alive()


def test_a_client_that_takes_nothing_is_given_up(door, client):
    client.ask()
    door.backend().says(b"HTTP/1.1 200 OK\r\n%bContent-Length: 500000\r\n\r\n" % DATE + b"x" * 200_000)
    door.wait(70)
    assert client.reset(1) is not None and door.fault == "client_stalled"


def test_an_answer_in_the_engine_is_given_up_too(door, engine):
    client = enter(door, struct.pack(">HI", 4, 0))
    client.ask()
    door.backend().answers(b"x" * 1000)
    assert len(door.finished) == 1
    door.wait(70)
    assert client.reset(1) == 8


def test_windows_of_ours_follow_the_backend(door, client):
    client.ask(1, POST, end=False)
    backend = door.backend().wire
    backend.jammed = True
    for _ in range(6):
        client.give(1, b"x" * 16000, end=False)
    assert given(client) == 48000, "the last three are not taken yet"
    backend.flows()
    backend.jammed = False
    assert given(client) == 96000
    client.give(1, b"")
    door.backend().answers()
    assert client.status() == 200


def given(client):
    """By how much the window of the first stream was opened."""
    client.look()
    found = [payload for kind, _, one, payload in client.frames if (kind, one) == (WINDOW, 1)]
    return sum(struct.unpack(">I", payload)[0] for payload in found)


def test_drain_finishes_what_was_begun(door, client):
    client.ask(1)
    door.runtime.listeners["web"].close()
    door.run()
    client.look()
    assert [payload for kind, _, _, payload in client.frames if kind == GOAWAY] == [
        struct.pack(">II", (1 << 31) - 1, 0)
    ]
    client.ask(3)
    door.wait(2)
    assert client.farewell() == 0 and not client.ended
    for wire in door.backend().wires:
        wire.says(b"HTTP/1.1 200 OK\r\n%bContent-Length: 1\r\n\r\nx" % DATE)
    client.look()
    assert client.ends == {1, 3} and client.ended


def test_idle_connections_are_told_and_closed(door, client):
    client.ask(1)
    door.backend().answers()
    door.wait(80)
    assert client.farewell() == 0 and client.ended


def test_a_body_that_does_not_come(door, client):
    client.ask(1, POST, end=False)
    door.wait(40)
    assert client.status(1) == 408 and door.fault == "body_timeout"
    client.alive()


def test_a_preface_that_comes_in_drops_and_http1_on_the_same_port(door, engine):
    client = enter(door)
    client.alive()
    plain = door.runtime.listeners["web"].made(None)
    one = type(client)(door, plain, peername=("192.0.2.8", 1))
    door.clients.append(one)
    plain.connection_made(one)
    one.says(b"P")
    one.says(b"OST / HTTP/1.1\r\nHost: door\r\nContent-Length: 0\r\n\r\n")
    door.backend().answers()
    assert one.heard().startswith(b"HTTP/1.1 200 OK")
    two = type(client)(door, door.runtime.listeners["web"].made(None), peername=("192.0.2.8", 2))
    door.clients.append(two)
    two.protocol.connection_made(two)
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS) + frame(PING, 0, 0, b"12345678"):
        two.says(bytes((byte,)))
    two.look()
    assert (PING, ACK, 0, b"12345678") in two.frames


def test_a_websocket_is_a_tunnel(door, client):
    client.ask(
        1, ((":method", "CONNECT"), (":protocol", "websocket"), *GET[1:], ("sec-websocket-version", "13")), False
    )
    line, fields, _ = door.backend().request()
    assert line == b"GET / HTTP/1.1" and fields[b"upgrade"] == b"websocket" and len(fields[b"sec-websocket-key"]) == 24
    client.give(1, b"early", end=False)
    door.backend().says(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\nhi"
    )
    client.look()
    head = client.heads[1][0]
    assert head == {b":status": b"200", b"sec-websocket-protocol": b"chat"} and client.bodies[1] == b"hi"
    assert door.backend().heard() == b"early"
    client.give(1, b"more", end=False)
    assert door.backend().heard() == b"more"
    door.backend().says(b"back")
    door.backend().hangs_up()
    client.look()
    assert client.bodies[1] == b"hiback" and 1 in client.ends
    assert door.last.status in (101, 200)


def test_settings_say_what_we_are(door, engine):
    client = type(enter(door))(door, door.runtime.listeners["web"].made(None), peername=("192.0.2.7", 1))
    door.clients.append(client)
    client.protocol.connection_made(client)
    client.says(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS))
    client.look()
    said = dict(struct.iter_unpack(">HI", client.frames[0][3]))
    assert said.get(1, 4096) == 4096, "what decoders are told of"
    assert said[3] == 100 and said[4] == 65536 and said[8] == 1 and said[6] == 65536
    assert (SETTINGS, ACK, 0, b"") in client.frames


def test_data_frames_fit(door, client):
    client.ask()
    door.backend().answers(b"x" * 40000)
    client.look()
    assert all(len(payload) <= 16384 for kind, _, _, payload in client.frames if kind == DATA)
    assert client.status() == 200


def test_a_connection_that_is_jammed_holds_what_is_behind(door, engine):
    """Its windows are wide open, and nobody reads: what waits is counted where it waits."""
    client = enter(door, struct.pack(">HI", 4, (1 << 31) - 1))
    client.send(WINDOW, 0, 0, struct.pack(">I", (1 << 30)))
    client.ask()
    client.jammed = True
    backend = door.backend().wire
    backend.says(b"HTTP/1.1 200 OK\r\n%bContent-Length: 2000000\r\n\r\n" % DATE)
    for _ in range(8):
        backend.says(b"x" * 250_000)
    assert len(client.buffer) < 300_000 and not backend.reading
    while not client.ended and 1 not in client.ends:
        client.flows()
        client.look()
    assert client.bodies[1] == b"x" * 2_000_000


def test_a_file_to_a_client_that_is_slow(engine, opened, tmp_path):
    """What pours at once when it is released stops as soon as the stream is full again."""
    (tmp_path / "big").write_bytes(b"x" * 8_000_000)
    door = opened(SOLO2.replace('upstream = "app"\n', f'files = "{tmp_path}"\n', 1))
    client = enter(door)
    client.ask(1, (*GET[:2], (":path", "/big"), GET[3]))
    while 1 not in client.ends:
        client.look()
        assert client.protocol.engine.queued(1) < 300_000, "it does not wait in memory"
        client.send(WINDOW, 0, 1, struct.pack(">I", 200_000))
        client.send(WINDOW, 0, 0, struct.pack(">I", 200_000))
        client.look()
    assert len(client.bodies[1]) == 8_000_000
