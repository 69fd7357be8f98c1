"""What went wrong once, on whole frontgates: descriptors, rights, impossible reloads, slow clients, shared pipes."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from certificates import certify, trusting
from configs import fixed, plain, secured
from door import backend, free_port, kill, until
from prometheus_client.parser import text_string_to_metric_families
from wires import CleanDoor, Recorder, Stream, answer, read_head, read_response

from proxy.observe.log_file import LogFile

CONFIG = plain()
FIXED = CONFIG + fixed("/fixed", "new words")
SECURE = secured(CONFIG)
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def app():
    with backend(Recorder(lambda request: answer(b"hello"))) as port:
        yield port


def shown(door: CleanDoor) -> bytes:
    """The certificate that a new connection is shown."""
    with trusting().wrap_socket(door.wire(), server_hostname="localhost") as wire:
        return wire.getpeercert(True)


def owner(pid: int) -> int:
    """The user that a process runs as."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("Uid:")[2].split()[1])


def connections(door: CleanDoor) -> int:
    """Client connections that are open."""
    return sum(worker["connections"] for worker in door.status()["workers"])


def replaced(door: CleanDoor) -> int:
    """Kill the only worker; gives the process that replaces it."""
    (dead,) = door.workers()
    kill(dead)
    return until(lambda: next((pid for pid in door.workers() if pid != dead), None), 10.0, "a replacement")


# --- descriptors ------------------------------------------------------------------------------------------------------


def test_bodies_that_come_behind_their_heads_cost_no_descriptors():
    heads = threading.Semaphore(0)

    def talk(wire: socket.socket) -> None:
        stream = Stream(wire)
        while True:
            request = read_head(stream)
            heads.release()
            if request.method == b"POST":
                stream.exactly(2)
            wire.sendall(answer(b"ok", "Date: Tue, 14 Nov 2023 22:13:20 GMT"))

    streamed = CONFIG + "request_buffering = false\n"
    with backend(talk) as port, CleanDoor(streamed, backend=port) as door, door.client() as client:
        client.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert client.get().status == 200
        assert heads.acquire(timeout=10)
        folder = Path(f"/proc/{door.workers()[0]}/fd")
        until(lambda: connections(door) == 1)
        before = len(list(folder.iterdir()))
        for _ in range(200):
            client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n")
            assert heads.acquire(timeout=10)  # the head is at the backend before the body is sent
            client.send(b"ab")
            assert client.response().body == b"ok"
        assert len(list(folder.iterdir())) <= before + 2


# --- rights -----------------------------------------------------------------------------------------------------------


@pytest.mark.root
def test_a_renewed_certificate_whose_key_only_root_may_read(app):
    door = CleanDoor('user = "nobody"\n' + SECURE, backend=app)
    first = certify(door.folder)
    with door:
        (worker,) = door.workers()
        assert owner(worker) != 0 and (door.folder / "tls.key").stat().st_mode & 0o777 == 0o600
        with trusting().wrap_socket(door.wire(), server_hostname="localhost") as wire:
            assert wire.getpeercert(True) == first
            second = certify(door.folder)
            door.reload()
            wire.sendall(REQUEST)
            assert read_response(Stream(wire)).body == b"hello"
        assert door.workers() == [worker] and shown(door) == second
        assert owner(replaced(door)) != 0 and shown(door) == second


@pytest.mark.root
def test_a_log_that_the_user_may_not_open_is_opened_for_it(app):
    config = 'user = "nobody"\n' + CONFIG
    with CleanDoor(config, backend=app) as door:
        (worker,) = door.workers()
        assert door.folder.stat().st_mode & 0o077 == 0
        door.reload('user = "nobody"\n' + FIXED + '[log]\naccess = "{folder}/access.log"\n')
        assert door.workers() == [worker] and door.get("/fixed").body == b"new words"
        until(lambda: "/fixed" in (door.folder / "access.log").read_text())
        replaced(door)
        assert door.get("/fixed?again").body == b"new words"
        until(lambda: "/fixed?again" in (door.folder / "access.log").read_text())


