"""Attacks on HTTP/2 of the last years, each with what it may cost: with each engine."""

from __future__ import annotations

import resource
import struct
import time

import pytest
from frames import (
    CALM,
    DATA,
    END,
    GET,
    HEADERS,
    MORE,
    PING,
    POST,
    PRIORITY,
    RST,
    SETTINGS,
    SOLO2,
    WHOLE,
    WINDOW,
    enter,
    frame,
    literals,
    number,
)
from stage import DATE

from proxy.downstream.h2 import engines
from proxy.downstream.h2.engines import ENGINES


@pytest.fixture(params=sorted(ENGINES))
def engine(request, monkeypatch):
    monkeypatch.setattr(engines, "ENGINES", {request.param: ENGINES[request.param]})
    return request.param


@pytest.fixture
def door(engine, opened):
    return opened(SOLO2)


def cpu():
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def pours(client, words, times, step=50):
    """Say it again and again until the door has enough; how many were said."""
    for said in range(0, times, step):
        if client.ended:
            return said
        client.says(words * step)
    return times


BLOCK = literals(GET)


def free(door):
    """Whether no backend is at work."""
    return all(wire.gone or wire.protocol.exchange is None for wire in door.backend().wires)


@pytest.mark.parametrize("step", (1, 20))
def test_rapid_reset(door, step):
    """CVE-2023-44487: the connection ends by 1200 frames, with at most 250 requests sent on."""
    client = enter(door)
    sent = 0
    for round_ in range(0, 5000, step):
        if client.ended:
            break
        streams = [2 * (round_ + one) + 1 for one in range(step)]
        both = [frame(HEADERS, END | WHOLE, one, BLOCK) + frame(RST, 0, one, struct.pack(">I", 8)) for one in streams]
        client.says(b"".join(both))
        sent += 2 * step
    client.broken(CALM, 2)
    assert sent <= 1200 and len(door.made) <= 250
    assert free(door), "their work is taken back"


@pytest.mark.parametrize(
    "wrong",
    (
        lambda stream: frame(WINDOW, 0, stream, b"\0\0\0\0"),
        lambda stream: frame(WINDOW, 0, stream, struct.pack(">I", (1 << 31) - 1)),
        lambda stream: frame(PRIORITY, 0, stream, b"\0\0\0\0"),
        lambda stream: frame(DATA, END, stream, b"") + frame(DATA, END, stream, b"x"),
        lambda stream: frame(HEADERS, WHOLE, stream, literals((("X", "y"),))),
    ),
    ids=("window of 0", "window too large", "priority of a wrong size", "data behind the end", "malformed trailers"),
)
def test_made_you_reset(door, wrong):
    """CVE-2025-8671: resets that we are made to send count like those of clients."""
    client = enter(door)
    sent = 0
    for stream in range(1, 10001, 2):
        if client.ended:
            break
        client.says(frame(HEADERS, WHOLE, stream, literals(POST)) + wrong(stream))
        sent += 1
    assert client.ended and sent <= 600 and len(door.made) <= 250
    assert free(door)


@pytest.mark.parametrize("part", (b"", b"\0\x01x\x01y", b"\0\x01x" + number(1000, 7) + b"y" * 1000))
def test_continuation(door, part):
    """CVE-2024-27316 and others: 32 parts, or 64 KB."""
    client = enter(door)
    client.says(frame(HEADERS, END, 1, BLOCK))
    sent = pours(client, frame(MORE, 0, 1, part), 10000, 1)
    client.broken(CALM)
    assert sent <= 34 and not door.made


def test_a_bomb_of_references(door):
    """An entry of 4 KB, and 16,000 references to it in one block."""
    client = enter(door)
    entry = b"\x40\x01x" + number(4000, 7) + b"y" * 4000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    client.says(frame(HEADERS, END | WHOLE, 1, BLOCK + entry + b"\xbe" * 11000))
    client.look()
    assert client.ended or client.reset(1) is not None or client.status(1) == 431
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8192
    assert not door.backend().wires


@pytest.mark.parametrize("field", (("", ""), ("x", ""), ("x", "y")))
def test_many_small_fields(door, field):
    client = enter(door)
    client.ask(1, (*GET, *[field] * 3000))
    client.look()
    assert client.ended or client.reset(1) is not None or client.status(1) == 431
    assert not door.backend().wires


@pytest.mark.parametrize(
    "words",
    (
        frame(SETTINGS),
        frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)),
        frame(PING, 0, 0, b"12345678"),
        frame(PING, 1, 0, b"12345678"),
        frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"),
        frame(WINDOW, 0, 0, struct.pack(">I", 1)),
        frame(0x16, 0, 0, b"x"),
        frame(DATA, 0, 1, b""),
        frame(DATA, 8, 1, b"\x00"),
    ),
    ids=("SETTINGS", "SETTINGS with values", "PING", "PING ACK", "PRIORITY", "WINDOW_UPDATE", "unknown", "empty DATA",
         "padded empty DATA"),
)  # fmt: skip
def test_control_frames(door, words):
    """CVE-2019-9511 to 9518: 50,000 of them cost less than 0.2 s, or the connection is gone."""
    client = enter(door)
    client.ask(1, POST, end=False)
    begun = cpu()
    sent = pours(client, words, 50000)
    assert client.ended and sent <= 1600
    assert cpu() - begun < 0.5
    client.broken(CALM)


