"""Bodies that are streamed: larger than memory, one side slower than the other, answers too early, and old clients."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from configs import plain
from door import backend, free_port, until
from wires import CleanDoor, Recorder, Stream, Wire, answer, framing, read_head, read_request, resident, within

CONFIG = plain('[http]\nmax_body = "{max_body}"', route="request_buffering = false\nresponse_buffering = false")
GIGABYTE = 1 << 30
GROWTH = 8 << 20
PIECE = bytes(1 << 20)
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


def before(port: int, max_body: str = "2g") -> CleanDoor:
    """A door before one backend."""
    return CleanDoor(CONFIG, backend=port, max_body=max_body)


class Peak:
    """The most memory a worker has had beyond what it had at first."""

    def __init__(self, door: CleanDoor) -> None:
        (self.pid,) = door.workers()
        for _ in range(20):
            door.get("/warm")
        self.first = resident(self.pid)
        self.most = 0

    def look(self) -> None:
        """Look now."""
        self.most = max(self.most, resident(self.pid) - self.first)


def pour(wire: socket.socket, size: int, piece: bytes = PIECE) -> None:
    """Send as fast as it goes, until the peer has had enough."""
    with contextlib.suppress(OSError):
        for _ in range(size // len(piece)):
            wire.sendall(piece)


def drink(stream: Stream, size: int, peak: Peak) -> int:
    """Read so many bytes with pauses, looking at the memory; gives what was read."""
    pause = threading.Event()
    taken = len(stream.begun)
    stream.begun = b""
    looked = taken
    while taken < size:
        data = stream.wire.recv(1 << 18)
        assert data, "the connection ended early"
        taken += len(data)
        if taken - looked >= 4 << 20:
            looked = taken
            pause.wait(0.03)
            peak.look()
    pause.wait(0.5)
    peak.look()
    return taken


FRAMED = {
    "with a length": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GIGABYTE,
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "until the end": b"HTTP/1.1 200 OK\r\n\r\n",
}


@pytest.mark.parametrize("kind", FRAMED)
def test_a_gigabyte_for_a_slow_reader_is_not_held_in_memory(kind: str) -> None:
    piece = b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if kind == "in chunks" else PIECE

    def talk(wire: socket.socket) -> None:
        stream = Stream(wire)
        while read_head(stream).target == b"/warm":
            wire.sendall(answer(b"hello"))
        wire.sendall(FRAMED[kind])
        pour(wire, GIGABYTE, piece)

    with backend(talk) as port, before(port) as door:
        peak = Peak(door)
        with door.client() as wire:
            wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert drink(wire, 150 << 20, peak) >= 150 << 20
        assert peak.most <= GROWTH, f"{peak.most >> 10} KiB"


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_a_gigabyte_for_a_slow_backend_is_not_held_in_memory(chunked: bool) -> None:
    peaks: list[Peak] = []
    done = threading.Event()

    def talk(wire: socket.socket) -> None:
        stream = Stream(wire)
        while read_head(stream).target == b"/warm":
            wire.sendall(answer(b"hello"))
        drink(stream, 150 << 20, peaks[0])
        done.set()

    with backend(talk) as port, before(port) as door:
        peaks.append(Peak(door))
        with door.client(30.0) as wire:
            framed = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % GIGABYTE
            wire.send(HEAD + framed)
            piece = b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if chunked else PIECE
            thread = threading.Thread(target=pour, args=(wire.wire, GIGABYTE, piece), daemon=True)
            thread.start()
            assert done.wait(20.0)
            thread.join(10.0)
        assert peaks[0].most <= GROWTH, f"{peaks[0].most >> 10} KiB"


def test_an_upload_without_a_backend_that_accepts_it_is_not_held_in_memory() -> None:
    """A backend that accepts and never reads: what is held is what the kernel takes, and a little."""
    go = threading.Event()

    def talk(wire: socket.socket) -> None:
        stream = Stream(wire)
        while read_head(stream).target == b"/warm":
            wire.sendall(answer(b"hello"))
        go.wait(20)

    with backend(talk) as port, before(port) as door:
        peak = Peak(door)
        with door.client() as wire:
            wire.send(HEAD + b"Content-Length: %d\r\n\r\n" % GIGABYTE)
            wire.wire.settimeout(1.0)
            with pytest.raises(TimeoutError):
                for _ in range(200):
                    wire.wire.sendall(PIECE)
            peak.look()
        go.set()
        assert peak.most <= GROWTH, f"{peak.most >> 10} KiB"


def test_ten_gigabytes_in_chunks_are_refused_and_the_client_hears_it() -> None:
    with backend(Recorder()) as port, before(port, "10m") as door:
        peak = Peak(door)
        for _ in range(2):
            with door.client() as wire, within(8.0):
                wire.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
                piece = b"%x\r\n%b\r\n" % (len(PIECE), PIECE)
                thread = threading.Thread(target=pour, args=(wire.wire, 10 << 30, piece), daemon=True)
                thread.start()
                assert wire.response().status == 413
                assert wire.ended(8.0)
                thread.join(10.0)
                peak.look()
        assert peak.most <= GROWTH, f"{peak.most >> 10} KiB"


def polite(wire: socket.socket) -> None:
    """Says 413, half-closes, and reads what comes until the peer has understood."""
    read_head(Stream(wire))
    wire.sendall(answer(b"too much", "Connection: close", status="413 Content Too Large"))
    wire.shutdown(socket.SHUT_WR)
    while wire.recv(65536):
        pass


def abrupt(wire: socket.socket) -> None:
    """Says 413 and closes with bytes unread, which the kernel turns into a reset behind the answer."""
    read_head(Stream(wire))
    wire.sendall(answer(b"too much", "Connection: close", status="413 Content Too Large"))


def staying(wire: socket.socket) -> None:
    """Says 413 and reads on, as if the connection could be used again."""
    stream = Stream(wire)
    size = framing(read_head(stream).fields)
    wire.sendall(answer(b"too much", status="413 Content Too Large"))
    assert size is not None
    stream.exactly(size)


@pytest.mark.parametrize("talk", [polite, abrupt, staying], ids=lambda talk: talk.__name__)
def test_an_early_413_reaches_the_client_that_is_uploading(talk: Callable[[socket.socket], None]) -> None:
    with backend(talk) as port, before(port) as door:
        found = []
        for _ in range(50):
            with door.client() as wire:
                wire.send(HEAD + b"Content-Length: 20000000\r\n\r\n")
                thread = threading.Thread(target=pour, args=(wire.wire, 20_000_000, bytes(100_000)), daemon=True)
                thread.start()
                early = wire.response()
                found.append((early.status, early.body))
                assert wire.ended(8.0)
                thread.join(10.0)
        assert found == [(413, b"too much")] * 50


def test_an_early_answer_says_that_the_connection_ends() -> None:
    with backend(staying) as port, before(port) as door, door.client() as wire:
        wire.send(HEAD + b"Content-Length: 20000000\r\n\r\n" + bytes(100_000))
        assert wire.response().get("connection") == b"close"


def test_events_pass_as_they_come() -> None:
    """The backend sends the next event only when the client has seen the one before: nothing may wait for more."""
    turn = threading.Semaphore(0)

    def talk(wire: socket.socket) -> None:
        read_request(Stream(wire))
        wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(200):
            assert turn.acquire(timeout=10)
            event = b"data: %d\n\n" % number
            wire.sendall(b"%x\r\n%b\r\n" % (len(event), event))
        wire.sendall(b"0\r\n\r\n")

    with backend(talk) as port, before(port) as door, door.client() as wire, within(5.0):
        wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while b"\r\n\r\n" not in wire.begun:
            assert wire.more()
        for number in range(200):
            turn.release()
            while b"data: %d\n\n" % number not in wire.begun:
                assert wire.more()
        assert wire.response().body.count(b"data: ") == 200


def test_uploads_pass_as_they_come() -> None:
    """The same the other way: the client sends on only when the backend has what was sent."""
    seen = threading.Semaphore(0)

    def talk(wire: socket.socket) -> None:
        stream = Stream(wire)
        read_head(stream)
        for _ in range(100):
            stream.exactly(10)
            seen.release()
        wire.sendall(answer(b"hello"))

    with backend(talk) as port, before(port) as door, door.client() as wire, within(5.0):
        wire.send(HEAD + b"Content-Length: 1000\r\n\r\n")
        for _ in range(100):
            wire.send(b"0123456789")
            assert seen.acquire(timeout=5)
        assert wire.response().body == b"hello"


# --- HTTP/1.0 ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorder() -> Recorder:
    """A backend's notes."""
    return Recorder()


