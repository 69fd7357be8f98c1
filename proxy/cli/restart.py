"""`frontgate restart`: start an application's workers anew, one after the other, and say how that went.

Rules: it waits for the end. Exit code 0: all workers are new; 1: nobody can be asked; 4: the new code does not come up,
and the workers of before serve on.
"""

from __future__ import annotations

import argparse
import glob
import os
import sys
from typing import Any, Final

from proxy.apps.control import ask_to_restart, control_socket
from proxy.cli.asking import Trouble, configured
from proxy.cli.running import runtime_folder
from proxy.config import app as apps
from proxy.config import reading

ROLLED_BACK: Final = 4  # exit code
WITHIN: Final = 3600.0  # seconds


def words(commands: Any) -> None:
    """What the command takes."""
    text = "start an app's workers anew, one after the other, losing no request"
    codes = "exit codes: 0, all workers are new; 1, nobody can be asked; 4, the new code does not come up: the workers"
    command = commands.add_parser("restart", help=text, description=text, epilog=f"{codes} of before serve on")
    command.add_argument("name", nargs="*", metavar="NAME", help="what it is called (default: every app that runs)")
    configured(command, required=False)
    command.add_argument("--runtime", metavar="DIR", help="folder of sockets, as for frontgate run")
    command.set_defaults(do=do)


def do(asked: argparse.Namespace) -> int:
    """Have it done."""
    found = places(asked)
    unknown = [name for name in asked.name if name not in found]
    if unknown or not found:
        what = f"no app {unknown[0]} runs here" if unknown else "no app runs here"
        others = f"; there are {', '.join(found)}" if found else ": name its folder with --runtime, or its file with -c"
        raise Trouble(what + others)
    status = 0
    for name in asked.name or found:
        try:
            problem = ask_to_restart(found[name], WITHIN)
        except (OSError, ValueError) as error:
            raise Trouble(f"app {name} cannot be asked ({error}): does it run?") from None
        if problem:
            print(f"app {name}: a worker {problem}; those of before serve on", file=sys.stderr)
            status = ROLLED_BACK
        else:
            print(f"app {name}: all workers are new")
    return status


def places(asked: argparse.Namespace) -> dict[str, str]:
    """The folders of the apps that there are, by name."""
    if asked.config:
        model = reading.load(asked.config)[0]
        found = {name: [apps.folder(model.runtime, name) + side for side in ("", "~")] for name in model.app}
        return {
            name: next((one for one in ways if os.path.exists(control_socket(one))), ways[0])
            for name, ways in found.items()
        }
    runtime = asked.runtime or runtime_folder()
    sockets = sorted(glob.glob(control_socket(f"{glob.escape(runtime)}/*")))
    return {os.path.basename(os.path.dirname(one)).removesuffix("~"): os.path.dirname(one) for one in sockets}
