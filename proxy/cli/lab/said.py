"""A scenario as the command line says it: options that are keys of a scenario, a file, a configuration's [upstream].

Rules: the options and a scenario file say the same things; what is said on the command line counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import shtab

from proxy.cli.asking import Trouble, checked
from proxy.lab.scenario import Scenario, of

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


def options(command: Any) -> None:
    """Give a command the options that say a scenario."""
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
