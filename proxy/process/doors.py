"""Sockets that listen: opened once by the master, one per listener and worker slot, and inherited by the workers.

Rules: with a socket of its own (SO_REUSEPORT) each worker has its own queue, which survives the worker and is served
by its replacement. One that nobody serves yet, or soon no more, is given no new connections. A unix socket cannot be
bound twice, so all slots share one; and what another program has opened for us (`Left`) may not be made for sharing
either. An address that anybody listens on already is refused, also when the kernel would let us share it. A name of a
host means the first address it has. Every refusal is a ValueError with a sentence that names the address.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import stat
import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from proxy.config.model import Listen
from proxy.process.denied import Denied, failed

UNIX = "unix:"
ANYBODY: Final = 0o666  # may connect to a unix socket
OURS: Final = 0o660  # whoever runs frontgate may, and its group
ATTACH: Final = 51  # SO_ATTACH_REUSEPORT_CBPF, asm-generic/socket.h
DETACH: Final = 68  # SO_DETACH_REUSEPORT_BPF
INSTRUCTION: Final = struct.Struct("HBBI")  # of linux/filter.h
RANDOM: Final = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM: a number by chance, as the first instruction loads it
RETURN: Final = (0x16, 0, 0, 0)  # give back what is left of the division that the second makes


def split(address: str) -> tuple[str, int]:
    """Host and port of "host:port" or "[v6]:port"."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def port_of(address: str) -> int | None:
    """The port of an address; None where there is none."""
    return None if address.startswith(UNIX) else split(address)[1]


def resolve(address: str) -> tuple[socket.AddressFamily, Any]:
    """Family and socket address of "host:port". ValueError for a host that is not known."""
    host, port = split(address)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ValueError(f"cannot listen on {address}: {error.strerror}; write an IP address") from None
    return found[0][0], found[0][4]


def refusal(address: str, error: OSError) -> Denied:
    """Why the system does not let us listen, as a sentence with a remedy."""
    return Denied(f"cannot listen on {address}: {_remedy(error)}", failed(f"bind() to {address}", error))


def _remedy(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program listens there; stop it or change the address"
    if error.errno == errno.EACCES:
        return "not allowed; use a port from 1024, or start as root"
    if error.errno == errno.EADDRNOTAVAIL:
        return "no network interface of this machine has the address"
    return str(error.strerror or error)


def open_tcp(
    address: str, slots: int, backlog: int, beside: socket.socket | None = None, shared: bool = False
) -> list[socket.socket]:
    """One listening socket per slot, all on the same address; port 0 is chosen once.

    `beside` is a socket of ours that listens on the address already: then sharing it is what we want. So it is when
    the port is `shared` with an address of ours that this one includes, or the other way round.
    """
    family, where = resolve(address) if beside is None else (beside.family, beside.getsockname())
    opened: list[socket.socket] = []
    try:
        if beside is None and not shared:
            where = probe(family, where)
        for _ in range(slots):
            opened.append(bound(family, where, share=True))
            where = opened[0].getsockname()
        for one in opened:
            one.listen(backlog)
    except OSError as error:
        for one in opened:
            one.close()
        raise refusal(address, error) from None
    return opened


def probe(family: int, where: Any) -> Any:
    """Make sure that nobody else has the address: SO_REUSEPORT would let us share it with others of our user."""
    with bound(family, where, share=False) as alone:
        return alone.getsockname()


def bound(family: int, where: Any, share: bool) -> socket.socket:
    """A bound socket, to be shared or not."""
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # 0.0.0.0 is a listener of its own
        one.bind(where)
    except OSError:
        one.close()
        raise
    one.setblocking(False)
    return one


def open_unix(address: str, backlog: int, mode: int = ANYBODY) -> socket.socket:
    """A listening unix socket whose file has this mode; a file that a dead process left is replaced."""
    path = address.removeprefix(UNIX)
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        remove_stale(path, address)
        one.bind(path)
        os.chmod(path, mode)
        one.listen(backlog)
    except OSError as error:
        one.close()
        raise refusal(address, error) from None
    except ValueError:
        one.close()
        raise
    one.setblocking(False)
    return one


def shareable(one: socket.socket) -> bool:
    """Whether another socket can be bound to its address: who may open that one decides the kernel."""
    return one.family != socket.AF_UNIX and bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))


def steer(one: socket.socket, count: int) -> None:
    """Have the kernel give new connections to the first `count` sockets of an address alone, by chance (socket(7),
    SO_ATTACH_REUSEPORT_CBPF); 0: to all. Where it cannot, or counts in another order, nothing is worse than before."""
    with contextlib.suppress(OSError):
        if not count:
            one.setsockopt(socket.SOL_SOCKET, DETACH, 0)
            return
        program = b"".join([INSTRUCTION.pack(*words) for words in ((0x20, 0, 0, RANDOM), (0x94, 0, 0, count), RETURN)])
        kept = ctypes.create_string_buffer(program, len(program))
        length = len(program) // INSTRUCTION.size
        one.setsockopt(socket.SOL_SOCKET, ATTACH, struct.pack("HL", length, ctypes.addressof(kept)))


