"""Attacks on HTTP/2 against a whole door, with each engine: what they cost its worker in time and memory, what of them
reaches a backend, and whether others are served meanwhile.

Rules: the same attacks as in tests/talk/test_talk_h2_floods.py, where each has its variants; here it is what the
operating system says of the worker that counts.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from configs import plain
from door import Door, backend, head_of, until
from framed import (
    DATA,
    END,
    HEADERS,
    MORE,
    PING,
    PRIORITY,
    RST,
    SETTINGS,
    WHOLE,
    WINDOW,
    Framed,
    block,
    frame,
    text,
)
from strain import Watch

from proxy.downstream.h2.engines import ENGINES

pytestmark = pytest.mark.skipif(not ENGINES, reason="no engine of HTTP/2 is installed")
CALM, INTERNAL = 11, 2
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
SECTIONS = '[http2]\nengine = "{engine}"\n[timeouts]\nsend = "3s"\nclient_body = "3s"\nclient_header = "2s"\n'


class Origin:
    """A backend that answers /slow late and /large largely, and counts what comes."""

    def __init__(self) -> None:
        self.asked = 0
        self.gone = 0

    def __call__(self, wire: socket.socket) -> None:
        raw = b""
        while True:
            raw = head_of(wire, raw)
            if b"\r\n\r\n" not in raw:
                self.gone += 1
                return
            head, _, raw = raw.partition(b"\r\n\r\n")
            self.asked += 1
            if b"/slow" in head:
                wire.settimeout(20)
                self.gone += not wire.recv(1)
                return
            size = 300_000 if b"/large" in head else 5
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)


@pytest.fixture(scope="module", params=sorted(ENGINES))
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Door, Origin]]:
    origin = Origin()
    config = plain(SECTIONS).replace('{port}"\n', '{port}"\nhttp2 = true\n', 1)
    with backend(origin) as port, Door(config, backend=port, engine=request.param) as door:
        yield door, origin


class Cost:
    """What a stretch of time costs the one worker: seconds of processor, and bytes of memory at its end."""

    def __init__(self, door: Door) -> None:
        (self._pid,) = door.workers()
        self._busy, self._memory = self._look()

    def _look(self) -> tuple[float, int]:
        words = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / TICK, int(words[21]) * PAGE

    @property
    def busy(self) -> float:
        return self._look()[0] - self._busy

    @property
    def memory(self) -> int:
        return self._look()[1] - self._memory


class Victim:
    """Somebody else, who asks again and again: `longest` is the longest time until an answer, without what the machine
    has lost of it."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._stop = threading.Event()
        self.longest = 0.0
        self.failed = 0
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def _ask(self) -> None:
        while not self._stop.wait(0.02):
            watch = Watch()
            self.failed += self._door.get("/").status != 200
            self.longest = max(self.longest, watch.took)

    def __enter__(self) -> Victim:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5.0)


def floods(door: Door) -> dict[str, int]:
    """What the metrics say of floods."""
    text = door.get_admin("/metrics").body.decode()
    lines = [line for line in text.splitlines() if line.startswith("frontgate_http2_floods_total")]
    return {line.split('"')[1]: int(float(line.split()[-1])) for line in lines}


def test_rapid_reset(place: tuple[Door, Origin]) -> None:
    """CVE-2023-44487."""
    door, origin = place
    before, gone = origin.asked, origin.gone
    cancel = struct.pack(">I", 8)
    with Victim(door) as victim, Framed(door.port) as client:
        fields = block(path=b"/slow")
        client.pours(
            frame(HEADERS, END | WHOLE, one, fields) + frame(RST, 0, one, cancel) for one in range(1, 10001, 2)
        )
        assert client.farewell() in (CALM, None)
        assert origin.asked - before <= 250
        until(lambda: origin.gone - gone >= origin.asked - before - 60, 5.0, "the end of what was asked")
    assert victim.longest < 1.0 and victim.failed == 0
    until(lambda: floods(door).get("reset", 0) >= 1, 3.0, "the count of floods")


MADE = {
    "a window of 0": lambda one: frame(WINDOW, 0, one, b"\0\0\0\0"),
    "a window too large": lambda one: frame(WINDOW, 0, one, b"\x7f\xff\xff\xff"),
    "PRIORITY of a wrong size": lambda one: frame(PRIORITY, 0, one, b"\0\0\0\0"),
    "DATA behind the end": lambda one: frame(DATA, END, one) + frame(DATA, END, one, b"x"),
    "trailers that are malformed": lambda one: frame(HEADERS, WHOLE, one, b"\0" + text(b"X") + text(b"y")),
}


