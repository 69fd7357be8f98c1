"""`frontgate lab live`: the real door with real backends under load, beside what the simulation foresees.

Rule: Ctrl-C, as SIGTERM or a terminal that is closed, ends a run with what is there, and all its processes.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from typing import Any

from proxy.cli.asking import Trouble
from proxy.cli.lab import said
from proxy.cli.lab.progress import shown
from proxy.cli.tables import table
from proxy.lab import files
from proxy.lab.outcome import Comparison
from proxy.lab.reality.live import Lived, Side, live, sized
from proxy.lab.scenario import Scenario


def words(studies: Any) -> None:
    """What the command takes."""
    text = "put the real door with real backends under load, and lay it beside the simulation"
    more = "It takes as long as the requests do: 2000 of exp:40ms, if nothing else is said."
    command = studies.add_parser("live", help=text, description=f"{text}. {more}")
    said.options(command)
    command.add_argument("--json", metavar="FILE", help='write the outcome as JSON; "-": to standard output')
    command.set_defaults(do=run)


def run(asked: argparse.Namespace) -> int:
    """Run all strategies, one after the other. 130 when it was stopped."""
    if asked.json not in (None, "-"):
        files.writable(asked.json)
    scenario = sized(said.scenario_of(asked))
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, signal.default_int_handler)
    found: dict[str, Lived] = {}
    try:
        with shown(scenario) as progress:
            for strategy in scenario.strategies:
                found[strategy] = live(scenario, strategy, progress=progress)
                if not found[strategy].complete:
                    break
    except KeyboardInterrupt:
        pass  # between two runs, or before the first
    except OSError as error:
        raise Trouble(f"it cannot be done here: {error}") from None
    if asked.json is not None:
        text = json.dumps(told(scenario, found), indent=2, allow_nan=False) + "\n"
        if asked.json == "-":
            sys.stdout.write(text)
        else:
            files.write(asked.json, text)
    if asked.json != "-":
        print("\n".join(lines(scenario, found)))
    if any(one.busy for one in found.values()):
        print("frontgate: this machine is too busy: requests were sent late, which is in the times", file=sys.stderr)
    if len(found) == len(scenario.strategies) and all(one.complete for one in found.values()):
        return 0
    print("frontgate: stopped; this is what there is", file=sys.stderr)
    return 130


def told(scenario: Scenario, found: dict[str, Lived]) -> dict[str, Any]:
    """As JSON has it: for one strategy its numbers, too, stand where one looks first."""
    strategies = {name: one.told() for name, one in found.items()}
    first = next(iter(strategies.values())) if len(strategies) == 1 else {}
    return {**Comparison(scenario).told(), **first, "strategies": strategies}


def lines(scenario: Scenario, found: dict[str, Lived]) -> list[str]:
    """The outcomes as a table, in milliseconds, and the shares of the backends."""
    titles = ("strategy", "", "mean", "p50", "p90", "p99", "answered", "failed", "shares of the backends, %")
    rows: list[list[Any]] = []
    for name, one in found.items():
        rows.append([name, "measured", *_row(one.measured)])
        rows.append(["", "predicted", *_row(one.predicted)])
        rows.append(["", "off by", *(f"{value:+.1f} %" for value in one.difference), "", "", ""])
    rate, number = scenario.arriving, len(scenario.backends)
    head = f"{scenario.requests} requests at {rate:.6g}/s, load {rate / scenario.capacity:.3g}, "
    head += f"{number} backends, seed {scenario.seed}; in ms"
    idle = ", ".join(f"{one.overhead:.2f}" for one in found.values())
    tail = f"in the prediction: {idle} ms that a request took beyond its backend's time while nothing else went on"
    return [head, "", table(titles, rows), "", tail] if found else [head]


def _row(side: Side) -> list[str]:
    failed = " ".join(f"{number} {what}" for what, number in sorted(side.failed.items())) or "0"
    shares = " ".join(f"{100.0 * share:.1f}" for share in side.shares)
    return [*(f"{time:.4g}" for time in side.latency), str(side.answered), failed, shares]
