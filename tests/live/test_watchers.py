"""What watches over backends goes on when something else goes wrong: a worker that stands still, a keeper that dies, a
reload in the middle, descriptors that run out, nobody well but the one that is drained."""

from __future__ import annotations

import resource
import socket
import threading
import time

from configs import plain
from door import alive, backend, kill, stopped, until
from wires import CleanDoor, Recorder, Request, Stream, Wire, answer, read_head

CONFIG = plain(workers=2, upstream="servers = [{servers}]\n{more}")
CHECKED = 'health = { path = "/healthz", interval = "100ms", rise = 1, fall = 2 }'


class Gated:
    """A backend that answers a request when it is told to."""

    def __init__(self) -> None:
        self.turn = threading.Semaphore(0)
        self.order: list[bytes] = []

    def __call__(self, wire: socket.socket) -> None:
        stream = Stream(wire)
        while True:
            request = read_head(stream)
            stream.begun = b""  # of an upload, whose body comes with its head
            self.order.append(request.target)
            assert self.turn.acquire(timeout=20)
            wire.sendall(answer(b"ok"))


class Checked:
    """A backend that says how it is when it is checked, and its name otherwise."""

    def __init__(self, name: bytes, well: bool = True) -> None:
        self.name = name
        self.well = well
        self.checks = 0

    def __call__(self, wire: socket.socket) -> None:
        Recorder(self.says)(wire)

    def says(self, request: Request) -> bytes:
        if request.target != b"/healthz":
            return answer(self.name)
        self.checks += 1
        return answer(b"") if self.well else answer(b"", status="503 Ill")


def one_place(port: int, more: str = "") -> CleanDoor:
    """A door to a backend that takes one request at a time."""
    return CleanDoor(CONFIG, servers=f'{{ address = "127.0.0.1:{port}", max_conns = 1 }}', more=more)


def waiting(door: CleanDoor) -> int:
    return int(door.status()["upstreams"]["app"]["waiting"])


def get(wire: Wire, target: str) -> None:
    wire.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())


def test_a_worker_that_stands_still_closes_no_upstream() -> None:
    """Its request is the oldest of all who wait, and it will not come for its place."""
    gated = Gated()
    with backend(gated) as port, one_place(port, 'queue = { timeout = "20s" }') as door:
        (still, (first,)), (_, (second,)) = ((pid, wires[:1]) for pid, wires in door.by_worker().items())
        get(second, "/1")
        until(lambda: gated.order == [b"/1"])
        get(first, "/2")
        until(lambda: waiting(door) == 1)
        with stopped(still):
            gated.turn.release()
            assert second.response().status == 200
            began = time.monotonic()
            for number in (3, 4):
                gated.turn.release()
                assert second.get(f"/{number}").status == 200
            assert time.monotonic() - began < 5.0  # much sooner than the place of the one that stands still is given up
        gated.turn.release()
        assert first.response().status == 200 and gated.order == [b"/1", b"/3", b"/4", b"/2"]


def test_an_upload_that_a_reload_overtakes_waits_with_the_others() -> None:
    gated = Gated()
    with backend(gated) as port, one_place(port) as door:
        upload = door.client().send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        until(lambda: door.status()["workers"][0]["connections"] + door.status()["workers"][1]["connections"] == 1)
        door.reload(CONFIG.replace("[site.s]", 'queue = { timeout = "6s" }\n[site.s]', 1))
        other = door.client()
        get(other, "/1")
        until(lambda: gated.order == [b"/1"])
        upload.send(b"67890")
        until(lambda: waiting(door) == 1)
        gated.turn.release(3)
        assert other.response().status == 200 and upload.response("POST").status == 200
        assert door.client().get("/2").status == 200 and gated.order == [b"/1", b"/up", b"/2"]


def test_when_the_last_that_is_well_is_drained_the_ill_one_is_asked() -> None:
    first, second = Checked(b"a"), Checked(b"b")
    with backend(first) as one, backend(second) as other:
        servers = f'"127.0.0.1:{one}", "127.0.0.1:{other}"'
        with CleanDoor(CONFIG, servers=servers, more=CHECKED) as door:
            until(lambda: first.checks and second.checks)
            second.well = False
            until(lambda: {door.get().body for _ in range(10)} == {b"a"})
            assert door.command("drain", "app", f"127.0.0.1:{one}").returncode == 0
            until(lambda: {door.get().body for _ in range(10)} == {b"b"})


def test_checks_go_on_when_their_keeper_dies() -> None:
    first, second = Checked(b"a"), Checked(b"b")
    with backend(first) as one, backend(second) as other:
        servers = f'"127.0.0.1:{one}", "127.0.0.1:{other}"'
        with CleanDoor(CONFIG, servers=servers, more=CHECKED) as door:
            second.well = False
            until(lambda: {door.get().body for _ in range(10)} == {b"a"})
            (keeper,) = set(door.children()) - set(door.workers())
            kill(keeper)
            until(lambda: not alive(keeper))
            seen = {door.get().body for _ in range(20)}
            checks = until(lambda: second.checks and door.up() and second.checks)
            until(lambda: second.checks >= checks + 3)
            assert seen | {door.get().body for _ in range(20)} == {b"a"}  # the birth of a keeper makes nobody well
            second.well = True
            until(lambda: {door.get().body for _ in range(20)} == {b"a", b"b"})


def test_of_all_who_come_at_once_to_both_workers_one_is_the_probe() -> None:
    well, go = threading.Event(), threading.Event()

    def says(request: Request) -> bytes:
        if not well.is_set():
            return answer(b"no", status="503 No")
        assert go.wait(20)
        return answer(b"fine")

    recorder = Recorder(says)
    more = 'breaker = { failures = 2, recovery = "300ms" }\nfallback = { body = "later" }'
    with backend(recorder) as port, CleanDoor(CONFIG, servers=f'"127.0.0.1:{port}"', more=more) as door:
        clients = [wire for wires in door.by_worker(4).values() for wire in wires]
        until(lambda: door.get().body == b"later")
        well.set()
        asked = len(recorder.requests)

        def probed() -> bool:
            """Whether one of them all, who ask at once, is not turned away."""
            for client in clients:
                get(client, "/")
            until(lambda: sum(map(has_more, clients)) >= len(clients) - 1)
            until(lambda: all(map(has_more, clients)) or len(recorder.requests) > asked)
            turned_away = [client for client in clients if has_more(client)]
            assert {client.response().body for client in turned_away} == {b"later"}
            return len(turned_away) < len(clients)

        until(probed)
        assert len(recorder.requests) == asked + 1
        go.set()
        until(lambda: door.get().body == b"fine")
        assert door.backend()["breaker_opened"] == 1


def has_more(client: Wire) -> bool:
    """Whether something has come that was not read."""
    client.wire.setblocking(False)
    try:
        return bool(client.wire.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        client.wire.settimeout(10.0)


def test_descriptors_that_run_out_are_no_fault_of_the_backend() -> None:
    with (
        backend(Recorder()) as port,
        CleanDoor(CONFIG.replace("workers = 2", "workers = 1"), servers=f'"127.0.0.1:{port}"', more="") as door,
    ):
        (pid,) = door.workers()
        wire = door.client()
        until(lambda: door.status()["workers"][0]["connections"] == 1)
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
        try:
            refused = wire.get("/")
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert refused.status == 503
        assert door.backend()["failures"] == 0 and door.backend()["state"] == "up"
        assert wire.get("/").status == 200
        until(lambda: 'frontgate_faults_total{fault="no_socket"} 1.0' in door.get_admin("/metrics").body.decode())
