"""The door that soak tests stand in front of, and how many requests they make."""

from __future__ import annotations

import os

from wires import CleanDoor

REQUESTS = int(os.environ.get("FRONTGATE_SOAK_REQUESTS", "5000"))
WHOLE = REQUESTS >= 100_000  # the long form, as CI runs it

CONFIG = """
workers = 2
[timeouts]
client_header = "2s"
client_body = "2s"
client_idle = "20s"
connect = "1s"
send = "2s"
read = "600ms"
shutdown = "3s"
[listen.web]
address = "127.0.0.1:{port}"
[upstream.app]
servers = [{servers}]
max_fails = 0
retry = { floor = 1000 }
[site.s]
default = true
[[site.s.route]]
path = "/"
upstream = "app"
[log]
access = "off"
"""


def descriptors(pid: int) -> int:
    """Open files of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


class Soaked(CleanDoor):
    """A door with numbers that a soak compares."""

    def __enter__(self) -> Soaked:
        super().__enter__()
        return self

    def descriptors(self) -> int:
        """Open files of all workers."""
        return sum(map(descriptors, self.workers()))

    def connections(self) -> int:
        """Connections of clients, at all workers."""
        return sum(worker["connections"] for worker in self.status()["workers"])

    @property
    def restarts(self) -> int:
        """Children that were replaced; as long as the door lives."""
        return self.stderr.count("it is replaced")
