"""Under a service manager: what it is told and when, sockets that it has opened, and units that it understands."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from configs import fixed
from door import ROOT, Door, free_port, until

CONFIG = """
workers = 2
[listen.web]
address = "127.0.0.1:{port}"
[listen.unix]
address = "unix:{folder}/web.sock"
[site.s]
default = true
[[site.s.route]]
path = "/"
reply = { body = "here" }
"""
# Opens sockets as a manager does, from descriptor 3 on, and becomes the program: ADDRESS NAME ... -- PROGRAM ...
ACTIVATE = """
import os, socket, sys
words = sys.argv[1 : sys.argv.index("--")]
opened = []
for where in words[::2]:
    unix = where.startswith("unix:")
    one = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    one.bind(where[5:] if unix else ("127.0.0.1", int(where)))
    one.listen()
    opened.append(one.detach())
for number, one in enumerate([os.dup2(one, 100 + number) for number, one in enumerate(opened)]):
    os.dup2(one, 3 + number, inheritable=True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(opened)), "LISTEN_FDNAMES": ":".join(words[1::2])}
program = sys.argv[sys.argv.index("--") + 1 :]
os.execv(program[0], program)
"""


class Manager:
    """Hears what a service says."""

    def __init__(self, folder: Path) -> None:
        self.wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = str(folder / "notify")
        self.wire.bind(self.address)
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.wire.settimeout(15)

    def told(self) -> tuple[int, dict[str, str]]:
        """The next that is no sign of life: who says it, and what."""
        while True:
            data, credentials, _, _ = self.wire.recvmsg(4096, 1000)
            lines = dict(line.split("=", 1) for line in data.decode().split("\n"))
            if "WATCHDOG" not in lines:
                return int.from_bytes(credentials[0][2][:4], sys.byteorder), lines


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    found = Manager(tmp_path)
    yield found
    found.wire.close()


def managed(manager: Manager, config: str = CONFIG, **more: str) -> Door:
    """A door that has somebody to tell."""
    door = Door(config)
    door.paths |= {"NOTIFY_SOCKET": manager.address, **more}
    return door


def test_readiness_reloads_and_the_end(manager):
    with managed(manager) as door:
        who, said = manager.told()
        assert who == door.pid and said["READY"] == "1" and said["MAINPID"] == str(door.pid)
        assert "serving with 2 workers" in said["STATUS"]
        assert door.get().body == b"here", "whoever is ready serves"
        before = monotonic() * 1e6
        door.reload(CONFIG + fixed("/new", "new"))
        _, said = manager.told()
        assert said["RELOADING"] == "1" and before <= int(said["MONOTONIC_USEC"]) <= monotonic() * 1e6
        _, said = manager.told()
        assert said["READY"] == "1" and said["STATUS"] == "serving"
        door.reload("nonsense", good=False)
        assert manager.told()[1]["RELOADING"] == "1"
        _, said = manager.told()
        assert said["READY"] == "1" and "refused" in said["STATUS"]
        assert door.stop(signal.SIGQUIT) == 0
        assert manager.told()[1]["STOPPING"] == "1"


def test_who_cannot_start_is_never_ready(manager):
    door = managed(manager, "nonsense")
    door.wait = False
    with door:
        assert door.left() == 1
    manager.wire.settimeout(0.2)
    with pytest.raises(TimeoutError):
        manager.told()


def test_signs_of_life_come_in_time_and_only_from_the_master(manager):
    with managed(manager, WATCHDOG_USEC="400000") as door:
        times = []
        while len(times) < 4:
            data, credentials, _, _ = manager.wire.recvmsg(4096, 1000)
            assert int.from_bytes(credentials[0][2][:4], sys.byteorder) == door.pid
            if data == b"WATCHDOG=1":
                times.append(monotonic())
        assert max(b - a for a, b in itertools.pairwise(times)) < 0.4


def test_the_service_goes_on_in_another_process_after_an_upgrade(manager):
    with managed(manager) as door:
        assert manager.told()[1]["READY"] == "1"
        done = door.command("upgrade")
        assert done.returncode == 0, done.stderr
        assert door.left() == 0
        heir = int((door.folder / "pid").read_text())
        try:
            who, said = manager.told()
            assert who == heir and said["READY"] == "1" and said["MAINPID"] == str(heir)
            who, said = manager.told()
            assert who == door.pid and said["MAINPID"] == str(heir) and "STOPPING" not in said
        finally:
            os.kill(heir, signal.SIGTERM)
        who, said = manager.told()
        assert who == heir and said["STOPPING"] == "1"
        until(lambda: not (door.folder / "pid").exists())


def activated(door: Door, *words: str) -> Door:
    """The same, started with sockets that were opened for it."""
    door.program = [sys.executable, "-c", ACTIVATE, *words, "--", *door.program]
    return door


def asked(path: Path) -> bytes:
    """What comes back over a unix socket."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(5)
        wire.connect(str(path))
        wire.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return wire.recv(1000)


