"""A whole `frontgate nginx` for tests: a folder with an nginx.conf, the command in all its forms, and raw requests.

Rules: those of `door`: nobody sleeps for luck, ports are the system's choice, and what a Front started is gone when its
`with` ends, daemons too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path

from door import ROOT, UNDER_TEST, free_port, until


class Front:
    """In the configuration {port}, {other} and {folder} stand for what the test gets; `events` is added."""

    def __init__(self, http: str, main: str = "daemon off;", *, wait: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="front-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.port, self.other = free_port(), free_port()
        self.wait = wait
        self.process: subprocess.Popen[bytes] | None = None
        self.write(http, main)

    def write(self, http: str, main: str = "daemon off;") -> None:
        """Write the configuration; nothing is reloaded yet."""
        user = "user root; " if os.geteuid() == 0 and "user " not in main else ""
        text = f"{user}pid nginx.pid; {main}\nevents {{ }}\nhttp {{\naccess_log access.log;\n{http}\n}}\n"
        for name, value in (("port", self.port), ("other", self.other), ("folder", self.folder)):
            text = text.replace("{" + name + "}", str(value))
        (self.folder / "nginx.conf").write_text(text)

    def command(self, *words: str) -> list[str]:
        """The command with this folder as its prefix."""
        given = ["-p", f"{self.folder}/", "-c", "nginx.conf", "-e", "error.log"]
        return [sys.executable, "-P", "-m", "proxy", "nginx", *given, *words]

    @property
    def environment(self) -> dict[str, str]:
        """That of the command."""
        return {**os.environ, "PYTHONPATH": UNDER_TEST}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            self.command(*words),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def __enter__(self) -> Front:
        with open(self.folder / "stdout", "wb") as output, open(self.folder / "stderr", "wb") as errors:
            self.process = subprocess.Popen(
                self.command(), cwd=ROOT, env=self.environment, stdout=output, stderr=errors
            )
        if self.wait:
            until(lambda: (self.folder / "nginx.pid").exists() or self.process.poll() is not None, 20.0, "its start")
            assert (self.folder / "nginx.pid").exists(), self.text("stderr") + self.text("error.log")
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("nginx.pid", "nginx.pid.oldbin"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(self.text(name)), signal.SIGTERM)
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10.0)

    @property
    def pid(self) -> int:
        """The process that the pid file names."""
        return int(self.text("nginx.pid"))

    def text(self, name: str) -> str:
        """What is in a file of the folder; "" when there is none."""
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""

    def wire(self, port: int = 0) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", port or self.port), 10.0)

    def ask(self, data: bytes | str = b"GET / HTTP/1.0\r\n\r\n", port: int = 0) -> bytes:
        """What comes back until the connection ends; a path stands for a request for it."""
        raw = f"GET {data} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode() if isinstance(data, str) else data
        with self.wire(port) as wire:
            wire.sendall(raw)
            found = b""
            with contextlib.suppress(ConnectionResetError):
                while more := wire.recv(65536):
                    found += more
        return found
