"""Upgraded connections: bytes pass both ways unchanged, live through reloads, and end with the drain's deadline."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from configs import fixed, plain
from door import backend, until
from wires import CleanDoor, Stream, Wire, answer, read_head, resident

CONFIG = plain('[timeouts]\nshutdown = "1s"\nread = "500ms"', workers=2)
NEW = CONFIG + fixed("/new", "new")
LINES = (
    "Connection: keep-alive, Upgrade",
    "Upgrade: WebSocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: eA==",
)


def echo(wire: socket.socket) -> None:
    """Switches protocols and sends everything back; /flood sends without end, /stuck never reads."""
    stream = Stream(wire)
    while not (head := read_head(stream)).get("upgrade"):
        wire.sendall(answer(b"plain"))
    assert head.get("connection") == b"upgrade" and head.get("upgrade") == b"websocket"
    assert head.get("sec-websocket-key") == b"eA=="
    wire.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: x\r\n\r\nfirst"
    )
    wire.settimeout(30)
    if head.target == b"/flood":
        while True:
            wire.sendall(bytes(1 << 20))
    if head.target == b"/stuck":
        threading.Event().wait(3)
        return
    wire.sendall(stream.begun)
    while data := wire.recv(262144):
        wire.sendall(data)


@pytest.fixture
def door() -> Iterator[CleanDoor]:
    with backend(echo) as port, CleanDoor(CONFIG, backend=port) as door:
        yield door


def upgraded(door: CleanDoor, target: str = "/", ahead: bytes = b"") -> Wire:
    """A tunnel through which "first" has come."""
    wire = door.client()
    wire.send("\r\n".join((f"GET {target} HTTP/1.1", "Host: localhost", *LINES, "", "")).encode() + ahead)
    found = wire.response()
    assert found.status == 101
    assert (found.get("connection"), found.get("upgrade")) == (b"upgrade", b"websocket")
    assert found.get("sec-websocket-accept") == b"x"
    assert wire.exactly(5) == b"first"
    return wire


def echoed(wire: Wire, data: bytes = b"hello") -> bool:
    """Whether bytes come back."""
    return wire.send(data).exactly(len(data)) == data


def test_bytes_pass_both_ways_unchanged(door: CleanDoor) -> None:
    with upgraded(door, ahead=b"ahead") as wire:
        assert wire.exactly(5) == b"ahead"
        for data in (b"x", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)), os.urandom(100_000)):
            assert echoed(wire, data)
        data = os.urandom(5_000_000)
        thread = threading.Thread(target=wire.wire.sendall, args=(data,), daemon=True)
        thread.start()
        assert wire.exactly(len(data)) == data
        thread.join(5)


def test_silence_longer_than_the_read_timeout_is_no_fault(door: CleanDoor) -> None:
    with upgraded(door) as wire:
        assert not wire.ended(1.5)
        assert echoed(wire)


def test_either_end_ends_both(door: CleanDoor) -> None:
    with upgraded(door):
        until(lambda: door.in_flight() == 1)
    until(lambda: door.in_flight() == 0)
    with upgraded(door, "/stuck") as wire:
        assert wire.ended(6.0)
    assert door.get().body == b"plain"


def test_a_tunnel_holds_nothing_in_memory(door: CleanDoor) -> None:
    with upgraded(door, "/flood") as flood, upgraded(door, "/stuck") as stuck:
        pids = door.workers()
        before = {pid: resident(pid) for pid in pids}
        stuck.wire.settimeout(0.5)
        with pytest.raises(TimeoutError):
            for _ in range(300):
                stuck.wire.sendall(bytes(1 << 20))
        flood.exactly(50 << 20)
        assert all(resident(pid) - before[pid] < 8 << 20 for pid in pids)


def test_tunnels_live_through_reloads(door: CleanDoor) -> None:
    wires = [upgraded(door) for _ in range(8)]
    for config in (NEW, CONFIG, NEW):
        door.reload(config)
        assert all(echoed(wire) for wire in wires)
    assert door.get("/new").body == b"new"
    door.reload("nonsense", good=False)
    assert all(echoed(wire, os.urandom(50_000)) for wire in wires)
    for wire in wires:
        wire.wire.close()


def test_quit_ends_tunnels_at_the_deadline(door: CleanDoor) -> None:
    wires = [upgraded(door) for _ in range(4)]
    began = time.monotonic()
    door.tell(signal.SIGQUIT)
    until(lambda: "quit" in door.stderr or "finish" in door.stderr or time.monotonic() - began > 0.3)
    assert all(echoed(wire) for wire in wires), "a tunnel was cut before the deadline"
    assert all(wire.ended(4.0) for wire in wires)
    assert 0.8 < time.monotonic() - began < 3.5
    assert door.left() == 0
