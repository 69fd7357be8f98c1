"""Two hosts with a network between them, each a namespace of the kernel, that share a limit and what they have seen."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from door import ROOT, UNDER_TEST, until
from valkeys import Valkey

from proxy.config.redis import Redis

pytestmark = pytest.mark.root

CONFIG = """
workers = {workers}
pid = "pid"
[redis]
url = "redis://{redis}/0"
deadline = "{deadline}"
on_failure = "{on_failure}"
hints = true
[listen.web]
address = "{address}:80"
[limit.all]
key = "site"
rate = "1r/m"
burst = 39
nodelay = true
shared = "redis"
[site.s]
default = true
[[site.s.route]]
path = "/"
reply = {{ status = 200, body = "ok" }}
limits = ["all"]
{more}
"""


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, capture_output=True)


class Host:
    """A namespace with an address and, in its `with`, a door."""

    def __init__(self, network: Network, number: int) -> None:
        self.network, self.number = network, number
        self.name, self.address = f"{network.name}-{number}", network.address(number)
        self.folder = Path(tempfile.mkdtemp(prefix="host-"))
        self.process: subprocess.Popen[bytes] | None = None

    def serve(
        self, redis: str, more: str = "", workers: int = 2, deadline: str = "5s", on_failure: str = "shut"
    ) -> None:
        """Begin to serve, and wait until that is done."""
        words = {"redis": redis, "address": self.address, "workers": workers, "deadline": deadline}
        (self.folder / "frontgate.toml").write_text(CONFIG.format(**words, on_failure=on_failure, more=more))
        command = ["ip", "netns", "exec", self.name, sys.executable, "-P", "-m", "proxy.cli", "serve", "-c"]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*command, str(self.folder / "frontgate.toml")],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": UNDER_TEST},
                stdout=log,
                stderr=log,
            )
        try:
            until(lambda: (self.folder / "pid").exists(), 20.0, "the door's start")
        except AssertionError:
            print(self.log, file=sys.stderr)
            raise

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def get(self, path: str = "/") -> int:
        with contextlib.closing(http.client.HTTPConnection(self.address, 80, timeout=20)) as connection:
            connection.request("GET", path)
            return connection.getresponse().status

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10.0)
        shutil.rmtree(self.folder, ignore_errors=True)


class Network:
    """A bridge with hosts on it. This process is its address 1."""

    serial = itertools.count()

    def __init__(self) -> None:
        number = next(self.serial)
        self.name = f"fg{os.getpid() % 100_000}x{number}"
        self.net = (os.getpid() + number) % 250
        self.hosts: list[Host] = []

    def address(self, number: int) -> str:
        """In the network for measurements (RFC 2544), which nobody routes."""
        return f"198.18.{self.net}.{number}"

    def __enter__(self) -> Network:
        with contextlib.ExitStack() as undo:
            undo.callback(self.__exit__)
            ip(f"link add {self.name} type bridge")
            ip(f"addr add {self.address(1)}/24 dev {self.name}")
            ip(f"link set {self.name} up")
            for number in (2, 3):
                host = Host(self, number)
                ip(f"netns add {host.name}")
                self.hosts.append(host)
                ip(f"link add {self.name}v{number} type veth peer name eth0 netns {host.name}")
                ip(f"link set {self.name}v{number} master {self.name} up")
                for words in (f"addr add {host.address}/24 dev eth0", "link set eth0 up", "link set lo up"):
                    ip(f"-n {host.name} {words}")
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        for host in self.hosts:
            host.stop()
            for words in (("link", "del", f"{self.name}v{host.number}"), ("netns", "del", host.name)):
                subprocess.run(["ip", *words], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", self.name], capture_output=True, check=False)


@pytest.fixture
def network() -> Iterator[Network]:
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed: apt-get install iproute2")
    try:
        with Network() as one:
            yield one
    except subprocess.CalledProcessError as problem:
        said = problem.stderr.decode().strip()
        if "not permitted" not in said:
            raise AssertionError(f"{problem.cmd}: {said}") from None
        pytest.skip(f"this kernel makes no namespaces for us: {said}")


def test_two_hosts_let_pass_together_what_one_would(network: Network) -> None:
    """Forty and not one more, whoever asks where; one request per host would be allowed to be wrong."""
    with Valkey(host=network.address(1)) as server:
        for host in network.hosts:
            host.serve(f"{server.host}:{server.port}")
        asked = list(itertools.islice(itertools.cycle(network.hosts), 160))
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda host: host.get(), asked))
        assert sorted(found) == [200] * 40 + [429] * 120
        # On both of them, and the last ones were not all on one.
        assert all(found[number::2].count(200) >= 5 for number in (0, 1))


APP = """
[[site.s.route]]
path = "/app/"
upstream = "app"
[upstream.app]
servers = ["{host}:{port}"]
[upstream.app.breaker]
failures = 5
recovery = "60s"
"""


def test_a_host_hears_whom_the_other_leaves_alone_and_finds_out_itself(network: Network) -> None:
    here, there = network.hosts
    refused = {here.address}
    server = socket.create_server((network.address(1), 0))

    def answer() -> None:
        while True:
            try:
                wire, peer = server.accept()
            except OSError:
                return
            with wire, contextlib.suppress(OSError):
                wire.recv(65536)
                if peer[0] not in refused:
                    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    threading.Thread(target=answer, daemon=True).start()
    more = APP.format(host=network.address(1), port=server.getsockname()[1])
    with server, Valkey(host=network.address(1)) as redis:
        for host in network.hosts:
            host.serve(f"{redis.host}:{redis.port}", more, workers=1)
        assert [here.get("/app/") for _ in range(6)] == [502] * 5 + [503]
        until(lambda: "another host leaves" in there.log, 20.0, "the other hears of it")
        # It is only a hint: what works here goes on, and its own success counts for more than the other's word.
        assert [there.get("/app/") for _ in range(3)] == [200] * 3
        refused.add(there.address)
        assert [there.get("/app/") for _ in range(4)] == [502] * 4


def test_a_hint_makes_one_failure_enough(network: Network) -> None:
    here, there = network.hosts
    server = socket.create_server((network.address(1), 0))
    port = server.getsockname()[1]
    server.close()  # nobody listens: all attempts fail
    with Valkey(host=network.address(1)) as redis:
        for host in network.hosts:
            host.serve(f"{redis.host}:{redis.port}", APP.format(host=network.address(1), port=port), workers=1)
        assert [here.get("/app/") for _ in range(6)] == [502] * 5 + [503]
        until(lambda: "another host leaves" in there.log, 20.0, "the other hears of it")
        assert [there.get("/app/") for _ in range(2)] == [502, 503]


def test_a_host_that_is_cut_off_counts_alone_and_comes_back(network: Network) -> None:
    here, there = network.hosts
    with Valkey(host=network.address(1)) as server:
        for host in network.hosts:
            host.serve(f"{server.host}:{server.port}", workers=1, deadline="200ms", on_failure="local")
        assert [here.get() for _ in range(30)] == [200] * 30
        ip(f"-n {there.name} route add blackhole {server.host}/32")  # what goes to Redis gets lost
        try:
            found = [ask_from(network, there) for _ in range(45)]
        finally:
            ip(f"-n {there.name} route del blackhole {server.host}/32")
        assert found.count(200) == 40 and "is left alone" in there.log
        until(lambda: "answers again" in there.log, 20.0, "it comes back")
        # What was asked while nobody answered may have been on its way still, and is charged when it arrives.
        found = [there.get() for _ in range(12)]
        assert found == sorted(found) and 10 - Redis.model_fields["failures"].default <= found.count(200) <= 10


def ask_from(network: Network, host: Host) -> int:
    """A request that begins in the host itself."""
    code = f"import http.client as h; c = h.HTTPConnection('{host.address}', 80, timeout=20)"
    code += "; c.request('GET', '/'); print(c.getresponse().status)"
    command = ["ip", "netns", "exec", host.name, sys.executable, "-S", "-c", code]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout)