def remove_stale(path: str, address: str) -> None:
    """Remove a socket file that nobody listens on. ValueError if somebody does, or if it is no socket."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ValueError(
                f"cannot listen on {address}: there is a file that is no socket; remove it, or name another"
            )
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as attempt:
        try:
            attempt.settimeout(1.0)
            attempt.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        except OSError:
            pass  # a full queue, say: somebody is there
    raise refusal(address, OSError(errno.EADDRINUSE, "in use"))


class Left(NamedTuple):
    """Sockets of one address that another process has opened: one before us, or whoever `lends` them to us and keeps
    their file."""

    sockets: Sequence[socket.socket] = ()
    lends: bool = False


NOTHING: Final = Left()


class Doorway:
    """The sockets of one listener: by slot, or if they are `common` for whoever comes, as a unix socket is."""

    __slots__ = ("_beside", "_file", "address", "backlog", "common", "heralded", "lent", "sockets", "tls")

    def __init__(
        self,
        address: str,
        tls: bool,
        backlog: int,
        slots: int,
        beside: Doorway | None = None,
        shared: bool = False,
        left: Left = NOTHING,
        mode: int = ANYBODY,
    ) -> None:
        """Open them, or take those that another process `left`; `beside`, a doorway of ours on the same address, stays
        open until this one serves, `shared` says that one of ours has the port, and `mode` is that of a unix socket's
        file. ValueError with a sentence when the address cannot be had.
        """
        self._beside = beside
        self.heralded = False  # connections begin with a PROXY header
        self.address = address
        self.tls = tls
        self.backlog = backlog
        self._file: tuple[str, int] | None = None
        self.sockets: list[socket.socket]
        self.common = self.unix
        self.lent = left.lends
        if left.sockets:
            self.sockets = list(left.sockets)
            self.common = self.unix or not all(map(shareable, left.sockets))
            try:
                self.stretch(slots)
            except ValueError:  # who has opened these may be another user, and then nobody else shares with them
                if not left.lends:
                    raise
                self.common = True
        elif beside is not None and beside.common:
            self.common, self.lent = True, beside.lent
            self.sockets = [one.dup() for one in beside.sockets]
        elif not self.unix:
            existing = beside.sockets[0] if beside is not None else None
            self.sockets = open_tcp(address, slots, backlog, existing, shared)
        else:
            self.sockets = [open_unix(address, backlog, mode)]
        if beside is None:
            self.claim()

    def serves(self, listen: Listen) -> bool:
        """Whether it is what a table asks for."""
        wanted = (listen.address, listen.tls, listen.proxy_protocol)
        return (self.address, self.tls, self.heralded) == wanted

    @property
    def unix(self) -> bool:
        """Whether it is a unix socket."""
        return self.address.startswith(UNIX)

    @property
    def port(self) -> int | None:
        """The port in its address; None for a unix socket."""
        return port_of(self.address)

    def succeed(self) -> None:
        """Take over the socket file from the doorway that this one replaces."""
        if self._beside is not None:
            self._file, self._beside._file = self._beside._file, None
            self._beside = None

    def of(self, slot: int) -> socket.socket:
        """The socket of a worker slot."""
        return self.sockets[slot % len(self.sockets) if self.common else slot]

    def stretch(self, slots: int) -> None:
        """Open sockets until there is one for each slot; they get connections from `settle` on. ValueError when that
        cannot be."""
        if not self.common and slots > len(self.sockets):
            steer(self.sockets[0], len(self.sockets))
            self.sockets += open_tcp(self.address, slots - len(self.sockets), self.backlog, self.sockets[0])

    def settle(self, slots: int) -> None:
        """So many slots are served from now on. The sockets of others get no more connections and are closed here; who
        has served them accepts for a moment longer what waits in their queues."""
        if not self.common:
            steer(self.sockets[0], slots if slots < len(self.sockets) else 0)
            for one in self.sockets[slots:]:
                one.close()
            del self.sockets[slots:]

    def disown(self) -> None:
        """Leave the socket file to another process."""
        self._file = None

    def claim(self) -> None:
        """The socket file is ours again, or for the first time."""
        if self.unix and not self.lent:
            path = self.address.removeprefix(UNIX)
            with contextlib.suppress(OSError):
                self._file = (path, os.stat(path).st_ino)

    def close(self) -> None:
        """Close our copies, and remove the socket file if it is still ours. The workers' copies are their own."""
        for one in self.sockets:
            one.close()
        if self._file is not None:
            path, number = self._file
            self._file = None
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_ino == number:
                    os.unlink(path)

    def forget(self, but: int) -> None:
        """In a child: close the sockets of the other slots (of all: -1), and leave the file alone."""
        self._file = None
        for slot, one in enumerate(self.sockets):
            if but < 0 or (slot != but and not self.common):
                one.close()
