"""Listening sockets that whoever started us has opened already (sd_listen_fds(3), systemd's socket activation).

Rules: they stay the manager's: all workers share what is not made for sharing, its files are never removed, and what a
configuration leaves out of use is kept, for it may come back. A listener gets those with its address; if there are
none, those that are called as it is (FileDescriptorName=), if these have one address.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final, NamedTuple

from proxy.process.doors import UNIX, resolve

FIRST: Final = 3  # SD_LISTEN_FDS_START
VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")

log = logging.getLogger("frontgate")


class Lent(NamedTuple):
    """A socket of the manager's, and what it calls it."""

    name: str
    socket: socket.socket


def lent(environment: MutableMapping[str, str] | None = None, first: int = FIRST) -> list[Lent]:
    """The sockets that are meant for us; told once, so that no child takes them for its own."""
    found = os.environ if environment is None else environment
    pid, count, names, _ = [found.pop(name, "") for name in VARIABLES]
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    called = names.split(":")
    given: list[Lent] = []
    for number in range(int(count)):
        descriptor = first + number
        os.set_inheritable(descriptor, False)
        name = called[number] if number < len(called) else ""
        if _listens(descriptor):
            one = socket.socket(fileno=descriptor)
            one.setblocking(False)
            given.append(Lent(name, one))
        else:
            log.warning("descriptor %d (%s) of the service manager is not a socket that listens", descriptor, name)
    return given


def _listens(descriptor: int) -> bool:
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return False
    one = socket.socket(fileno=os.dup(descriptor))
    with one:
        return one.type == socket.SOCK_STREAM and bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def assigned(given: Sequence[Lent], wanted: Mapping[str, str]) -> dict[str, list[socket.socket]]:
    """Which listeners get which sockets; `wanted` are addresses by name."""
    left = list(given)
    found: dict[str, list[socket.socket]] = {}
    for fits in (_same, _both_families):
        for name, address in wanted.items():
            mine = [one for one in left if name not in found and fits(one.socket, address)]
            if mine:
                found[name] = [one.socket for one in mine]
                left = [one for one in left if one not in mine]
    for name in wanted:
        mine = [one for one in left if name not in found and one.name == name]
        if mine and len({one.socket.getsockname() for one in mine}) == 1:
            found[name] = [one.socket for one in mine]
    return found


def _same(one: socket.socket, address: str) -> bool:
    """Whether a socket has an address."""
    here = one.getsockname()
    if address.startswith(UNIX) or one.family == socket.AF_UNIX:
        return bool(address == f"{UNIX}{here}")
    found = _resolved(address)
    return found is not None and found[0] == one.family and found[1][:2] == here[:2]


def _both_families(one: socket.socket, address: str) -> bool:
    """Whether it accepts on every address of IPv4, as one for IPv6 does that is not bound to it alone."""
    if one.family != socket.AF_INET6 or one.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        return False
    found = None if address.startswith(UNIX) else _resolved(address)
    return found is not None and found[1][:2] == ("0.0.0.0", one.getsockname()[1]) and one.getsockname()[0] == "::"


def _resolved(address: str) -> tuple[socket.AddressFamily, Any] | None:
    try:
        return resolve(address)
    except ValueError:
        return None
