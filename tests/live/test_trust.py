"""What all workers of a host decide together: breakers, checks and the queue, on a whole frontgate with two workers."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable

from configs import plain
from door import backend, free_port, until
from wires import CleanDoor, Recorder, Request, Stream, answer, read_head

CONFIG = plain(workers=2, upstream="servers = [{servers}]\n{more}")


def door(servers: str, more: str) -> CleanDoor:
    return CleanDoor(CONFIG, servers=servers, more=more)


def state(door: CleanDoor, number: int = 0) -> str:
    return str(door.backend(number)["state"])


def test_a_breaker_is_open_for_both_workers_and_one_probe_closes_it() -> None:
    well = threading.Event()
    recorder = Recorder(lambda request: answer(b"fine") if well.is_set() else answer(b"no", status="503 No"))
    more = 'breaker = { failures = 5, recovery = "1s" }\nfallback = { body = "later" }'
    with backend(recorder) as port, door(f'"127.0.0.1:{port}"', more) as one:
        until(lambda: one.get().body == b"later")
        asked = len(recorder.requests)
        assert asked == 5  # whichever workers they went through
        assert [one.get().body for _ in range(10)] == [b"later"] * 10
        assert len(recorder.requests) == asked
        until(lambda: one.backend(0)["breaker"] == "open")
        well.set()
        until(lambda: one.get().body == b"fine")
        until(lambda: [one.get().body for _ in range(10)] == [b"fine"] * 10)
        until(lambda: one.backend(0)["breaker"] == "closed" and one.backend(0)["breaker_opened"] == 1)
        until(lambda: one.stderr.count("the breaker of") == 3)


def test_checks_take_a_backend_out_and_in_again() -> None:
    ill = threading.Event()

    def answers(request: Request) -> bytes:
        if request.target == b"/healthz":
            return answer(b"bad" if ill.is_set() else b"good")
        return answer(b"a")

    more = 'health = { path = "/healthz", body = "^good$", interval = "200ms", rise = 2, fall = 2 }'
    with (
        backend(Recorder(answers)) as first,
        backend(Recorder(lambda request: answer(b"b" if request.target == b"/" else b"good"))) as second,
        door(f'"127.0.0.1:{first}", "127.0.0.1:{second}"', more) as one,
    ):
        until(lambda: {one.get().body for _ in range(10)} == {b"a", b"b"})
        ill.set()
        until(lambda: state(one) == "down")
        until(lambda: {one.get().body for _ in range(20)} == {b"b"})
        ill.clear()
        until(lambda: state(one) == "up")
        until(lambda: {one.get().body for _ in range(20)} == {b"a", b"b"})


def test_a_drained_backend_gets_nothing_new_until_it_is_undrained() -> None:
    def command(one: CleanDoor, word: str, address: str) -> subprocess.CompletedProcess[str]:
        return one.command(word, "app", address)

    with (
        backend(Recorder(lambda request: answer(b"a"))) as first,
        backend(Recorder(lambda request: answer(b"b"))) as second,
        door(f'"127.0.0.1:{first}", "127.0.0.1:{second}"', "") as one,
    ):
        until(lambda: {one.get().body for _ in range(10)} == {b"a", b"b"})
        done = command(one, "drain", f"127.0.0.1:{first}")
        assert done.returncode == 0 and "is drained" in done.stdout
        until(lambda: state(one) == "draining" and {one.get().body for _ in range(20)} == {b"b"})
        one.reload()
        assert state(one) == "draining"
        assert command(one, "undrain", f"127.0.0.1:{first}").returncode == 0
        until(lambda: {one.get().body for _ in range(20)} == {b"a", b"b"})
        done = command(one, "drain", "127.0.0.1:1")
        assert done.returncode == 1 and "has no backend '127.0.0.1:1'" in done.stderr
        assert one.get_admin("/drain").status == 405


def test_a_mandatory_check_comes_before_the_first_request() -> None:
    recorder = Recorder(lambda request: answer(b"ok"))
    absent = free_port()
    more = 'health = { path = "/healthz", interval = "200ms", mandatory = true }'
    with door(f'"127.0.0.1:{absent}"', more) as one:
        assert one.get().status == 503
        with socket.create_server(("127.0.0.1", absent)) as server:
            stop = threading.Event()
            thread = threading.Thread(target=serve, args=(server, recorder, stop), daemon=True)
            thread.start()
            until(lambda: one.get().status == 200)
            stop.set()
            thread.join(5)
        assert recorder.requests[0].target == b"/healthz"


def serve(server: socket.socket, talk: Callable[[socket.socket], None], stop: threading.Event) -> None:
    """Let each connection be talked to, until told to stop."""
    server.settimeout(0.1)
    while not stop.is_set():
        try:
            wire, _ = server.accept()
        except OSError:
            continue
        wire.settimeout(5)
        threading.Thread(target=quietly, args=(talk, wire), daemon=True).start()


def quietly(talk: Callable[[socket.socket], None], wire: socket.socket) -> None:
    try:
        talk(wire)
    except (OSError, EOFError, ValueError, AssertionError):
        wire.close()


def test_the_queue_is_one_for_both_workers() -> None:
    """One place at the backend: requests are served in the order they came, through whichever worker."""
    order: list[bytes] = []
    turn = threading.Semaphore(0)
    most = [0, 0]  # at the backend now, and at most

    def talk(wire: socket.socket) -> None:
        stream = Stream(wire)
        while True:
            request = read_head(stream)
            most[0] += 1
            most[1] = max(most)
            order.append(request.target)
            assert turn.acquire(timeout=20)
            most[0] -= 1
            wire.sendall(answer(b"ok"))

    server = '{ address = "127.0.0.1:PORT", max_conns = 1 }'
    with backend(talk) as port, door(server.replace("PORT", str(port)), "") as one:
        clients = [one.client() for _ in range(12)]
        for number, client in enumerate(clients):
            client.send(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
            until(lambda number=number: one.in_flight() == 1 and one.status()["upstreams"]["app"]["waiting"] == number)
        began = time.monotonic()
        for client in clients:
            turn.release()
            assert client.response().status == 200
        assert order == [b"/%d" % number for number in range(12)] and most[1] == 1
        assert time.monotonic() - began < 1.0  # bells ring: nobody waits for a tick
        until(lambda: one.status()["upstreams"]["app"]["queued"] == 11)
