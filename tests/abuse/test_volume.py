"""Floods: very many slow, silent or greedy clients at once, what they may cost, and that others are served meanwhile.

Rules: while an attack lasts, probes on connections of their own are all answered, each within a second. Every
connection of the attack is gone in its time, and memory is counted per connection. The numbers are smaller than an
attacker's, the timeouts shorter than anybody's; what they measure grows with neither. `debian` marks slowhttptest.
"""

from __future__ import annotations

import contextlib
import csv
import os
import resource
import select
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import trustme
from crowd import Load
from door import backend, free_port, until
from house import WHOLE
from rogue import Rogue
from strain import Watch
from wires import CleanDoor, Cut, Recorder, Stream, Wire, answer, at_once, read_head, readable, resident, within

CONFIG = """
workers = 2
[timeouts]
client_header = "3s"
client_body = "3s"
client_idle = "5s"
send = "3s"
[http]
max_body = "100m"
[log]
access = "off"
[listen.web]
address = "127.0.0.1:{port}"
[upstream.app]
servers = [{servers}]
max_fails = 0
[site.s]
default = true
[[site.s.route]]
path = "/"
upstream = "app"
[[site.s.route]]
path = "/healthz"
reply = { body = "ok" }
"""
ONE = CONFIG.replace("workers = 2", "workers = 1")
START = b"GET /ok/x/0/5/0 HTTP/1.1\r\nHost: localhost\r\n"
BIG = 10_000_000
SMALL = "/ok/x/0/5/0"
MANY = 3000 if WHOLE else 600
HEAD_TIME = 6.0 if WHOLE else 3.0  # seconds for a head, where there are many
long = pytest.mark.skipif(not WHOLE, reason="takes its time: FRONTGATE_SOAK_REQUESTS=100000")


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[None]:
    """As many open files as the system lets us have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def app(tmp_path: Path) -> Iterator[str]:
    """Backends, in a process of their own; gives their addresses for the configuration."""
    with Rogue(tmp_path, 2) as rogue:
        yield rogue.servers


def ask(door: CleanDoor, target: str = SMALL) -> int:
    """The status of one request on a connection of its own."""
    with door.client(3.0) as wire:
        return wire.get(target, "Connection: close").status


@contextlib.contextmanager
def probes(door: CleanDoor, slowest: float = 1.0) -> Iterator[None]:
    """Well-behaved clients, in a process of their own, ask all the time on new connections; every one must be served,
    within a second or what is said."""
    with Load(port=door.port, connections=2, short=1.0, think=0.05, seed=9) as load:
        watch = Watch()
        yield
        report = load.finish()
    print(f"{len(report.times)} probes, the slowest took {max(report.times):.3f} s; {watch.lost:.3f} s were lost")
    assert set(report.ends.values()) == {"200"} and report.violations == [] and report.refused == 0
    assert max(report.times) < slowest + watch.lost


def flood(door: CleanDoor, number: int, begin: bytes = b"", buffer: int = 0) -> list[Wire]:
    """So many connections, on which `begin` has been sent."""
    wires = []
    for _ in range(number):
        wires.append(Wire(door.port, 10.0, receive_buffer=buffer).send(begin))
    return wires


def close(wires: Iterable[Wire]) -> None:
    """Close them all."""
    for wire in wires:
        wire.wire.close()


def ended(wires: list[Wire], seconds: float, piece: bytes = b"", every: float = 0.5) -> dict[Wire, float]:
    """When each connection was ended, in seconds from now; `piece` is sent on each of the others all the while."""
    poll, began, due = select.poll(), time.monotonic(), 0.0
    by_number = {wire.wire.fileno(): wire for wire in wires}
    for number in by_number:
        poll.register(number, select.POLLIN)
    ends: dict[Wire, float] = {}
    while by_number and (now := time.monotonic() - began) < seconds:
        for number, _ in poll.poll(100):
            wire = by_number[number]
            if not wire.more():
                ends[wire] = time.monotonic() - began
                poll.unregister(number)
                del by_number[number]
        if piece and now >= due:
            due = now + every
            for wire in by_number.values():
                wire.send(piece)
    return ends


def connections(door: CleanDoor) -> int:
    """Connections of clients, at all workers."""
    return sum(worker["connections"] for worker in door.status()["workers"])


def memory(door: CleanDoor) -> int:
    """Bytes that all workers occupy."""
    return sum(map(resident, door.workers()))


def processor(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


# --- slowhttptest ----------------------------------------------------------------------------------------------------


def slowhttptest(door: CleanDoor, words: str, target: str = "/") -> list[dict[str, int]]:
    """Run Debian's slowhttptest to its end; its report, a row per second."""
    out = door.folder / "report"
    command = ["slowhttptest", *words.split(), "-g", "-o", str(out), "-u", f"{door.url}{target}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    with open(f"{out}.csv") as lines:
        return [{name: int(number) for name, number in row.items()} for row in csv.DictReader(lines)]


@long
@pytest.mark.debian
@pytest.mark.skipif(shutil.which("slowhttptest") is None, reason="there is no slowhttptest")
@pytest.mark.parametrize(
    ("attack", "target", "most", "slowest", "grows"),
    [
        # 1000 connections within 2 s, and the header timeout of 3 s.
        ("-H -c 1000 -r 500 -i 1 -x 24 -l 12 -p 2", SMALL, 7.0, 1.0, 32),
        # Ten bytes a second: the least rate of 500 a second is asked for after 10 s.
        ("-B -c 500 -r 250 -i 1 -s 8192 -x 10 -l 18 -p 2", SMALL, 15.0, 1.0, 32),
        # A few bytes a while of 3 answers of 1 MB each: cut after 3 s in which nothing could be sent, or, when the
        # kernel has taken it all, after 5 s without another request. Only the door can see that: the client has yet to
        # read what is on its way. Windows of a few bytes keep the kernel busy: alone on a machine probes take 0.8 s at
        # most, beside other work also those of nginx took 1.5 s. What a slow reader may cost has a test of its own.
        ("-X -c 500 -r 250 -w 1 -y 512 -n 5 -z 32 -k 3 -l 14 -p 3", "/large/x/0/1000000/0", 11.0, 3.0, 256),
    ],
    ids=["slowloris", "slow POST", "slow read"],
)
def test_slowhttptest_is_cut_off_and_nobody_notices(
    app: str, attack: str, target: str, most: float, slowest: float, grows: int
) -> None:
    rows: list[dict[str, int]] = []
    with CleanDoor(CONFIG, servers=app) as door:
        assert ask(door) == 200
        before = memory(door)
        with probes(door, slowest):
            thread = threading.Thread(target=lambda: rows.extend(slowhttptest(door, attack, target)))
            thread.start()
            began = time.monotonic()
            until(lambda: connections(door) > 200, 5.0, "the attack")
            until(lambda: connections(door) <= 3, most, "the attack cut off")
            took, grown = time.monotonic() - began, memory(door) - before
            thread.join(30)
        print(f"cut off after {took:.1f} s, {grown / 1e6:.1f} MB, {rows[-1]}")
        assert rows and all(row["Service Available"] for row in rows), rows
        assert took < most
        assert grown < grows << 20


# --- slow and silent -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "piece", "each"),
    [(b"", b"", 8192), (START, b"X: y\r\n", 16384), (START[:10], b"", 16384)],
    ids=["nothing", "fields without end", "a part of a head"],
)
def test_many_that_do_not_finish_a_head(app: str, begin: bytes, piece: bytes, each: int) -> None:
    with CleanDoor(CONFIG.replace('client_header = "3s"', f'client_header = "{HEAD_TIME:g}s"'), servers=app) as door:
        for _ in range(50):
            assert ask(door) == 200
        before = memory(door)
        with probes(door):
            began = time.monotonic()
            wires = flood(door, MANY, begin)
            until(lambda: connections(door) >= MANY, 5.0, "all are there")
            cost = (memory(door) - before) / MANY
            took = time.monotonic() - began
            ends = ended(wires, 12.0, piece)
        close(wires)
        print(f"{cost:.0f} bytes each; the last was ended after {max(ends.values(), default=0):.1f} s")
        assert len(ends) == MANY and max(ends.values()) < HEAD_TIME + 1.5
        assert min(ends.values()) > HEAD_TIME - 1.0 - took
        assert cost <= each
        until(lambda: connections(door) == 0, 5.0, "no connection")


