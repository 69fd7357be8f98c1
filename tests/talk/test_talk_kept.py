"""Conversations in which bodies wait: a request's until it is whole, an answer's for a client that is slow."""

from __future__ import annotations

import os

import pytest
from stage import KEPT, SOLO

ALONE = KEPT.replace(', "10.0.0.2:2", "10.0.0.3:3"', "")
LARGE = bytes(range(256)) * 2000  # 512,000 bytes
HEAD = b"POST / HTTP/1.1\r\nHost: door\r\n%bContent-Length: %d\r\n\r\n"


def files():
    """How many files without a name are open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith(("/var/tmp/", "/tmp/frontgate"))
        except OSError:
            continue
    return found


def body_of(backend):
    """What the backend was sent behind the head."""
    return backend.heard().partition(b"\r\n\r\n")[2]


# --- requests ---------------------------------------------------------------------------------------------------------


def test_a_backend_gets_a_body_when_it_is_whole(opened):
    door = opened(ALONE)
    client = door.client()
    client.says(HEAD % (b"", 4))
    client.says(b"ab")
    assert not door.backend().wires
    client.says(b"cd")
    assert body_of(door.backend()) == b"abcd"
    door.backend().answers()
    assert client.status("POST") == 200


def test_a_long_body_waits_in_a_file_and_is_sent_as_it_came(opened):
    door = opened(ALONE)
    before = files()
    client = door.client()
    client.says(HEAD % (b"", len(LARGE)))
    for at in range(0, len(LARGE) - 1000, 50_000):
        client.says(LARGE[at : min(at + 50_000, len(LARGE) - 1000)])
    assert not door.backend().wires and files() == before + 1
    client.says(LARGE[-1000:])
    assert body_of(door.backend()) == LARGE
    door.backend().answers()
    assert client.status("POST") == 200 and files() == before


def test_a_chunked_body_too(opened):
    door = opened(ALONE)
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.says(b"%x\r\n%b\r\n" % (len(LARGE), LARGE))
    assert not door.backend().wires
    client.says(b"0\r\n\r\n")
    sent = body_of(door.backend())
    assert sent.endswith(b"\r\n0\r\n\r\n") and len(sent) > len(LARGE)
    door.backend().answers()
    assert client.status("POST") == 200


def test_whoever_expects_100_gets_it_from_the_door(opened):
    door = opened(ALONE)
    client = door.client()
    client.says(HEAD % (b"Expect: 100-continue\r\n", 2))
    client.hears(b"HTTP/1.1 100 Continue\r\n\r\n")
    client.says(b"ab")
    assert body_of(door.backend()) == b"ab"
    door.backend().answers()
    assert client.status("POST") == 200


@pytest.mark.parametrize("kind", [b"application/grpc+proto", b"text/event-stream"])
@pytest.mark.parametrize(("config", "wires"), [(ALONE, 0), (SOLO, 1)])
def test_it_is_the_route_that_streams_and_not_what_a_client_calls_its_body(opened, config, wires, kind):
    door = opened(config)
    client = door.client()
    client.says(HEAD % (b"Content-Type: %b\r\n" % kind, 4))
    client.says(b"ab")
    assert len(door.backend().wires) == wires and (not wires or body_of(door.backend()) == b"ab")


def test_a_kept_body_is_sent_to_the_next_backend_as_well(opened):
    door = opened(KEPT)
    client = door.client()
    client.says(b"PUT / HTTP/1.1\r\nHost: door\r\nContent-Length: %d\r\n\r\n%b" % (len(LARGE), LARGE))
    assert body_of(door.backend(0)) == LARGE
    door.backend(0).resets()
    assert body_of(door.backend(1)) == LARGE
    door.backend(1).answers()
    assert client.status("PUT") == 200


def test_a_kept_post_is_not_sent_twice(opened):
    door = opened(KEPT)
    client = door.client()
    client.post(LARGE)
    assert body_of(door.backend(0)) == LARGE
    door.backend(0).resets()
    assert client.status("POST") == 502 and not door.backend(1).wires


def test_a_backend_that_takes_a_kept_body_slowly(opened):
    door = opened(ALONE)
    client = door.client()
    client.get()
    door.backend().answers()
    client.heard()
    wire = door.backend().wire
    wire.heard()
    wire.jammed = True
    client.post(LARGE)
    assert client.reading  # it is not its affair any more
    taken = b""
    while len(taken) < len(LARGE):
        door.wait(10)
        wire.flows(100_000)
        taken += body_of(wire) if not taken else wire.heard()
    assert taken == LARGE
    wire.answers = door.backend().answers
    door.backend().answers()
    assert client.status("POST") == 200


def test_an_answer_before_a_kept_body_was_sent_whole_ends_the_link(opened):
    door = opened(ALONE)
    client = door.client()
    client.get()
    door.backend().answers()
    client.heard()
    wire = door.backend().wire
    wire.jammed = True
    client.post(LARGE)
    door.backend().answers(b"enough", status=b"413 Content Too Large")
    assert client.status("POST") == 413 and wire.gone
    client.get()
    assert len(door.backend().wires) == 2  # the client's connection lives on, for its body was read
    door.backend().answers()
    assert client.status() == 200


def test_a_full_disk_is_a_clean_503(opened, monkeypatch):
    door = opened(ALONE)

    def refuse(*words):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    client = door.client()
    client.says(HEAD % (b"", len(LARGE)))
    client.says(LARGE[:300_000])
    assert client.status("POST") == 503 and door.fault == "no_space" and not door.backend().wires


def test_a_body_that_stays_away_is_a_408_and_no_backend_hears_of_it(opened):
    door = opened(ALONE)
    client = door.client()
    client.says(HEAD % (b"", 4))
    client.says(b"ab")
    door.wait(31)
    assert client.status("POST") == 408 and not door.backend().wires


def test_whoever_leaves_with_half_a_body_leaves_nothing(opened):
    door = opened(ALONE)
    before = files()
    client = door.client()
    client.says(HEAD % (b"", len(LARGE)))
    client.says(LARGE[:300_000])
    assert files() == before + 1
    client.resets()
    assert files() == before and door.fault == "client_left" and not door.backend().wires


# --- answers ----------------------------------------------------------------------------------------------------------


def stuck(door, body=LARGE, more=b""):
    """A client that takes nothing, and a backend that has said all it has to say."""
    client = door.client()
    client.jammed = True
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n" % (len(body), more))
    for at in range(0, len(body), 50_000):
        door.backend().says(body[at : at + 50_000])
    return client


def test_a_slow_client_does_not_keep_the_backend(opened):
    door = opened(ALONE)
    before = files()
    client = stuck(door)
    state = door.state()
    assert state.taken == state.settled == 1 and not door.finished and files() == before + 1
    assert state.pool._idle  # the link is free
    while not door.finished:
        door.wait(10)
        client.flows(40_000)
    client.flows()
    assert client.answer().body == LARGE and files() == before
    assert door.last.body_out == len(LARGE) and door.last.fault is None and door.last.ended < door.last.finished


def test_the_next_request_waits_until_the_client_has_its_answer(opened):
    door = opened(ALONE)
    client = stuck(door)
    door.backend().heard()
    client.get(b"/next")
    assert not door.backend().asked
    while not door.finished:
        client.flows()
    client.jammed = False
    client.flows()
    assert client.answer().body == LARGE
    assert door.backend().request()[0] == b"GET /next HTTP/1.1"
    door.backend().answers()
    assert client.status() == 200


@pytest.mark.parametrize("more", [b"X-Accel-Buffering: no\r\n", b"Content-Type: text/event-stream\r\n"])
def test_what_is_live_is_not_kept(opened, more):
    door = opened(ALONE)
    client = door.client()
    client.jammed = True
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n%b\r\n" % more + LARGE[:100_000])
    assert not door.backend().reading


def test_when_too_much_waits_the_backend_is_held(opened):
    door = opened(ALONE + '[buffer]\nanswer = "200k"\n')
    client = door.client()
    client.jammed = True
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE))
    at = 0
    while door.backend().reading:
        door.backend().says(LARGE[at : at + 50_000])
        at += 50_000
    assert 200_000 < at < 400_000
    while at < len(LARGE):
        door.wait(5)
        client.flows(60_000)
        if door.backend().reading:
            door.backend().says(LARGE[at : at + 50_000])
            at += 50_000
    while not door.finished:
        client.flows(60_000)
    client.flows()
    assert client.answer().body == LARGE


def test_a_full_disk_falls_back_to_holding_the_backend(opened, monkeypatch):
    door = opened(ALONE)

    def refuse(*words):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    client = door.client()
    client.jammed = True
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE))
    at = 0
    while door.backend().reading:
        door.backend().says(LARGE[at : at + 50_000])
        at += 50_000
    assert at < 400_000
    while at < len(LARGE):
        client.flows(60_000)
        if door.backend().reading:
            door.backend().says(LARGE[at : at + 50_000])
            at += 50_000
    while not door.finished:
        client.flows(60_000)
    client.flows()
    assert client.answer().body == LARGE


@pytest.mark.parametrize("taken", [0, 10, 100_000, 180_000])
@pytest.mark.parametrize("head", [b"Content-Length: 256000\r\n\r\n", b"Content-Length: 512000\r\n\r\n"])
def test_of_a_large_part_a_transport_holds_no_more_than_fills_it(opened, taken, head):
    """The loop reads 256 KB at once; what the client does not take of it waits in the spool, whole answer or not."""
    door = opened(ALONE)
    client = door.client()
    client.get()
    client.jammed, client.room = True, taken
    door.backend().says(b"HTTP/1.1 200 OK\r\n" + head + LARGE[:256_000])
    assert len(client.buffer) == 65537
    door.backend().says(LARGE[256_000:] if head.startswith(b"Content-Length: 5") else b"")
    assert len(client.buffer) == 65537 and door.state().settled == 1 and not door.finished
    while not door.finished:
        door.wait(20)
        client.flows(40_000)
        assert len(client.buffer) <= 65537
    client.flows()
    body = client.answer().body
    assert body == LARGE[: len(body)] and len(body) in (256_000, 512_000) and door.last.body_out == len(body)


def test_a_client_that_does_not_take_a_large_part_is_stalled_and_one_that_does_is_not(opened):
    door = opened(ALONE)
    client = door.client()
    client.get()
    client.jammed = True
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 256000\r\n\r\n" + LARGE[:256_000])
    for _ in range(4):
        door.wait(25)
        client.flows(31_000)
        assert not client.aborted
    door.wait(65)
    assert client.aborted and door.fault == "client_stalled"


def test_a_large_part_for_who_keeps_up_waits_nowhere(opened):
    door = opened(ALONE)
    before = files()
    client = door.client()
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 512000\r\n\r\n" + LARGE[:256_000])
    door.backend().says(LARGE[256_000:])
    assert client.answer().body == LARGE and door.fault is None and files() == before


def test_a_large_answer_that_is_tried_again_is_not_ended_twice(opened):
    """A 503 with trailers, or a large one, whose status is tried again is dropped whole."""
    door = opened(KEPT.replace("[site.all]", "retry = { on = [503] }\n[site.all]"))
    client = door.client()
    client.get()
    door.backend(0).answers(bytes(70_000), status=b"503 Service Unavailable")
    assert not door.finished and not client.told
    door.backend(1).answers(b"good")
    assert client.answer().body == b"good" and len(door.finished) == 1


def test_trailers_of_an_answer_that_is_tried_again_end_nothing(opened):
    config = KEPT.replace("[site.all]", "retry = { on = [503] }\n[site.all]").replace(
        'path = "/"', 'path = "/"\ntrailers = true'
    )
    door = opened(config)
    client = door.client()
    client.get()
    door.backend(0).says(b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n")
    assert not door.finished and not client.told
    door.backend(1).answers(b"good")
    assert client.answer().body == b"good" and len(door.finished) == 1


def test_a_client_that_takes_nothing_is_let_go(opened):
    door = opened(ALONE)
    before = files()
    client = stuck(door)
    door.wait(61)
    assert client.aborted and door.fault == "client_stalled" and files() == before
    assert door.last.body_out < 200_000  # what was kept was not sent


def test_a_client_that_leaves_is_told_in_the_log_by_what_it_took(opened):
    door = opened(ALONE)
    before = files()
    client = stuck(door)
    client.resets()
    assert door.fault == "client_left" and door.last.status == 200 and files() == before
    assert door.last.body_out < 200_000 and door.state().taken == door.state().settled


def test_a_chunked_answer_is_kept_in_its_frames(opened):
    door = opened(ALONE)
    client = door.client()
    client.jammed = True
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for at in range(0, len(LARGE), 50_000):
        part = LARGE[at : at + 50_000]
        door.backend().says(b"%x\r\n%b\r\n" % (len(part), part))
    door.backend().says(b"0\r\n\r\n")
    assert door.state().settled == 1 and not door.finished
    while not door.finished:
        client.flows()
    client.flows()
    assert client.answer().body == LARGE and len(door.finished) == 1


def test_an_answer_that_breaks_off_behind_what_waits_is_seen_not_to_be_whole(opened):
    door = opened(ALONE)
    client = door.client()
    client.jammed = True
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE))
    door.backend().says(LARGE[:300_000])
    door.backend().resets()
    assert client.aborted and door.fault == "truncated"


def test_streaming_is_what_a_site_may_ask_for(opened):
    door = opened(SOLO)
    client = door.client()
    client.jammed = True
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + LARGE[:100_000])
    assert not door.backend().reading
