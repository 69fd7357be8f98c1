"""The same backend for the same key, exactly as nginx does it (ngx_http_upstream_get_hash_peer).

Rules: the hash is that of Cache::Memcached, ((crc32([REHASH] KEY) >> 16) & 0x7fff) + PREVIOUS, and falls on a primary
in proportion to the weights, those that are down included. A backend that cannot be picked sends it on; after more than
20 misses, with an empty key or with fewer than two primaries, round robin decides.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final
from zlib import crc32

from proxy.policy.balance.round_robin import RoundRobin

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend
    from proxy.policy.chance import Chance

MISSES: Final = 20

Key = Callable[["Exchange"], bytes]


class Hash:
    """Each key has its backend; a change of the backends moves nearly all keys."""

    __slots__ = ("bounds", "clock", "key", "primaries", "round_robin", "weights")

    def __init__(self, backends: Sequence[Backend], clock: Clock, rng: Chance | None, key: Key) -> None:
        self.clock = clock
        self.key = key
        self.round_robin = RoundRobin(backends, clock, rng)
        self.primaries = self.round_robin.groups[0]
        self.bounds = list(accumulate(backend.nominal for backend in self.primaries))
        self.weights = self.bounds[-1] if len(self.primaries) > 1 else 0

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """The backend of the request's key or one in its stead, or None."""
        key = self.key(exchange)
        if not self.weights or not key:
            return self.round_robin.pick(exchange, tried)
        # The walk is repeated from its start at every attempt instead of being kept with the exchange. The step that
        # found a backend was no miss then and is none now.
        found = list(tried)
        value = turn = misses = 0
        while misses <= MISSES:
            value += crc32(b"%d%b" % (turn, key) if turn else key) >> 16 & 0x7FFF
            turn += 1
            backend = self.primaries[bisect_right(self.bounds, value % self.weights)]
            if backend in found:
                found.remove(backend)
            elif backend not in tried and backend.eligible(self.clock.now):
                return backend
            else:
                misses += 1
        return self.round_robin.pick(exchange, tried)

    def why(self, exchange: Exchange, tried: Sequence[Backend], chosen: Backend) -> str:
        """Why it has just chosen so."""
        key = self.key(exchange)
        if not self.weights or not key:
            return f"{'there is no key; ' * (not key)}{self.round_robin.why(exchange, tried, chosen)}"
        first = self.primaries[bisect_right(self.bounds, (crc32(key) >> 16 & 0x7FFF) % self.weights)]
        if first is chosen:
            return f"the hash of {shown(key)} falls on it"
        return f"the hash of {shown(key)} falls on {first.address}, which cannot be picked; hashed on it falls here"


def shown(key: bytes) -> str:
    """A key in a sentence, and not all of a long one: it may be a secret."""
    text = key.decode("utf-8", "backslashreplace")
    return f'"{text[:12]}..."' if len(text) > 12 else f'"{text}"'
