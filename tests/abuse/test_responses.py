"""Backends that lie, stammer, break off or fall silent, behind a running door.

Rules: each row names what the backend sends and what becomes of its connection, and what the client must get: a whole
answer, an error of the door's, or a truncation that can be seen. Whatever happened, the next request on the same
connection and the next client get their own answer and nothing else. `BROKEN` is a 502, or a visible truncation when
the head had already been passed on: which of the two depends on how the bytes arrive.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from configs import BACKEND, plain
from door import until
from wires import CleanDoor, Cut, Response, Stream, Wire, Wrong, answer, ending, read_head, read_request, within

CONFIG = plain('[timeouts]\nread = "600ms"\n[http]\nmax_body = "100m"', upstream=f"{BACKEND}\nmax_fails = 0")
BEHIND = "stage"

BROKEN = -1  # 502 or cut
CUT = -2  # a truncation that can be seen
OK = b"HTTP/1.1 200 OK\r\n"
FIVE = b"Content-Length: 5\r\n\r\nhello"
GOOD = b"good"


@dataclass(frozen=True)
class Row:
    """One case. `then`: what follows the bytes, "close", "keep", "reset" or "stall"; `drip`: seconds between bytes."""

    name: str
    raw: bytes
    outcome: int
    body: bytes | None = None
    then: str = "keep"
    method: str = "GET"
    drip: float = 0.0
    interim: tuple[int, ...] = ()


def status_lines() -> Iterator[Row]:
    """Status lines."""
    wrong = {
        "a status of two digits": b"HTTP/1.1 20 OK",
        "a status of four digits": b"HTTP/1.1 2000 OK",
        "a status below 100": b"HTTP/1.1 099 OK",
        "a status of zeros": b"HTTP/1.1 000 OK",
        "a status of letters": b"HTTP/1.1 abc OK",
        "a negative status": b"HTTP/1.1 -20 OK",
        "a signed status": b"HTTP/1.1 +20 OK",
        "no status": b"HTTP/1.1 OK",
        "nothing behind the version": b"HTTP/1.1",
        "two spaces": b"HTTP/1.1  200 OK",
        "a tab": b"HTTP/1.1\t200 OK",
        "a space in front": b" HTTP/1.1 200 OK",
        "HTTP/2.0": b"HTTP/2.0 200 OK",
        "HTTP/0.9": b"HTTP/0.9 200 OK",
        "HTTP/1.2": b"HTTP/1.2 200 OK",
        "small letters": b"http/1.1 200 OK",
        "another protocol": b"ICY 200 OK",
        "no version": b"200 OK",
        "a control in the reason": b"HTTP/1.1 200 O\x01K",
        "NUL in the reason": b"HTTP/1.1 200 O\0K",
        "CR in the reason": b"HTTP/1.1 200 O\rK",
    }
    for name, line in wrong.items():
        yield Row(f"status line: {name}", line + b"\r\n" + FIVE, 502)
    yield Row("status line: ended by LF", b"HTTP/1.1 200 OK\n" + FIVE, 502)
    yield Row("status line: a greeting of SSH", b"SSH-2.0-OpenSSH_9.6\r\n", 502, then="stall")
    yield Row("status line: a TLS alert", b"\x15\x03\x01\0\x02\x02\x28", 502, then="stall")
    yield Row("status line: a page without a head", b"<html>hello</html>", 502, then="close")
    yield Row("status line: no reason", b"HTTP/1.1 200 \r\n" + FIVE, 200, b"hello")
    yield Row("status line: a reason in Latin-1", b"HTTP/1.1 200 d\xe9j\xe0 vu\r\n" + FIVE, 200, b"hello")


def heads() -> Iterator[Row]:
    """Framing and field lines."""
    wrong = {
        "a signed length": b"Content-Length: +5",
        "a negative length": b"Content-Length: -5",
        "a length of letters": b"Content-Length: abc",
        "an empty length": b"Content-Length:",
        "a length with more behind": b"Content-Length: 5 5",
        "a list of lengths": b"Content-Length: 5, 5",
        "a length over 64 bits": b"Content-Length: 18446744073709551621",
        "two equal lengths": b"Content-Length: 5\r\nContent-Length: 5",
        "two unequal lengths": b"Content-Length: 5\r\nContent-Length: 6",
        "a length and a coding": b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        "a coding and a length": b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        "the coding twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "an unknown coding": b"Transfer-Encoding: gzip",
        "a list of codings": b"Transfer-Encoding: gzip, chunked",
        "a list of codings, chunked first": b"Transfer-Encoding: chunked, gzip",
        "an empty coding": b"Transfer-Encoding:",
        "NUL in a value": b"X: y\0\r\nContent-Length: 5",
        "a control in a value": b"X: y\x02\r\nContent-Length: 5",
        "CR in a value": b"X: y\rz\r\nContent-Length: 5",
        "LF in a value": b"X: y\nSet-Cookie: z\r\nContent-Length: 5",
        "a space before the colon": b"X : y\r\nContent-Length: 5",
        "a length with a space before its colon": b"Content-Length : 5",
        "no colon": b"X\r\nContent-Length: 5",
        "no name": b": y\r\nContent-Length: 5",
        "a folded line": b"X: y\r\n z\r\nContent-Length: 5",
        "300 fields": b"X: y\r\n" * 300 + b"Content-Length: 5",
        "80 kB of fields": (b"X: %b\r\n" % (b"y" * 1000)) * 80 + b"Content-Length: 5",
    }
    for name, lines in wrong.items():
        yield Row(f"head: {name}", OK + lines + b"\r\n\r\nhello", 502)
    yield Row("head: a coding in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502)
    yield Row("head: that does not end", OK + b"X: y\r\n" * 20000, 502, then="stall")
    yield Row("head: a line that does not end", OK + b"X: " + b"y" * 100_000, 502, then="stall")
    yield Row("head: 50 kB of fields", OK + b"X: %b\r\n" % (b"y" * 1000) * 50 + FIVE, 200, b"hello")


def bodies() -> Iterator[Row]:
    """Bodies that are too short, too long or badly chunked."""
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    yield Row("body: shorter than its length", OK + b"Content-Length: 9\r\n\r\nhello", CUT, b"hello", "close")
    yield Row("body: shorter, then a reset", OK + b"Content-Length: 9\r\n\r\nhello", CUT, None, "reset")
    yield Row("body: stalls", OK + b"Content-Length: 9\r\n\r\nhello", CUT, b"hello", "stall")
    yield Row("body: none, though it has a length", OK + b"Content-Length: 9\r\n\r\n", CUT, b"", "close")
    yield Row(
        "body: longer than its length", OK + FIVE + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", 200, b"hello"
    )
    yield Row("body: a length of zero, and a body", OK + b"Content-Length: 0\r\n\r\npoison", 200, b"")
    yield Row("body: no length, until the end", OK + b"\r\nhello", 200, b"hello", "close")
    yield Row("body: no length, until a reset", OK + b"\r\nhello", CUT, None, "reset")
    yield Row("body: no length, and it stalls", OK + b"\r\nhello", CUT, b"hello", "stall")
    yield Row("body: HTTP/1.0, until the end", b"HTTP/1.0 200 OK\r\n\r\nhello", 200, b"hello", "close")
    yield Row("chunks: cut in a chunk", chunked + b"9\r\nhello", CUT, b"hello", "close")
    yield Row("chunks: cut behind a chunk", chunked + b"5\r\nhello\r\n", CUT, b"hello", "close")
    yield Row("chunks: cut in a size", chunked + b"5\r\nhello\r\n1", CUT, b"hello", "close")
    yield Row("chunks: cut in the last", chunked + b"5\r\nhello\r\n0\r\n", CUT, b"hello", "close")
    yield Row("chunks: stall", chunked + b"5\r\nhello\r\n", CUT, b"hello", "stall")
    yield Row("chunks: reset", chunked + b"5\r\nhello\r\n", CUT, None, "reset")
    for name, body in {
        "a size of letters": b"xyz\r\nhello\r\n0\r\n\r\n",
        "a negative size": b"-5\r\nhello\r\n0\r\n\r\n",
        "a size over 64 bits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        "a size ended by LF": b"5\nhello\r\n0\r\n\r\n",
        "data longer than its size": b"3\r\nhello\r\n0\r\n\r\n",
        "data ended by LF": b"5\r\nhello\n0\r\n\r\n",
        "an endless extension": b"5;" + b"x" * 100_000,
        "endless trailers": b"0\r\n" + b"X: y\r\n" * 10_000,
        "a trailer with NUL": b"0\r\nX: y\0\r\n\r\n",
        "wrong behind the first": b"5\r\nhello\r\nzz\r\n",
    }.items():
        yield Row(f"chunks: {name}", chunked + body, BROKEN, then="stall")
    more = b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    yield Row("chunks: more behind the end", chunked + more, 200, b"hello")
    yield Row("chunks: extensions and trailers", chunked + b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n", 200, b"hello")
    yield Row("HEAD: and a body", OK + FIVE, 200, b"", method="HEAD")
    yield Row("HEAD: and chunks", chunked + b"5\r\nhello\r\n0\r\n\r\n", 200, b"", method="HEAD")
    yield Row("HEAD: a length without a body", OK + b"Content-Length: 5\r\n\r\n", 200, b"", method="HEAD")
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    yield Row("204: and a body", b"HTTP/1.1 204 No Content\r\n\r\n" + poison, 204, b"")
    yield Row("204: with a length and a body", b"HTTP/1.1 204 No Content\r\n" + FIVE, 204, b"")
    yield Row("304: and a body", b"HTTP/1.1 304 Not Modified\r\n\r\n" + poison, 304, b"")
    yield Row("304: with a length", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b"")


def interims() -> Iterator[Row]:
    """1xx responses."""
    go_on, hints = b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    yield Row("1xx: 100 unasked", go_on + OK + FIVE, 200, b"hello")
    yield Row("1xx: 103 is passed on", hints + OK + FIVE, 200, b"hello", interim=(103,))
    yield Row("1xx: ten of them", hints * 10 + OK + FIVE, 200, b"hello", interim=(103,) * 10)
    yield Row("1xx: a storm of 100", go_on * 1000 + OK + FIVE, 502)
    yield Row("1xx: a storm of 103", hints * 1000 + OK + FIVE, 502)
    yield Row("1xx: a storm without end", hints * 100_000, 502, then="stall")
    yield Row("1xx: and nothing more", hints, 502, then="close")
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    yield Row("1xx: 101 unasked", switch + b"rubbish", 502, then="stall")
    yield Row("1xx: 101 without Upgrade", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 502, then="stall")


def timing() -> Iterator[Row]:
    """Nothing, or little at a time."""
    yield Row("time: closed at once", b"", 502, then="close")
    yield Row("time: reset at once", b"", 502, then="reset")
    yield Row("time: no answer", b"", 504, then="stall")
    yield Row("time: no answer to HEAD", b"", 504, then="stall", method="HEAD")
    yield Row("time: half a head", OK + b"Content-Le", 504, then="stall")
    yield Row("time: half a head, then the end", OK + b"Content-Le", 502, then="close")
    yield Row("time: half a head, then a reset", OK + b"Content-Le", 502, then="reset")
    yield Row("time: byte by byte", OK + FIVE, 200, b"hello", drip=0.004)
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5;x\r\nworld\r\n0\r\nX: y\r\n\r\n"
    yield Row("time: chunks byte by byte", chunked, 200, b"helloworld", drip=0.004)
    yield Row("time: 1xx byte by byte", b"HTTP/1.1 100 Continue\r\n\r\n" + OK + FIVE, 200, b"hello", drip=0.004)
    yield Row("time: closes behind its answer", OK + b"Connection: close\r\n" + FIVE, 200, b"hello", "close")
    yield Row("time: closes without a word behind its answer", OK + FIVE, 200, b"hello", "close")
    yield Row("time: resets behind its answer", OK + FIVE, 200, b"hello", "reset", drip=0.004)


ROWS = [*status_lines(), *heads(), *bodies(), *interims(), *timing()]


class Stage:
    """The backend: plays the row that the target names, or answers well. `pause` is how it waits without sleeping."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.special: dict[bytes, Callable[[socket.socket, Stream], None]] = {}

    def __call__(self, wire: socket.socket) -> None:
        stream = Stream(wire)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                head = read_head(stream)
            except (Cut, Wrong):
                return
            if head.target in self.special:
                self.special[head.target](wire, stream)
                return
            if head.target.startswith(b"/row/"):
                row = ROWS[int(head.target[5:])]
                if not self.play(row, wire):
                    return
            else:
                wire.sendall(answer(GOOD))

    def play(self, row: Row, wire: socket.socket) -> bool:
        """Send a row; False when the connection is over."""
        if row.drip:
            for at in range(len(row.raw)):
                wire.sendall(row.raw[at : at + 1])
                self.over.wait(row.drip)
        else:
            wire.sendall(row.raw)
        return ending(wire, row.then)


