"""Streams when a worker goes: each WebSocket hears a Close frame at a time of its own and before the deadline, event
streams end behind an event, and a reload touches neither."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from configs import fixed, plain
from door import backend, head_of, until
from wires import CleanDoor, Cut, Stream, Wire, read_head

SECONDS = 3.0
CONFIG = plain(f'[timeouts]\nshutdown = "{SECONDS}s"', workers=2)
NEW = CONFIG + fixed("/new", "new")
LINES = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA==")
TEXT = b"\x81\x05hello"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b"data: one\ndata: two\n\n"


class Talker:
    """A backend: WebSockets that talk in frames, and event streams whose events come in halves; what WebSockets are
    closed with is in `codes`."""

    def __init__(self) -> None:
        self.codes: list[int] = []

    def __call__(self, wire: socket.socket) -> None:
        stream = Stream(wire)
        head = read_head(stream)
        if head.get("upgrade"):
            self.websocket(wire)
        else:
            wire.sendall(STREAM)
            while True:
                for half in (EVENT[:11], EVENT[11:]):
                    wire.sendall(b"%x\r\n%b\r\n" % (len(half), half))
                    threading.Event().wait(0.01)

    def websocket(self, wire: socket.socket) -> None:
        wire.sendall(SWITCH)
        wire.settimeout(0.02)
        while True:
            wire.sendall(TEXT[:3])
            try:
                frame = wire.recv(100)
            except TimeoutError:
                wire.sendall(TEXT[3:])
                continue
            if not frame:
                return
            assert frame[:2] == b"\x88\x82", "a masked Close frame of two bytes"
            self.codes.append(int.from_bytes(bytes(a ^ b for a, b in zip(frame[6:8], frame[2:6], strict=False))))
            wire.sendall(TEXT[3:] + b"\x88\x02" + self.codes[-1].to_bytes(2))
            return


@pytest.fixture
def talker() -> Talker:
    return Talker()


@pytest.fixture
def door(talker: Talker) -> Iterator[CleanDoor]:
    with backend(talker) as port, CleanDoor(CONFIG, backend=port) as door:
        yield door


class Reader(threading.Thread):
    """A client of a WebSocket that answers a Close frame as it should; `code` is its code, `at` its time."""

    def __init__(self, door: CleanDoor) -> None:
        super().__init__(daemon=True)
        self.stream = door.client()
        self.stream.send("\r\n".join(("GET / HTTP/1.1", "Host: localhost", *LINES, "", "")).encode())
        self.stream.begun = head_of(self.stream.wire).partition(b"\r\n\r\n")[2]
        self.code, self.at, self.frames = 0, 0.0, 0
        self.ended = False
        self.start()

    def run(self) -> None:
        with contextlib.suppress(Cut):
            self.talk()

    def talk(self) -> None:
        while True:
            head = self.stream.exactly(2)
            assert head in (TEXT[:2], b"\x88\x02"), head
            payload = self.stream.exactly(head[1])
            if head[0] == 0x88:
                break
            assert payload == TEXT[2:]
            self.frames += 1
        self.code, self.at = int.from_bytes(payload), time.monotonic()
        self.stream.send(b"\x88\x82\0\0\0\0" + payload)
        self.ended = self.stream.ended(5.0)
        self.stream.wire.close()


def flowing(readers: list[Reader]) -> None:
    """Each of them gets one frame more than it has."""
    before = [one.frames for one in readers]
    until(lambda: all(one.frames > count for one, count in zip(readers, before, strict=True)))


@pytest.mark.parametrize("way", ["quit", "fewer workers"])
def test_websockets_hear_it_before_the_deadline_and_not_all_at_once(way, door, talker):
    everybody = readers = [Reader(door) for _ in range(12)]
    flowing(readers)
    door.reload(NEW)
    door.reload(CONFIG)
    flowing(readers)
    began = time.monotonic()
    if way == "quit":
        door.tell(signal.SIGQUIT)
    else:
        door.reload(CONFIG.replace("workers = 2", "workers = 1"))
        until(lambda: len(door.children()) == 2, SECONDS + 2, "the end of a worker")
        assert any(one.at for one in readers) and not all(one.at for one in readers), "one worker stays"
        flowing([one for one in readers if not one.at])
        readers = [one for one in readers if one.at]
    for one in readers:
        one.join(SECONDS + 2)
    assert {one.code for one in readers} == {1001 if way == "quit" else 1012}
    assert all(one.ended for one in readers), "behind the answer to it the connection ends"
    times = sorted(one.at - began for one in readers)
    assert times[0] > 0.2 and times[-1] < SECONDS
    assert len(times) < 3 or times[-1] - times[0] > 0.1
    until(lambda: sorted(talker.codes) == [one.code for one in readers], 5.0, "the backends hear of it too")
    if way == "quit":
        assert door.left() == 0
        assert time.monotonic() - began < SECONDS + 1
    for one in everybody:
        with contextlib.suppress(OSError):
            one.stream.wire.shutdown(socket.SHUT_RDWR)


def test_event_streams_end_behind_an_event(door):
    wires = [door.client() for _ in range(6)]
    found: list[bytes] = []

    def read(wire: Wire) -> None:
        found.append(wire.get("/events").body)

    threads = [threading.Thread(target=read, args=(wire,), daemon=True) for wire in wires]
    for thread in threads:
        thread.start()
    until(lambda: door.in_flight() == 6)
    door.reload(NEW)
    until(lambda: door.in_flight() == 6)
    door.tell(signal.SIGQUIT)
    for thread in threads:
        thread.join(SECONDS + 2)
    assert len(found) == 6, "each is a whole answer"
    for body in found:
        assert body and body == EVENT * body.count(b"two")
    assert door.left() == 0
