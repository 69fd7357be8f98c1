"""A slow client does not keep a backend: its body waits at the door until it is whole, and so does its answer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from configs import plain
from door import ROOT, backend, fetch, free_port, until
from wires import CleanDoor, Recorder, Stream, answer, read_request, resident

CONFIG = plain(
    '[http]\nmax_body = "1g"',
    upstream='servers = [{ address = "127.0.0.1:{backend}", max_conns = {places} }]\n{more}',
)
LARGE = 20 << 20
GROWTH = 8 << 20


def before(port: int, more: str = "", places: int = 0) -> CleanDoor:
    """A door before one backend."""
    return CleanDoor(CONFIG, backend=port, more=more, places=places)


def in_flight(door: CleanDoor) -> int:
    """Attempts that the backend has not done with."""
    return int(door.backend(0)["in_flight"])


@pytest.fixture(scope="module")
def uvicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The sample application under one Gunicorn with one UvicornWorker; gives its port."""
    port = free_port()
    log = tmp_path_factory.mktemp("app") / "log"
    environment = {**os.environ, "FRONTGATE_BIND": f"127.0.0.1:{port}", "WEB_CONCURRENCY": "1"}
    command = [sys.executable, "-m", "gunicorn", "-k", "uvicorn_worker.UvicornWorker"]
    command += ["-c", "backends/gunicorn.conf.py", "backends.app:app"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        until(lambda: fetch(port, "/healthz").status == 200, 30.0, "the application's start")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def test_a_uvicorn_worker_is_free_while_its_answer_goes_out_slowly(uvicorn: int) -> None:
    """The client takes 10 KB a second of 20 MB; the door's only place at the worker is free at once."""
    with before(uvicorn, places=1) as door, door.client(receive_buffer=4096) as slow:
        slow.send(b"GET /bytes/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % LARGE)
        assert slow.wire.recv(1000)
        until(lambda: in_flight(door) == 0, 10.0, "the worker's freedom")
        pause = threading.Event()
        for _ in range(10):
            pause.wait(0.1)
            assert slow.wire.recv(1000)
            assert door.get("/healthz").status == 200
        assert door.status()["upstreams"]["app"]["queued"] == 0


def test_a_slow_body_does_not_touch_the_backend() -> None:
    recorder = Recorder(lambda request: answer(b"ok"))
    with backend(recorder) as port, before(port) as door, door.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n")
        for _ in range(9):
            client.send(b"x")
            assert door.get("/other").status == 200
        assert [request.target for request in recorder.requests] == [b"/other"] * 9
        client.send(b"x")
        assert client.response().body == b"ok"
        assert recorder.requests[-1].body == b"x" * 10


def test_a_large_body_waits_in_a_file_and_not_in_memory() -> None:
    seen: list[int] = []

    def count(wire: socket.socket) -> None:
        stream = Stream(wire)
        while True:
            seen.append(len(read_request(stream).body))
            wire.sendall(answer(b"ok"))

    with backend(count) as port, before(port) as door:
        (worker,) = door.workers()
        for _ in range(20):
            assert door.get().status == 200
        first, most = resident(worker), 0
        with door.client() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (10 * LARGE))
            for _ in range(200):
                client.send(bytes(LARGE // 20))
                most = max(most, resident(worker) - first)
            assert client.response().body == b"ok"
        assert seen[-1] == 10 * LARGE
        assert most < GROWTH
