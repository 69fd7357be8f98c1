"""Conversations with a breaker between the door and a backend."""

from __future__ import annotations

import pytest
from stage import APP, SOLO

COUNTED = ("opened", "probing", "closed")
BREAKER = 'breaker = { failures = 3, recovery = "10s" }\nfallback = { body = "later" }\n[site.all]'


def guarded(base=SOLO, words=BREAKER):
    return base.replace("[site.all]", words, 1)


def fail(door, client, times):
    for _ in range(times):
        client.get()
        door.backend().answers(b"no", status=b"503 Service Unavailable")
        assert client.answer().body == b"no"


def test_it_opens_probes_once_and_closes(opened, caplog):
    door = opened(guarded())
    client = door.client()
    fail(door, client, 3)
    client.get()
    assert client.answer().body == b"later" and door.state().taken == 3
    door.wait(12)
    other = door.client()
    client.get()
    other.get()
    assert other.answer().body == b"later" and door.state().taken == 4  # one probe, not every caller
    door.backend().answers(b"well")
    assert client.answer().body == b"well"
    other.get()
    door.backend().answers(b"well")
    assert other.answer().body == b"well"
    door.runtime.flush()
    said = [record.getMessage() for record in caplog.records if "breaker" in record.getMessage()]
    assert [line.split(" is ")[1].partition(":")[0] for line in said] == ["open", "probing", "closed"]
    assert door.arena.total(("backend", "app", "10.0.0.1:1", "breaker_opened")) == 1


def test_a_probe_that_fails_opens_it_for_longer(opened):
    door = opened(guarded())
    client = door.client()
    fail(door, client, 3)
    door.wait(12)
    fail(door, client, 1)
    door.wait(12)
    client.get()
    assert client.answer().body == b"later"
    door.wait(12)
    client.get()
    door.backend().answers(b"well")
    assert client.answer().body == b"well"


def test_whoever_leaves_gives_the_probe_back(opened):
    door = opened(guarded())
    client = door.client()
    fail(door, client, 3)
    door.wait(12)
    other = door.client()
    client.get()
    client.resets()
    other.get()
    door.backend().answers(b"well")
    assert other.answer().body == b"well"


def test_another_backend_takes_over(opened):
    door = opened(guarded(APP, "breaker = { failures = 1 }\n[site.all]"))
    door.backend(0).accepts = False
    client = door.client()
    for _ in range(6):
        client.get()
        backend = next(one for one in door.backends.values() if one.wires and one.asked)
        backend.heard()
        backend.answers()
        assert client.status() == 200
    assert door.state(0).taken == 1 and door.state(0).fails == 1


def test_a_reload_keeps_its_state(opened):
    door = opened(guarded())
    client = door.client()
    fail(door, client, 3)
    door.reload(guarded(words=BREAKER.replace("failures = 3", "failures = 4")))
    client.get()
    assert client.answer().body == b"later"


WEBSOCKET = b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n"


def word(door):
    return door.state().breaker.snapshot(door.clock.now).state


@pytest.mark.parametrize(("more", "begins"), [(WEBSOCKET, SWITCH), (b"", EVENTS)])
def test_a_probe_that_becomes_a_stream_closes_it_when_its_answer_begins(opened, more, begins):
    door = opened(guarded())
    client = door.client()
    fail(door, client, 3)
    door.wait(12)
    streams = []
    for _ in range(3):
        streams.append(stream := door.client())
        stream.get(more=more)
        door.backend().says(begins)
        assert stream.heard().startswith(begins[:12])
        assert word(door) == "closed"
        door.wait(30)  # less than a stream may be silent
    assert door.state().taken - door.state().settled == 3
    for stream in streams:
        stream.resets()


def test_a_probe_whose_answer_begins_badly_opens_it_again(opened):
    door = opened(guarded())
    client = door.client()
    fail(door, client, 3)
    door.wait(12)
    client.get()
    door.backend().says(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 10\r\n\r\n12345")
    assert word(door) == "open"
    door.backend().says(b"67890")
    assert client.answer().body == b"1234567890" and word(door) == "open"


def test_a_stream_that_breaks_off_behind_its_probe_is_a_failure_of_its_own(opened):
    door = opened(guarded(words=BREAKER.replace("failures = 3", "failures = 1")))
    client = door.client()
    fail(door, client, 1)
    door.wait(12)
    client.get()
    door.backend().says(EVENTS)
    assert word(door) == "closed"
    door.backend().wire.resets()
    assert word(door) == "open"


def test_all_transitions_are_counted(opened):
    door = opened(guarded())
    client = door.client()
    fail(door, client, 3)
    door.wait(12)
    client.get()
    door.backend().answers(b"well")
    client.answer()
    door.runtime.flush()
    counted = {state: door.arena.total(("backend", "app", "10.0.0.1:1", f"breaker_{state}")) for state in COUNTED}
    assert counted == {"opened": 1, "probing": 1, "closed": 1}
