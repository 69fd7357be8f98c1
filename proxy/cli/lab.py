"""`frontgate lab simulate`: what a strategy, a retry, a queue would do, before it is put into production.

Rules: the options and a scenario file say the same things; what is said on the command line counts. Ctrl-C ends a run
with what is there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import shtab

from proxy.cli.asking import Trouble, checked
from proxy.cli.tables import table
from proxy.lab.outcome import Comparison
from proxy.lab.scenario import Scenario, of
from proxy.lab.simulate import Progress, compare

# Options that are keys of a scenario, with the type of what follows and what the help says.
KEYS: Final[tuple[tuple[str, Any, str, str], ...]] = (
    ("arrivals", str, "KIND", "poisson, constant, bursts:EVERY:LENGTH:TIMES, diurnal:PERIOD:SWING, trace:FILE"),
    ("service", str, "KIND", "exp:20ms, det:20ms, lognormal:20ms:1.5, pareto:20ms:2.5, bimodal:5ms:200ms:0.05 ..."),
    ("load", float, "SHARE", "work that comes, over what the backends can do (0.6)"),
    ("rate", float, "N", "requests a second, instead of a load"),
    ("requests", int, "N", "how many requests (100000)"),
    ("warmup", float, "SHARE", "of the requests, the first, that is not counted (0.05)"),
    ("seed", int, "N", "the same seed, the same result (1)"),
    ("doors", int, "N", "front doors, which know nothing of each other (1)"),
    ("workers", int, "N", "workers of each door (1)"),
    ("shared", str, "WHO", "who counts together: the workers of a door (as in production), worker, all"),
    ("stale", str, "TIME", "between two looks at what is in flight (0: it is always known)"),
    ("keys", int, "N", "clients, for hashes and limits (1000)"),
    ("popularity", float, "S", "exponent of Zipf's law for the shares of the clients (0: all alike)"),
    ("timeout", str, "TIME", "that the door waits for an answer"),
)
MACHINES: Final[tuple[tuple[str, str, Any, str], ...]] = (
    ("concurrency", "concurrency", int, "requests that each backend works on at a time"),
    ("weights", "weight", int, "their weights"),
    ("speeds", "speed", float, "how fast they are, over the others"),
    ("errors", "errors", float, "share of their answers that are errors"),
)


def words(commands: Any) -> None:
    """What the command takes."""
    text = "study balancing with the policies of production"
    lab = commands.add_parser("lab", help=text, description=text)
    studies = lab.add_subparsers(dest="study", required=True, metavar="STUDY")
    text = "simulate requests, backends and doors, and compare strategies"
    command = studies.add_parser("simulate", help=text, description=text)
    command.add_argument("scenario", nargs="?", metavar="FILE", help="a scenario in TOML").complete = shtab.FILE
    command.add_argument(
        "--strategy", "--strategies", dest="strategies", action="append", metavar="NAME",
        help='as in `balance`, or "package.module:factory"; several with commas or by saying it again',
    )  # fmt: skip
    command.add_argument("--backends", type=int, metavar="N", help="how many backends (4)")
    for name, kind, metavar, words in KEYS:
        command.add_argument(f"--{name}", type=kind, metavar=metavar, help=words)
    for option, _, _, words in MACHINES:
        command.add_argument(f"--{option}", metavar="N[,N...]", help=f"{words}: for all, or for each")
    command.add_argument("--max-conns", type=int, metavar="N", help="requests at a time at each backend; others queue")
    command.add_argument("-c", "--config", metavar="FILE", help="take the [upstream] table of this configuration")
    command.add_argument("--upstream", metavar="NAME", help="which of its upstreams, if it has several")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="sets",
        help="any key of a scenario in TOML, such as upstream.retry.budget=0.1",
    )  # fmt: skip
    command.add_argument("--json", metavar="FILE", help='write the outcome as JSON; "-": to standard output')
    command.set_defaults(do=run)


def run(asked: argparse.Namespace) -> int:
    """Simulate, and show what came of it. 130 when it was stopped."""
    scenario = scenario_of(asked)
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


def scenario_of(asked: argparse.Namespace) -> Scenario:
    """The scenario that is asked for. ValueError and Trouble with sentences."""
    said = _file(asked.scenario) if asked.scenario is not None else {}
    if asked.config is not None:
        said = {**said, "upstream": {**upstream_of(asked.config, asked.upstream), **said.get("upstream", {})}}
        balance = said["upstream"].pop("balance", "round_robin")
        said.setdefault("strategies", [balance])
    if asked.strategies:
        said.pop("strategy", None)
        said["strategies"] = ",".join(asked.strategies)
    for name, _, _, _ in KEYS:
        if (value := getattr(asked, name)) is not None:
            said[name] = value
            if name in ("load", "rate"):
                said.pop("rate" if name == "load" else "load", None)
    if asked.backends is not None:
        said["backends"] = asked.backends
    for text in asked.sets:
        _merge(said, _toml(text))
    _machines(said, asked)
    place = f"{asked.scenario}: " if asked.scenario is not None else ""
    scenario = of(said, place)
    if asked.max_conns is None:
        return scenario
    servers = [one.model_dump(exclude_unset=True) for one in scenario.table(scenario.strategies[0]).servers]
    upstream = {**said.get("upstream", {}), "servers": [{**one, "max_conns": asked.max_conns} for one in servers]}
    return of({**said, "upstream": upstream}, place)


def upstream_of(path: str, name: str | None) -> dict[str, Any]:
    """An [upstream] table of a configuration. Trouble when it is not clear which."""
    tables = checked(path).upstream
    if name is None and len(tables) != 1:
        raise Trouble(f"{path} has {len(tables)} upstreams: say which with --upstream ({', '.join(tables)})")
    chosen = name if name is not None else next(iter(tables))
    if chosen not in tables:
        raise Trouble(f'{path} has no upstream "{chosen}": it has {", ".join(tables)}')
    found = tables[chosen].model_dump(exclude_unset=True, mode="json")
    for key in ("sticky", "fallback"):
        if found.pop(key, None):
            print(f"frontgate: {key} of the upstream {chosen} is not simulated", file=sys.stderr)
    return found


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


@contextmanager
def shown(scenario: Scenario) -> Iterator[Progress | None]:
    """What shows how far a run is, where somebody looks and rich (the extra "lab") is there."""
    rich: Any = None
    if sys.stderr.isatty():
        try:
            rich, console = import_module("rich.progress"), import_module("rich.console")
        except ImportError:
            rich = None
    if rich is None:
        yield None
        return
    with rich.Progress(console=console.Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def progress(strategy: str, number: int) -> None:
            if strategy not in tasks:
                tasks[strategy] = bars.add_task(strategy, total=scenario.requests)
            bars.update(tasks[strategy], completed=number)

        yield progress


def _file(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text())
    except (OSError, tomllib.TOMLDecodeError) as problem:
        raise Trouble(f"{path} cannot be read as a scenario: {problem}") from None


def _toml(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    for written in (value, json.dumps(value)):
        try:
            if equals:
                return tomllib.loads(f"{key}={written}")
        except tomllib.TOMLDecodeError:
            continue
    raise Trouble(f'--set takes KEY=VALUE as TOML has it, such as upstream.panic=50 (got "{text}")')


def _merge(said: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(said.get(key), dict):
            _merge(said[key], value)
        else:
            said[key] = value


def _machines(said: dict[str, Any], asked: argparse.Namespace) -> None:
    """Say of each backend what is said of all or of each."""
    given = {key: (option, kind, getattr(asked, option)) for option, key, kind, _ in MACHINES}
    given = {key: found for key, found in given.items() if found[2] is not None}
    if not given:
        return
    most = max(found[2].count(",") + 1 for found in given.values())
    found = said.get("backends", len(said.get("upstream", {}).get("servers", ())) or (4 if most == 1 else most))
    machines = [{} for _ in range(found)] if isinstance(found, int) else [dict(one) for one in found]
    for key, (option, kind, text) in given.items():
        try:
            values = [kind(word) for word in text.split(",")]
        except ValueError:
            raise Trouble(f'--{option} takes numbers with commas between (got "{text}")') from None
        if len(values) not in (1, len(machines)):
            raise Trouble(f"--{option} says {len(values)} numbers, and there are {len(machines)} backends")
        for place, machine in enumerate(machines):
            machine[key] = values[place % len(values)]
    said["backends"] = machines