def test_the_same_without_haste(door):
    """What a client may send for hours is not taken for a flood."""
    client = enter(door)
    client.ask()
    door.backend().answers()
    for _ in range(50):
        client.says(frame(PING, 0, 0, b"12345678") * 50)
        door.wait(1)
        client.says(frame(PING, 0, 0, b"12345678"))
    client.alive()


def test_windows_of_a_download_are_no_flood(door):
    client = enter(door)
    client.ask()
    size = 4_000_000
    backend = door.backend().wire
    backend.says(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (DATE, size))
    for _ in range(size // 20000):
        backend.says(b"x" * 20000)
        client.says((frame(WINDOW, 0, 0, struct.pack(">I", 5000)) + frame(WINDOW, 0, 1, struct.pack(">I", 5000))) * 4)
    client.look()
    assert not client.ended and len(client.bodies[1]) == size


def test_windows_that_stay_closed(door):
    """100 answers that nobody takes: little waits here, and after a while they are given up."""
    client = enter(door, struct.pack(">HI", 4, 0))
    for stream in range(1, 201, 2):
        client.ask(stream)
    for wire in list(door.backend().wires):
        wire.says(b"HTTP/1.1 200 OK\r\n%bContent-Length: 300000\r\n\r\n" % DATE + b"x" * 60000)
        if wire.reading:
            wire.says(b"x" * 60000)
    waiting = sum(client.protocol.engine.queued(stream) for stream in range(1, 201, 2))
    assert waiting <= 100 * 130_000
    assert not any(wire.reading for wire in door.backend().wires)
    door.wait(70)
    assert len(door.finished) == 100 and all(wire.gone for wire in door.backend().wires)


def test_streams_without_a_body(door):
    client = enter(door)
    for stream in range(1, 201, 2):
        client.ask(stream, POST, end=False)
    door.wait(40)
    assert len(door.finished) == 100 and all(wire.gone for wire in door.backend().wires)


def test_a_body_in_drops(door):
    client = enter(door)
    client.ask(1, POST, end=False)
    for _ in range(600):
        if len(door.finished):
            break
        client.says(frame(DATA, 0, 1, b"x"))
        door.wait(0.5)
    assert door.fault == "body_timeout"


def test_a_preface_that_does_not_come(door, engine):
    client = enter(door)
    client.resets()
    other = type(client)(door, door.runtime.listeners["web"].made(None), peername=("192.0.2.7", 1))
    door.clients.append(other)
    other.protocol.connection_made(other)
    other.says(b"PRI * HTTP/2.0\r\n")
    door.wait(15)
    assert other.ended


HALF_BLOCK = frame(HEADERS, END, 3, BLOCK[:9])
HALF_FRAME = frame(HEADERS, END | WHOLE, 3, BLOCK)[:20]
HALF_HEADER = frame(HEADERS, END | WHOLE, 3, BLOCK)[:5]


@pytest.mark.parametrize("half", (HALF_BLOCK, HALF_FRAME, HALF_HEADER), ids=("block", "frame", "frame's header"))
@pytest.mark.parametrize("busy", (True, False))
def test_half_of_what_is_to_be_whole(door, half, busy):
    """A head has its time, however busy other streams are, and bodies that come meanwhile are no excuse."""
    client = enter(door)
    if busy:
        client.ask(1)
    client.says(half)
    door.wait(9)
    assert not client.ended
    door.wait(2)
    client.broken(CALM)
    assert door.runtime.ledger.http2.floods["timeout"] == 1 and len(door.finished) == busy


@pytest.mark.parametrize("half", (HALF_BLOCK, HALF_FRAME, HALF_HEADER), ids=("block", "frame", "frame's header"))
def test_a_half_that_began_a_moment_behind_the_connection_is_no_idleness(door, half):
    client = enter(door)
    door.wait(0.3)
    client.says(half)
    for _ in range(100):
        door.wait(0.1)
    client.broken(CALM)
    assert door.runtime.ledger.http2.floods["timeout"] == 1


def test_halves_that_follow_each_other_are_no_half(door):
    client = enter(door)
    client.ask(1, POST, end=False)
    words = frame(DATA, 0, 1, b"x" * 9000)
    client.says(words[:4])
    for _ in range(40):
        door.wait(0.5)
        client.says(words[4:] + words[:4])
    client.says(words[4:] + frame(DATA, END, 1, b""))
    door.backend().answers()
    assert client.status() == 200


def test_settings_that_are_not_acknowledged(door):
    client = enter(door, agrees=False)
    client.ask()
    door.wait(15)
    assert client.farewell() == 4 and client.ended


def test_counting_costs_little(door):
    client = enter(door)
    gate = client.protocol._gate
    words = frame(RST, 0, 1, b"\0\0\0\x08") * 10000
    begun = time.perf_counter()
    gate.look(words, 0.0)
    assert time.perf_counter() - begun < 0.1
