"""`frontgate drain` and `undrain`: take work from a backend, and give it work again."""

from __future__ import annotations

import argparse
from typing import Any, Final
from urllib.parse import urlencode

from proxy.cli.asking import admin_of, ask, configured
from proxy.config import reading

DRAINS: Final = {
    "drain": ("PUT", "give a backend no new requests, until undrain or a restart of frontgate"),
    "undrain": ("DELETE", "give a drained backend requests again"),
}


def words(commands: Any) -> None:
    """What the commands take."""
    for name, (method, text) in DRAINS.items():
        command = commands.add_parser(name, help=text, description=text)
        configured(command)
        command.add_argument("upstream", help="its name in the configuration")
        command.add_argument("backend", help="its address there")
        command.set_defaults(do=do, method=method)


def do(asked: argparse.Namespace) -> int:
    """Ask the admin door for it."""
    where = urlencode({"upstream": asked.upstream, "backend": asked.backend})
    print(ask(admin_of(reading.load(asked.config)[0]), asked.method, f"/drain?{where}").decode().rstrip())
    return 0
