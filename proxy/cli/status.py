"""`frontgate status`: the state of a running frontgate, as its admin door tells it."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from proxy.cli.asking import Trouble
from proxy.cli.line import line_of, words_of_line
from proxy.cli.tables import table, uptime


def words(commands: Any) -> None:
    """What the command takes."""
    text = "show workers, backends and limits"
    command = commands.add_parser("status", help=text, description=text)
    words_of_line(command)
    command.add_argument("--json", action="store_true", help="as JSON")
    command.set_defaults(do=do)


def do(asked: argparse.Namespace) -> int:
    """Print the state."""
    line = line_of(asked)
    found = line.ask("/status")
    if not isinstance(found, dict):
        raise Trouble(f"the admin door at {line.address} answers something else: is it frontgate's?")
    print(json.dumps(found, indent=2) if asked.json else for_people(found))
    return 0


def for_people(found: dict[str, Any]) -> str:
    """The state as tables."""
    reload = found["reload"]
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(reload["at"]))
    result = "in force since" if reload["good"] else "REFUSED at"
    parts = [f"frontgate {found['version']}, up {uptime(found['uptime'])}, configuration {result} {when}"]
    parts.append(
        table(("WORKER", "PID", "CONNECTIONS"), [(w["slot"], w["pid"], w["connections"]) for w in found["workers"]])
    )
    rows: list[tuple[Any, ...]] = []
    for name, upstream in found["upstreams"].items():
        for one in upstream["backends"]:
            numbers = (one["weight"], one["in_flight"], one["requests"], one["failures"])
            rows.append((name, one["address"], one["state"], *numbers))
    parts.append(table(("UPSTREAM", "BACKEND", "STATE", "WEIGHT", "IN FLIGHT", "REQUESTS", "FAILURES"), rows))
    rows = [
        (one["name"], one["pid"], one["state"], one["in_flight"], one["requests"], one["memory"] >> 20, one["restarts"])
        for app in found.get("apps", ())
        for one in app["workers"]
    ]
    parts.append(table(("APP", "PID", "STATE", "IN FLIGHT", "REQUESTS", "MB", "RESTARTS"), rows))
    rows = [(name, one["passed"], one["delayed"], one["rejected"]) for name, one in found["limits"].items()]
    parts.append(table(("LIMIT", "PASSED", "DELAYED", "REJECTED"), rows))
    classes = ("1xx", "2xx", "3xx", "4xx", "5xx")
    rows = [(name, *(one["requests"].get(word, 0) for word in classes)) for name, one in found["sites"].items()]
    parts.append(table(("SITE", *classes), rows))
    rows = [
        (one["site"], one["certificate"], time.strftime("%Y-%m-%d", time.gmtime(one["ends"])) if one["ends"] else "-")
        for one in found["certificates"]
    ]
    parts.append(table(("SITE", "CERTIFICATE", "ENDS"), rows))
    return "\n\n".join(part for part in parts if part)
