"""A whole frontgate for tests: master, workers and keeper in processes of their own, and backends that obey the test.

Rules: nobody sleeps for luck: whoever waits polls for what must become true, with a deadline that fails the test. Ports
are chosen by chance. What a Door started is gone when its `with` ends, and its log is shown when it went wrong.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

ROOT = Path(__file__).resolve().parents[2]
UNDER_TEST = os.environ.get("FRONTGATE_UNDER_TEST", str(ROOT))  # the folder of the package that runs; .ci/run: compiled
T = TypeVar("T")
BESIDE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8  # which of those who run tests
PORTS = range(10_000 + BESIDE * 2750, 10_000 + (BESIDE + 1) * 2750)  # of `free_port`
given: set[int] = set()  # of them


def until(look: Callable[[], T], seconds: float = 30.0, what: str = "") -> T:
    """Look again and again until it is true, and give that back; errors of sockets count as not yet.

    Where the machine is so busy that there are fewer than ten looks a second, it waits up to three times as long.
    """
    begun, looks = time.monotonic(), 0
    pause = threading.Event()
    last: object = None
    while (passed := time.monotonic() - begun) < seconds or (looks < seconds * 10 and passed < seconds * 3):
        looks += 1
        try:
            last = look()
            if last:
                return last  # type: ignore[return-value]
        except (OSError, http.client.HTTPException, ValueError) as error:
            last = error
        pause.wait(0.02)
    raise AssertionError(f"{what or 'it'} did not become true in {seconds} s: {last!r}")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at this instant, and that nobody takes before it is used: it lies below those
    that the kernel gives to outgoing connections (32768 and up), this process gives none twice before it has given
    all of its own, and others that run tests beside it have others."""
    if len(given) == len(PORTS):
        given.clear()
    while True:
        port = random.choice(PORTS)
        if port in given:
            continue
        given.add(port)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


