"""`frontgate lab simulate`: what a strategy, a retry, a queue would do, before it is put into production.

Rule: Ctrl-C ends a run with what is there.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from proxy.cli.lab import said
from proxy.cli.lab.progress import shown
from proxy.cli.tables import table
from proxy.lab.outcome import Comparison
from proxy.lab.simulate import compare


def words(studies: Any) -> None:
    """What the command takes."""
    text = "simulate requests, backends and doors, and compare strategies"
    command = studies.add_parser("simulate", help=text, description=text)
    said.options(command)
    command.add_argument("--json", metavar="FILE", help='write the outcome as JSON; "-": to standard output')
    command.set_defaults(do=run)


def run(asked: argparse.Namespace) -> int:
    """Simulate, and show what came of it. 130 when it was stopped."""
    scenario = said.scenario_of(asked)
    with shown(scenario) as progress:
        outcomes = compare(scenario, progress=progress)
    if asked.json is not None:
        text = json.dumps(outcomes.told(), indent=2, allow_nan=False) + "\n"
        if asked.json == "-":
            sys.stdout.write(text)
        else:
            Path(asked.json).write_text(text)
    if asked.json != "-":
        print("\n".join(lines(outcomes)))
    complete = all(outcome.complete for outcome in outcomes.values())
    if not complete:
        print("frontgate: stopped; this is what there is", file=sys.stderr)
    return 0 if complete else 130


def lines(outcomes: Comparison) -> list[str]:
    """The outcomes as a table, in milliseconds."""
    titles = ("strategy", "mean", "+-", "p50", "p90", "p99", "max", "imbalance", "retries", "failed")
    rows = []
    for name, outcome in outcomes.items():
        times = (outcome.latency.mean, outcome.margin, *outcome.latency[1:], outcome.slowest)
        failed = " ".join(f"{number} {what}" for what, number in sorted(outcome.failed.items())) or "0"
        rows.append([name, *(f"{time:.4g}" for time in times), f"{outcome.imbalance:.3f}", outcome.retries, failed])
    told = outcomes.scenario
    head = f"{told.requests} requests at {told.arriving:.6g}/s, load {told.arriving / told.capacity:.3g}, "
    head += f"{len(told.backends)} backends, {told.doors} doors x {told.workers} workers, seed {told.seed}; in ms"
    return [head, "", table(titles, rows)]