@pytest.fixture(scope="module")
def stage() -> Stage:
    """The backend's part."""
    return Stage()


def poisoned(door: CleanDoor) -> bool:
    """Whether a next client gets anything but its own answer."""
    with door.client() as wire:
        found = [wire.get("/good"), wire.get("/good")]
    return [(one.status, one.body) for one in found] != [(200, GOOD)] * 2


def test_the_table_is_long_enough() -> None:
    assert len(ROWS) >= 40
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("number", range(len(ROWS)), ids=lambda number: ROWS[number].name)
def test_response(number: int, door: CleanDoor) -> None:
    row = ROWS[number]
    with door.client(5.0) as wire, within(2.5):
        wire.send(f"{row.method} /row/{number} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        try:
            found = wire.response(row.method)
        except Cut as cut:
            assert row.outcome in (CUT, BROKEN) and cut.head
            assert row.body is None or cut.body == row.body
        else:
            told(row, found)
            if found.get("connection") != b"close":
                assert wire.get("/good").body == GOOD
            else:
                assert wire.ended()
    assert not poisoned(door)
    assert door.stderr.count("Traceback") == 0


def told(row: Row, found: Response) -> None:
    """What a whole answer must be."""
    assert row.outcome != CUT, f"a broken body looks whole: {found!r}"
    assert found.status == (502 if row.outcome == BROKEN else row.outcome)
    if row.body is not None:
        assert found.body == row.body
    if found.status < 500:
        assert tuple(found.interim) == row.interim


@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_head_that_ends_at_any_byte(then: str, door: CleanDoor, stage: Stage) -> None:
    whole = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"

    def part(wire: socket.socket, stream: Stream) -> None:
        wire.sendall(whole[: sizes[0]])
        if then == "reset":
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    stage.special[b"/part"] = part
    sizes = [0]
    for sizes[0] in range(len(whole) - 5):
        with door.client() as wire:
            found = wire.get("/part")
            assert found.status == 502, sizes
            assert wire.get("/good").body == GOOD
    for sizes[0] in range(len(whole) - 5, len(whole)):
        with door.client() as wire:
            try:
                found = wire.get("/part")
                assert found.status == 502 and then == "reset"  # the reset overtook what had been sent
            except Cut:
                pass
    assert not poisoned(door)


def test_bytes_on_an_idle_link_are_never_an_answer(door: CleanDoor, stage: Stage) -> None:
    poison = threading.Event()
    sent = threading.Event()

    def unasked(wire: socket.socket, stream: Stream) -> None:
        wire.sendall(answer(b"hello"))
        poison.wait(10)
        wire.sendall(answer(b"poison"))
        sent.set()
        while wire.recv(65536):
            pass

    stage.special[b"/unasked"] = unasked
    with door.client() as wire:
        assert wire.get("/unasked").body == b"hello"
        poison.set()
        assert sent.wait(10)
        for _ in range(20):
            assert wire.get("/good").body == GOOD
    assert not poisoned(door)


def test_a_backend_that_closes_while_it_is_sent_a_body(door: CleanDoor, stage: Stage) -> None:
    asked: list[bytes] = []

    def closes(wire: socket.socket, stream: Stream) -> None:
        asked.append(b"")

    stage.special[b"/closes"] = closes
    for _ in range(10):
        with door.client() as wire:
            wire.send(b"POST /closes HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 5_000_000)
            assert wire.response().status == 502
    assert len(asked) == 10  # a POST is sent once
    assert not poisoned(door)


def test_hop_by_hop_fields_of_an_answer_end_here(door: CleanDoor, stage: Stage) -> None:
    lines = ("Connection: keep-alive, X-Mine", "X-Mine: 1", "Keep-Alive: timeout=5", "Proxy-Connection: x",
             "Upgrade: h2c", "Trailer: X", "TE: x", "X-Accel-Redirect: /secret", "X-Other: 2")  # fmt: skip

    def talk(wire: socket.socket, stream: Stream) -> None:
        wire.sendall(answer(b"hello", *lines))

    stage.special[b"/hop"] = talk
    with door.client() as wire:
        found = wire.get("/hop")
    names = {name for name, _ in found.fields}
    assert found.body == b"hello" and found.get("x-other") == b"2"
    assert not names & {b"x-mine", b"keep-alive", b"proxy-connection", b"upgrade", b"trailer", b"te"}
    assert b"x-accel-redirect" not in names and b"connection" not in names


def test_an_http_1_0_client_gets_no_chunks(door: CleanDoor, stage: Stage) -> None:
    def talk(wire: socket.socket, stream: Stream) -> None:
        wire.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")

    stage.special[b"/chunks"] = talk
    with door.client() as wire:
        found = wire.send(b"GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").response()
        assert found.body == b"hello" and found.get("transfer-encoding") is None
        assert wire.ended()


def test_a_websocket_that_is_declined_leaves_the_connection_whole(door: CleanDoor, stage: Stage) -> None:
    def talk(wire: socket.socket, stream: Stream) -> None:
        wire.sendall(answer(b"no", status="403 Forbidden"))

    stage.special[b"/ws"] = talk
    with door.client() as wire:
        lines = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA==")
        assert wire.get("/ws", *lines).status == 403
        assert wire.get("/good").body == GOOD


def test_nothing_is_left_in_flight(door: CleanDoor) -> None:
    until(lambda: door.in_flight() == 0, 5.0, "nothing in flight")


def test_the_stage_reads_bodies() -> None:
    """The tests' own part: a body is no request."""
    here, there = socket.socketpair()
    with here, there:
        here.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        assert read_request(Stream(there)).body == b"hello"
    assert Wire.__mro__[1] is Stream