# --- reloads ----------------------------------------------------------------------------------------------------------


def test_a_reload_that_no_worker_could_serve_changes_nothing(app):
    with CleanDoor(CONFIG.replace("workers = 1", "workers = 2"), backend=app) as door:
        workers = door.workers()
        (door.folder / "log").symlink_to(door.folder / "nowhere" / "file")
        door.reload(FIXED.replace("workers = 1", "workers = 2") + '[log]\naccess = "log"\n', good=False)
        assert "cannot be opened" in door.stderr and "the old configuration stays in force" in door.stderr
        assert door.workers() == workers
        kill(workers[0])
        until(lambda: len(door.workers()) == 2 and workers[0] not in door.workers())
        assert [door.get("/fixed").body for _ in range(10)] == [b"hello"] * 10
        assert door.status()["restarts"] == 1
        door.reload(FIXED.replace("workers = 1", "workers = 2"))
        assert [door.get("/fixed").body for _ in range(4)] == [b"new words"] * 4


def test_a_log_variable_that_does_not_exist_is_refused(app):
    with CleanDoor(CONFIG, backend=app) as door:
        (worker,) = door.workers()
        door.reload(FIXED + '[log]\nformat = "$bogus"\n', good=False)
        assert "bogus" in door.stderr and door.workers() == [worker]
        assert replaced(door) and door.get("/fixed").body == b"hello"


def test_a_worker_that_dies_before_it_answers_does_not_leave_a_reload_open(app):
    with CleanDoor(CONFIG, backend=app) as door:
        (worker,) = door.workers()
        os.kill(worker, signal.SIGSTOP)
        door.write(FIXED)
        before = len(door.stderr)
        door.tell(signal.SIGHUP)
        until(lambda: "again" in door.stderr[before:], 10.0, "the reload's beginning")
        kill(worker)
        until(lambda: "the new configuration is in force" in door.stderr[before:], 10.0, "the reload's outcome")
        assert door.get("/fixed").body == b"new words"
        until(lambda: door.status()["reload"]["good"] is True)


# --- clients ----------------------------------------------------------------------------------------------------------


def test_a_half_closed_client_that_does_not_read_is_gone_after_send():
    with (
        backend(Recorder(lambda request: answer(bytes(20 << 20)))) as port,
        CleanDoor(CONFIG + '[timeouts]\nsend = "1s"\n', backend=port) as door,
        door.client(receive_buffer=65536) as client,
    ):
        client.send(REQUEST)
        assert client.wire.recv(1000, socket.MSG_PEEK)  # it has begun
        until(lambda: connections(door) == 1)
        client.wire.shutdown(socket.SHUT_WR)
        until(lambda: connections(door) == 0, 8.0, "the end of a client that does not read")


def test_a_tls_client_that_takes_its_time_gets_the_whole_of_a_last_answer(app):
    """The longest test here: the pause has to be longer than any closing takes by itself.

    The answer is the door's own, so that all of it is written and the connection closed at once; it is longer than the
    kernel takes of it. It is asked for more than once, because a client whose head is new to the door is read on from
    for a while, which is another way to end.
    """
    body = b"0123456789abcdef" * (4 << 16)
    config = SECURE + fixed("/large", "{large}") + '[timeouts]\nsend = "30s"\n'
    door = CleanDoor(config, backend=app, large=body.decode())
    certify(door.folder)
    with door:
        for pause in (0.0, 0.0, 6.0):
            with socket.socket() as plain:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
                plain.settimeout(20)
                plain.connect(("127.0.0.1", door.port))
                with trusting().wrap_socket(plain, server_hostname="localhost") as wire:
                    wire.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    threading.Event().wait(pause)
                    assert read_response(Stream(wire)).body == body


# --- backends ---------------------------------------------------------------------------------------------------------


