"""A disk that takes no more while bodies wait: who must wait is told so or is held, and nobody gets a wrong byte.

Rules: the disk is made full for the running worker alone, by the limit of the size of its files (`RLIMIT_FSIZE`): its
writes are then taken in part, and then refused, as by a file system without a block left, and nobody has to be root.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import socket
import threading
from collections.abc import Iterator

from configs import plain
from door import backend, until
from wires import CleanDoor, Recorder, Stream, answer, read_head

CONFIG = plain('[http]\nmax_body = "1g"\n[buffer]\nmemory = "64k"')
ROOM = 300_000  # bytes that a file may have: more than one block of a spool, and not a whole number of them
LARGE = 20 << 20
SMALL = 50_000  # waits in memory


@contextlib.contextmanager
def full_disk(door: CleanDoor) -> Iterator[None]:
    """No file of the only worker grows beyond ROOM, as long as this lasts."""
    (worker,) = door.workers()
    before = resource.prlimit(worker, resource.RLIMIT_FSIZE)
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (ROOM, before[1]))
    try:
        yield
    finally:
        resource.prlimit(worker, resource.RLIMIT_FSIZE, before)


def files(door: CleanDoor) -> int:
    """Files without a name that the worker has open."""
    (worker,) = door.workers()
    found = 0
    for name in os.listdir(f"/proc/{worker}/fd"):
        with contextlib.suppress(OSError):
            path = os.readlink(f"/proc/{worker}/fd/{name}")
            found += path.endswith(" (deleted)") and not path.startswith(("/memfd", "/dev/zero"))
    return found


def post(door: CleanDoor, body: bytes) -> int:
    """The status of an upload on a connection of its own."""
    with door.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body))
        with contextlib.suppress(OSError):  # it is refused before all of it was sent
            client.wire.sendall(body)
        return client.response().status


def test_an_upload_that_finds_no_room_is_a_503_and_a_small_one_is_served() -> None:
    recorder = Recorder(lambda request: answer(b"%d" % len(request.body)))
    with backend(recorder) as port, CleanDoor(CONFIG, backend=port) as door:
        workers, before = door.workers(), files(door)
        with full_disk(door):
            for _ in range(3):
                assert post(door, bytes(2 * ROOM)) == 503
                assert post(door, bytes(SMALL)) == 200
            assert files(door) == before
        assert [len(request.body) for request in recorder.requests] == [SMALL] * 3
        assert "cannot be kept" in door.stderr and "File too large" in door.stderr
        assert post(door, bytes(2 * ROOM)) == 200
        assert door.workers() == workers and files(door) == before


def test_an_answer_that_finds_no_room_holds_its_backend_and_arrives_whole() -> None:
    body = random.Random(7).randbytes(LARGE)
    sent: list[int] = []
    freed = threading.Event()

    def talk(wire: socket.socket) -> None:
        read_head(Stream(wire))
        wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
        for begin in range(0, LARGE, 10_000):
            wire.sendall(body[begin : begin + 10_000])
            sent.append(begin)
        freed.set()

    def stuck() -> bool:
        """Nothing more was sent for a while."""
        before = len(sent)
        return not freed.wait(0.5) and len(sent) == before > 0

    with backend(talk) as port, CleanDoor(CONFIG, backend=port) as door, full_disk(door):
        before = files(door)
        with door.client(receive_buffer=4096) as slow:
            slow.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            until(stuck, 10.0, "a backend that is held")
            assert not freed.is_set() and door.in_flight() == 1
            found = slow.response()
        assert found.status == 200 and found.body == body
        assert freed.wait(5.0)
        until(lambda: files(door) == before and door.in_flight() == 0, 5.0, "all given back")