@pytest.mark.parametrize("wrong", MADE.values(), ids=MADE)
def test_made_you_reset(place: tuple[Door, Origin], wrong: Callable[[int], bytes]) -> None:
    """CVE-2025-8671."""
    door, origin = place
    before = origin.asked
    fields = block(method=b"POST", path=b"/slow")
    with Framed(door.port) as client:
        client.pours(frame(HEADERS, WHOLE, one, fields) + wrong(one) for one in range(1, 6001, 2))
        client.farewell()
    assert origin.asked - before <= 250


FLOODS = {
    "SETTINGS": frame(SETTINGS),
    "SETTINGS with values": frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 70000)),
    "PING": frame(PING, 0, 0, b"12345678"),
    "PRIORITY": frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"),
    "WINDOW_UPDATE": frame(WINDOW, 0, 0, b"\0\0\0\1"),
    "unknown frames": frame(0x16, 0, 0, b"x"),
    "empty DATA": frame(DATA, 0, 1),
    "CONTINUATION": frame(MORE, 0, 3, b"\0\1x\1y"),
    "empty CONTINUATION": frame(MORE, 0, 3),
}


@pytest.mark.parametrize("words", FLOODS.values(), ids=FLOODS)
def test_frames_without_end(place: tuple[Door, Origin], words: bytes) -> None:
    """CVE-2019-9511 to 9518, CVE-2024-27316: 50,000 frames."""
    door, _ = place
    with Victim(door) as victim, Framed(door.port) as client:
        client.wire.sendall(frame(HEADERS, WHOLE, 1, block(method=b"POST")))
        if words[3] == MORE:
            client.wire.sendall(frame(HEADERS, END, 3, block()))
        cost = Cost(door)
        client.pours(words * 100 for _ in range(500))
        assert client.farewell() in (CALM, None)
        assert cost.busy < 0.5
    assert victim.longest < 1.0 and victim.failed == 0


BOMBS = {
    "a field of 4 KB, 11,000 times": block(method=b"GET") + b"\x40\1x" + text(b"y" * 4000) + b"\xbe" * 11000,
    "11,000 fields": block() + b"\x82" * 11000,
    "3000 empty fields": block() + b"\0\0\0" * 3000,
}


@pytest.mark.parametrize("fields", BOMBS.values(), ids=BOMBS)
def test_fields_without_end(place: tuple[Door, Origin], fields: bytes) -> None:
    door, origin = place
    before = origin.asked
    with Framed(door.port) as client:
        cost = Cost(door)
        for stream in range(1, 41, 2):
            client.pours([frame(HEADERS, END | WHOLE, stream, fields)])
        answers: set[int] = set()
        for kind, _, stream, _ in client.frames(10.0):
            if kind in (RST, HEADERS):
                answers.add(stream)
            if len(answers) == 20:
                break
        assert client.over or len(answers) == 20
        assert cost.memory < 4_000_000 and cost.busy < 1.0
    assert origin.asked == before


def test_windows_that_stay_closed(place: tuple[Door, Origin]) -> None:
    """100 answers of 300 KB that nobody takes: little of them is kept in memory, and they are given up."""
    door, _ = place
    with Victim(door) as victim, Framed(door.port, struct.pack(">HI", 4, 0)) as client:
        cost = Cost(door)
        client.pours(frame(HEADERS, END | WHOLE, one, block(path=b"/large")) for one in range(1, 201, 2))
        reset: set[int] = set()
        for kind, _, stream, _ in client.frames(30.0):
            if kind == RST:
                reset.add(stream)
            if len(reset) == 100:
                break
        assert len(reset) == 100 and cost.memory < 40_000_000
    assert victim.longest < 1.0 and victim.failed == 0


def test_bodies_that_do_not_come(place: tuple[Door, Origin]) -> None:
    door, origin = place
    before = origin.asked
    with Victim(door) as victim, Framed(door.port) as client:
        client.pours(frame(HEADERS, WHOLE, one, block(method=b"POST")) for one in range(1, 301, 2))
        answered, refused = set(), set()
        for kind, _, stream, _ in client.frames(30.0):
            if kind == HEADERS:
                answered.add(stream)
            elif kind == RST and stream not in answered:
                refused.add(stream)
            if len(answered) == 100 and len(refused) == 50:
                break
        assert (len(answered), len(refused)) == (100, 50), "each is answered with 408, or one too many"
    assert victim.longest < 1.0 and victim.failed == 0 and origin.asked - before < 1000


@pytest.mark.parametrize("half", (frame(HEADERS, END, 1, block()), frame(HEADERS, END | WHOLE, 1, block())[:30]))
def test_half_a_head(place: tuple[Door, Origin], half: bytes) -> None:
    door, _ = place
    with Framed(door.port) as client:
        client.wire.sendall(half)
        watch = Watch()
        assert client.farewell(6.0) == CALM
        assert watch.took < 5.0 and watch.took + watch.lost > 1.5
