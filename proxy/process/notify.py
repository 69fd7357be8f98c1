"""Tells the service manager how we are (sd_notify(3)): readiness, reloads, the end, and now and then that we live.

Rules: without NOTIFY_SOCKET nobody is told anything, and nothing here ever fails or waits for anybody. Only the master
speaks, since a service has one main process.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping
from time import monotonic
from typing import Final

SOCKET: Final = "NOTIFY_SOCKET"
WATCHDOG: Final = "WATCHDOG_USEC"
WATCHED: Final = "WATCHDOG_PID"


class Notify:
    """Speaks to the manager that `environment` names. `due` is when it wants to hear that we live; infinite: never."""

    def __init__(self, environment: MutableMapping[str, str] | None = None) -> None:
        found = os.environ if environment is None else environment
        address = found.get(SOCKET, "")
        self.address = f"\0{address[1:]}" if address.startswith("@") else address
        self.pause = _watchdog(found) if self.address else 0.0
        self.due = monotonic() + self.pause if self.pause else float("inf")

    def tell(self, *lines: str) -> None:
        """Send these lines as one message."""
        if not self.address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
            wire.setblocking(False)
            wire.sendto("\n".join(lines).encode(), self.address)

    def ready(self, status: str) -> None:
        """We serve; `status` says what. Another process may have been the service's main one before us."""
        self.tell("READY=1", f"STATUS={status}", f"MAINPID={os.getpid()}")

    def reloading(self) -> None:
        """A configuration is being read; `ready` must follow, however it ends."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={int(monotonic() * 1e6)}", "STATUS=reading the configuration again")

    def stopping(self, status: str, heir: int = 0) -> None:
        """We go; the service lives on if another process is our `heir`."""
        if heir:
            self.tell(f"MAINPID={heir}", "STATUS=another program has taken over")
        else:
            self.tell("STOPPING=1", f"STATUS={status}")

    def live(self, now: float) -> None:
        """Say that we live, if it is time for it."""
        if now >= self.due:
            self.due = now + self.pause
            self.tell("WATCHDOG=1")


def _watchdog(environment: MutableMapping[str, str]) -> float:
    """Seconds between two signs of life, half of what the manager waits for one (sd_watchdog_enabled(3)); 0.0: none."""
    mine = environment.get(WATCHED, str(os.getpid())) == str(os.getpid())
    patience = environment.get(WATCHDOG, "")
    return int(patience) / 2e6 if mine and patience.isdigit() else 0.0
