"""`frontgate lab simulate`: what a strategy, a retry, a queue would do, before it is put into production.

Rule: Ctrl-C ends a run with what is there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from proxy.cli.asking import Trouble
from proxy.cli.lab import pictured, said, varied, watch
from proxy.cli.lab.progress import shown
from proxy.cli.tables import table
from proxy.lab.outcome import Comparison
from proxy.lab.recording import Recorder
from proxy.lab.scenario import Scenario
from proxy.lab.series import series
from proxy.lab.simulate import Progress, compare


def words(studies: Any) -> None:
    """What the command takes."""
    text = "simulate requests, backends and doors, and compare strategies"
    command = studies.add_parser("simulate", help=text, description=text)
    said.options(command)
    varied.options(command)
    command.add_argument("--json", metavar="FILE", help='write the outcome as JSON; "-": to standard output')
    pictured.options(command, (*pictured.FIGURES, "vary"), "cdf, with --vary vary")
    pictured.reported(command)
    watch.options(command)
    command.set_defaults(do=run)


def run(asked: argparse.Namespace) -> int:
    """Simulate, and show what came of it. 130 when it was stopped."""
    pictured.ready(asked)
    if asked.vary is None:
        if asked.plot == "vary":
            raise Trouble("--plot vary needs --vary KEY=V1,V2,...")
        return _one(asked)
    wrong = {
        "--watch": asked.watch,
        "--explain": asked.explain,
        f"--plot {asked.plot}": asked.plot not in (None, "vary"),
    }
    for option, there in wrong.items():
        if there:
            raise Trouble(f"{option} is of one scenario: leave out --vary")
    return _several(asked)


def _one(asked: argparse.Namespace) -> int:
    scenario = said.scenario_of(asked)
    recorder = pictured.recorder(asked, scenario)
    with _seen(asked, scenario, recorder) as (progress, recorder):
        outcomes = compare(scenario, progress=progress, recorder=recorder)
    told = outcomes.told()
    pictured.study_written(asked, outcomes, scenario, told)
    _told(asked, told, lines(outcomes))
    return _ended(outcomes.complete)


@contextmanager
def _seen(
    asked: argparse.Namespace, scenario: Scenario, recorder: Recorder | None
) -> Iterator[tuple[Progress | None, Recorder | None]]:
    """Who looks at the run while it goes: the terminal that draws it, or the one that shows how far it is."""
    if not asked.watch:
        with shown(scenario) as progress:
            yield progress, recorder
        return
    with watch.watched(scenario, asked.pace) as drawn:
        window = recorder.window if recorder is not None else None
        yield None, drawn._replace(window=window) if drawn is not None else recorder


def _several(asked: argparse.Namespace) -> int:
    measures = varied.measures(asked)
    key, scenarios = varied.scenarios(asked)
    with shown(next(iter(scenarios.values()))) as progress:
        found = series(key, scenarios, progress)
    pictured.series_written(asked, found, measures)
    told: list[str] = []
    for value, one in zip(found.values, found.found, strict=False):
        told += ["", f"{key} = {value}", *lines(one)]
    _told(asked, found.told(), told[1:])
    return _ended(found.complete)


def _told(asked: argparse.Namespace, told: dict[str, Any], said: list[str]) -> None:
    """The JSON, if it is asked for, and the table, unless the JSON takes its place."""
    text = pictured.json_written(asked.json, told) if asked.json is not None else ""
    if asked.csv != "-" or text:
        sys.stdout.write(text or "\n".join(said) + "\n")


def _ended(complete: bool) -> int:
    if not complete:
        print("frontgate: stopped; this is what there is", file=sys.stderr)
    return 0 if complete else 130


def lines(outcomes: Comparison) -> list[str]:
    """The outcomes as a table, in milliseconds."""
    titles = ("strategy", "mean", "+-", "p50", "p90", "p99", "max", "imbalance", "retries", "failed")
    rows = []
    for name, outcome in outcomes.items():
        mean, margin = f"{outcome.latency.mean:.4g}", "-" if outcome.margin is None else f"{outcome.margin:.4g}"
        times = (*outcome.latency[1:], outcome.slowest)
        failed = " ".join(f"{number} {what}" for what, number in sorted(outcome.failed.items())) or "0"
        more = (f"{outcome.imbalance:.3f}", outcome.retries, failed)
        rows.append([name, mean, margin, *(f"{time:.4g}" for time in times), *more])
    told = outcomes.scenario
    head = f"{told.requests} requests at {told.arriving:.6g}/s, load {told.arriving / told.capacity:.3g}, "
    head += f"{len(told.backends)} backends, {told.doors} doors x {told.workers} workers, seed {told.seed}; in ms"
    return [
        head,
        "",
        table(titles, rows),
        *(_limit(name, outcome.limit) for name, outcome in outcomes.items() if outcome.limit),
    ]


def _limit(name: str, told: dict[str, Any]) -> str:
    """What a limit did, in a line."""
    line = f"{name}: the limit let {told['passed']} of {told['offered']} requests pass"
    if "exact" in told:
        line += f" (one bucket for all: {told['exact']}), {told['above']} at most above burst and rate"
    if "redis_per_second" in told:
        line += f"; Redis was asked {told['redis_per_second']:.4g} times a second, {told['late']} answers came too late"
    return line
