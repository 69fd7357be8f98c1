"""`frontgate check`, `convert` and `schema`: look at a configuration without serving it."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final

from proxy.cli.asking import checked, configured, nginxed
from proxy.config.convert import converted
from proxy.config.model import schema
from proxy.config.reference import reference

CHECKS: Final = "every mistake in the file at once, then what only the system knows"


def words(commands: Any) -> None:
    """What the commands take."""
    text = f"say what is wrong with one: {CHECKS}"
    command = commands.add_parser("check", help=text, description=text)
    configured(command)
    nginxed(command)
    command.set_defaults(do=check)
    text = "write the TOML that means the same as an nginx.conf"
    command = commands.add_parser("convert", help=text, description=text)
    command.add_argument("config", metavar="FILE", help="the nginx.conf")
    command.set_defaults(do=convert)
    text = "print the JSON Schema of a configuration"
    command = commands.add_parser("schema", help=text, description=text)
    command.add_argument(
        "--markdown", action="store_true", help="as a page for people: each key, type, default, meaning"
    )
    command.set_defaults(do=describe)


def check(asked: argparse.Namespace) -> int:
    """Say that all is well, or raise ConfigError."""
    checked(asked.config, asked.nginx, asked.lenient)
    print(f"{asked.config}: ok")
    return 0


def convert(asked: argparse.Namespace) -> int:
    """Print the TOML."""
    print(converted(asked.config), end="")
    return 0


def describe(asked: argparse.Namespace) -> int:
    """Print the schema."""
    if asked.markdown:
        print(reference(), end="")
        return 0
    print(json.dumps(schema(), indent=2))
    return 0