@pytest.fixture
def door(recorder: Recorder) -> Iterator[CleanDoor]:
    """A door before the recorder."""
    with backend(recorder) as port, before(port, "64k") as door:
        yield door


def test_http_1_0_is_answered_and_closed_and_kept_when_asked(door: CleanDoor, recorder: Recorder) -> None:
    with door.client() as wire:
        found = wire.send(b"GET /old HTTP/1.0\r\n\r\n").response()
        assert (found.status, found.body, found.get("connection")) == (200, b"/old", b"close")
        assert wire.ended()
    assert recorder.last.get("host") is not None
    with door.client() as wire:
        for number in range(5):
            keep = b"GET /%d HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" % number
            found = wire.send(keep).response()
            assert (found.body, found.get("connection")) == (b"/%d" % number, b"keep-alive")
        found = wire.send(b"POST /body HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello").response()
        assert found.body == b"/body" and recorder.last.body == b"hello" and wire.ended()


def test_close_is_obeyed_and_said(door: CleanDoor) -> None:
    with door.client() as wire:
        assert wire.get("/", "Connection: close").get("connection") == b"close"
        assert wire.ended()


# --- Expect: 100-continue ---------------------------------------------------------------------------------------------

EXPECT = HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"


def test_who_expects_100_gets_it_and_the_backend_hears_nothing_of_it(door: CleanDoor, recorder: Recorder) -> None:
    with door.client() as wire:
        for _ in range(3):
            wire.send(EXPECT % 5)
            assert wire.line() == b"HTTP/1.1 100 Continue" and wire.line() == b""
            wire.send(b"hello")
            assert wire.response().status == 200
            assert recorder.last.body == b"hello" and recorder.last.get("expect") is None


def test_who_expects_100_and_is_refused_keeps_its_body(door: CleanDoor) -> None:
    with door.client() as wire:
        found = wire.send(EXPECT % 100_000).response()
        assert found.status == 413 and found.interim == []
    with before(free_port()) as closed, closed.client() as wire:
        found = wire.send(EXPECT % 5).response()
        assert found.status == 502 and found.interim == []


def test_expect_of_http_1_0_is_not_answered(door: CleanDoor, recorder: Recorder) -> None:
    with door.client() as wire:
        wire.send((EXPECT % 5).replace(b"HTTP/1.1", b"HTTP/1.0") + b"hello")
        found = wire.response()
        assert found.status == 200 and found.interim == [] and recorder.last.body == b"hello"


def test_nothing_stays_in_flight(door: CleanDoor) -> None:
    for _ in range(10):
        wire = Wire(door.port).send(EXPECT % 5)
        wire.wire.close()
    until(lambda: sum(worker["connections"] for worker in door.status()["workers"]) == 0)
