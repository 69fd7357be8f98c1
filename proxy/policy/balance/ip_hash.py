"""The same backend for the same client network, exactly as nginx does it (ngx_http_upstream_get_ip_hash_peer).

Rules: the hash is over the first three octets of an IPv4 address, all sixteen of IPv6, and a constant for clients
without an address; it falls on a primary in proportion to the weights, those that are down included, so that they keep
their clients for when they come back. A backend that cannot be picked sends the hash on; after more than 20 misses,
or with fewer than two primaries, round robin decides (and so do backups, which nginx does not allow here).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from proxy.policy.balance.round_robin import RoundRobin

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend
    from proxy.policy.chance import Chance

START: Final = 89
MISSES: Final = 20
NOWHERE: Final = bytes(3)


def octets(packed: bytes) -> bytes:
    """The part of a packed address that is hashed."""
    if len(packed) == 4:
        return packed[:3]
    return packed if packed else NOWHERE


def rehash(value: int, address: bytes) -> int:
    """The next hash after `value`, below 6271."""
    for octet in address:
        value = (value * 113 + octet) % 6271
    return value


class IpHash:
    """Each client network has its backend."""

    __slots__ = ("bounds", "clock", "primaries", "round_robin", "weights")

    def __init__(self, backends: Sequence[Backend], clock: Clock, rng: Chance | None = None) -> None:
        self.clock = clock
        self.round_robin = RoundRobin(backends, clock, rng)
        self.primaries = self.round_robin.groups[0]
        self.bounds = list(accumulate(backend.nominal for backend in self.primaries))
        self.weights = self.bounds[-1] if len(self.primaries) > 1 else 0

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """The backend of the client's network or one in its stead, or None."""
        if not self.weights:
            return self.round_robin.pick(exchange, tried)
        address = octets(exchange.client.packed)
        value = rehash(START, address)
        backend = self.primaries[bisect_right(self.bounds, value % self.weights)]
        if not tried and backend.eligible(self.clock.now):
            return backend
        # The walk is repeated from its start at every attempt instead of being kept with the exchange. The step that
        # found a backend was no miss then and is none now.
        found = list(tried)
        misses = 0
        while True:
            if backend in found:
                found.remove(backend)
            elif backend not in tried and backend.eligible(self.clock.now):
                return backend
            else:
                misses += 1
                if misses > MISSES:
                    return self.round_robin.pick(exchange, tried)
            value = rehash(value, address)
            backend = self.primaries[bisect_right(self.bounds, value % self.weights)]

    def why(self, exchange: Exchange, tried: Sequence[Backend], chosen: Backend) -> str:
        """Why it has just chosen so."""
        if not self.weights:
            return self.round_robin.why(exchange, tried, chosen)
        address = octets(exchange.client.packed)
        whose = exchange.client.address.decode("latin-1") + ("'s network" if len(address) == 3 else "")
        first = self.primaries[bisect_right(self.bounds, rehash(START, address) % self.weights)]
        if first is chosen:
            return f"the hash of {whose} falls on it"
        return f"the hash of {whose} falls on {first.address}, which cannot be picked; hashed on it falls here"