def test_many_that_stay_idle_are_closed_in_time(app: str) -> None:
    with CleanDoor(CONFIG, servers=app) as door:
        for _ in range(50):
            assert ask(door) == 200
        before = memory(door)
        with probes(door):
            wires = flood(door, MANY, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            for wire in wires:
                assert wire.response().status == 200
            cost = (memory(door) - before) / MANY
            ends = ended(wires, 10.0)
        close(wires)
        print(f"{cost:.0f} bytes each")
        assert cost <= 16_384
        assert len(ends) == MANY and max(ends.values()) < 7.0


@pytest.mark.parametrize(
    ("piece", "status"),
    [(b"X: " + b"y" * 8000, b"431"), (b"X: y\r\n" * 200, b"431"), (b"/" + b"a" * 40_000, b"414")],
    ids=["a field without end", "fields without end", "a target without end"],
)
def test_floods_of_headers_cost_a_bounded_amount(app: str, piece: bytes, status: bytes) -> None:
    begin = b"GET " if status == b"414" else START
    config = CONFIG.replace('client_header = "3s"', 'client_header = "8s"')
    with CleanDoor(config, servers=app) as door, probes(door):
        assert ask(door) == 200
        before = memory(door)
        wires = flood(door, 300, begin)
        ends = ended(wires, 12.0, piece, 0.02)
        assert len(ends) == 300
        refused = [wire for wire in wires if wire.begun.startswith(b"HTTP/1.1 " + status)]
        close(wires)
        print(len(refused), Counter(wire.begun[:30] for wire in wires))
        assert len(refused) >= 295  # a reset may eat what the door has said to one that does not read
        assert memory(door) - before < 300 * (100 << 10)


def test_slow_readers_of_large_answers_cost_a_bounded_amount(app: str) -> None:
    """What a client does not read waits in a file, but for what fills a transport: 128 KB of memory each are allowed.

    A gigabyte goes into files meanwhile, so probes may take a little longer.
    """
    with CleanDoor(CONFIG, servers=app) as door, probes(door, 2.0):
        for _ in range(20):
            assert ask(door, "/large/x/0/1000000/0") == 200
        before = memory(door)
        wires = flood(door, 100, b"GET /large/x/0/%d/0 HTTP/1.1\r\nHost: a\r\n\r\n" % BIG, 4096)
        until(lambda: len(readable(wires, 0)) == 100, 5.0, "all answers have begun")
        cost = 0.0
        for _ in range(10):
            cost = max(cost, (memory(door) - before) / 100)
            assert ask(door) == 200
        began = time.monotonic()
        until(lambda: connections(door) <= 3, 8.0, "all of them cut off")
        took = time.monotonic() - began
        close(wires)
        print(f"{cost:.0f} bytes each, cut off within {took:.1f} s")
        assert cost <= 128 << 10


@long
def test_half_handshakes_hurt_nobody(app: str) -> None:
    authority = trustme.CA()
    config = CONFIG.replace("default = true", 'default = true\ncertificate = "cert.pem"\nkey = "key.pem"')
    door = CleanDoor(config + '[listen.tls]\naddress = "127.0.0.1:{tls}"\ntls = true\n', servers=app, tls=free_port())
    leaf = authority.issue_cert("localhost")
    leaf.private_key_pem.write_to_path(door.folder / "key.pem")
    (door.folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    port = int(str(door.words["tls"]))
    hello = client_hello()
    with door, probes(door):
        before = memory(door)
        begun = (b"", hello[:3], hello[:100], hello, b"\x16\x03\x01\xff\xff")
        wires = [Wire(port).send(begin) for _ in range(200) for begin in begun]
        cost = (memory(door) - before) / len(wires)
        trust = ssl.create_default_context()
        authority.configure_trust(trust)
        for _ in range(5):
            with (
                within(1.0),
                socket.create_connection(("127.0.0.1", port), 3.0) as plain,
                trust.wrap_socket(plain, server_hostname="localhost") as wire,
            ):
                wire.sendall(START + b"Connection: close\r\n\r\n")
                assert wire.recv(20).startswith(b"HTTP/1.1 200 ")
        ends = ended(wires, 14.0)
        close(wires)
        print(f"{cost:.0f} bytes each")
        assert len(ends) == len(wires) and max(ends.values()) < 12.0
        assert cost < 1 << 20


def client_hello() -> bytes:
    """What a TLS client says first."""
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


# --- file descriptors ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def short_of_descriptors(door: CleanDoor, spare: int) -> Iterator[int]:
    """The only worker may open `spare` files more; gives its process id."""
    (pid,) = door.workers()
    limit = len(os.listdir(f"/proc/{pid}/fd")) + spare
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield pid
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_without_descriptors_a_worker_does_not_spin_and_serves_again_at_once(app: str) -> None:
    with CleanDoor(ONE.replace('"5s"', '"30s"').replace('"3s"', '"30s"'), servers=app) as door:
        assert ask(door) == 200
        with short_of_descriptors(door, 100) as pid:
            wires = flood(door, 100)
            over = flood(door, 200)
            until(lambda: connections(door) >= 30, 5.0, "the worker is full")
            began, used = time.monotonic(), processor(pid)
            log = len(door.stderr.splitlines())
            door.client()
            until(lambda: time.monotonic() > began + 2.0, 5.0, "two seconds of waiting")
            share = (processor(pid) - used) / (time.monotonic() - began)
            lines = len(door.stderr.splitlines()) - log
            assert door.get_admin("/healthz").status == 200
            print(f"{share:.1%} of a processor, {lines} lines of log")
            assert share < 0.05 and lines <= 4
            close((*wires, *over))
            with within(1.0):
                until(lambda: ask(door) == 200, 1.0, "served again")
        assert ask(door) == 200


def test_without_descriptors_the_oldest_idle_connection_makes_room(app: str) -> None:
    with CleanDoor(ONE.replace('"5s"', '"30s"').replace('"3s"', '"30s"'), servers=app) as door:
        assert ask(door) == 200
        with short_of_descriptors(door, 200):  # six tenths of what is left beside the reserve are for clients
            wires = flood(door, 70, START + b"\r\n")
            for wire in wires:
                assert wire.response().status == 200
            more = flood(door, 60, START + b"\r\n")
            assert [wire.response().status for wire in more] == [200] * 60
            until(lambda: connections(door) < 130)
            assert ask(door, "/healthz") == 200
            close((*wires, *more))


# --- caps and buffers ------------------------------------------------------------------------------------------------


def test_connections_of_a_worker_are_capped(app: str) -> None:
    config = ONE.replace("[http]\n", "[http]\nmax_connections = 50\n")
    config = config.replace('client_header = "3s"', 'client_header = "30s"')
    with CleanDoor(config, servers=app) as door:
        assert ask(door) == 200
        wires = flood(door, 150)
        until(lambda: connections(door) >= 45, 5.0, "those that may come are there")
        kept = 150 - len(ended(wires, 1.0))
        assert 45 <= kept <= 50 and connections(door) <= 51
        close(wires)
        with within(1.0):
            until(lambda: ask(door) == 200, 1.0, "served again")


def test_connections_of_an_address_are_capped_over_all_workers(app: str) -> None:
    config = CONFIG.replace("[http]\n", "[http]\nmax_connections_per_address = 20\n")
    with CleanDoor(config.replace('client_header = "3s"', 'client_header = "30s"'), servers=app) as door:
        wires = [Wire(door.port, source="127.0.0.2") for _ in range(60)]
        assert 60 - len(ended(wires, 1.0)) == 20
        with probes(door):  # another address is not concerned
            assert [ask(door) for _ in range(10)] == [200] * 10
        close(wires)
        with within(1.0):
            until(lambda: connections(door) == 0, 1.0)
        with Wire(door.port, source="127.0.0.2") as wire:
            assert wire.get("/healthz").status == 200


def test_requests_in_flight_of_an_address_are_capped() -> None:
    go = threading.Event()

    def say(request: object) -> bytes:
        assert go.wait(20)
        return answer(b"hello")

    config = CONFIG.replace('upstream = "app"', 'upstream = "app"\nlimits = ["c"]')
    config += '[limit.c]\nkey = "address"\nin_flight = 3\n'
    with backend(Recorder(say)) as port, CleanDoor(config, servers=f'"127.0.0.1:{port}"') as door:
        found: list[int] = []

        def one() -> None:
            found.append(ask(door))

        def release() -> None:
            until(lambda: door.in_flight() == 3 and len(found) == 5, 5.0, "three in flight, the others refused")
            go.set()

        jobs: list[Callable[[], None]] = [one] * 8
        at_once([*jobs, release])
        assert sorted(found)[:3] == [200] * 3 and set(sorted(found)[3:]) <= {429, 503}
        assert ask(door) == 200


@long
def test_the_least_rate_of_uploads_is_configurable(app: str) -> None:
    config = CONFIG.replace("[http]\n", "[http]\nmin_rate = 5000\n")
    with CleanDoor(config, servers=app) as door:
        wires = flood(door, 20, b"POST /ok/x/0/5/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        ends = ended(wires, 14.0, b"x" * 500)  # 1000 bytes a second
        close(wires)
        assert len(ends) == 20 and min(ends.values()) > 9.0 and max(ends.values()) < 12.5


def test_slow_uploads_hold_no_backend() -> None:
    recorder = Recorder()
    with backend(recorder) as port, CleanDoor(CONFIG, servers=f'"127.0.0.1:{port}"') as door:
        wires = flood(door, 200, b"POST /ok/x/0/5/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx")
        until(lambda: connections(door) == 200, 5.0, "all are there")
        for wire in wires:
            wire.send(b"x" * 900)
        assert ask(door) == 200
        assert recorder.connections == 1 and door.in_flight() == 0
        for wire in wires:
            assert wire.send(b"x" * 99).response().status == 200
        close(wires)


def test_a_backend_is_free_when_it_has_written_its_answer_whatever_its_client_reads() -> None:
    freed = threading.Semaphore(0)

    def talk(wire: socket.socket) -> None:
        read_head(Stream(wire))
        wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG + bytes(BIG))
        freed.release()

    with backend(talk) as port, CleanDoor(CONFIG, servers=f'"127.0.0.1:{port}"') as door:
        wires = flood(door, 10, START + b"\r\n", 4096)
        before = memory(door)
        with within(3.0):
            for _ in wires:
                assert freed.acquire(timeout=2.5), "a backend waits for a client that does not read"
            until(lambda: door.in_flight() == 0, 1.0, "nothing in flight")
        assert memory(door) - before < 6 << 20  # the loop reads 256 KB at once; compiled, 5.07 MB were seen
        close(wires)


def test_an_upload_without_end_is_refused_at_its_limit(app: str) -> None:
    """Gigabytes in chunks: the limit holds for what has come, and memory stays flat."""
    with CleanDoor(CONFIG.replace('"100m"', '"20m"'), servers=app) as door, probes(door):
        assert ask(door) == 200
        before = memory(door)
        with door.client() as wire:
            wire.send(b"POST /ok/x/0/5/0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            piece = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
            sent = 0
            with contextlib.suppress(OSError):
                while sent < 200 and not readable([wire], 0):
                    wire.wire.sendall(piece)
                    sent += 1
            assert sent < 60
            with contextlib.suppress(Cut):
                assert wire.response().status == 413
        assert memory(door) - before < 32 << 20
