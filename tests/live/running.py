"""A whole `frontgate run` for tests: the command in a folder of its own, with an application that the test writes.

Rules: those of `door`: nobody sleeps for luck, ports are chosen by chance, and what a Run started is gone when its
`with` ends.
"""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from door import Answer, Program, alive, fetch, free_port

APP = """
import asyncio, json, os, time
WORD = "one"
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        {startup}
        await send({{"type": "lifespan.startup.complete"}})
        await receive()
        print("over", flush=True)
        await send({{"type": "lifespan.shutdown.complete"}})
        return
    path = scope["path"]
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if path.endswith("/slow"):
        await asyncio.sleep(0.5)
    if path.endswith("/busy"):
        time.sleep(0.1)
    if path.endswith("/grow"):
        globals()["HELD"] = bytearray(200_000_000)
    if path.endswith("/die"):
        os._exit(7)
    if path.endswith("/say"):
        print("said to standard output")
    facts = {{"word": WORD, "pid": os.getpid(), "worker": os.environ.get("FRONTGATE_WORKER"), "path": path,
             "root_path": scope["root_path"], "client": scope["client"], "scheme": scope["scheme"], "length": len(body),
             "cwd": os.getcwd(), "env": {{key: value for key, value in os.environ.items() if key.startswith("T_")}}}}
    raw = json.dumps(facts).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(raw)).encode()),
            (b"x-pid", str(os.getpid()).encode())]
    await send({{"type": "http.response.start", "status": 200, "headers": head}})
    await send({{"type": "http.response.body", "body": raw}})
"""


def app_text(word: str = "one", startup: str = "pass") -> str:
    """An application that tells its word; `startup` is what its lifespan does first."""
    return APP.format(startup=startup).replace('WORD = "one"', f'WORD = "{word}"')


class Run(Program):
    """A running `frontgate run main:app` with further options; `text` is main.py."""

    own_session = True

    def __init__(self, *options: str, text: str | None = None, wait: bool = True, app: str = "main:app") -> None:
        super().__init__("run", wait)
        self.port = free_port()
        self.options = [app, "--http", f"127.0.0.1:{self.port}", "--runtime", str(self.folder / "r"), *options]
        self.write(app_text() if text is None else text)

    def write(self, text: str, name: str = "main.py") -> None:
        """Write a file of the application; its compiled form is not mistaken for it in the same second."""
        shutil.rmtree(self.folder / "__pycache__", ignore_errors=True)
        (self.folder / name).write_text(text)

    @property
    def environment(self) -> dict[str, str]:
        """That of the command."""
        return {**super().environment, "PYTHONDONTWRITEBYTECODE": "1"}

    @property
    def place(self) -> Path:
        """The folder that it starts in."""
        return self.folder

    def command(self, *words: str) -> list[str]:
        """The command `frontgate`."""
        return [sys.executable, "-P", "-m", "proxy.cli", *words]

    def command_line(self) -> list[str]:
        """The program and its words."""
        return self.command("run", *self.options)

    def up(self) -> bool:
        """Whether it serves."""
        return super().up() and "serving with" in self.stderr

    def restart(self) -> subprocess.CompletedProcess[str]:
        """`frontgate restart`, to its end."""
        command = self.command("restart", "--runtime", str(self.folder / "r"))
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False, cwd=self.folder
        )

    def get(self, path: str = "/", method: str = "GET", body: bytes | None = None, host: str = "localhost") -> Answer:
        """Ask on a new connection."""
        return fetch(self.port, path, host, method, body, 20.0)

    def pids(self) -> dict[str, int]:
        """Who serves now, by what they are called, as the log tells."""
        found: dict[str, int] = {}
        for seat, pid in re.findall(r"worker (\d+) \(process (\d+)\) serves", self.stderr):
            found[seat] = int(pid)
        return {seat: pid for seat, pid in found.items() if alive(pid)}


class Load:
    """Clients in threads that ask without a pause, with these methods in turn, and count what they get."""

    def __init__(self, port: int, clients: int = 4, path: str = "/", methods: Sequence[str] = ("GET", "POST")) -> None:
        self.port = port
        self.path = path
        self.methods = methods
        self.over = threading.Event()
        self.done = 0
        self.failed: list[object] = []
        self.seen: set[int] = set()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.ask, args=(number,), daemon=True) for number in range(clients)]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(30.0)

    def ask(self, number: int) -> None:
        """One client, with a connection that it keeps for a while."""
        turn = number
        while not self.over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            for _ in range(50):
                if self.over.is_set():
                    break
                turn += 1
                method = self.methods[turn % len(self.methods)]
                body = b"x" * 1000 if method == "POST" else None
                try:
                    connection.request(method, self.path, body=body)
                    answer = connection.getresponse()
                    raw = answer.read()
                except (OSError, http.client.HTTPException) as error:
                    self.count(repr(error), None)
                    break
                problem = "" if answer.status == 200 else f"{answer.status} {raw[:100]!r}"
                self.count(problem, answer.headers.get("x-pid"))
            connection.close()

    def count(self, problem: str, pid: str | None) -> None:
        """Note one answer, and who gave it."""
        with self.lock:
            self.done += 1
            if problem:
                self.failed.append(problem)
            elif pid is not None:
                self.seen.add(int(pid))
