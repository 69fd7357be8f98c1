"""`frontgate top` in a terminal of its own (a pty), before a real door."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest
from door import ROOT, UNDER_TEST, Door, backend, saying, until

CONFIG = """
workers = 1
[listen.web]
address = "127.0.0.1:{port}"
[upstream.app]
servers = ["127.0.0.1:{one}", "127.0.0.1:{two}"]
[upstream.gone]
servers = ["127.0.0.1:1"]
[site.shop]
names = ["localhost"]
[[site.shop.route]]
path = "/gone"
upstream = "gone"
[[site.shop.route]]
path = "/"
upstream = "app"
"""


@pytest.fixture
def running():
    with backend(saying(b"one")) as one, backend(saying(b"two")) as two, Door(CONFIG, one=one, two=two) as door:
        door.one, door.two = f"127.0.0.1:{one}", f"127.0.0.1:{two}"
        yield door


def command(door, *words):
    return [sys.executable, "-P", "-m", "proxy.cli", "top", "-c", str(door.path), *words]


class Terminal:
    """A program in a terminal of our own; `text` is all that it has written since the last `forget`."""

    def __init__(self, words, width=100, height=40):
        self.master, self.slave = pty.openpty()
        self.resize(width, height)
        self.before = termios.tcgetattr(self.slave)
        environment = {**os.environ, "PYTHONPATH": UNDER_TEST, "PYTHONIOENCODING": "utf-8", "TERM": "xterm"}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=environment,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
        )
        self.raw = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(10)
        os.close(self.master)
        os.close(self.slave)

    def resize(self, width, height):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def read(self, seconds=0.05):
        while select.select([self.master], [], [], seconds)[0]:
            self.raw += os.read(self.master, 65536)
            seconds = 0

    @property
    def text(self):
        return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", self.raw.decode(errors="replace"))

    def forget(self):
        self.raw = b""

    def press(self, keys):
        self.forget()
        os.write(self.master, keys)

    def shows(self, words, seconds=15.0):
        end = time.monotonic() + seconds
        while words not in self.text:
            assert time.monotonic() < end, f"{words!r} is not in {self.text[-3000:]!r}"
            self.read()

    def ends(self, seconds=30.0):
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end
            self.read()
        self.read()
        return self.process.returncode


def test_once_prints_one_frame_without_any_sign_for_terminals(running):
    assert running.get("/gone").status == 502
    until(lambda: running.get_admin("/api/v1/errors").json["errors"], 10, "the error")
    environment = {**os.environ, "PYTHONPATH": UNDER_TEST, "COLUMNS": "160"}
    done = subprocess.run(
        command(running, "--once"), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    for words in ("frontgate", running.one, running.two, "requests/s", "GET /gone", "502", "WORKERS"):
        assert words in done.stdout, words


def test_it_draws_sorts_drains_and_gives_the_terminal_back(running):
    with Terminal(command(running)) as terminal:
        terminal.shows(running.two)
        assert b"\x1b[?1049h" in terminal.raw
        terminal.press(b"s")
        terminal.shows("sort: in flight")
        terminal.press(b"d")
        terminal.shows("choose a backend first")
        terminal.press(b"\x1b[B")
        terminal.shows(f"> {running.one}")
        terminal.press(b"d")
        terminal.shows(f"drain {running.one} of app? y or n")
        terminal.press(b"n")
        terminal.shows("q quit")
        terminal.press(b"d")
        terminal.press(b"y")
        terminal.shows("draining")
        assert {running.get().body for _ in range(6)} == {b"two"}
        terminal.press(b"d")
        terminal.shows("undrain")
        terminal.press(b"y")
        until(lambda: {running.get().body for _ in range(6)} == {b"one", b"two"}, 10, "requests at both again")
        terminal.press(b"q")
        assert terminal.ends() == 0
        assert terminal.raw.rstrip().endswith(b"\x1b[?1049l")
        assert termios.tcgetattr(terminal.slave) == terminal.before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_give_the_terminal_back_too(running, number):
    with Terminal(command(running)) as terminal:
        terminal.shows(running.two)
        terminal.process.send_signal(number)
        assert terminal.ends() == 0
        assert termios.tcgetattr(terminal.slave) == terminal.before


def test_a_terminal_that_becomes_narrow_is_drawn_anew(running):
    with Terminal(command(running), 160, 40) as terminal:
        terminal.shows("WEIGHT")
        terminal.forget()
        terminal.resize(40, 20)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.shows("q quit")
        last = terminal.text.rpartition("frontgate")[2]
        assert "WEIGHT" not in last
        assert max(map(len, last.split("\r\n"))) <= 40
        terminal.press(b"q")
        assert terminal.ends() == 0


def test_a_door_that_goes_is_said_and_found_again(running):
    with Terminal(command(running)) as terminal:
        terminal.shows(running.two)
        running.stop()
        terminal.shows("no news: ")
        terminal.shows(running.two)  # what was known stays
        with running:
            terminal.forget()
            terminal.shows("up ")
            until(lambda: terminal.read() or "no news" not in terminal.text.rpartition("requests/s")[0][-200:], 10)
            terminal.press(b"q")
            assert terminal.ends() == 0


def test_who_cannot_ask_the_door_is_told_why_and_keeps_the_terminal(running):
    running.stop()
    with Terminal(command(running)) as terminal:
        assert terminal.ends() == 1
        assert "nobody answers at the admin door" in terminal.text and "does frontgate run?" in terminal.text
        assert b"\x1b[?1049h" not in terminal.raw
        assert termios.tcgetattr(terminal.slave) == terminal.before


def test_without_a_terminal_it_says_what_to_do(running):
    environment = {**os.environ, "PYTHONPATH": UNDER_TEST}
    done = subprocess.run(
        command(running),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 1
    assert done.stderr == "frontgate: frontgate top needs a terminal to draw in: add --once to print one frame\n"
