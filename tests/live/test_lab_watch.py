"""`frontgate lab simulate --watch` in a terminal of its own (a pty)."""

from __future__ import annotations

import contextlib
import fcntl
import json
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
from itertools import pairwise

import pytest
from door import ROOT, UNDER_TEST

WORDS = ["lab", "simulate", "--backends", "5", "--strategy", "round_robin", "--watch"]
SIGNS = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")


class Terminal:
    """A simulation in a terminal of so many columns and lines; `text` is what it has written so far, without signs."""

    def __init__(self, *words, width=80, height=24, **environment):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        known = {**os.environ, "PYTHONPATH": UNDER_TEST, "PYTHONIOENCODING": "utf-8", "TERM": "xterm", **environment}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            known.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "proxy.cli", *WORDS, *words],
            cwd=ROOT, env=known, stdin=slave, stdout=subprocess.PIPE, stderr=slave, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.raw = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()
        os.close(self.master)

    @property
    def text(self):
        return SIGNS.sub("", self.raw.decode(errors="replace"))

    def read(self):
        while select.select([self.master], [], [], 0.05)[0]:
            try:
                self.raw += os.read(self.master, 65536)
            except OSError:  # nobody writes any more
                return

    def until(self, seen, seconds=20.0):
        end = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < end, self.text[-2000:]
            self.read()

    def ends(self):
        """Its exit code and its standard output."""
        self.until(lambda: self.process.poll() is not None)
        self.read()
        return self.process.returncode, self.process.stdout.read().decode()


def frames(terminal):
    """Lines of backends, as drawn: their numbers by place."""
    found = re.findall(r"^([0-4]) ([█░#-]*) ?(\d*)\r?$", terminal.text, re.MULTILINE)
    return [(int(place), bar, int(number or 0)) for place, bar, number in found]


@pytest.mark.parametrize("width", [80, 24])
def test_backends_are_seen_to_fill_and_empty(width):
    with Terminal("--load", "0.95", "--requests", "300", "--pace", "0.5", "--json", "-", width=width) as terminal:
        code, out = terminal.ends()
        assert code == 0
        assert json.loads(out)["answered"] == 285  # the output is what it is without
        drawn = frames(terminal)
        assert len(drawn) > 30 and {place for place, _, _ in drawn} == set(range(5))
        numbers = [number for place, _, number in drawn if place == 0]
        changes = [after - before for before, after in pairwise(numbers)]
        assert min(changes) < 0 < max(changes)
        for _, bar, number in drawn:
            assert (not number) == (not bar) and set(bar) <= set("█░")
        assert any("█░" in bar for _, bar, _ in drawn)
        assert max(len(line) for line in terminal.text.replace("\r", "\n").split("\n")) <= width
        assert b"\x1b[?25h" in terminal.raw  # the cursor is given back


def test_more_backends_than_lines_are_cut():
    with Terminal("--backends", "40", "--requests", "300", "--pace", "2", height=12) as terminal:
        assert terminal.ends()[0] == 0
        assert "and 32 more" in terminal.text and "and 40 more" not in terminal.text
        places = {int(place) for place in re.findall(r"^ ?(\d+) [█░]*", terminal.text, re.MULTILINE)}
        assert {0, 7} <= places and not {8, 39} & places


def test_ctrl_c_ends_it_with_what_is_there():
    with Terminal("--requests", "100000", "--pace", "1", "--json", "-") as terminal:
        terminal.until(lambda: len(frames(terminal)) > 20)
        terminal.process.send_signal(signal.SIGINT)
        code, out = terminal.ends()
        assert code == 130 and not json.loads(out)["complete"]
        assert "stopped; this is what there is" in terminal.text and b"\x1b[?25h" in terminal.raw


def test_without_rich_a_sentence_says_so(tmp_path):
    (tmp_path / "rich").mkdir()
    (tmp_path / "rich" / "__init__.py").write_text("raise ImportError('none')")
    with Terminal("--requests", "300", PYTHONPATH=f"{tmp_path}{os.pathsep}{UNDER_TEST}") as terminal:
        code, out = terminal.ends()
        assert code == 0 and "round_robin" in out
        assert "--watch needs rich (pip install" in terminal.text


def test_a_terminal_without_unicode_gets_plain_signs():
    with Terminal("--requests", "300", "--load", "0.95", "--pace", "2", PYTHONIOENCODING="ascii") as terminal:
        assert terminal.ends()[0] == 0
        assert {"#"} <= {sign for _, bar, _ in frames(terminal) for sign in bar} <= {"#", "-"}