def test_sockets_that_were_opened_for_us_by_address_and_by_name():
    port = free_port()
    door = Door(
        CONFIG.replace("{port}", "1") + fixed("/a", "a")
    )  # a port that nobody but root may open: the name counts
    door.port = port
    path = door.folder / "web.sock"
    program = door.program
    with activated(door, str(port), "web", f"unix:{path}", "whatever", str(door.admin), "admin"):
        assert len(door.workers()) == 2 and door.get("/a").body == b"a"
        assert asked(path).endswith(b"here")
        pids = set(door.workers())
        door.reload(door.path.read_text().replace("workers = 2", "workers = 3"))
        until(lambda: len(door.workers()) == 3)
        assert door.get().body == b"here" and set(door.workers()) > pids
        door.reload(door.path.read_text().replace('[listen.web]\naddress = "127.0.0.1:1"\n', ""))
        door.reload(CONFIG.replace("{port}", "1"))
        assert door.get().body == b"here", "a listener that comes back finds its socket"
        door.program = program
        done = door.command("upgrade")
        assert done.returncode == 0 and door.left() == 0
        heir = int((door.folder / "pid").read_text())
        try:
            assert door.get().body == b"here" and asked(path).endswith(b"here")
        finally:
            os.kill(heir, signal.SIGTERM)
        until(lambda: not (door.folder / "pid").exists())
        assert path.exists(), "it is the manager's"


@pytest.mark.debian
@pytest.mark.skipif(shutil.which("systemd-socket-activate") is None, reason="needs Debian's systemd")
def test_systemd_itself_opens_them():
    door = Door(CONFIG.replace("127.0.0.1:{port}", "0.0.0.0:1"), wait=False)
    words = ["systemd-socket-activate", "-l", f"127.0.0.1:{door.port}", "--fdname=web"]
    words += [f"--setenv={name}={value}" for name, value in door.paths.items()]
    door.program = [*words, *door.program]
    with door:
        assert until(lambda: door.get()).body == b"here", "the first connection starts it, and is served"


@pytest.mark.debian
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs Debian's systemd")
def test_units_that_systemd_understands(tmp_path):
    version = subprocess.run(
        ["systemd-analyze", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()
    for name in ("frontgate.service", "frontgate.socket"):
        text = (ROOT / "config" / name).read_text().replace("/opt/frontgate/bin/frontgate", sys.executable)
        if int(version[1]) < 253:  # what it is told to be then
            text = text.replace("Type=notify-reload\n", "").replace("#ExecReload", "ExecReload")
        (tmp_path / name).write_text(text)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "frontgate.service", "frontgate.socket"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in checked.stderr.splitlines() if "frontgate" in line]
    assert not ours, ours
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=30", str(tmp_path / "frontgate.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", rated.stdout)
    assert level is not None and float(level[1]) <= 3.0, rated.stdout[-300:]
