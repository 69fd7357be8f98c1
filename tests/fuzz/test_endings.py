"""Ends of tunnels: what one side says with its last breath reaches the other."""

from __future__ import annotations

import socket

import pytest
from configs import plain
from door import until
from wires import CleanDoor, Cut, Stream, Wire, Wrong, read_request

CONFIG = plain()
BEHIND = "far"
ASK = (
    b"GET %b HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n"
)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


class Far:
    """The backend's end of tunnels: writes down what it hears until the end; /talks says `words` and closes."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.words = b""

    def __call__(self, wire: socket.socket) -> None:
        stream = Stream(wire)
        try:
            request = read_request(stream)
        except (Cut, Wrong):
            return
        wire.sendall(SWITCH + (self.words if request.target == b"/talks" else b""))
        if request.target == b"/talks":
            return
        while stream.more():
            pass
        self.heard.append(stream.begun)


@pytest.fixture(scope="module")
def far() -> Far:
    """The far end."""
    return Far()


def tunnel(door: CleanDoor, target: bytes) -> Wire:
    """A connection that has been switched."""
    wire = door.client(5.0)
    assert wire.send(ASK % target).response().status == 101
    return wire


@pytest.mark.parametrize("size", [1, 1000, 60_000, 1_000_000])
def test_what_a_client_says_last_arrives(size: int, door: CleanDoor, far: Far) -> None:
    for _ in range(5):
        far.heard.clear()
        with tunnel(door, b"/listens") as wire:
            wire.send(b"x" * size)
            wire.wire.shutdown(socket.SHUT_WR)
            until(lambda: far.heard, 5.0, "the far end heard the end")
        assert len(far.heard[0]) == size


@pytest.mark.parametrize("size", [1, 1000, 60_000, 1_000_000])
def test_what_a_backend_says_last_arrives(size: int, door: CleanDoor, far: Far) -> None:
    far.words = b"x" * size
    for _ in range(5):
        with tunnel(door, b"/talks") as wire:
            while wire.more():
                pass
            assert len(wire.begun) == size
