"""Conversations that a worker's end cuts short: WebSockets hear a Close frame between two others, event streams end
behind an event, and what cannot be ended well goes on."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace

import pytest

from proxy.http.frames import GOING_AWAY, RESTART, closing
from proxy.upstream.farewell import FIRST, LAST, Farewells, lasting

UPGRADE = b"GET / HTTP/1.1\r\nHost: door\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
TEXT = b"\x81\x05hello"
BIG = b"\x82\x7e\x01\x00" + bytes(256)
MASKED = b"\x88\x82\x01\x02\x03\x04\x02\xeb"  # a client's Close frame
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def farewell(door, seconds=10.0, code=GOING_AWAY):
    """Say farewell, and let all its time but the last of it pass."""
    farewells = Farewells(door.wheel.all, door.clock.now + seconds, code, Random(1))
    farewells.tick(door.clock.now)
    before = door.clock.now
    while door.clock.now < before + seconds * LAST:
        door.wait(seconds / 20)
        farewells.tick(door.clock.now)
    door.run()


def tunnel(door, rest=b""):
    """A WebSocket, and its two wires."""
    client = door.client()
    client.says(UPGRADE)
    wire = door.backend().wire
    wire.heard()
    wire.says(SWITCH + rest)
    assert client.heard().endswith(b"\r\n\r\n" + rest)
    return client, wire


@pytest.mark.parametrize("code", [GOING_AWAY, RESTART])
def test_a_websocket_that_is_still_hears_a_close_frame_and_its_answer_reaches_the_backend(door, code):
    client, wire = tunnel(door)
    wire.says(TEXT)
    assert client.heard() == TEXT
    farewell(door, code=code)
    assert client.heard() == b"\x88\x02" + code.to_bytes(2, "big")
    wire.says(TEXT)
    client.hears_nothing()
    client.says(MASKED)
    assert wire.heard() == MASKED
    wire.says(b"\x88\x02\x03\xe9")
    wire.hangs_up()
    client.hears_nothing()
    assert client.gone and door.fault is None


def test_in_the_middle_of_a_frame_its_end_is_waited_for(door):
    client, wire = tunnel(door)
    wire.says(BIG[:100])
    client.heard()
    farewell(door)
    client.hears_nothing()
    wire.says(BIG[100:200])
    assert client.heard() == BIG[100:200]
    wire.says(BIG[200:] + TEXT)
    assert client.heard() == BIG[200:] + closing(GOING_AWAY)
    wire.says(TEXT)
    client.hears_nothing()


@pytest.mark.parametrize("cut", range(1, 4))
def test_the_head_of_a_frame_in_parts(door, cut):
    client, wire = tunnel(door, rest=TEXT + BIG[:cut])
    farewell(door)
    client.hears_nothing()
    wire.says(BIG[cut:])
    assert client.heard() == BIG[cut:] + closing(GOING_AWAY)


@pytest.mark.parametrize("frame", [b"\x81\x85\x00\x00\x00\x00hello", b"\x83\x00", b"\x89\x7e\x00\x80"])
def test_where_frames_cannot_be_followed_nothing_is_put_in(door, frame):
    client, wire = tunnel(door)
    wire.says(frame)
    assert client.heard() == frame
    farewell(door)
    wire.says(TEXT)
    assert client.heard() == TEXT


def test_a_close_frame_of_the_backends_own_is_the_only_one(door):
    client, wire = tunnel(door)
    wire.says(b"\x88\x02\x03\xe8")
    client.heard()
    farewell(door)
    client.hears_nothing()


def test_a_close_frame_of_the_backends_own_that_comes_after_the_farewell(door):
    client, wire = tunnel(door)
    wire.says(TEXT[:3])
    client.heard()
    farewell(door)
    wire.says(TEXT[3:] + b"\x88\x06\x03")
    wire.says(b"\xe8done")
    assert client.heard() == TEXT[3:] + b"\x88\x06\x03\xe8done"


def streamed(door, first=b""):
    """An event stream on its way, and its wires."""
    client = door.client()
    client.get()
    wire = door.backend().wire
    wire.heard()
    wire.says(EVENTS + first)
    client.heard()
    return client, wire


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize("first", [b"", chunk(b"data: 1\n\n"), chunk(b"data: 1\r\n\r\n"), chunk(b": ping\n\n")])
def test_an_event_stream_that_is_still_ends_behind_its_event(door, first):
    client, wire = streamed(door, first)
    farewell(door)
    assert client.heard() == b"0\r\n\r\n"
    assert wire.gone and door.fault is None and door.last.status == 200


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_in_the_middle_of_an_event_its_end_is_waited_for(door, end):
    client, wire = streamed(door, chunk(b"data: 1" + end + b"da"))
    farewell(door)
    client.hears_nothing()
    wire.says(chunk(b"ta: 2" + end[: len(end) // 2]))
    assert client.heard() == chunk(b"ta: 2" + end[: len(end) // 2])
    wire.says(chunk(end[len(end) // 2 :] + b"data: 3" + end))
    assert client.heard() == chunk(end[len(end) // 2 :]) + b"0\r\n\r\n"
    assert wire.gone


def test_answers_that_end_by_themselves_are_left_alone(door):
    client = door.client()
    client.get()
    door.backend().wire.says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"data: 1\n\n"))
    client.heard()
    other = door.client()
    other.get()
    door.backend().wire.says(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\ndata")
    other.heard()
    farewell(door)
    client.hears_nothing()
    other.hears_nothing()


def test_a_link_has_forgotten_its_event_stream_with_the_next_answer(door):
    client, wire = streamed(door, chunk(b"data: 1\n\n"))
    wire.says(b"0\r\n\r\n")
    client.heard()
    client.get()
    wire.says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"no event"))
    client.heard()
    farewell(door)
    client.hears_nothing()


def test_each_has_a_time_of_its_own(door):
    for _ in range(20):
        tunnel(door)
    farewells = Farewells(door.wheel.all, door.clock.now + 10, GOING_AWAY)
    farewells.tick(door.clock.now)
    waits = [due - door.clock.now for due in farewells.due.values()]
    assert len(set(waits)) == 20 and all(10 * FIRST <= wait <= 10 * LAST for wait in waits)
    assert max(waits) - min(waits) > 2
    farewells.tick(door.clock.now + 1)
    assert waits == [due - door.clock.now for due in farewells.due.values()], "drawn once"


def test_who_is_gone_is_forgotten(door):
    client, _wire = tunnel(door)
    farewells = Farewells(door.wheel.all, door.clock.now + 10, GOING_AWAY, SimpleNamespace(uniform=lambda low, high: 1))
    farewells.tick(door.clock.now)
    client.resets()
    farewells.tick(door.clock.now)
    assert not farewells.due


def test_whose_time_is_over_at_a_reload_is_who_was_there_before(door):
    client, wire = streamed(door, chunk(b"data: 1\n\n"))
    before = lasting(door.wheel.all())
    assert len(before()) == 1
    wire.says(b"0\r\n\r\n")
    client.heard()
    client.get()
    assert door.backend().wire is wire, "the same link"
    wire.says(EVENTS + chunk(b"data: 2\n\n"))
    client.heard()
    assert before() == [] and len(lasting(door.wheel.all())()) == 1


def test_a_farewell_that_came_too_late_is_none_to_the_next(door):
    client, wire = streamed(door, chunk(b"data: 1"))
    farewell(door)
    wire.says(b"0\r\n\r\n")
    assert client.heard() == b"0\r\n\r\n"
    client.get()
    wire.says(EVENTS + chunk(b"data"))
    client.heard()
    wire.says(chunk(b": 2\n\n"))
    assert client.heard() == chunk(b": 2\n\n")