def backend_up(door: CleanDoor) -> dict[str, float]:
    """frontgate_backend_up by address."""
    text = door.get_admin("/metrics").body.decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {one.labels["backend"]: one.value for one in samples if one.name == "frontgate_backend_up"}


def test_a_backend_that_goes_out_and_comes_back_is_said_and_shown(app):
    absent = free_port()
    config = CONFIG.replace('"]', '", "127.0.0.1:{absent}"]\nmax_fails = 1\nfail_timeout = "1s"', 1)
    with CleanDoor(config, backend=app, absent=absent) as door:

        def said() -> list[str]:
            return [line for line in door.stderr.splitlines() if f"upstream app: 127.0.0.1:{absent} " in line]

        for _ in range(4):
            assert door.get().body == b"hello"
        until(lambda: door.backend(1)["state"] == "down")
        until(lambda: said())
        up = backend_up(door)
        assert sorted(up.values()) == [0, 1] and up[f"127.0.0.1:{absent}"] == 0
        assert "is left alone for 1 s after 1 failed attempts" in said()[0] and "refused" in said()[0].lower()
        with socket.create_server(("127.0.0.1", absent)) as server:
            stop = threading.Event()
            threading.Thread(target=serve, args=(server, stop), daemon=True).start()
            until(lambda: door.get().status == 200 and any("answers again" in line for line in said()))
            until(lambda: door.backend(1)["state"] == "up" and set(backend_up(door).values()) == {1})
            stop.set()
        assert len(said()) == 2


def serve(server: socket.socket, stop: threading.Event) -> None:
    """Answer one request on each connection, until told to stop."""
    server.settimeout(0.1)
    while not stop.is_set():
        try:
            wire, _ = server.accept()
        except TimeoutError:
            continue
        except OSError:
            return
        with wire:
            wire.settimeout(5)
            read_head(Stream(wire))
            wire.sendall(answer(b"hello", "Connection: close"))


# --- logs -------------------------------------------------------------------------------------------------------------


def test_lines_of_two_processes_on_one_pipe_are_whole():
    ear, mouth = os.pipe()
    children = []
    for name in (b"a", b"b"):
        pid = os.fork()
        if not pid:
            signal.alarm(20)  # by default it ends a process that is not done by then
            os.close(ear)
            try:
                log = LogFile(f"/proc/self/fd/{mouth}")
                for number in range(3000):
                    log.write(b"%b%04d" % (name, number) + name * 90 + b"\n")
                while log._lines:
                    log.flush()
            finally:
                os._exit(0)
        children.append(pid)
    os.close(mouth)
    with os.fdopen(ear, "rb") as pipe:
        lines = pipe.read().splitlines()
    for pid in children:
        os.waitpid(pid, 0)
    whole = [b"%b%04d" % (name, number) + name * 90 for name in (b"a", b"b") for number in range(3000)]
    assert sorted(lines) == whole


def test_the_line_of_a_request_in_flight_goes_to_the_log_of_the_reload():
    asked, go = threading.Event(), threading.Event()

    def slow(wire: socket.socket) -> None:
        read_head(Stream(wire))
        asked.set()
        assert go.wait(20)
        wire.sendall(answer(b"late"))

    logged = CONFIG + '[log]\naccess = "{log}.log"\nformat = "$request_uri"\n'
    with backend(slow) as port, CleanDoor(logged, backend=port, log="old") as door, door.client() as client:
        client.send(REQUEST.replace(b"GET /", b"GET /during"))
        assert asked.wait(10)
        door.words["log"] = "new"
        door.reload(logged)
        go.set()
        assert client.response().body == b"late"
        until(lambda: (door.folder / "new.log").read_text() == "/during\n")
        assert (door.folder / "old.log").read_text() == ""


def test_a_check_refuses_what_a_log_cannot_say(app):
    door = CleanDoor(CONFIG + '[log]\nformat = "$request $bogus"\n', wait=False, backend=app)
    with door:
        assert door.left() != 0
        assert "bogus" in door.stderr and "Traceback" not in door.stderr
