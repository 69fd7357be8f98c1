"""Sends lines to a syslog server, in the form of RFC 3164 as nginx writes it, over UDP or a unix datagram socket.

Rules: a line is a datagram; nobody waits for it, and what cannot be sent is dropped. After an error the next line tries
a new socket, so a server that comes back is found again.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any, Final

FACILITIES: Final = {
    name: number
    for number, name in enumerate(
        (
            *("kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock", "authpriv", "ftp"),
            *("ntp", "audit", "alert", "cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6"),
            "local7",
        )
    )
}
SEVERITIES: Final = {
    name: number for number, name in enumerate(("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"))
}
UNIX: Final = "unix:"


class Syslog:
    """One server. `severity` is what a line has that says none itself."""

    __slots__ = ("_facility", "_host", "_server", "_socket", "_tag", "severity")

    def __init__(
        self,
        server: str,
        facility: str = "local7",
        severity: str = "info",
        tag: str = "frontgate",
        nameless: bool = False,
    ) -> None:
        self._server = server
        self._facility = FACILITIES[facility] * 8
        self._tag = tag
        self._host = "" if nameless else socket.gethostname() + " "
        self.severity = SEVERITIES[severity]
        self._socket: socket.socket | None = None

    def send(self, line: bytes, severity: int | None = None) -> None:
        """Send a line without its line end."""
        now = time.localtime()
        when = time.strftime("%b ", now) + f"{now.tm_mday:2d}" + time.strftime(" %H:%M:%S", now)
        priority = self._facility + (self.severity if severity is None else severity)
        message = f"<{priority}>{when} {self._host}{self._tag}: ".encode() + line
        for _ in range(2):  # the error of a line before is told at the next one
            try:
                if self._socket is None:
                    self._socket = self._connected()
                self._socket.send(message)
                return
            except BlockingIOError:
                return
            except OSError:
                self.close()

    def _connected(self) -> socket.socket:
        family, where = self._where()
        one = socket.socket(family, socket.SOCK_DGRAM)
        one.setblocking(False)
        try:
            one.connect(where)
        except OSError:
            one.close()
            raise
        return one

    def _where(self) -> tuple[socket.AddressFamily, Any]:
        if self._server.startswith(UNIX):
            return socket.AF_UNIX, self._server.removeprefix(UNIX)
        host, _, port = self._server.rpartition(":")
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)
        return found[0][0], found[0][4]

    def close(self) -> None:
        """Give the socket back; the next line opens another."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None