class Answer:
    """A response that was read to its end."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:200]!r}>"

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Program:
    """Our command in a process of its own, with a folder for what it writes; used as `with`.

    `command_line` says what runs, `up` whether it serves: that is waited for, unless `wait` is false, `starts` seconds
    at most. At the end it is asked to stop, and killed when it has not after `stops` seconds.
    """

    starts, stops = 40.0, 20.0
    own_session = False

    def __init__(self, kind: str, wait: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{kind}-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)  # tests still read it behind the `with`
        self.log = self.folder / "stderr.txt"
        self.wait = wait
        self.process: subprocess.Popen[bytes] | None = None

    def command_line(self) -> list[str]:
        """The program and its words."""
        raise NotImplementedError

    def up(self) -> bool:
        """Whether it serves; an AssertionError when it never will."""
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"frontgate left with {self.process.returncode}:\n{self.stderr}")
        return True

    @property
    def environment(self) -> dict[str, str]:
        """That of the program."""
        return {**os.environ, "PYTHONPATH": UNDER_TEST}

    @property
    def place(self) -> Path:
        """The folder that it starts in."""
        return ROOT

    def __enter__(self) -> Self:
        with open(self.log, "ab") as errors, open(self.folder / "stdout.txt", "ab") as output:
            self.process = subprocess.Popen(
                self.command_line(),
                cwd=self.place,
                env=self.environment,
                stdout=output,
                stderr=errors,
                start_new_session=self.own_session,
            )
        if self.wait:
            try:
                until(self.up, self.starts, "its start")
            except BaseException:
                self.__exit__(AssertionError)
                raise
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(self.stops)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if kind is not None:
            print(f"--- the log ---\n{self.stderr}", file=sys.stderr)

    def tell(self, number: signal.Signals) -> None:
        """Signal the master."""
        assert self.process is not None
        self.process.send_signal(number)

    def left(self, seconds: float = 30.0) -> int:
        """Wait until the master has gone; gives its exit code."""
        assert self.process is not None
        return self.process.wait(seconds)

    @property
    def pid(self) -> int:
        """The master's process id."""
        assert self.process is not None
        return self.process.pid

    @property
    def stderr(self) -> str:
        """What the processes have logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Door(Program):
    """A running frontgate. In the configuration {port}, {admin}, {folder} and {pid} stand for what the test gets.

    Use it as `with Door(text) as door`. More words to fill in may be given by name; `pid` and `[admin]` are added
    if the text has none, and the listener that `get` asks is the one on 127.0.0.1:{port}. `program` is what runs: this
    source, or what FRONTGATE_UNDER_TEST names, unless a test says otherwise.
    """

    def __init__(
        self, config: str, *, wait: bool = True, program: Sequence[object] | None = None, **words: object
    ) -> None:
        super().__init__("door", wait)
        self.port = free_port()
        self.admin = free_port()
        self.words = {"port": self.port, "admin": self.admin, "folder": self.folder, **words}
        self.path = self.folder / "frontgate.toml"
        self.program = [*map(str, program or (sys.executable, "-P", "-m", "proxy.cli"))]
        self.paths = {"PYTHONPATH": UNDER_TEST} if program is None else {}
        self.write(config)

    # --- life -------------------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """That of the program."""
        return {**os.environ, **self.paths}

    def command_line(self) -> list[str]:
        """The program and its words."""
        return [*self.program, "serve", "-c", str(self.path)]

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command `frontgate`: the first of the words, -c and this door's configuration, the others."""
        command = [*self.program, words[0], "-c", str(self.path), *words[1:]]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=30, check=False
        )

    def up(self) -> bool:
        """Whether every worker serves."""
        return super().up() and (self.folder / "pid").exists() and self.get_admin("/healthz").status == 200

    def write(self, config: str) -> None:
        """Write the configuration; nothing is reloaded yet."""
        for name, value in self.words.items():
            config = config.replace("{" + name + "}", str(value))
        if "[admin]" not in config:
            config = f'{config}\n[admin]\nlisten = "127.0.0.1:{self.admin}"\n'
        if "pid =" not in config:
            config = f'pid = "pid"\n{config}'
        self.path.write_text(config)

    def reload(self, config: str | None = None, *, good: bool = True) -> None:
        """Reload, with another configuration if given, and wait until it is in force (or refused, when not `good`)."""
        if config is not None:
            self.write(config)
        before = self.stderr
        word = "the new configuration is in force" if good else "the old configuration stays in force"
        self.tell(signal.SIGHUP)
        until(lambda: word in self.stderr[len(before) :], 10.0, f"{word!r} in {self.stderr[len(before) :]!r}")

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 30.0) -> int:
        """Stop it; gives the exit code."""
        self.tell(number)
        return self.left(seconds)

    # --- looks ------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The address of the listener on {port}."""
        return f"http://127.0.0.1:{self.port}"

    def status(self) -> Any:
        """What /status says."""
        return self.get_admin("/status").json

    def workers(self) -> list[int]:
        """The workers' process ids."""
        return [worker["pid"] for worker in self.status()["workers"]]

    def children(self) -> list[int]:
        """All children of the master, living ones."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(word) for word in text.split()]

    def get_admin(self, path: str) -> Answer:
        """Ask the admin door."""
        return fetch(self.admin, path)

    def get(self, path: str = "/", host: str = "localhost", method: str = "GET", body: bytes | None = None) -> Answer:
        """Ask on a new connection."""
        return fetch(self.port, path, host, method, body)

    def connection(self) -> http.client.HTTPConnection:
        """A connection that stays open."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def wire(self) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


def fetch(
    port: int, path: str, host: str = "localhost", method: str = "GET", body: bytes | None = None, seconds: float = 10.0
) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers={"Host": host, "Connection": "close"})
        return Answer(connection.getresponse())


def alive(pid: int) -> bool:
    """Whether a process still runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def head_of(wire: socket.socket, before: bytes = b"") -> bytes:
    """Read up to the end of a head; what came behind it stays behind it."""
    raw = before
    while b"\r\n\r\n" not in raw:
        more = wire.recv(65536)
        if not more:
            return raw
        raw += more
    return raw


@contextlib.contextmanager
def backend(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A backend that lets `answer` talk on each connection, in threads; gives its port.

    Whatever `answer` raises ends its connection; it is called once per connection.
    """
    server = socket.create_server(("127.0.0.1", 0), backlog=128)
    open_wires: set[socket.socket] = set()

    def talk(wire: socket.socket) -> None:
        with contextlib.suppress(OSError), wire:
            answer(wire)
        open_wires.discard(wire)

    def accept() -> None:
        while True:
            try:
                wire, _ = server.accept()
            except OSError:
                return
            open_wires.add(wire)
            threading.Thread(target=talk, args=(wire,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(server.getsockname()[1])
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        for wire in tuple(open_wires):
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)


def saying(text: bytes) -> Callable[[socket.socket], None]:
    """A backend's conversation: the same answer to each request (without bodies), keep-alive."""

    def answer(wire: socket.socket) -> None:
        raw = b""
        while True:
            raw = head_of(wire, raw)
            if b"\r\n\r\n" not in raw:
                return
            raw = raw.partition(b"\r\n\r\n")[2]
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))

    return answer


def kill(pid: int) -> None:
    """kill -9."""
    os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Processes stand still."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
