"""Files over real sockets: large ones by the kernel and over TLS, to clients that are slow or go."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import certify, trusting
from door import Door, head_of, until

CONFIG = """
workers = 1
[listen.web]
address = "127.0.0.1:{port}"
tls = {tls}
[site.s]
default = true
certificate = "tls.pem"
key = "tls.key"
[[site.s.route]]
path = "/"
files = "www"
"""
LARGE = os.urandom(1 << 20) * 12


class Files(Door):
    """A door before a folder with a small file and a large one."""

    def __init__(self, secure: bool) -> None:
        self.secure = secure
        super().__init__(CONFIG, tls=str(secure).lower())
        certify(self.folder)
        www = self.folder / "www"
        www.mkdir()
        (www / "large.bin").write_bytes(LARGE)
        (www / "small.txt").write_bytes(b"small")

    def __enter__(self) -> Files:
        super().__enter__()
        return self

    def wire(self) -> socket.socket:
        """A connection, with TLS if that is spoken."""
        plain = super().wire()
        return trusting().wrap_socket(plain, server_hostname="localhost") if self.secure else plain

    def open_files(self) -> list[str]:
        """Names of what its worker has open below the folder."""
        (worker,) = self.workers()
        found: list[str] = []
        for one in Path(f"/proc/{worker}/fd").iterdir():
            try:
                found.append(os.readlink(one))
            except OSError:  # closed meanwhile
                continue
        return [name for name in found if name.startswith(f"{self.folder}/www")]


@pytest.fixture(scope="module", params=[False, True], ids=["http", "https"])
def door(request: pytest.FixtureRequest) -> Iterator[Files]:
    """One for all tests here, of each kind."""
    with Files(request.param) as made:
        yield made


def asks(wire: socket.socket, target: bytes, more: bytes = b"") -> None:
    """Send a request."""
    wire.sendall(b"GET %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (target, more))


def takes(wire: socket.socket) -> tuple[bytes, bytes]:
    """A whole answer: head and body."""
    head, _, body = head_of(wire).partition(b"\r\n\r\n")
    parts, left = [body], int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) - len(body)
    while left > 0:
        part = wire.recv(1 << 20)
        assert part, f"{left} bytes are missing"
        parts.append(part)
        left -= len(part)
    return head, b"".join(parts)


def test_large_and_small_files_on_one_connection(door: Files) -> None:
    with door.wire() as wire:
        for _ in range(3):
            asks(wire, b"/large.bin")
            assert takes(wire)[1] == LARGE
            asks(wire, b"/small.txt")
            assert takes(wire)[1] == b"small"


def test_requests_sent_ahead_are_answered_in_order(door: Files) -> None:
    with door.wire() as wire:
        for target in (b"/small.txt", b"/large.bin", b"/small.txt"):
            asks(wire, target, b"Range: bytes=1-3\r\n")
        asks(wire, b"/large.bin")
        got = b""
        while len(got) < len(LARGE) + 100:
            part = wire.recv(1 << 20)
            assert part
            got += part
    bodies = [part.partition(b"\r\n\r\n")[2] for part in got.split(b"HTTP/1.1 ", 4)[1:]]
    assert bodies[:3] == [b"mal", LARGE[1:4], b"mal"] and bodies[3][:1000] == LARGE[:1000]


def test_many_parts_of_a_large_file(door: Files) -> None:
    with door.wire() as wire:
        asks(wire, b"/large.bin", b"Range: bytes=0-999999,2000000-2999999,-5\r\n")
        head, body = takes(wire)
    assert head.startswith(b"HTTP/1.1 206 ")
    assert LARGE[:1_000_000] in body and LARGE[2_000_000:3_000_000] in body and LARGE[-5:] + b"\r\n--" in body


def test_a_client_that_goes_leaves_no_file_open(door: Files) -> None:
    wires = [door.wire() for _ in range(5)]
    for wire in wires:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asks(wire, b"/large.bin")
    until(lambda: len(door.open_files()) == 5, what="five files that are being sent")
    for wire in wires:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.close()
    until(lambda: not door.open_files(), what="the files closed")
    with door.wire() as wire:
        asks(wire, b"/small.txt")
        assert takes(wire)[1] == b"small"


def test_others_are_answered_while_one_is_slow(door: Files) -> None:
    with door.wire() as slow, door.wire() as other:
        asks(slow, b"/large.bin")
        for _ in range(20):
            asks(other, b"/small.txt")
            assert takes(other)[1] == b"small"
        assert takes(slow)[1] == LARGE
