"""`--watch`: the backends of a simulation as they fill and empty, drawn in the terminal while it runs.

Rules: time is slowed down, so that there is something to see; Ctrl-C ends the run with what is there. It is drawn on
standard error and is gone afterwards. Without a terminal, or without rich (the extra "lab"), a sentence says so and the
run goes on unseen.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from math import inf
from typing import Any, Final

from proxy.lab.outcome import quantile
from proxy.lab.recording import Recorder, Watcher
from proxy.lab.scenario import Scenario
from proxy.lab.world import BEGIN, World

LONG: Final = 12.0  # seconds that the run of a strategy is to take
FRAMES: Final = 12  # a second
LATEST: Final = 2000  # requests whose 99th percentile is shown
NO_TERMINAL: Final = "frontgate: --watch needs a terminal to draw in; it goes on without"
NO_RICH: Final = 'frontgate: --watch needs rich (pip install "frontgate[lab]"); it goes on without'


def options(command: Any) -> None:
    """Give a command the options to watch."""
    command.add_argument("--watch", action="store_true", help="draw the backends in the terminal while it runs")
    command.add_argument(
        "--pace", type=pace, metavar="N", help=f"simulated seconds a second (--watch: so that it takes {LONG:.0f} s)"
    )


def pace(text: str) -> float:
    """Simulated seconds a second. ValueError for what time cannot go by."""
    number = float(text)
    if not 0.0 < number < inf:
        raise ValueError
    return number


@contextmanager
def watched(scenario: Scenario, pace: float | None) -> Iterator[Recorder | None]:
    """What has a run be drawn; None, and a sentence, when it cannot be."""
    rich: Any = None
    if not sys.stderr.isatty():
        print(NO_TERMINAL, file=sys.stderr)
    else:
        try:
            rich, console = import_module("rich.live"), import_module("rich.console").Console(stderr=True)
        except ImportError:
            print(NO_RICH, file=sys.stderr)
    if rich is None:
        yield None
        return
    seconds = scenario.requests / scenario.arriving
    speed = pace or seconds / LONG
    with rich.Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop") as live:
        yield Recorder(watcher=_paced(Screen(live, console, scenario), speed), pause=speed / FRAMES)


def _paced(draw: Watcher, speed: float) -> Watcher:
    """Draw, and wait until it is time to go on."""
    due = 0.0

    def look(world: World) -> None:
        nonlocal due
        draw(world)
        now = time.monotonic()
        due = max(due + 1.0 / FRAMES, now)
        time.sleep(due - now)

    return look


class Screen:
    """What is drawn: a line about the run, a bar for each backend, and a line about the requests."""

    def __init__(self, live: Any, console: Any, scenario: Scenario) -> None:
        self.live = live
        self.console = console
        self.scenario = scenario
        self.text: Any = import_module("rich.text").Text
        self.group: Any = import_module("rich.console").Group
        plain = not (console.encoding or "").lower().startswith("utf")
        self.busy, self.waiting = ("#", "-") if plain else ("█", "░")
        self.most = 1  # requests that a bar has room for

    def __call__(self, world: World) -> None:
        """Draw a world as it is now."""
        wide, high = self.console.width, self.console.height
        room = max(1, min(len(world.servers), high - 4))
        self.most = max(self.most, *(server.length for server in world.servers), 4)
        lines = [self._line(self._head(world), "bold")]
        label = len(str(len(world.servers) - 1))
        lines += [self._bar(place, server, wide, label) for place, server in enumerate(world.servers[:room])]
        if room < len(world.servers):
            lines.append(self._line(f"and {len(world.servers) - room} more", "dim"))
        lines.append(self._line(self._foot(world), "dim"))
        self.live.update(self.group(*lines), refresh=True)

    def _line(self, text: str, style: str) -> Any:
        return self.text(text, style=style, no_wrap=True, overflow="ellipsis")

    def _head(self, world: World) -> str:
        name = world.recording.strategy if world.recording is not None else ""
        share = world.arrived / self.scenario.requests
        return f"{name}  {world.clock.now - BEGIN:.2f} s, {share:.0%}, {world.arrived:,} requests"

    def _bar(self, place: int, server: Any, wide: int, label: int) -> Any:
        """A backend: what it works on, what waits in its line, and how many there are."""
        number = str(server.length)
        state = "" if getattr(server, "up", True) else " down"
        state = " hangs" if getattr(server, "hung", False) else state
        room = max(1, wide - label - 2 - len(str(self.most)) - 8)
        scale = min(1.0, room / self.most)
        busy = round(server.busy * scale) or min(1, server.busy)
        there = max(busy, round(server.length * scale))
        line = self._line(f"{place:>{label}} ", "")
        line.append(self.busy * busy, style="blue")
        line.append(self.waiting * (there - busy), style="yellow")
        line.append(f" {number}" if server.length else "", style="")
        line.append(state, style="red")
        return line

    def _foot(self, world: World) -> str:
        latest = sorted(world.latencies[-LATEST:])
        queued = sum(len(one.group.queue) for one in world.doors.workers if one.group.queue is not None)
        waiting = sum(len(server.line) for server in world.servers)
        door = f", {queued} at the door" if world.doors.queues else ""
        failed = f", {len(world.failures):,} failed" if world.failures else ""
        return f"{waiting} wait{door}; p99 {1e3 * quantile(latest, 0.99):.1f} ms{failed}"
