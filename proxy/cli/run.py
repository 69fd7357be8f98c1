"""`frontgate run`: run an application's workers and serve them, in one command.

Rules: what the options say becomes a Model like any other (see `running`), so that what is true of a served file is
true here: SIGHUP takes it over anew, with workers that are started anew.
"""

from __future__ import annotations

import argparse
import shlex
from typing import Any, Final, get_args

from proxy.cli.running import model_of, name_of
from proxy.cli.serve import serve
from proxy.config.app import AT_A_TIME, MOST, Server
from proxy.config.model import Model

CODES: Final = """exit codes:
  0  it was told to stop, and did
  1  something is in the way: a port, a folder, a mistake in a file
  2  the command cannot be understood
  3  the application did not come up

SIGHUP and `frontgate restart` start all workers anew, one after the other, each ready before the one before it goes;
SIGTERM and SIGINT stop at once, SIGQUIT when all requests are finished.
"""
EXAMPLES: Final = """examples:
  frontgate run main:app                                     on http://127.0.0.1:8000
  frontgate run main:app --reload                            for development
  frontgate run main:app --domain api.example.com            on ports 80 and 443, certificate included
  frontgate run main:app --workers 8 --concurrency blocking  handlers that compute: one request per worker at a time
"""


def words(commands: Any) -> None:
    """What the command takes."""
    text = "run an application's workers, and serve them"
    command = commands.add_parser(
        "run",
        help=text,
        description=text,
        epilog=f"{EXAMPLES}\n{CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("app", metavar="MODULE:APP", help="what is imported, such as main:app")
    _application(command.add_argument_group("the application"))
    _lives(command.add_argument_group("its workers' lives"))
    _door(command.add_argument_group("the door"))
    command.set_defaults(do=do)


def _application(group: Any) -> None:
    group.add_argument("--server", choices=get_args(Server), default="uvicorn", help="what runs it (default: uvicorn)")
    group.add_argument(
        "--workers",
        type=_number,
        metavar="N",
        help="worker processes; 2x+1: two per core and one (default: one per core and one; with --reload one)",
    )
    group.add_argument(
        "--concurrency",
        type=_concurrency,
        metavar="N",
        help="requests at a time in one worker, others wait at the door: "
        + ", ".join(f"{word} ({number})" for word, number in AT_A_TIME.items())
        + ", or a number (default: async)",
    )
    group.add_argument("--app-dir", metavar="DIR", help="folder that is imported from (default: this one)")
    group.add_argument("--factory", action="store_true", help="APP is a function that makes the application")
    group.add_argument("--root-path", metavar="PATH", help="path under which the world sees it, such as /api")
    group.add_argument(
        "--env", action="append", default=[], metavar="KEY=VALUE|FILE", help="variables, or a file of them (repeated)"
    )
    group.add_argument("--reload", action="store_true", help="for development: start anew when a file changes")
    group.add_argument("--reload-dir", action="append", default=[], metavar="DIR", help="what is watched (repeated)")
    group.add_argument("--python", metavar="PATH", help="interpreter of its own")
    group.add_argument("--server-arguments", type=shlex.split, metavar="TEXT", help="further ones, for its server")
    group.add_argument("--gunicorn-config", metavar="FILE", help="default: ./gunicorn.conf.py, if there is one")


def _lives(group: Any) -> None:
    group.add_argument("--ready", metavar="PATH", help="path that must answer before a worker gets requests")
    group.add_argument("--ready-within", metavar="TIME", help="time to come up (default: 60s)")
    group.add_argument("--drain", metavar="TIME", help="time for requests to end before a worker goes (default: 30s)")
    group.add_argument("--stop", metavar="TIME", help="time to go (default: 10s)")
    group.add_argument("--max-requests", type=int, metavar="N", help="requests after which a worker is replaced")
    group.add_argument("--max-requests-jitter", type=int, metavar="N", help="up to so many more (default: a tenth)")
    group.add_argument("--max-age", metavar="TIME", help="age at which a worker is replaced")
    group.add_argument("--max-memory", metavar="SIZE", help="memory beyond which it is replaced, such as 500m")


def _door(group: Any) -> None:
    group.add_argument("--domain", action="append", default=[], metavar="NAME", help=(
        "its host name (repeated); for a public one the door speaks https, with a certificate of Let's Encrypt, to"
        " whose terms of service you agree by this"
    ))  # fmt: skip
    group.add_argument("--email", metavar="ADDRESS", help="where that authority may write to")
    group.add_argument("--http", metavar="PORT|ADDRESS", help="default: 127.0.0.1:8000; 80 with https; off: none")
    group.add_argument("--https", metavar="PORT|ADDRESS", help="default: 443, with a public domain or a certificate")
    group.add_argument("--certificate", metavar="FILE", help="a certificate of your own (PEM)")
    group.add_argument("--key", metavar="FILE", help="its key (default: in the same file)")
    group.add_argument("--acme-directory", metavar="URL", help="another authority that speaks ACME")
    group.add_argument("--acme-ca", metavar="FILE", help="by whom that authority's own server is believed (PEM)")
    group.add_argument("--door-workers", type=int, metavar="N", help="processes of the door (default: one per core)")
    group.add_argument("--admin", metavar="ADDRESS", help="the admin door (default: a socket beside the workers')")
    group.add_argument("--access-log", metavar="FILE", help='default: "-", standard output; off: none')
    group.add_argument("--name", metavar="NAME", help="what the app is called (default: its module)")
    group.add_argument("--runtime", metavar="DIR", help="folder of sockets (default: /run/frontgate, or your own)")
    group.add_argument("-c", "--config", metavar="FILE", help="a frontgate.toml with all that is not said here")


def do(asked: argparse.Namespace) -> int:
    """Run it."""
    name = name_of(asked)

    def read(label: str) -> Model:
        return model_of(asked, name)

    return serve(asked.app, read)


def _number(text: str) -> int | str:
    if text == "2x+1":
        return text
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= MOST:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {MOST}, or 2x+1 (got {text!r})")
    return number


def _concurrency(text: str) -> int | str:
    if text in AT_A_TIME:
        return text
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be {', '.join(AT_A_TIME)}, or a number from 1 (got {text!r})")
    return number
