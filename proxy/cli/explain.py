"""`frontgate explain`: why an exchange went as it did: candidates, the strategy's reason, attempts, times.

Rules: nothing reaches the terminal that it would obey: ids, hosts and backends may be what a client has sent.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from proxy.cli.line import line_of, words_of_line
from proxy.cli.tables import table

EXCHANGES: Final = "/api/v1/exchanges"


def words(commands: Any) -> None:
    """What the command takes."""
    text = "say why a request went to the backend it went to, and what came of it"
    more = "Without an id it lists the requests that failed. [explain] keep says how many others are kept; ids stand in"
    command = commands.add_parser(
        "explain", help=text, description=f"{text}. {more} the access log and in X-Request-ID."
    )
    words_of_line(command)
    command.add_argument("id", nargs="?", help="id of the request; none: list what failed")
    command.add_argument("--recent", action="store_true", help="list the last requests instead, failed or not")
    command.add_argument("--slowest", action="store_true", help="list those that took longest lately")
    command.add_argument("--json", action="store_true", help="as JSON")
    command.set_defaults(do=do)


def do(asked: argparse.Namespace) -> int:
    """Print an explanation, or a list."""
    line = line_of(asked)
    kind = "recent" if asked.recent else "slowest" if asked.slowest else "failed"
    found = line.ask(f"{EXCHANGES}/{quote(asked.id, safe='') if asked.id else kind}")
    if asked.json:
        print(json.dumps(found, indent=2))
    elif asked.id:
        print("\n".join(explanation(found)))
    else:
        print(listed(found, kind))
    return 0


def listed(found: dict[str, Any], kind: str) -> str:
    """A list of exchanges, one a line."""
    rows = [
        (
            time.strftime("%H:%M:%S", time.localtime(one["at"])),
            plain(one["request_id"]),
            one["status"],
            f"{one['seconds']:.3f}",
            plain(one["method"]),
            plain(one["target"])[:40],
            plain(one["backend"] or "-"),
            plain(one["reason"] or ""),
        )
        for one in found["exchanges"]
    ]
    if not rows:
        return f"no exchange is kept: [explain] {'keep' if kind == 'recent' else kind} = N keeps some"
    return table(("AT", "ID", "STATUS", "SECONDS", "METHOD", "TARGET", "BACKEND", "REASON"), rows)


def explanation(found: dict[str, Any]) -> Iterator[str]:
    """An explanation for people, line by line."""
    yield from (plain(line) for line in _explanation(found))


def _explanation(found: dict[str, Any]) -> Iterator[str]:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["started"]))
    yield found["sentence"]
    yield ""
    yield f"id       {found['request_id']}, worker {found['worker']}, {when}"
    yield f"request  {found['method']} {found['target']} {found['protocol']} for {found['host']}"
    yield f"client   {found['client']}"
    yield f"route    site {found['site']}, {found['route'] or '(none)'}"
    if found["limits"]:
        yield f"limits   {found['limits']}" + (f" by {found['limit']}" if found["limit"] else "")
    if found["queue"]:
        yield f"queue    waited {found['queue']['seconds']:.3f} s"
    yield f"bytes    {found['bytes_in']} in, {found['bytes_out']} out"
    for number, pick in enumerate(found["picks"], 1):
        yield ""
        yield f"pick {number}   after {pick['after']:.3f} s, {pick['strategy']}: {pick['chosen'] or 'nobody'}"
        yield f"         {pick['why']}"
        yield from picked(pick)
    if not found["picks"] and found["tries"]:
        yield ""
        yield "picks    are not kept: [explain] keep = N keeps them for the last N exchanges"
    yield ""
    for moment in found["timeline"]:
        yield f"{moment['after']:9.4f} s  {moment['what']}"


def picked(pick: dict[str, Any]) -> Iterator[str]:
    """The candidates of a pick."""
    rows = [
        (
            ">" if one["chosen"] else " ",
            one["address"],
            one["state"],
            one["in_flight"],
            one["weight"],
            one["fails"],
            "; ".join(["tried already"] * one["tried"] + [one["why"]] * bool(one["why"])),
        )
        for one in pick["candidates"]
    ]
    for line in table((" ", "CANDIDATE", "STATE", "IN FLIGHT", "WEIGHT", "FAILS", "WHY NOT"), rows).splitlines():
        yield f"         {line}"
    if pick["left_out"]:
        yield f"         and {pick['left_out']} more"


def plain(text: str) -> str:
    """Text from a client, without what a terminal would obey."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)
