"""Clients that are slow, silent, many or gone: what they may cost, and that the others are served meanwhile."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from configs import plain
from door import backend, saying, until
from strain import Watch
from wires import CleanDoor, Cut, Recorder, Stream, Wire, answer, read_head, readable, resident, within

CONFIG = plain(
    """[timeouts]
client_header = "1s"
client_body = "{client_body}"
client_idle = "{client_idle}"
send = "1s"
[http]
max_body = "100m"
""",
    workers="{workers}",
    route="request_buffering = false",
)
WORDS = {"workers": 1, "client_body": "1s", "client_idle": "60s"}
START = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def app() -> Iterator[int]:
    with backend(saying(b"hello")) as port:
        yield port


@contextlib.contextmanager
def probes(door: CleanDoor) -> Iterator[list[float]]:
    """Well-behaved clients ask all the time; each must be served at once. Gives the seconds each took, without what the
    machine has lost of them."""
    took: list[float] = []
    over = threading.Event()
    wrong: list[object] = []

    def ask() -> None:
        while not over.wait(0.05):
            watch = Watch()
            try:
                with door.client(10.0) as wire:
                    found = wire.get("/", "Connection: close")
                if found.status != 200:
                    wrong.append(found)
            except (OSError, Cut) as error:
                wrong.append(error)
            took.append(watch.took)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield took
    finally:
        over.set()
        thread.join(10)
    assert wrong == [] and took and max(took) < 2.0, (wrong, max(took, default=0))


def dripping(wires: list[Wire], piece: bytes, seconds: float) -> dict[Wire, float]:
    """Send a piece on each connection every 0.2 s until it is ended; when each was, in seconds from now."""
    began = time.monotonic()
    ends: dict[Wire, float] = {}
    pause = threading.Event()
    while len(ends) < len(wires) and time.monotonic() - began < seconds:
        for wire in readable([wire for wire in wires if wire not in ends], 0):
            if not wire.more():
                ends[wire] = time.monotonic() - began
        for wire in wires:
            if wire not in ends:
                wire.send(piece)
        pause.wait(0.2)
    return ends


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (START, b"X: y\r\n"),
        (b"GET /", b"a"),
        (b"", b"\r\n"),
        (b"", b""),
        (START[:10], b""),
    ],
    ids=["fields", "a target", "empty lines", "nothing at all", "a part, then nothing"],
)
def test_slowloris_is_cut_off_by_the_header_timeout(app: int, begin: bytes, piece: bytes) -> None:
    with CleanDoor(CONFIG, backend=app, **WORDS) as door, probes(door):
        wires = [door.client() for _ in range(200)]
        for wire in wires:
            wire.send(begin)
        ends = dripping(wires, piece, 4.0)
        assert len(ends) == 200, f"{200 - len(ends)} of 200 are still there"
        assert max(ends.values()) < 2.5
        if begin:
            assert all(wire.begun.startswith(b"HTTP/1.1 408 ") for wire in wires)
        for wire in wires:
            wire.wire.close()
        until(lambda: sum(worker["connections"] for worker in door.status()["workers"]) <= 1)


def test_a_flood_of_empty_lines_does_not_keep_the_worker_busy(app: int) -> None:
    """The work for what a client sends must grow with its length, not with its square."""
    with CleanDoor(CONFIG, backend=app, **WORDS) as door, probes(door), door.client() as wire:
        with contextlib.suppress(OSError):
            for _ in range(20):
                wire.wire.sendall(b"\r\n" * 500_000)
        with door.client(3.0) as other, within(1.0):
            assert other.get().status == 200


def test_the_header_timeout_holds_on_a_kept_connection_too(app: int) -> None:
    with CleanDoor(CONFIG, backend=app, **WORDS) as door, door.client() as wire:
        assert wire.get().status == 200
        wire.send(START)
        (end,) = dripping([wire], b"X: y\r\n", 4.0).values()
        assert end < 2.5 and wire.begun.startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed_after_client_idle(app: int) -> None:
    with CleanDoor(CONFIG, backend=app, **{**WORDS, "client_idle": "500ms"}) as door, door.client() as wire:
        assert wire.get().status == 200
        with within(1.6):
            assert wire.ended(2.0)


def test_a_body_that_stops_is_answered_408(app: int) -> None:
    with backend(Recorder()) as port, CleanDoor(CONFIG, backend=port, **WORDS) as door, probes(door):
        for begin in (b"Content-Length: 100\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"):
            with door.client() as wire, within(3.5):
                assert wire.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + begin).response().status == 408
                assert wire.ended()


def test_a_body_that_drips_is_cut_off_by_the_least_rate() -> None:
    """500 bytes a second are asked for, after 10 s; the drip itself keeps every other timeout away."""
    with backend(Recorder()) as port, CleanDoor(CONFIG, backend=port, **WORDS) as door, probes(door):
        wires = [door.client() for _ in range(10)]
        fast = door.client(20.0)
        for wire in (*wires, fast):
            wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        fast.send(b"x" * 20_000)
        ends = dripping(wires, b"x", 14.0)
        assert len(ends) == 10 and min(ends.values()) > 9.5 and max(ends.values()) < 12.5
        assert all(wire.begun.startswith(b"HTTP/1.1 408 ") for wire in wires)


def test_a_client_that_does_not_read_is_cut_off_by_the_send_timeout() -> None:
    size = 100_000_000
    gone = threading.Event()

    def talk(wire: socket.socket) -> None:
        read_head(Stream(wire))
        try:
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // 100_000):
                wire.sendall(bytes(100_000))
        finally:
            gone.set()

    with backend(talk) as port, CleanDoor(CONFIG, backend=port, **WORDS) as door:
        with Wire(door.port, receive_buffer=8192) as wire:
            wire.send(START + b"\r\n")
            with within(4.0):
                assert gone.wait(5.0), "the backend is still held"
        until(lambda: sum(worker["connections"] for worker in door.status()["workers"]) == 0)


def test_a_client_that_reads_slowly_but_reads_is_not_cut_off() -> None:
    body = bytes(3_000_000)
    with (
        backend(Recorder(lambda request: answer(body))) as port,
        CleanDoor(CONFIG, backend=port, **WORDS) as door,
        Wire(door.port, receive_buffer=16384) as wire,
    ):
        wire.send(START + b"\r\n")
        pause = threading.Event()
        for _ in range(12):  # 3.6 s, of which no second passes without a read
            wire.begun += wire.wire.recv(60_000)
            pause.wait(0.3)
        assert wire.response().body == body


def test_two_thousand_idle_connections_cost_little(app: int) -> None:
    patient = CONFIG.replace('client_header = "1s"', 'client_header = "60s"')  # all are there before the first asks
    with CleanDoor(patient, backend=app, **{**WORDS, "client_body": "30s"}) as door:
        (pid,) = door.workers()
        for _ in range(200):
            assert door.get().status == 200
        before = resident(pid)
        wires = [door.client() for _ in range(2000)]
        for wire in wires:
            assert wire.get().body == b"hello"
        each = (resident(pid) - before) / len(wires)
        assert each <= 16_384, f"{each:.0f} bytes each"
        with within(2.0):
            assert [door.get().status for _ in range(100)] == [200] * 100
        for wire in wires:
            wire.wire.close()
        until(lambda: sum(worker["connections"] for worker in door.status()["workers"]) == 0)


def test_a_half_close_is_answered_or_ended_and_leaves_nothing(app: int) -> None:
    """Both are allowed by RFC 9112 section 9.6; nothing may hang, and nothing stay in flight."""
    with CleanDoor(CONFIG, backend=app, **WORDS) as door:
        for _ in range(20):
            with door.client() as wire, within(2.0):
                wire.send(START + b"\r\n")
                wire.wire.shutdown(socket.SHUT_WR)
                try:
                    assert wire.response().status == 200
                except Cut as cut:
                    assert not cut.head
                assert wire.ended()
        until(lambda: sum(worker["connections"] for worker in door.status()["workers"]) == 0)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_clients_that_leave_take_their_work_with_them(how: str) -> None:
    """At every point: before the backend's answer, within it, and while uploading."""
    asked, released = threading.Semaphore(0), threading.Semaphore(0)

    def talk(wire: socket.socket) -> None:
        head = read_head(Stream(wire))
        asked.release()
        if head.target == b"/half":
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        if head.target == b"/good":
            wire.sendall(answer(b"hello"))
            return
        wire.settimeout(10)
        with contextlib.suppress(ConnectionError):
            while wire.recv(65536):
                pass
        released.release()

    with backend(talk) as port, CleanDoor(CONFIG, backend=port, **{**WORDS, "client_body": "30s"}) as door:
        wires = [door.client() for _ in range(200)]
        for number, wire in enumerate(wires):
            wire.send(
                (
                    b"GET /silent HTTP/1.1\r\nHost: a\r\n\r\n",
                    b"GET /half HTTP/1.1\r\nHost: a\r\n\r\n",
                    b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx",
                    b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
                )[number % 4]
            )
        for _ in wires:
            assert asked.acquire(timeout=10.0)
        until(lambda: door.in_flight() == 200, what="all in flight")
        for wire in wires:
            wire.wire.close() if how == "close" else wire.reset()
        with within(3.0):
            until(lambda: door.in_flight() == 0, what="nothing in flight")
            for _ in wires:
                assert released.acquire(timeout=2.0), "a backend is still at work for a client that has left"
        with door.client() as wire:
            assert wire.get("/good").body == b"hello"
        backend_state = door.backend()
        assert backend_state["state"] == "up" and backend_state["failures"] == 0


def test_what_is_read_ahead_is_bounded() -> None:
    """One request at work and megabytes of others behind it: the kernel holds them, not the worker."""
    go = threading.Event()

    def say(request: object) -> bytes:
        go.wait(20)
        return answer(b"hello")

    with backend(Recorder(say)) as port, CleanDoor(CONFIG, backend=port, **WORDS) as door:
        (pid,) = door.workers()
        with door.client() as wire:
            assert not go.is_set()
            wire.send(START + b"\r\n")
            until(lambda: door.in_flight() == 1)
            before = resident(pid)
            wire.wire.setblocking(False)
            sent = 0
            request = START + b"X: %b\r\n\r\n" % (b"y" * 4000)
            while select.select([], [wire.wire], [], 0.5)[1] and sent < 50_000_000:
                sent += wire.wire.send(request * 20)
            assert sent < 50_000_000, "the door reads without end"
            assert resident(pid) - before < 8 << 20
            go.set()
        until(lambda: door.in_flight() == 0)
