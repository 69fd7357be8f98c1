"""FastAPI behind the door as it is meant to be run: Gunicorn with Uvicorn workers on a port and on a unix socket, and
plain Uvicorn."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from door import ROOT, fetch, free_port, until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from wires import CleanDoor, Wire

SITE = """
[upstream.{name}]
servers = ["{address}"]
keepalive_timeout = "60s"
[site.{name}]
names = ["{name}.test"]
[[site.{name}.route]]
path = "/"
upstream = "{name}"
"""
CONFIG = """
workers = 2
[http]
max_body = "64m"
[listen.web]
address = "127.0.0.1:{port}"
[upstream.both]
servers = ["127.0.0.1:{tcp}", "unix:{unix}"]
keepalive_timeout = "60s"
[site.both]
default = true
[[site.both.route]]
path = "/"
upstream = "both"
"""
KINDS = ("tcp", "unix", "plain")


class Apps:
    """Where the application runs, and the processes it runs in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tcp, self.plain = free_port(), free_port()
        self.unix = folder / "app.sock"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all three."""
        gunicorn = ("gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-c", "backends/gunicorn.conf.py")
        self.run("tcp", f"127.0.0.1:{self.tcp}", *gunicorn, "backends.app:app")
        self.run("unix", f"unix:{self.unix}", *gunicorn, "backends.app:app")
        self.run("plain", f"127.0.0.1:{self.plain}", "uvicorn", "backends.app:app", "--port", str(self.plain))

    def run(self, name: str, bind: str, *command: str) -> None:
        """Start one."""
        environment = {**os.environ, "FRONTGATE_BIND": bind, "FRONTGATE_BACKEND": name, "WEB_CONCURRENCY": "2"}
        with open(self.folder / f"{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=log, stderr=log
            )

    def up(self) -> bool:
        """Whether all three answer."""
        for name, process in self.processes.items():
            assert process.poll() is None, (self.folder / f"{name}.log").read_text()
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(5)
            wire.connect(str(self.unix))
        return all(fetch(port, "/healthz").status == 200 for port in (self.tcp, self.plain))

    def workers(self, name: str) -> list[int]:
        """The process ids of a Gunicorn's workers."""
        pid = self.processes[name].pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def stop(self) -> None:
        """Stop all."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apps]:
    apps = Apps(tmp_path_factory.mktemp("apps"))
    try:
        apps.start()
        until(apps.up, 30.0, "the applications' start")
        yield apps
    finally:
        apps.stop()


@pytest.fixture(scope="module")
def door(apps: Apps) -> Iterator[CleanDoor]:
    addresses = (f"127.0.0.1:{apps.tcp}", f"unix:{apps.unix}", f"127.0.0.1:{apps.plain}")
    sites = "".join(
        SITE.replace("{name}", name).replace("{address}", address)
        for name, address in zip(KINDS, addresses, strict=True)
    )
    with CleanDoor(CONFIG + sites, tcp=apps.tcp, unix=apps.unix) as door:
        yield door


@pytest.fixture(params=KINDS)
def host(request: pytest.FixtureRequest) -> str:
    """The site of one way to run the application."""
    return f"{request.param}.test"


def test_who_asks_is_told_and_cannot_be_made_up(door: CleanDoor, host: str) -> None:
    with Wire(door.port, source="127.0.0.7") as wire:
        wire.send(
            f"GET / HTTP/1.1\r\nHost: {host}:81\r\nX-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n"
            "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 6\r\nForwarded: for=6.6.6.6\r\n"
            "X-Request-ID: mine-1\r\n\r\n".encode()
        )
        seen = wire.response().json
    assert seen["client"] == "127.0.0.7" or host == "plain.test"
    assert seen["scheme"] == "http" and seen["method"] == "GET" and seen["path"] == "/"
    assert seen["headers"] == {
        "host": f"{host}:81",
        "x-real-ip": "127.0.0.7",
        "x-forwarded-for": "127.0.0.7",
        "x-forwarded-proto": "http",
        "x-forwarded-host": f"{host}:81",
        "x-request-id": "mine-1",
    }


def test_every_request_has_an_id_of_its_own(door: CleanDoor, host: str) -> None:
    ids = [door.get("/", host).json["headers"]["x-request-id"] for _ in range(20)]
    assert len(set(ids)) == 20 and all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


def test_healthz_status_head_and_hello(door: CleanDoor, host: str) -> None:
    assert door.get("/healthz", host).json == {"status": "ok"}
    for code in (200, 201, 204, 205, 304, 400, 404, 418, 500, 503, 599):
        assert door.get(f"/status/{code}", host).status == code
    head = door.get("/bytes/1000", host, "HEAD")
    assert head.status == 200 and head.headers["Content-Length"] == "1000" and head.body == b""
    assert b"Hello from" in door.get("/hello", host).body
    assert door.get("/nowhere", host).status == 404
    assert door.get("/slow?seconds=0.1", host).json["slept"] == 0.1


def test_a_body_of_20_mb_arrives_as_it_was_sent(door: CleanDoor, host: str) -> None:
    body = os.urandom(1 << 20) * 20
    seen = door.get("/echo", host, "POST", body).json
    assert (seen["length"], seen["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())


def test_a_body_in_chunks_arrives_as_it_was_sent(door: CleanDoor, host: str) -> None:
    body = os.urandom(3_000_000)
    with door.client() as wire:
        wire.send(f"POST /echo HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for at in range(0, len(body), 70_001):
            piece = body[at : at + 70_001]
            wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        seen = wire.send(b"0\r\n\r\n").response().json
    assert (seen["length"], seen["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())


def test_a_body_over_the_limit_is_refused(door: CleanDoor, host: str) -> None:
    with door.client() as wire:
        wire.send(f"POST /echo HTTP/1.1\r\nHost: {host}\r\nContent-Length: {65 << 20}\r\n\r\n".encode())
        assert wire.response().status == 413


def test_bytes_of_any_number_arrive_whole(door: CleanDoor, host: str) -> None:
    for number in (0, 1, 65_535, 65_536, 65_537, 20_000_000):
        found = door.get(f"/bytes/{number}", host)
        assert hashlib.sha256(found.body).digest() == hashlib.sha256(bytes(number)).digest()


def test_events_arrive_one_by_one(door: CleanDoor, host: str) -> None:
    with door.client() as wire:
        wire.send(f"GET /events?count=4&interval=0.15 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        times = []
        for number in range(1, 5):
            while f"id: {number}".encode() not in wire.begun:
                assert wire.more()
            times.append(time.monotonic())
        assert wire.response().get("content-type") == b"text/event-stream; charset=utf-8"
    assert all(later - earlier > 0.1 for earlier, later in itertools.pairwise(times)), times


def test_a_stream_without_a_length_arrives_whole(door: CleanDoor, host: str) -> None:
    assert door.get("/stream?count=50&interval=0.002", host).body.count(b"\n") == 50


@contextlib.contextmanager
def websocket(door: CleanDoor, host: str, path: str = "/ws", **more: Any) -> Iterator[ClientConnection]:
    """A WebSocket through the door."""
    with connect(f"ws://{host}{path}", sock=door.wire(), max_size=None, **more) as one:
        yield one


def test_a_websocket_echoes_text_and_bytes(door: CleanDoor, host: str) -> None:
    with websocket(door, host) as one:
        for message in ("hello", "", "é" * 1000, b"", b"\x00\xff", os.urandom(1 << 20), "x" * (1 << 20)):
            one.send(message)
            assert one.recv(10) == message
        for number in range(200):
            one.send(str(number))
        assert [one.recv(10) for _ in range(200)] == [str(number) for number in range(200)]


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4711])
def test_the_close_code_of_a_websocket_passes(door: CleanDoor, host: str, code: int) -> None:
    with websocket(door, host) as one:
        one.send("hello")
        assert one.recv(10) == "hello"
        one.close(code, "a reason")
        with pytest.raises(ConnectionClosed) as closed:
            one.recv(10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == code


def test_a_websocket_that_is_refused_says_so(door: CleanDoor, host: str) -> None:
    with pytest.raises(InvalidStatus) as refused, websocket(door, host, "/nowhere"):
        pass
    assert refused.value.response.status_code in (403, 404)


def test_a_worker_that_restarts_costs_no_request(door: CleanDoor, apps: Apps) -> None:
    """300 GETs on kept connections while each Gunicorn loses a worker: all are answered 200."""
    old = [apps.workers(name)[0] for name in ("tcp", "unix")]
    statuses: list[int] = []

    def ask() -> None:
        with door.client() as wire:
            statuses.extend(wire.get("/slow?seconds=0.01").status for _ in range(100))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for pid in old:
        until(lambda: len(statuses) >= 0 and door.in_flight() > 0)
        os.kill(pid, signal.SIGTERM)
    for thread in threads:
        thread.join(40)
    assert statuses == [200] * 300
    until(lambda: all(len(set(apps.workers(name)) - set(old)) == 2 for name in ("tcp", "unix")), 20.0)
