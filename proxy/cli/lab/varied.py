"""`--vary KEY=V1,V2,...`: the same scenario with one key changed, for each of its values.

Rules: a key is an option without its dashes (load, doors, concurrency, max-conns), or any key of a scenario as --set
takes it (upstream.retry.budget). Values have commas between them, or semicolons where they have commas themselves.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from proxy.cli.asking import Trouble
from proxy.cli.lab import said
from proxy.lab.scenario import Scenario
from proxy.lab.series import MEASURES

KINDS: Final[dict[str, Any]] = {
    **{name: kind for name, kind, _, _ in said.KEYS},
    **{option: str for option, _, _, _ in said.MACHINES},
    "backends": int,
    "max-conns": int,
    "upstream": str,
}
FIXED: Final = ("strategy", "strategies")


def options(command: Any) -> None:
    """Give a command the options of a series."""
    command.add_argument(
        "--vary", metavar="KEY=V1,V2,...",
        help="simulate each of the values of a key (load, doors, upstream.retry.budget ...), for --plot vary",
    )  # fmt: skip
    command.add_argument(
        "--measure", metavar="NAME[,NAME...]", default="p99",
        help=f"what --plot vary shows over the values: {', '.join(MEASURES)} (p99)",
    )  # fmt: skip


def measures(asked: argparse.Namespace) -> list[str]:
    """What is to be shown. Trouble when it is not known."""
    found = [word.strip() for word in asked.measure.split(",")]
    for word in found:
        if word not in MEASURES:
            raise Trouble(f'--measure takes {", ".join(MEASURES)} (got "{word}")')
    return found


def scenarios(asked: argparse.Namespace) -> tuple[str, dict[str, Scenario]]:
    """The key that is varied, and the scenario of each of its values. ValueError and Trouble with sentences."""
    key, equals, text = asked.vary.partition("=")
    values = [value.strip() for value in text.split(";" if ";" in text else ",") if value.strip()]
    if not equals or not values:
        raise Trouble(f'--vary takes KEY=V1,V2,... such as load=0.3,0.5,0.7 (got "{asked.vary}")')
    if key in FIXED:
        raise Trouble("--vary is for what is not compared anyway: say several strategies with --strategy A,B")
    return key, {value: said.scenario_of(_changed(asked, key, value)) for value in values}


def _changed(asked: argparse.Namespace, key: str, value: str) -> argparse.Namespace:
    found = argparse.Namespace(**vars(asked))
    if key not in KINDS:
        found.sets = [*asked.sets, f"{key}={value}"]
        return found
    try:
        setattr(found, key.replace("-", "_"), KINDS[key](value))
    except ValueError:
        raise Trouble(f'--vary {key} takes numbers (got "{value}")') from None
    return found
