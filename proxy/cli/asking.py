"""How commands read a configuration and ask a running frontgate, and the problems they end with.

Rules: what goes wrong is a Trouble, one sentence with its remedy.
"""

from __future__ import annotations

import argparse
import http.client
import socket
import sys
from typing import Final

import shtab

from proxy.build import strategies
from proxy.config import check, reading
from proxy.config.model import Model
from proxy.config.source import ConfigError
from proxy.process.child import drop_privileges

ASK_WITHIN: Final = 10.0  # seconds


class Trouble(Exception):
    """A problem in a sentence."""


def configured(command: argparse.ArgumentParser, required: bool = True) -> None:
    """Have a command take -c."""
    option = command.add_argument("-c", "--config", metavar="FILE", required=required, help="the configuration")
    option.complete = shtab.FILE  # type: ignore[attr-defined]  # for `frontgate completion`


def nginxed(command: argparse.ArgumentParser) -> None:
    """Have a command read nginx's language too."""
    command.add_argument("--nginx", action="store_true", help="it is an nginx.conf; so is what does not end in .toml")
    command.add_argument("--lenient", action="store_true", help="leave out what of nginx is not supported")


def checked(path: str, nginx: bool = False, lenient: bool = False) -> Model:
    """A Model without problems; its warnings are printed. ConfigError with every mistake in the file, or, when there is
    none, with everything that only the system knows.
    """
    model, source, warnings = reading.load(path, nginx, lenient)
    problems = [*check.problems(model, source), *strategies.problems(model, source, drop_privileges)]
    for warning in [*warnings, *check.warnings(model, source)]:
        print(f"{warning} (warning)", file=sys.stderr)
    if problems:
        raise ConfigError(problems)
    return model


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ASK_WITHIN)
        self.path = path

    def connect(self) -> None:
        """Connect to the socket file."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ASK_WITHIN)
        self.sock.connect(self.path)
