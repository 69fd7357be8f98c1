"""`frontgate lab replay`: what an access log's requests would have met under each strategy.

Rule: the log's own numbers stand beside the others, and what the log cannot tell is said.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Final

import shtab

from proxy.cli.asking import Trouble
from proxy.cli.lab import pictured, said
from proxy.cli.lab.progress import shown
from proxy.cli.tables import table
from proxy.config import reading
from proxy.lab.logs.logged import Logged, read
from proxy.lab.logs.replay import STRATEGIES, Replayed, pace, replay, servers_of
from proxy.lab.scenario import Scenario

TOLD_BY_LOG: Final = ("scenario", "arrivals", "service", "load", "rate", "requests", "keys", "popularity", "network")


def words(studies: Any) -> None:
    """What the command takes."""
    text = "replay an access log under each strategy, with its own arrivals and times"
    command = studies.add_parser("replay", help=text, description=text)
    logs(command)
    command.add_argument(
        "--service-places", type=int, metavar="N",
        help="requests that each backend that was logged worked on at a time, first come first served: takes the"
        " waiting there out of the logged times",
    )  # fmt: skip
    said.options(command, TOLD_BY_LOG)
    command.add_argument("--json", metavar="FILE", help='write the outcome as JSON; "-": to standard output')
    pictured.options(command, tuple(pictured.FIGURES), "cdf")
    pictured.reported(command)
    command.set_defaults(do=run)


def logs(command: Any) -> None:
    """Give a command the options that say which logs, and what they look like."""
    command.add_argument(
        "logs", nargs="+", metavar="ACCESS_LOG", help='an access log, gzip or not, several, or "-": standard input'
    ).complete = shtab.FILE
    command.add_argument(
        "--format", metavar="TEXT",
        help="the log_format of the log, if it is not found: its text, combined, nginx (without times) or json",
    )  # fmt: skip


def run(asked: argparse.Namespace) -> int:
    """Replay, and show what came of it. 130 when it was stopped."""
    pictured.ready(asked)
    logged = read(asked.logs, format=asked.format, known=formats(asked), seed=asked.seed or 1, seen=counted())
    if asked.service_places is not None:
        logged.unqueue(asked.service_places)
    scenario = scenario_of(asked, logged)
    with shown(scenario) as progress:
        found = replay(logged, scenario, progress=progress, recorder=pictured.recorder(asked, scenario))
    told = found.told()
    pictured.study_written(asked, found, scenario, told, f"{len(logged)} requests of {', '.join(asked.logs)}")
    if asked.json is not None:
        sys.stdout.write(pictured.json_written(asked.json, told))
    if "-" not in (asked.json, asked.csv):
        print("\n".join(lines(found)))
    complete = all(outcome.complete for outcome in found.values())
    if not complete:
        print("frontgate: stopped; this is what there is", file=sys.stderr)
    return 0 if complete else 130


def formats(asked: argparse.Namespace) -> list[str]:
    """The formats of logs that the configuration has."""
    if asked.config is None:
        return []
    log = reading.load(asked.config, False, False)[0].log
    texts = [log.format, *(form.text for form in log.formats.values())]
    return [text for text in texts if "$msec" in text or "$time_" in text]


def counted() -> Any:
    """What shows how far the reading is, where somebody looks."""
    if not sys.stderr.isatty():
        return None
    return lambda lines: print(f"\r{lines} lines", end="\r", file=sys.stderr, flush=True)


def scenario_of(asked: argparse.Namespace, logged: Logged) -> Scenario:
    """The scenario that is asked for; what is not said is as the log has it. ValueError and Trouble with sentences."""
    known = {"warmup": 0.0, **pace(logged)}
    more = [f"{key}={value}" for key, value in known.items() if getattr(asked, key, None) is None]
    servers = servers_of(logged)
    if asked.config is None and asked.backends is None and servers:
        more.append(f"upstream.servers={json.dumps(servers)}")
    asked.sets = [*more, *asked.sets]
    asked.strategies = asked.strategies or list(STRATEGIES)
    if asked.backends is None and asked.config is None and not servers:
        asked.backends = 1
    if asked.concurrency is None:
        asked.concurrency = str(logged.service_places or logged.most)
    try:
        return said.scenario_of(asked)
    except ValueError as problem:
        raise Trouble(f"{', '.join(logged.log.paths)} cannot be replayed as it is: {problem}") from None


def lines(found: Replayed) -> list[str]:
    """The log's own numbers and the outcomes as a table, in milliseconds, and what is to be known of them."""
    own, logged = found.logged.told(), found.logged
    titles = ("strategy", "mean", "p50", "p90", "p99", "max", "imbalance", "retries", "failed")
    rows = [
        ["as logged", *(f"{time:.4g}" for time in own["latency_ms"].values()), f"{own['max_ms']:.4g}",
         f"{own['imbalance']:.3f}", own["retries"], failures(own["failed"])]
    ]  # fmt: skip
    for name, outcome in found.items():
        times = (*outcome.latency, outcome.slowest)
        numbers = [f"{outcome.imbalance:.3f}", outcome.retries, failures(outcome.failed)]
        rows.append([name, *(f"{time:.4g}" for time in times), *numbers])
    machines = found.scenario.backends
    head = f"{len(logged)} requests in {logged.starts[-1]:.6g} s of {logged.log.lines} lines, {len(machines)} backends"
    head += f" with {'/'.join(map(str, sorted({one.concurrency for one in machines})))} places, "
    head += f"seed {found.scenario.seed}; in ms"
    return [head, "", table(titles, rows), "", *(f"* {note}" for note in found.notes())]


def failures(failed: dict[str, int]) -> str:
    """What failed, in a cell of a table."""
    return " ".join(f"{number} {what}" for what, number in sorted(failed.items())) or "0"
