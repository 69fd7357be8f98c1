"""Servers and backends of one scenario: free ports, certificates, folders, start, proof that they answer, stop."""

from __future__ import annotations

import http.client
import socket
import ssl
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import trustme

from bench.peers import Peer, nginx, web
from bench.peers.setup import Missing, Setup
from bench.processes import Cores, Process
from bench.scenarios import Scenario

START_SECONDS = 15.0
BACKENDS = 2
FILE_BYTES = 10_000_000

FILES = """    access_log off;
    server {{
        {listens}
        location / {{ root {folder}; }}
    }}"""


@dataclass(frozen=True)
class Certificates:
    """A certificate for localhost with its RSA 2048 key, and the authority that clients trust."""

    certificate: Path
    key: Path
    authority: Path

    def client(self) -> ssl.SSLContext:
        """What a client of the benchmark uses: TLS 1.3, verified, no session kept."""
        made = ssl.create_default_context(cafile=str(self.authority))
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        return made


@dataclass(frozen=True)
class Running:
    """A server that answers, or the reason why it does not."""

    name: str
    url: str
    process: Process | None
    reason: str = ""


def make_certificates(folder: Path) -> Certificates:
    """Issue them into the folder."""
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    issued = authority.issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.RSA)
    made = Certificates(folder / "server.pem", folder / "server.key", folder / "authority.pem")
    made.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    made.key.write_bytes(issued.private_key_pem.bytes())
    authority.cert_pem.write_to_path(str(made.authority))
    return made


def free_ports(count: int) -> list[int]:
    """Ports of the loopback nobody has, all different."""
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in taken]


def answered(port: int, path: str, tls: ssl.SSLContext | None) -> tuple[int, int]:
    """Status and body length of one GET; OSError and HTTPException come through."""
    connection = (
        http.client.HTTPSConnection("localhost", port, timeout=5, context=tls)
        if tls
        else http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    )
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, len(answer.read())
    finally:
        connection.close()


def await_answer(process: Process, port: int, path: str, tls: ssl.SSLContext | None) -> int:
    """The body length of the first 200, or Missing with what was wrong when there is none in time."""
    end = time.monotonic() + START_SECONDS
    complaint = ""
    while time.monotonic() < end:
        if not process.alive():
            raise Missing(process.last_words())
        try:
            status, length = answered(port, path, tls)
        except (OSError, http.client.HTTPException) as error:
            complaint = f"no answer ({type(error).__name__}: {error})"
        else:
            if status == 200:
                return length
            complaint = f"answers {status} to GET {path}"
        time.sleep(0.1)
    raise Missing(f"{complaint}; {process.last_words()}")


class Stage:
    """Everything that runs for one scenario; leaving the stack ends it all."""

    def __init__(self, scenario: Scenario, folder: Path, certificates: Certificates, cores: Cores, stack: ExitStack):
        self.scenario = scenario
        self.folder = folder
        self.certificates = certificates
        self.cores = cores
        self.stack = stack
        self.backends: tuple[str, ...] = ()
        self.processes: list[Process] = []
        self.probe = "/" if scenario.upload else scenario.path
        self.length = 0
        self.files: Path | None = None

    def run(self, process: Process) -> Process:
        """Have it ended with the stage."""
        self.stack.callback(process.stop)
        self.processes.append(process)
        return process

    def ask_to_stop(self) -> None:
        """Tell all to stop, so that they do it at the same time and leaving the stack waits only once."""
        for process in self.processes:
            process.ask_to_stop()

    def start_backends(self) -> None:
        """Two backends on the load's core, if there are to be any; Missing when they do not answer."""
        if self.scenario.origin == "none":
            self.files = self.folder / "web"
            web.make_files(self.files)
            return
        ports = free_ports(BACKENDS)
        if self.scenario.origin == "file":
            processes = [self.run(Process(self.file_command(ports), self.cores.load, self.folder / "files.log"))] * 2
        else:
            processes = [
                self.run(Process(self.command(port), self.cores.load, self.folder / f"backend-{number}.log"))
                for number, port in enumerate(ports)
            ]
        for process, port in zip(processes, ports, strict=True):
            self.length = await_answer(process, port, self.probe, None)
        self.backends = tuple(f"127.0.0.1:{port}" for port in ports)

    def command(self, port: int) -> list[str]:
        """The command line of one backend."""
        if self.scenario.origin == "small":
            return [sys.executable, "-m", "bench.backend", str(port)]
        # Idle links of the proxies live 60 s: the backend must not be the one who closes them in the middle.
        arguments = ["-k", "uvicorn_worker.UvicornWorker", "-w", "1", "--keep-alive", "120", "--log-level", "warning"]
        return [sys.executable, "-m", "gunicorn", "backends.app:app", "-b", f"127.0.0.1:{port}", *arguments]

    def file_command(self, ports: list[int]) -> list[str]:
        """nginx with a file of 10 MB on two ports: sendfile is the cheapest origin of large bodies."""
        folder = self.folder / "files"
        folder.mkdir()
        (folder / "10m").write_bytes(b"x" * FILE_BYTES)
        listens = " ".join(f"listen 127.0.0.1:{port};" for port in ports)
        path = folder / "nginx.conf"
        path.write_text(nginx.frame(folder, FILES.format(listens=listens, folder=folder)), encoding="utf-8")
        return [nginx.program(), "-c", str(path), "-e", str(folder / "error.log")]

    def start(self, peer: Peer) -> Running:
        """Start one server on its core and see that it answers as the backends do."""
        folder = self.folder / peer.name
        folder.mkdir()
        (port,) = free_ports(1)
        scenario, issued = self.scenario, self.certificates
        url = f"{'https' if scenario.tls else 'http'}://127.0.0.1:{port}{scenario.path}"
        keys = (issued.certificate, issued.key)
        http2 = scenario.load == "h2load"
        setup = Setup(folder, port, self.backends, scenario.tls, scenario.policies, *keys, self.files, http2)
        try:
            launch = peer.launch(setup)
            process = self.run(
                Process(launch.command, self.cores.server, folder / "errors.log", launch.output, launch.environment)
            )
            length = await_answer(process, port, self.probe, issued.client() if scenario.tls else None)
            self.length = self.length or length  # without backends the first server says it
            if length != self.length:
                raise Missing(f"answers with {length} bytes where the backend sends {self.length}")
        except Missing as missing:
            return Running(peer.name, url, None, str(missing))
        return Running(peer.name, url, process)
