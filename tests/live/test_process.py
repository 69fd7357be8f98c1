"""Master, workers and keeper as an operator meets them: killed, reloaded, stopped, and started in each other's way."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from certificates import certify, trusting
from configs import fixed, plain, secured
from door import ROOT, Door, alive, backend, fetch, free_port, head_of, kill, saying, until
from prometheus_client.parser import text_string_to_metric_families

CONFIG = plain(workers=2)
FIXED = CONFIG + fixed("/fixed", "new words")


@pytest.fixture
def app():
    with backend(saying(b"hello")) as port:
        yield port


@pytest.mark.built
def test_requests_are_served_and_counted(app):
    with Door(CONFIG, backend=app) as door:
        answers = [door.get(f"/{number}") for number in range(20)]
        assert [(answer.status, answer.body) for answer in answers] == [(200, b"hello")] * 20
        until(lambda: door.status()["sites"]["s"]["requests"]["2xx"] == 20)
        one = door.status()["upstreams"]["app"]["backends"][0]
        assert (one["requests"], one["failures"], one["in_flight"], one["state"]) == (20, 0, 0, "up")
        text = door.get_admin("/metrics").body.decode()
        found = {s.name: s.value for f in text_string_to_metric_families(text) for s in f.samples if not s.labels}
        assert found["frontgate_workers"] == 2 and found["frontgate_connections_total"] == 20
        shown = subprocess.run(
            [sys.executable, "-m", "proxy", "status", "-c", str(door.path)], cwd=ROOT, capture_output=True, text=True
        )
        assert shown.returncode == 0 and f"127.0.0.1:{app}" in shown.stdout


@pytest.mark.built
def test_a_killed_worker_is_replaced_and_its_queue_is_served(app):
    with Door(CONFIG, backend=app) as door:
        first = door.workers()
        kill(first[0])
        # Connections that come while it is dead wait in its queue, which the master holds open.
        assert [door.get().status for _ in range(20)] == [200] * 20
        until(lambda: len(door.workers()) == 2 and first[0] not in door.workers())
        assert first[1] in door.workers()
        assert door.status()["restarts"] == 1
        assert "killed by SIGKILL; it is replaced at once" in door.stderr
        assert door.status()["workers"][0]["connections"] == 0


def test_a_killed_keeper_is_replaced_and_knows_the_workers(app):
    with Door(CONFIG, backend=app) as door:
        workers = door.workers()
        (keeper,) = set(door.children()) - set(workers)
        kill(keeper)
        until(lambda: "the keeper" in door.stderr and door.workers() == workers)
        assert door.get().status == 200


def test_a_broken_configuration_is_refused_with_its_reason_and_the_old_one_serves_on(app):
    with Door(CONFIG, backend=app) as door:
        workers = door.workers()
        door.reload(CONFIG.replace("servers", "server"), good=False)
        assert f"{door.path}:7: unknown key" in door.stderr and 'did you mean "servers"' in door.stderr
        with socket.create_server(("127.0.0.1", 0)) as owner:
            busy = f"127.0.0.1:{owner.getsockname()[1]}"
            door.reload(f'{CONFIG}[listen.more]\naddress = "{busy}"\n', good=False)
            assert f"cannot listen on {busy}: another program listens there" in door.stderr
        assert door.get().body == b"hello"
        assert door.workers() == workers
        until(lambda: door.status()["reload"]["good"] is False)
        door.reload(FIXED)
        assert door.get("/fixed").body == b"new words"
        until(lambda: door.status()["reload"]["good"] is True)


@pytest.mark.built
def test_a_reload_changes_routes_under_an_open_connection(app):
    with Door(CONFIG, backend=app) as door:
        workers = door.workers()
        wire = door.connection()
        wire.request("GET", "/fixed")
        assert wire.getresponse().read() == b"hello"
        before = wire.sock
        door.reload(FIXED)
        wire.request("GET", "/fixed")
        assert wire.getresponse().read() == b"new words"
        wire.request("GET", "/")
        assert wire.getresponse().read() == b"hello"
        assert wire.sock is before and door.workers() == workers
        wire.close()


@pytest.mark.built
def test_a_reload_opens_and_closes_listeners_and_limits(app):
    second = free_port()
    more = f'[listen.more]\naddress = "127.0.0.1:{second}"\n[limit.l]\nrate = "1r/m"\nmemory = "64k"\n'
    limited = CONFIG.replace('upstream = "app"', 'upstream = "app"\nlimits = ["l"]')
    with Door(CONFIG, backend=app) as door:
        door.reload(limited + more)
        # The zone came after the fork, and both workers share it.
        assert sorted(fetch(second, "/").status for _ in range(10)) == [200] + [429] * 9
        wire = socket.create_connection(("127.0.0.1", second), timeout=10)
        until(lambda: door.status()["workers"] and sum(w["connections"] for w in door.status()["workers"]) == 1)
        door.reload(CONFIG)
        assert wire.recv(100) == b""  # it was idle
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", second), timeout=10)
        assert [door.get().status for _ in range(5)] == [200] * 5


def test_a_listener_and_the_admin_door_move(app):
    with Door(CONFIG, backend=app) as door:
        old, old_admin = door.port, door.admin
        wire = door.connection()
        wire.request("GET", "/")
        assert wire.getresponse().read() == b"hello"
        door.words["port"] = door.port = free_port()
        door.admin = free_port()
        door.reload(CONFIG)
        assert door.get().status == 200
        wire.request("GET", "/")  # the listener has moved, its connections live on
        assert wire.getresponse().read() == b"hello"
        wire.close()
        until(lambda: len(door.workers()) == 2)
        for port in (old, old_admin):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=10)


@pytest.mark.built
def test_workers_grow_and_shrink(app):
    with Door(CONFIG, backend=app) as door:
        door.reload(CONFIG.replace("workers = 2", "workers = 4"))
        until(lambda: len(door.workers()) == 4)
        assert [door.get().status for _ in range(20)] == [200] * 20
        door.reload(CONFIG.replace("workers = 2", "workers = 1"))
        until(lambda: len(door.workers()) == 1 and len(door.children()) == 2)
        assert [door.get().status for _ in range(20)] == [200] * 20


class Slow:
    """A backend that answers when the test says so."""

    def __init__(self):
        self.asked = threading.Event()
        self.go = threading.Event()

    def __call__(self, wire):
        if head_of(wire):
            self.asked.set()
            assert self.go.wait(20)
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")


@pytest.mark.built
def test_quit_lets_a_request_in_flight_finish():
    slow = Slow()
    with backend(slow) as port, Door(CONFIG, backend=port) as door:
        wire, idle = door.wire(), door.wire()
        wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.asked.wait(10)
        until(lambda: sum(worker["connections"] for worker in door.status()["workers"]) == 2)  # both are accepted
        door.tell(signal.SIGQUIT)
        assert idle.recv(10) == b""
        until(lambda: refused(door.port))
        assert door.process.poll() is None
        slow.go.set()
        assert head_of(wire).endswith(b"late")
        assert wire.recv(10) == b""
        assert door.left() == 0
        assert not (door.folder / "pid").exists()


@pytest.mark.built
def test_quit_does_not_wait_longer_than_it_is_told():
    slow = Slow()
    with backend(slow) as port, Door(CONFIG + '[timeouts]\nshutdown = "200ms"\n', backend=port) as door:
        wire = door.wire()
        wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.asked.wait(10)
        assert door.stop(signal.SIGQUIT, 15.0) == 0  # the backend takes 20 s
        slow.go.set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_does_not_wait(number):
    slow = Slow()
    with backend(slow) as port, Door(CONFIG, backend=port) as door:
        children = door.children()
        wire = door.wire()
        wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.asked.wait(10)
        assert door.stop(number, 15.0) == 0  # the backend takes 20 s
        assert not any(alive(pid) for pid in children)
        assert "killed" not in door.stderr
        slow.go.set()


def test_a_worker_that_hears_nothing_is_killed_in_the_end(app):
    with Door(CONFIG, backend=app) as door:
        deaf = door.workers()[0]
        subprocess.run(["kill", "-STOP", str(deaf)], check=True)
        assert door.stop(signal.SIGTERM, 8.0) == 0
        assert not alive(deaf)
        assert f"worker 0 (process {deaf}) does not stop: killed" in door.stderr


def test_without_its_master_nobody_stays(app):
    with Door(CONFIG, backend=app) as door:
        children = door.children()
        assert len(children) == 3
        wire = door.wire()
        until(lambda: sum(w["connections"] for w in door.status()["workers"]) == 1)
        kill(door.pid)
        until(lambda: not any(alive(pid) for pid in children), 5.0)
        assert wire.recv(10) == b""
        assert refused(door.port)


def test_a_second_frontgate_on_the_same_port_is_refused(app):
    with Door(CONFIG, backend=app) as door:
        second = Door(CONFIG.replace("{port}", str(door.port)), wait=False, backend=app)
        with second:
            assert second.left() == 1
        assert f"cannot listen on 127.0.0.1:{door.port}: another program listens there" in second.stderr
        assert [door.get().status for _ in range(10)] == [200] * 10


def test_logs_are_opened_anew(app):
    config = CONFIG + '[log]\naccess = "access.log"\nerror = "error.log"\n'
    with Door(config, backend=app) as door:
        access, error = door.folder / "access.log", door.folder / "error.log"
        door.get("/before")
        until(lambda: "/before" in access.read_text())
        access.rename(door.folder / "access.old")
        error.rename(door.folder / "error.old")
        door.tell(signal.SIGUSR1)
        until(lambda: access.exists() and error.exists())
        until(lambda: (door.get("/after").status == 200) and "/after" in access.read_text())
        assert "/after" not in (door.folder / "access.old").read_text() or "/before" not in access.read_text()


def test_a_log_that_cannot_be_opened_is_told_and_nobody_serves(app):
    config = CONFIG + '[log]\naccess = "logs/access.log"\n'
    door = Door(config, wait=False, backend=app)
    (door.folder / "logs").mkdir()
    (door.folder / "logs" / "access.log").symlink_to(door.folder / "nowhere" / "file")
    with door:
        assert door.left() == 1
        assert "access.log cannot be opened" in door.stderr and "Traceback" not in door.stderr
        assert not (door.folder / "pid").exists()


def test_a_unix_socket_listener_and_the_file_of_a_dead_one(app):
    config = CONFIG.replace('"127.0.0.1:{port}"', '"unix:web.sock"')
    door = Door(config, backend=app)
    path = door.folder / "web.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with door:
        for _ in range(4):
            with socket.socket(socket.AF_UNIX) as wire:
                wire.settimeout(10)
                wire.connect(str(path))
                wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert head_of(wire).startswith(b"HTTP/1.1 200 ")
        assert door.stop() == 0
        assert not path.exists()


def refused(port: int) -> bool:
    """Whether nobody listens on a port."""
    with socket.socket() as wire:
        return wire.connect_ex(("127.0.0.1", port)) != 0


def test_the_file_of_the_process_id_is_the_masters(app):
    with Door(CONFIG, backend=app) as door:
        assert int(Path(door.folder / "pid").read_text()) == door.pid
        done = subprocess.run([sys.executable, "-m", "proxy", "quit", "-c", str(door.path)], cwd=ROOT)
        assert done.returncode == 0 and door.left() == 0


def test_a_stop_right_behind_the_start_is_heard(app):
    for _ in range(5):
        with Door(CONFIG, backend=app) as door:
            assert door.stop(signal.SIGTERM, 15.0) == 0


@pytest.mark.built
def test_a_reload_takes_new_certificates_without_dropping_tls_connections(app):
    door = Door(secured(CONFIG), backend=app)
    certificates = [certify(door.folder)]
    with door:
        with trusting().wrap_socket(door.wire(), server_hostname="localhost") as wire:
            for number in range(2):
                assert wire.getpeercert(True) == certificates[0]
                wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert head_of(wire).endswith(b"hello")
                if not number:
                    certificates.append(certify(door.folder))
                    door.reload()
        kill(door.workers()[0])  # its replacement inherits the new certificate too
        until(lambda: door.status()["restarts"] == 1 and len(door.workers()) == 2)
        for _ in range(8):
            with trusting().wrap_socket(door.wire(), server_hostname="localhost") as wire:
                assert wire.getpeercert(True) == certificates[1]
        (door.folder / "tls.key").write_text("no key")
        door.reload(good=False)
        assert "holds no private key" in door.stderr
