"""The command `frontgate`: serve, look at a configuration, signal a running frontgate, ask it how it is.

Rules: each command is a module with `words`, which adds its parser and says with `set_defaults(do=...)` what does it.
Exit code 0 when all is well, 1 for a problem, 2 for a command that cannot be understood, 130 when it was stopped by
Ctrl-C. Problems are sentences on standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import proxy
from proxy import engine
from proxy.cli import (
    certificates,
    completion,
    drain,
    explain,
    lab,
    look,
    restart,
    run,
    serve,
    signals,
    status,
    top,
    upgrade,
)
from proxy.cli.asking import Trouble
from proxy.config.source import ConfigError
from proxy.process.nginx import command

# In the order that --help shows.
COMMANDS: Final = (
    run.words,
    serve.words,
    restart.words,
    look.words,
    signals.words,
    upgrade.words,
    drain.words,
    certificates.words,
    status.words,
    top.words,
    explain.words,
    lab.words,
    completion.words,
)

EXAMPLES: Final = """\
first steps:
  frontgate check -c frontgate.toml     every mistake in it, with its line and what to write instead
  frontgate serve -c frontgate.toml     serve it
  frontgate reload -c frontgate.toml    read it again, dropping no connection
  frontgate status -c frontgate.toml    backends, limits, workers

coming from nginx:
  frontgate serve -c nginx.conf         the same file; what is not supported is said, with its line
  frontgate convert nginx.conf          the same in frontgate's own language

`frontgate COMMAND --help` tells the options of a command; `frontgate schema --markdown` every key of a configuration.
"""


def parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    top = argparse.ArgumentParser(
        prog="frontgate",
        description="The front door of Python web applications.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    built = "plain Python" if engine.__file__.endswith(".py") else "compiled"
    top.add_argument("--version", action="version", version=f"frontgate {proxy.__version__} ({built})")
    top.set_defaults(whole=top)  # for who describes it
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for words in COMMANDS:
        words(commands)
    commands.add_parser("nginx", help="nginx's own command line, see frontgate nginx -h", add_help=False)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["nginx"]:  # whose options are nginx's own
        return command.main(given[1:])
    asked = parser().parse_args(given)
    asked.given = given
    try:
        do: Callable[[Any], int] = asked.do
        return do(asked)
    except ConfigError as error:
        for problem in error.errors:
            print(problem, file=sys.stderr)
    except (Trouble, ValueError, PermissionError) as error:
        print(f"frontgate: {error}", file=sys.stderr)
    except KeyboardInterrupt:  # where nobody knows better what it ends
        print("frontgate: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
