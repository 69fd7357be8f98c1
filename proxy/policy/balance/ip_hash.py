"""The same backend for the same client network, exactly as nginx does it (ngx_http_upstream_get_ip_hash_peer).

Rules: the hash is over the first three octets of an IPv4 address, all sixteen of IPv6, and a constant for clients
without an address; it falls on a primary in proportion to the weights, those that are down included, so that they keep
their clients for when they come back. A backend that cannot be picked sends the hash on; after more than 20 misses,
or with fewer than two primaries, round robin decides (and so do backups, which nginx does not allow here).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from proxy.policy.balance.walk import Walk, told

if TYPE_CHECKING:
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend

START: Final = 89
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


def rehashes(address: bytes) -> Iterator[int]:
    """The hash of an address, and those that follow, without end."""
    value = START
    while True:
        value = rehash(value, address)
        yield value


class IpHash(Walk):
    """Each client network has its backend."""

    __slots__ = ()

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """The backend of the client's network or one in its stead, or None."""
        if not self.weights:
            return self.round_robin.pick(exchange, tried)
        address = octets(exchange.client.packed)
        backend = self.at(rehash(START, address))
        if not tried and backend.eligible(self.clock.now):
            return backend
        return self.along(rehashes(address), exchange, tried)

    def why(self, exchange: Exchange, tried: Sequence[Backend], chosen: Backend) -> str:
        """Why it has just chosen so."""
        if not self.weights:
            return self.round_robin.why(exchange, tried, chosen)
        address = octets(exchange.client.packed)
        whose = exchange.client.address.decode("latin-1") + ("'s network" if len(address) == 3 else "")
        return told(whose, self.at(rehash(START, address)), chosen)
