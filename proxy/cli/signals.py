"""`frontgate reload`, `stop`, `quit` and `reopen`: signal a running frontgate, which its pid file tells."""

from __future__ import annotations

import argparse
import os
import signal
from typing import Any, Final

from proxy.cli.asking import Trouble, configured
from proxy.config import reading
from proxy.process import pidfile

SIGNALS: Final = {
    "reload": (signal.SIGHUP, "read the configuration again, dropping no connection"),
    "stop": (signal.SIGTERM, "stop at once"),
    "quit": (signal.SIGQUIT, "stop when all requests are finished"),
    "reopen": (signal.SIGUSR1, "open the log files anew"),
}


def words(commands: Any) -> None:
    """What the commands take."""
    for name, (number, text) in SIGNALS.items():
        command = commands.add_parser(name, help=text, description=text)
        configured(command, required=False)
        command.add_argument("--pid", metavar="FILE", help="the pid file, when it is not to be looked up with -c")
        command.set_defaults(do=send, number=number, usage=command)


def send(asked: argparse.Namespace) -> int:
    """Signal a running master."""
    if not asked.config and not asked.pid:
        asked.usage.error(f"{asked.command} needs -c FILE or --pid FILE")
    path = asked.pid or reading.load(asked.config)[0].pid
    if path is None:
        raise Trouble(f'{asked.config} has no pid: add pid = "/run/frontgate.pid" to it, or give --pid FILE')
    pid = pidfile.read(path)
    try:
        os.kill(pid, asked.number)
    except ProcessLookupError:
        raise Trouble(f"there is no process {pid}: frontgate does not run, and {path} is a leftover") from None
    except PermissionError:
        raise Trouble(f"process {pid} is not yours to signal: use sudo") from None
    return 0
