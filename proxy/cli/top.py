"""`frontgate top`: the door as it is now, in a terminal, once a second.

Rules: what is shown is what the admin door's events say; nothing is asked of workers. The terminal is given back as it
was, however this ends. With --once, or for who has no terminal, one frame is printed as plain lines.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import select
import shutil
import signal
import sys
import termios
import threading
import tty
from collections import deque
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final
from urllib.parse import quote

from proxy.cli.asking import Trouble
from proxy.cli.frame import frame, painted
from proxy.cli.line import Line, line_of, words_of_line
from proxy.cli.view import ASCII, ORDERS, UNICODE, View

ERRORS: Final = "/api/v1/errors?most=20"
AGAIN: Final = 1.0  # seconds until the door is asked again
TALL: Final = 200  # lines of a frame that is printed once
SHOW, HIDE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # the other screen without a cursor, and back
KEYS: Final = {b"\x1b[A": "up", b"\x1bOA": "up", b"k": "up", b"\x1b[B": "down", b"\x1bOB": "down", b"j": "down"}


def words(commands: Any) -> None:
    """What the command takes."""
    text = "show traffic, backends, limits and errors, live in the terminal"
    told = f"{text}. Keys: q leaves, s sorts backends, up and down choose one, d drains or undrains it."
    command = commands.add_parser("top", help=text, description=told)
    words_of_line(command)
    command.add_argument("--once", action="store_true", help="print one frame and end")
    command.set_defaults(do=do)


def do(asked: argparse.Namespace) -> int:
    """Show the door."""
    line = line_of(asked)
    view = View(marks=UNICODE if "utf" in (sys.stdout.encoding or "").lower() else ASCII)
    if asked.once:
        view.errors = line.ask(ERRORS)["errors"]
        return once(line, view)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Trouble("frontgate top needs a terminal to draw in: add --once to print one frame")
    view.errors = line.ask(ERRORS)["errors"]  # before the screen is taken: who cannot ask is told why, and that is all
    with screen():
        return Show(line, view).run()


def once(line: Line, view: View) -> int:
    """Print one frame."""
    for name, body in line.events():
        view.hear(name, body)
        if name == "tick":
            break
    width = shutil.get_terminal_size((100, 24)).columns
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for one in frame(view, width, TALL, keys=False):
        print(painted(one, colour))
    return 0


@contextlib.contextmanager
def screen() -> Iterator[None]:
    """A screen of our own, where keys come one by one; afterwards the terminal is as it was."""
    was = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    print(SHOW, end="", flush=True)
    try:
        yield
    finally:
        print(HIDE, end="", flush=True)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, was)


def pressed(raw: bytes) -> list[bytes]:
    """The keys in what a terminal sends at once; b"" alone when it sends no more."""
    return re.findall(rb"\x1b[\[O][\x30-\x3f]*[\x40-\x7e]|.", raw, re.DOTALL) or [b""]


class Show:
    """Draws the door until somebody presses q. A thread listens to the door; all else happens here."""

    def __init__(self, line: Line, view: View) -> None:
        self.line = line
        self.view = view
        self.heard: deque[tuple[str, Any]] = deque()
        self.woken, self.wake = os.pipe()
        self.over = False
        self.colour = "NO_COLOR" not in os.environ
        self.asked: tuple[str, str, str] | None = None  # a change that waits for y: upstream, backend, word

    def run(self) -> int:
        """Until the end."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.leave)
        signal.signal(signal.SIGWINCH, lambda *_: self.rouse())
        threading.Thread(target=self.listen, daemon=True).start()
        while not self.over:
            self.draw()
            ready, _, _ = select.select([sys.stdin, self.woken], [], [])
            if self.woken in ready:
                os.read(self.woken, 4096)
            if sys.stdin in ready:
                for key in pressed(os.read(sys.stdin.fileno(), 256)):
                    self.press(key)
            while self.heard:
                self.view.hear(*self.heard.popleft())
        return 0

    def leave(self, number: int, _: FrameType | None) -> None:
        """End: somebody has signalled us."""
        self.over = True
        self.rouse()

    def rouse(self) -> None:
        """Have the next frame drawn now."""
        os.write(self.wake, b".")

    def listen(self) -> None:
        """Hear the door, and ask again when it is gone."""
        pause = threading.Event()
        while True:
            try:
                self.view.errors = self.line.ask(ERRORS)["errors"]
                for told in self.line.events():
                    self.heard.append(told)
                    self.rouse()
                self.view.trouble = "the door has ended the stream"
            except Trouble as trouble:
                self.view.trouble = str(trouble)
            self.rouse()
            pause.wait(AGAIN)

    def draw(self) -> None:
        """Show what is known, in place of what was shown."""
        width, height = shutil.get_terminal_size()
        lines = [painted(one, self.colour) for one in frame(self.view, width, height)]
        sys.stdout.write("\x1b[H" + "\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")
        sys.stdout.flush()

    def press(self, key: bytes) -> None:
        """What a key does; b"" is the end of the terminal."""
        if key in (b"", b"q", b"Q"):
            self.over = True
        elif self.asked is not None:
            self.answer(key)
        elif key in KEYS:
            self.view.message = ""
            self.view.move(-1 if KEYS[key] == "up" else 1)
        elif key == b"s":
            self.view.order = (self.view.order + 1) % len(ORDERS)
        elif key == b"d":
            self.ask_drain()
        else:
            self.view.message = ""

    def ask_drain(self) -> None:
        """Ask whether the chosen backend is to be drained, or undrained."""
        backend = self.view.chosen_backend()
        if backend is None or self.view.chosen is None:
            self.view.message = "choose a backend first: up and down"
            return
        upstream, address = self.view.chosen
        word = "undrain" if backend["drained"] else "drain"
        self.asked = (upstream, address, word)
        self.view.message = f"{word} {address} of {upstream}? y or n"

    def answer(self, key: bytes) -> None:
        """Do what was asked, if it is wanted."""
        assert self.asked is not None
        upstream, address, word = self.asked
        self.asked = None
        if key not in (b"y", b"Y"):
            self.view.message = ""
            return
        path = f"/api/v1/upstreams/{quote(upstream, safe='')}/backends/{quote(address, safe='')}/{word}"
        try:
            self.view.message = self.line.change(path, {})["sentence"]
        except Trouble as trouble:
            self.view.message = str(trouble)
