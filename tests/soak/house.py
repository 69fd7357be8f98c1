"""The door that soak tests stand in front of, and how many requests they make."""

from __future__ import annotations

import os
from collections.abc import Iterable

from wires import CleanDoor

REQUESTS = int(os.environ.get("FRONTGATE_SOAK_REQUESTS", "5000"))
WHOLE = REQUESTS >= 100_000  # the long form, as CI runs it

HASTE = """
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
"""

CONFIG = (
    HASTE
    + """
[upstream.app]
servers = [{servers}]
max_fails = 0
retry = { attempts = 0, floor = 1000 }
[site.s]
default = true
[[site.s.route]]
path = "/"
upstream = "app"
[log]
access = "off"
"""
)

# Everything that watches over backends, all at once; each line can be taken away by itself.
FULL = (
    HASTE
    + """
[upstream.app]
servers = [{places}]
balance = "least_conn"
queue = { size = 60, timeout = "2s" }
breaker = { failures = 5, ratio = 0.6, least = 20, window = "2s", recovery = "100ms", longest = "100ms" }
health = { path = "/ok/check/0/10/0", interval = "150ms", timeout = "500ms", rise = 1, fall = 2 }
slow_start = "500ms"
panic = 50
fallback = { status = 503, body = "later" }
retry = { on = ["connect", "closed", "timeout", 503], deadline = "3s", base = "2ms", cap = "20ms", floor = 1000 }
[site.s]
default = true
[[site.s.route]]
path = "/"
upstream = "app"
trailers = true
[log]
access = "off"
"""
)
PARTS = ("balance", "queue", "breaker", "health", "slow_start", "panic", "fallback", "retry", "trailers")


def without(*words: str) -> str:
    """FULL without some of its lines."""
    return "\n".join(line for line in FULL.split("\n") if line.partition(" =")[0] not in words)


def places(ports: Iterable[int], most: int) -> str:
    """Servers that take so many requests at a time."""
    return ", ".join(f'{{ address = "127.0.0.1:{port}", max_conns = {most} }}' for port in ports)


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
