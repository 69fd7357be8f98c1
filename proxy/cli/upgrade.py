"""`frontgate upgrade`: have the program that is installed now take over from the one that runs, without losing anybody.

Rules: USR2 starts it beside the old one, on the same sockets; the pid file names it when all of its workers serve; then
QUIT has the old one finish its requests. If it does not come that far, the old one serves on as if nothing had been.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from typing import Any, Final

from proxy.cli.asking import Trouble, checked, configured, nginxed
from proxy.process import pidfile
from proxy.process.succession import OLD

WAIT: Final = 60.0  # seconds
LOOK: Final = 0.05


def words(commands: Any) -> None:
    """What the command takes."""
    text = "have the program that is installed now take over from the one that runs, losing no connection"
    command = commands.add_parser("upgrade", help=text, description=f"{text}; exit code 0 when it serves")
    configured(command)
    nginxed(command)
    command.add_argument("--pid", metavar="FILE", help="the pid file (default: as the configuration says)")
    command.add_argument(
        "--wait", metavar="SECONDS", type=float, default=WAIT, help="how long it may take to come up (%(default)g)"
    )
    command.set_defaults(do=do)


def do(asked: argparse.Namespace) -> int:
    """Look at the configuration with this program first, since it is the one that will have to serve it."""
    model = checked(asked.config, asked.nginx, asked.lenient)
    if model.app:
        raise Trouble("its workers of applications cannot be there twice: frontgate restart, or stop it and start anew")
    path = asked.pid or model.pid
    if path is None:
        raise Trouble(f'{asked.config} has no pid: add pid = "/run/frontgate.pid" to it, or give --pid FILE')
    upgrade(path, asked.wait)
    return 0


def upgrade(path: str, patience: float = WAIT) -> None:
    """Replace the program that the pid file names. Trouble when the new one does not come up."""
    old = pidfile.read(path)
    if os.path.exists(path + OLD):
        raise Trouble(f"{path + OLD} is there: an upgrade is under way, or kill -QUIT the process that it names")
    _signal(old, signal.SIGUSR2)
    new = _heir(path, old, time.monotonic() + patience, patience)
    _signal(old, signal.SIGQUIT)
    print(f"process {new} serves; process {old} finishes its requests and goes")


def _heir(path: str, old: int, end: float, patience: float) -> int:
    """The process that serves beside the old one."""
    begun = False
    while time.monotonic() < end:
        aside = os.path.exists(path + OLD)
        try:
            now = pidfile.read(path)
        except ValueError:
            now = 0
        if now and now != old:
            return now
        if begun and not aside and now == old:
            raise Trouble("the new program did not come up: the error log says why. The old one serves on")
        if not _lives(old):
            raise Trouble(f"process {old} has gone meanwhile: the error log says why")
        begun = begun or aside
        time.sleep(LOOK)
    if not begun:
        raise Trouble(f"process {old} has started no other within {patience:g} s: is it frontgate, or stopping?")
    raise Trouble(f"the new program does not serve after {patience:g} s; both are there. See the error log")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        raise Trouble(f"there is no process {pid}: frontgate does not run") from None
    except PermissionError:
        raise Trouble(f"process {pid} is not yours to signal: use sudo") from None
