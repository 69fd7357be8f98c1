"""`frontgate drain` and `undrain`: take work from a backend, and give it work again."""

from __future__ import annotations

import argparse
from typing import Any, Final
from urllib.parse import quote

from proxy.cli.line import line_of, words_of_line

DRAINS: Final = {
    "drain": "give a backend no new requests, until undrain or a restart of frontgate",
    "undrain": "give a drained backend requests again",
}


def words(commands: Any) -> None:
    """What the commands take."""
    for name, text in DRAINS.items():
        command = commands.add_parser(name, help=text, description=text)
        words_of_line(command)
        command.add_argument("upstream", help="its name in the configuration")
        command.add_argument("backend", help="its address there")
        command.set_defaults(do=do)


def do(asked: argparse.Namespace) -> int:
    """Ask the admin door for it."""
    backend = f"/api/v1/upstreams/{quote(asked.upstream, safe='')}/backends/{quote(asked.backend, safe='')}"
    print(line_of(asked).change(f"{backend}/{asked.command}", {})["sentence"])
    return 0
