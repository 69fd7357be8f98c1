"""How commands read a configuration and ask a running frontgate, and the problems they end with.

Rules: what goes wrong is a Trouble, one sentence with its remedy.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import sys
from typing import Any, Final

import shtab

from proxy.config import check, reading
from proxy.config.model import Model
from proxy.config.source import ConfigError

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
    problems = check.problems(model, source)
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


def admin_of(model: Model) -> str:
    """The address of the admin door."""
    if model.admin.listen is None:
        raise Trouble('there is no admin door to ask: add [admin] with listen = "127.0.0.1:9000"')
    return model.admin.listen


def ask(address: str, method: str, target: str) -> bytes:
    """What the admin door at an address answers. Trouble when it does not, or not well."""
    if address.startswith("unix:"):
        connection: http.client.HTTPConnection = UnixConnection(address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        # Where it accepts on every address, it answers on the loopback one.
        host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))
        connection = http.client.HTTPConnection(host, int(port), timeout=ASK_WITHIN)
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        raw = answer.read()
        if answer.status == 404 and method != "GET":
            raise Trouble(raw.decode(errors="replace").strip())
        if answer.status != 200:
            raise Trouble(f"the admin door at {address} answers {answer.status}: is it frontgate's?")
    except (OSError, http.client.HTTPException) as error:
        raise Trouble(f"nobody answers at the admin door {address} ({error}): does frontgate run?") from None
    finally:
        connection.close()
    return raw


def state_of(address: str) -> dict[str, Any]:
    """The state as the admin door at an address tells it."""
    try:
        found = json.loads(ask(address, "GET", "/status"))
    except ValueError:
        raise Trouble(f"the admin door at {address} does not answer in JSON: is it frontgate's?") from None
    if not isinstance(found, dict):
        raise Trouble(f"the admin door at {address} answers something else: is it frontgate's?")
    return found
