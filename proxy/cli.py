"""The command `frontgate`: serve, look at a configuration, signal a running frontgate, ask it how it is.

Rules: exit code 0 when all is well, 1 for a problem, 2 for a command that cannot be understood. Problems are sentences
on standard error.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

import proxy
from proxy import engine
from proxy.acme import certified
from proxy.config import check, reading
from proxy.config.convert import converted
from proxy.config.model import Model, schema
from proxy.config.source import ConfigError
from proxy.process import log, pidfile
from proxy.process.daemon import detach
from proxy.process.master import Master
from proxy.process.nginx import command

SIGNALS: Final = {
    "reload": (signal.SIGHUP, "read the configuration again, dropping no connection"),
    "stop": (signal.SIGTERM, "stop at once"),
    "quit": (signal.SIGQUIT, "stop when all requests are finished"),
    "reopen": (signal.SIGUSR1, "open the log files anew"),
}
DRAINS: Final = {
    "drain": "give a backend no new requests, until undrain or a restart of frontgate",
    "undrain": "give a drained backend requests again",
}
CHECKS: Final = "every mistake in the file at once, then what only the system knows"
ASK_WITHIN: Final = 10.0  # seconds


class Trouble(Exception):
    """A problem in a sentence."""


def parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    top = argparse.ArgumentParser(prog="frontgate", description="The front door of Python web applications.")
    built = "plain Python" if engine.__file__.endswith(".py") else "compiled"
    top.add_argument("--version", action="version", version=f"frontgate {proxy.__version__} ({built})")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, words in (("serve", "serve a configuration"), ("check", f"say what is wrong with one: {CHECKS}")):
        command = commands.add_parser(name, help=words, description=words)
        configured(command)
        nginxed(command)
    words = "write the TOML that means the same as an nginx.conf"
    other = commands.add_parser("convert", help=words, description=words)
    other.add_argument("config", metavar="FILE", help="the nginx.conf")
    commands.add_parser("nginx", help="nginx's own command line, see frontgate nginx -h", add_help=False)
    commands.add_parser("schema", help="print the JSON Schema of a configuration")
    for name, (_, words) in SIGNALS.items():
        command = commands.add_parser(name, help=words, description=words)
        configured(command, required=False)
        command.add_argument("--pid", metavar="FILE", help="the pid file, when it is not to be looked up with -c")
    for name, words in DRAINS.items():
        command = commands.add_parser(name, help=words, description=words)
        configured(command)
        command.add_argument("upstream", help="its name in the configuration")
        command.add_argument("backend", help="its address there")
    words = "list the certificates of sites, or have one renewed"
    asked = commands.add_parser("certificates", help=words, description=words)
    configured(asked)
    asked.add_argument("--json", action="store_true", help="as JSON")
    asked.add_argument("--renew", metavar="SITE", help="order the certificate of a site anew, within seconds")
    asked = commands.add_parser("status", help="show workers, backends and limits")
    configured(asked)
    asked.add_argument("--json", action="store_true", help="as JSON")
    return top


def configured(command: argparse.ArgumentParser, required: bool = True) -> None:
    """Have a command take -c."""
    command.add_argument("-c", "--config", metavar="FILE", required=required, help="the configuration")


def nginxed(command: argparse.ArgumentParser) -> None:
    """Have a command read nginx's language too."""
    command.add_argument("--nginx", action="store_true", help="it is an nginx.conf; so is what does not end in .toml")
    command.add_argument("--lenient", action="store_true", help="leave out what of nginx is not supported")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["nginx"]:  # whose options are nginx's own
        return command.main(given[1:])
    words = parser()
    asked = words.parse_args(given)
    if asked.command in SIGNALS and not asked.config and not asked.pid:
        words.error(f"{asked.command} needs -c FILE or --pid FILE")
    try:
        return run(asked)
    except ConfigError as error:
        for problem in error.errors:
            print(problem, file=sys.stderr)
    except (Trouble, ValueError, PermissionError) as error:
        print(f"frontgate: {error}", file=sys.stderr)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def run(asked: argparse.Namespace) -> int:
    """Do what was asked; raises ConfigError, ValueError or Trouble with what is wrong."""
    if asked.command == "serve":
        return serve(asked.config, partial(checked, nginx=asked.nginx, lenient=asked.lenient))
    if asked.command == "check":
        checked(asked.config, asked.nginx, asked.lenient)
        print(f"{asked.config}: ok")
        return 0
    if asked.command == "convert":
        print(converted(asked.config), end="")
        return 0
    if asked.command == "schema":
        print(json.dumps(schema(), indent=2))
        return 0
    if asked.command == "status":
        return show(reading.load(asked.config)[0], asked.json)
    if asked.command == "certificates":
        return certificates(reading.load(asked.config)[0], asked.renew, asked.json)
    if asked.command in DRAINS:
        where = urlencode({"upstream": asked.upstream, "backend": asked.backend})
        method = "PUT" if asked.command == "drain" else "DELETE"
        print(ask(admin_of(reading.load(asked.config)[0]), method, f"/drain?{where}").decode().rstrip())
        return 0
    return send(asked)


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


def serve(path: str, read: Callable[[str], Model]) -> int:
    """Serve until told to stop."""
    model = read(path)
    try:
        error_log = log.start(model)
    except OSError as error:
        raise Trouble(f"the error log {model.log.error} cannot be opened: {error.strerror}") from None
    try:
        master = Master(path, model, error_log, read)
    except OSError as error:
        raise Trouble(f"cannot start: {error}") from None
    if model.daemon and not master.succeeds:
        master.serves = detach(model.log.error != "-")
    return master.run()


def send(asked: argparse.Namespace) -> int:
    """Signal a running master."""
    path = asked.pid or reading.load(asked.config)[0].pid
    if path is None:
        raise Trouble(f'{asked.config} has no pid: add pid = "/run/frontgate.pid" to it, or give --pid FILE')
    pid = pidfile.read(path)
    try:
        os.kill(pid, SIGNALS[asked.command][0])
    except ProcessLookupError:
        raise Trouble(f"there is no process {pid}: frontgate does not run, and {path} is a leftover") from None
    except PermissionError:
        raise Trouble(f"process {pid} is not yours to signal: use sudo") from None
    return 0


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


def show(model: Model, as_json: bool) -> int:
    """Print the state of a running frontgate."""
    found = state_of(admin_of(model))
    print(json.dumps(found, indent=2) if as_json else for_people(found))
    return 0


def certificates(model: Model, renew: str | None, as_json: bool) -> int:
    """List the certificates on disk, or ask for one to be renewed."""
    if renew is not None:
        certified.ask(model, renew)
        print(f"the certificate of site {renew} is asked for: see the error log, or frontgate certificates")
        return 0
    found = certified.listed(model)
    if as_json:
        print(json.dumps([one._asdict() for one in found], indent=2))
        return 0
    rows = [(one.site, ", ".join(one.names), one.source, certified.held(one, time.time()), one.state) for one in found]
    print(table(("SITE", "NAMES", "CERTIFICATE", "ENDS", "STATE"), rows) or "no site has a certificate")
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


def uptime(seconds: float) -> str:
    """Seconds in the two largest units that matter."""
    whole = int(seconds)
    for size, unit, small, word in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // small} {word}"
    return f"{whole} s"


def table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns under titles, numbers to the right; "" without rows."""
    if not rows:
        return ""
    cells = [list(titles), *([str(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles))]
    right = [isinstance(value, int) for value in rows[0]]
    lines = (
        "  ".join(
            text.rjust(width) if r else text.ljust(width) for text, width, r in zip(row, widths, right, strict=True)
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    sys.exit(main())
