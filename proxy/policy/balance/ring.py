"""The same backend for the same key on a ring, exactly as nginx does it (`hash ... consistent`: ketama,
ngx_http_upstream_update_chash and ngx_http_upstream_get_chash_peer; Karger et al. 1997).

Rules: each server has 160 points a weight, crc32(HOST \\0 PORT PREVIOUS) in a chain, as Cache::Memcached::Fast; a key
belongs to the first point that is not below its crc32. Backends of one server (the addresses of a name) share its
points and take turns. A server that cannot be picked leaves the key to the next point; after more than 20 misses, with
an empty key or with one backend, round robin decides. So a server that comes or goes moves its own keys alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from zlib import crc32

from proxy.policy.balance.hash import Key, shown
from proxy.policy.balance.least_conn import in_turn
from proxy.policy.balance.round_robin import RoundRobin
from proxy.policy.balance.walk import MISSES

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend
    from proxy.policy.chance import Chance

POINTS: Final = 160  # of a server, for each unit of its weight


def parts(server: str) -> bytes:
    """HOST \\0 PORT of a server as it is written; a port is the digits behind the last colon."""
    if server[:5].lower() == "unix:":
        return server[5:].encode() + b"\0"
    host, colon, port = server.rpartition(":")
    if colon and (port.isdigit() or not port) and port.isascii():
        return host.encode() + b"\0" + port.encode()
    return server.encode() + b"\0"


def points(server: str, weight: int) -> list[int]:
    """The points of a server."""
    base = crc32(parts(server))
    value = 0
    return [value := crc32(value.to_bytes(4, "little"), base) for _ in range(weight * POINTS)]


class Ring:
    """Each key has its place on a ring of servers."""

    __slots__ = ("clock", "key", "places", "round_robin", "servers")

    def __init__(self, backends: Sequence[Backend], clock: Clock, rng: Chance | None, key: Key) -> None:
        self.clock = clock
        self.key = key
        self.round_robin = RoundRobin(backends, clock, rng)
        ring: dict[int, str] = {}
        self.servers: dict[str, list[Backend]] = {}
        for backend in self.round_robin.groups[0]:
            for point in points(backend.server, backend.nominal):
                ring.setdefault(point, backend.server)
            self.servers.setdefault(backend.server, []).append(backend)
        self.places = sorted(ring.items())

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """The backend of the request's key or one in its stead, or None."""
        key = self.key(exchange)
        places = self.places
        if not key or not places or self.round_robin.alone is not None:
            return self.round_robin.pick(exchange, tried)
        now = self.clock.now
        first = bisect_left(places, (crc32(key), ""))
        for step in range(MISSES + 1):
            server = places[(first + step) % len(places)][1]
            able = [one for one in self.servers[server] if one not in tried and one.eligible(now)]
            if able:
                return in_turn(able)
        return self.round_robin.pick(exchange, tried)

    def why(self, exchange: Exchange, tried: Sequence[Backend], chosen: Backend) -> str:
        """Why it has just chosen so."""
        key = self.key(exchange)
        if not key or not self.places or self.round_robin.alone is not None:
            return self.round_robin.why(exchange, tried, chosen)
        first = self.places[bisect_left(self.places, (crc32(key), "")) % len(self.places)][1]
        if first == chosen.server:
            return f"the point behind the hash of {shown(key)} on the ring is its own"
        return f"the point behind the hash of {shown(key)} is {first}'s, which cannot be picked; a later one is its own"
