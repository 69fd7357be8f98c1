"""Hands the listening sockets to a new program: on USR2 the master starts its own command again, as nginx does.

Rules: the new process inherits the sockets by number and learns from its environment whose they are; both accept until
the old one is told to go. The old pid file gets the suffix .oldbin, and its name back when the new process is gone.
Socket files belong to the youngest.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Final

from proxy.config.app import SIDE, other_side
from proxy.process.child import MINE
from proxy.process.doors import Doorway, Left
from proxy.process.notify import WATCHED

VARIABLE: Final = "FRONTGATE_SOCKETS"
OLD: Final = ".oldbin"

log = logging.getLogger("frontgate")


def start(doorways: Sequence[Doorway]) -> int:
    """Start the command again, with these sockets; gives its process id. OSError if that cannot be."""
    numbers = {one.address: [sock.fileno() for sock in one.sockets] for one in doorways}
    lent = [one.address for one in doorways if one.lent]
    environment = {**os.environ, VARIABLE: json.dumps({"sockets": numbers, "lent": lent})}
    environment[SIDE] = other_side()  # the workers of applications have other sockets than ours have
    command = [sys.executable, *sys.orig_argv[1:]]
    pid = os.fork()
    if pid:
        return pid
    try:
        for number in MINE:
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        for group in numbers.values():
            for descriptor in group:
                os.set_inheritable(descriptor, True)
        if WATCHED in environment:  # it is the new process that the service manager will watch
            environment[WATCHED] = str(os.getpid())
        os.execve(command[0], command, environment)
    except BaseException as error:
        log.error("the new program cannot be started: %s", error)
    finally:
        os._exit(1)


def inherited() -> dict[str, Left]:
    """The sockets that a process before this one left, by address. They are told once."""
    text = os.environ.pop(VARIABLE, "")
    told = json.loads(text) if text else {"sockets": {}, "lent": []}
    found: dict[str, Left] = {}
    for address, numbers in told["sockets"].items():
        sockets = [socket.socket(fileno=number) for number in numbers]
        for one in sockets:
            one.set_inheritable(False)
            one.setblocking(False)
        found[address] = Left(sockets, address in told["lent"])
    return found


def step_aside(path: str | None) -> None:
    """Make room for the new process's pid file."""
    if path is not None:
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, path + OLD)


def come_back(path: str | None) -> None:
    """The new process is gone: take the name back."""
    if path is not None:
        with contextlib.suppress(FileNotFoundError):
            os.rename(path + OLD, path)
