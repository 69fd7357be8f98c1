"""`frontgate lab limits`: a rate and a burst with which an access log's clients would not have been limited.

Rule: what is printed is TOML; all besides the tables is comment, so it can go into a configuration as it is.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import Any, Final

from proxy.cli.asking import Trouble
from proxy.cli.lab.pictured import json_written
from proxy.cli.lab.replay import counted, formats, logs
from proxy.cli.tables import table
from proxy.config import words as words_of
from proxy.config.units import rate
from proxy.lab.logs.file import AccessLog
from proxy.lab.logs.keys import FORMS, Keyed, Routes, arrivals
from proxy.lab.logs.proposal import RATES, Proposal, Times, propose

AROUND: Final = 4  # other pairs that are shown on each side of the one that is proposed
WIDE: Final = 80  # letters of a key that are shown


def words(studies: Any) -> None:
    """What the command takes."""
    text = "propose rate and burst of a limit by an access log, and show whom it would have limited"
    command = studies.add_parser("limits", help=text, description=text)
    logs(command)
    command.add_argument(
        "--share", type=share, default=0.999, metavar="SHARE", help="that is never limited: 99.9%%, or 0.999 (99.9%%)"
    )
    command.add_argument(
        "--of", choices=("clients", "requests", "both"), default="clients", help="what it is a share of (clients)"
    )
    command.add_argument("--key", default="address", help=f"what is counted by: {FORMS} (address)")
    command.add_argument("--ipv6-prefix", type=int, default=64, metavar="BITS", help="of an IPv6 address (64)")
    command.add_argument(
        "--route", "--routes", dest="routes", action="append", default=[], metavar="PREFIX",
        help="a limit of its own for paths that begin so; several with commas or by saying it again",
    )  # fmt: skip
    command.add_argument("--rate", metavar="RATE", help='this rate, such as "10r/s", instead of the best one')
    command.add_argument("--name", default="clients", help="of the limit, if there is one for all paths (clients)")
    command.add_argument("--top", type=int, default=10, metavar="N", help="how many that were limited are shown (10)")
    command.add_argument("-c", "--config", metavar="FILE", help="a configuration whose log formats are known then")
    command.add_argument("--json", metavar="FILE", help='write what is found as JSON; "-": to standard output')
    command.set_defaults(do=run)


def share(text: str) -> float:
    """A share of "99.9%" or "0.999". ValueError when it is none."""
    number = float(text.removesuffix("%"))
    number = number / 100 if text.endswith("%") or number > 1 else number
    if not 0 < number <= 1:
        raise ValueError
    return number


def run(asked: argparse.Namespace) -> int:
    """Propose, and show whom that would have limited."""
    rates = RATES if asked.rate is None else (asked.rate,)
    if asked.rate is not None:
        rate(asked.rate)
    try:
        words_of.name(asked.name)
    except ValueError as problem:
        raise Trouble(f"--name {problem}") from None
    keyed = Keyed(asked.key, asked.ipv6_prefix)
    routes = Routes([prefix for text in asked.routes for prefix in text.split(",") if prefix], asked.name)
    log = AccessLog(asked.logs, asked.format, counted(), formats(asked))
    times: dict[str, Times] = {}
    for name, key, ms in arrivals(log, keyed, routes):
        times.setdefault(name, Times()).add(key, ms)
    if not keyed.found and log.lines > log.bad:
        raise Trouble(f"no line of the log tells {asked.key}: log it as a variable of its format, or count by another")
    if not times:
        raise Trouble(f"no request of the log counts: {log.lines} lines, {log.bad} of them could not be read")
    found = {
        name: propose(name, own, share=asked.share, of=asked.of, rates=rates) for name, own in sorted(times.items())
    }
    if asked.json is not None:
        sys.stdout.write(json_written(asked.json, told(found, log, keyed, routes, asked)))
    if asked.json != "-":
        for note in notes(log, keyed, routes):
            print(f"# {note}")
        for proposal in found.values():
            print("\n".join(lines(proposal, keyed, routes, max(0, asked.top))))
    return 0


def notes(log: AccessLog, keyed: Keyed, routes: Routes) -> list[str]:
    """What is to be said of how the log was read, in sentences."""
    notes = log.told()
    if log.coarse:
        notes.append("the log has times of whole seconds: requests of one second count as if they had come at once")
    if routes.others:
        notes.append(f"{routes.others} requests are of no route that was said")
    if keyed.without:
        notes.append(f"{keyed.without} requests have no {keyed.key}, and are not limited")
    return notes


def told(
    found: dict[str, Proposal], log: AccessLog, keyed: Keyed, routes: Routes, asked: argparse.Namespace
) -> dict[str, Any]:
    """As JSON has it: for one proposal its numbers, too, stand where one looks first."""
    proposals = {
        name: {**one.told(keyed.shown, max(0, asked.top)), "toml": one.toml(keyed.key, keyed.ipv6_prefix)}
        for name, one in found.items()
    }
    return {
        "log": {"paths": log.paths, "lines": log.lines, "bad": log.bad, "first_bad": log.first_bad or None,
                "formats": log.formats},
        "share": asked.share, "of": asked.of, "key": keyed.key,
        **(next(iter(proposals.values())) if len(proposals) == 1 else {}),
        "limits": proposals, "notes": notes(log, keyed, routes),
    }  # fmt: skip


def lines(one: Proposal, keyed: Keyed, routes: Routes, top: int) -> list[str]:
    """A proposal as TOML, with whom it would have limited and what else would do in comments."""
    of = "clients and requests" if one.of == "both" else one.of
    where = f" of {routes.prefix(one.name)}" if routes.prefixes else ""
    said = [f"{one.requests} requests{where} by {one.keys} keys; never limited: {one.share * 100:g} % of {of}", ""]
    at = one.options.index(one.option)
    options = [
        [option.rate, option.burst, f"{option.most:.6g}", "<- proposed" if option is one.option else ""]
        for option in one.options[max(0, at - AROUND) : at + AROUND + 1]
    ]
    said += table(("rate", "burst", "most in a minute", ""), options).split("\n")
    if one.limited:
        said += ["", f"It would have rejected {one.rejected} requests, of {len(one.limited)} keys:"]
        rows = [
            [_plain(keyed.shown(found.key)), found.requests, found.rejected, _moment(found.first)]
            for found in one.limited[:top]
        ]
        said += table(("key", "requests", "rejected", "first"), rows).split("\n")
    else:
        said += ["", "It would have rejected nothing."]
    limits = f'limits = ["{one.name}"]'
    said += ["", f"Routes have it with {limits}."]
    return ["", *(f"# {text}".rstrip() for text in said), one.toml(keyed.key, keyed.ipv6_prefix).rstrip("\n")]


def _plain(key: str) -> str:
    """A key, which is a client's own text, in one line of a comment: nothing that a terminal or TOML would obey."""
    text = "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in key)
    return text if len(text) <= WIDE else f"{text[: WIDE - 3]}..."


def _moment(ms: int) -> str:
    """Milliseconds since 1970 for people."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
