"""Answers that RFC 9110, RFC 9112 and our policy judge: a backend that says them, a door, and its clients."""

from __future__ import annotations

import fcntl
import select
import socket
import termios
import threading
import time
from collections import Counter

import cases_answers
import pytest
from cases import CUT, Answer, marked, sound
from configs import BACKEND, plain
from wires import CleanDoor, Cut, Stream, Wire, Wrong, answer, ending, read_request

CONFIG = plain('[timeouts]\nread = "400ms"', upstream=f"{BACKEND}\nmax_fails = 0")
BEHIND = "player"
CASES: list[Answer] = cases_answers.CASES

# What is not as the rule has it, and why.
KNOWN: dict[str, str] = {}


class Player:
    """The backend: plays the case that the target names, in parts, or answers with the target."""

    def __init__(self) -> None:
        self.executed: Counter[bytes] = Counter()
        self.said = threading.Event()  # all of the case, so that what comes next is behind it

    def __call__(self, wire: socket.socket) -> None:
        stream = Stream(wire)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                request = read_request(stream)
            except (Cut, Wrong):
                return
            self.executed[request.target] += 1
            if not request.target.startswith(b"/case/"):
                wire.sendall(answer(request.target))
            elif not self.play(CASES[int(request.target[6:])], wire):
                return

    def play(self, case: Answer, wire: socket.socket) -> bool:
        """Say it; False when the connection is over."""
        for part in case.parts:
            wire.sendall(part)
            if len(case.parts) > 1:  # so that they arrive apart: wait until the door has taken this one
                taken(wire)
        self.said.set()
        return ending(wire, case.then)


def taken(wire: socket.socket) -> None:
    """Wait until the other side's kernel has everything, and for a while that lets its program read it."""
    deadline = time.monotonic() + 0.003
    while time.monotonic() < deadline or fcntl.ioctl(wire, termios.TIOCOUTQ, b"\0\0\0\0") != b"\0\0\0\0":
        select.select([], [], [], 0.001)


@pytest.fixture(scope="module")
def player() -> Player:
    """The backend's part."""
    return Player()


def test_the_tables() -> None:
    sound(CASES, KNOWN, 80)


@pytest.mark.parametrize("number", marked(CASES, KNOWN))
def test_answer(number: int, door: CleanDoor, player: Player) -> None:
    case = CASES[number]
    target = b"/case/%d" % number
    player.executed.clear()
    player.said.clear()
    with door.client(5.0) as wire:
        lines = "".join(f"{line}\r\n" for line in ("Host: localhost", *case.lines))
        length = "Content-Length: 0\r\n" if case.method == "POST" else ""
        wire.send(f"{case.method} {target.decode()} HTTP/1.1\r\n{lines}{length}\r\n".encode())
        told(case, wire, player.said)
    assert player.executed[target] >= 1
    if case.method == "POST":
        assert player.executed[target] == case.executed, "a POST was executed again"
    for _ in range(2):
        with door.client(5.0) as wire:
            assert [wire.get("/a").body, wire.get("/b").body] == [b"/a", b"/b"]
    assert "Traceback" not in door.stderr


def told(case: Answer, wire: Wire, said: threading.Event) -> None:
    """What a client makes of it, and that its connection is good for more or over."""
    try:
        found = wire.response(case.method)
    except Cut as cut:
        assert CUT in case.allowed, f"{case.rule}: cut {cut}"
        assert cut.head, f"{case.rule}: closed without an answer"
        assert case.never not in cut.body
        return
    assert found.status in case.allowed, f"{case.rule}: {found!r}"
    assert said.wait(5.0)
    served = found.status < 500 or (case.body is not None and found.body == case.body)
    assert case.never not in found.body and case.never not in b"".join(value for _, value in found.fields)
    if served and case.body is not None:
        assert found.body == case.body, case.rule
    if served and case.interim is not None:
        assert tuple(found.interim) == case.interim
    for name, values in case.fields.items():
        assert tuple(found.all(name)) == values, f"{case.rule}: {name}"
    if found.get("connection") == b"close":
        assert wire.ended()
    else:
        assert wire.get("/next").body == b"/next", case.rule
