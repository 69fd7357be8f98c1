"""A scenario as the command line says it: options that are keys of a scenario, a file, a configuration's [upstream].

Rules: the options and a scenario file say the same things; what is said on the command line counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Collection
from functools import cache
from typing import Any, Final

import shtab

from proxy.build.limits import routes
from proxy.cli.asking import Trouble, checked
from proxy.lab.fidelity import unsimulated
from proxy.lab.scenario import MOST_BACKENDS, Scenario, of, tables

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
    ("subset", int, "N", "backends that each door knows (0: all)"),
    ("network", str, "TIME", "of a round trip between doors and backends (0)"),
    ("timeout", str, "TIME", "that the door waits for an answer"),
)
MACHINES: Final[tuple[tuple[str, str, Any, str], ...]] = (
    ("concurrency", "concurrency", int, "requests that each backend works on at a time"),
    ("weights", "weight", int, "their weights"),
    ("speeds", "speed", float, "how fast they are, over the others"),
    ("errors", "errors", float, "share of their answers that are errors"),
)


def options(command: Any, known: Collection[str] = ()) -> None:
    """Give a command the options that say a scenario, but for keys (or "scenario", the file) that it knows itself."""
    command.set_defaults(**dict.fromkeys(known))
    if "scenario" not in known:
        command.add_argument("scenario", nargs="?", metavar="FILE", help="a scenario in TOML").complete = shtab.FILE
    command.add_argument(
        "--strategy", "--strategies", dest="strategies", action="append", metavar="NAME",
        help='as in `balance`, or "package.module:factory"; several with commas or by saying it again',
    )  # fmt: skip
    command.add_argument("--backends", type=int, metavar="N", help="how many backends (4)")
    for name, kind, metavar, words in [key for key in KEYS if key[0] not in known]:
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
        said = {**said, "upstream": {**upstream_of(asked.config, asked.upstream), **_upstream(said)}}
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
    for line in unsimulated(scenario.upstream):
        _note(line)
    if asked.max_conns is None:
        return scenario
    servers = [one.model_dump(exclude_unset=True) for one in scenario.table(scenario.strategies[0]).servers]
    upstream = {**_upstream(said), "servers": [{**one, "max_conns": asked.max_conns} for one in servers]}
    return of({**said, "upstream": upstream}, place)


def upstream_of(path: str, name: str | None) -> dict[str, Any]:
    """An [upstream] table of a configuration, with the retries of its routes where all have the same. Trouble when it
    is not clear which."""
    model = checked(path)
    tables = model.upstream
    if name is None and len(tables) != 1:
        raise Trouble(f"{path} has {len(tables)} upstreams: say which with --upstream ({', '.join(tables)})")
    chosen = name if name is not None else next(iter(tables))
    if chosen not in tables:
        raise Trouble(f'{path} has no upstream "{chosen}": it has {", ".join(tables)}')
    found = tables[chosen].model_dump(exclude_unset=True, mode="json")
    asking = [one for site in model.site.values() for one in routes(site.route) if one.upstream == chosen]
    if asking and asking[0].retry is not None and all(one.retry == asking[0].retry for one in asking):
        own = {key: value for key, value in found.get("retry", {}).items() if key in ("budget", "floor")}
        found["retry"] = {**asking[0].retry.model_dump(exclude_unset=True, mode="json"), **own}
    if (found.get("fallback") or {}).get("upstream") is not None:
        del found["fallback"]
        print(f"frontgate: fallback of the upstream {chosen} is another upstream, and not simulated", file=sys.stderr)
    return found


@cache
def _note(line: str) -> None:
    """Say something once."""
    print(f"frontgate: not simulated: {line}", file=sys.stderr)


def _file(path: str) -> dict[str, Any]:
    try:
        return tables(path)
    except (OSError, ValueError) as problem:  # no such file, no TOML, no text
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


def _upstream(said: dict[str, Any]) -> dict[str, Any]:
    """The [upstream] table that is said so far, if it is one."""
    found = said.get("upstream")
    return found if isinstance(found, dict) else {}


def _machines(said: dict[str, Any], asked: argparse.Namespace) -> None:
    """Say of each backend what is said of all or of each."""
    given = {key: (option, kind, getattr(asked, option)) for option, key, kind, _ in MACHINES}
    given = {key: found for key, found in given.items() if found[2] is not None}
    if not given:
        return
    most = max(found[2].count(",") + 1 for found in given.values())
    servers = _upstream(said).get("servers")
    number = len(servers) if isinstance(servers, list) else 0
    found = said.get("backends", number or (4 if most == 1 else most))
    if isinstance(found, int):
        found = [{}] * found if found <= MOST_BACKENDS else found
    if not isinstance(found, list) or not all(isinstance(one, dict | str) for one in found):
        return  # the scenario says what is wrong with it
    machines = [{"service": one} if isinstance(one, str) else dict(one) for one in found]
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
