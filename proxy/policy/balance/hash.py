"""The same backend for the same key, exactly as nginx does it (ngx_http_upstream_get_hash_peer).

Rules: the hash is that of Cache::Memcached, ((crc32([REHASH] KEY) >> 16) & 0x7fff) + PREVIOUS, and falls on a primary
in proportion to the weights, those that are down included. A backend that cannot be picked sends it on; after more than
20 misses, with an empty key or with fewer than two primaries, round robin decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from zlib import crc32

from proxy.policy.balance.walk import Walk, told

if TYPE_CHECKING:
    from proxy.clock import Clock
    from proxy.exchange import Exchange
    from proxy.policy.backend import Backend
    from proxy.policy.chance import Chance

Key = Callable[["Exchange"], bytes]


class Hash(Walk):
    """Each key has its backend; a change of the backends moves nearly all keys."""

    __slots__ = ("key",)

    def __init__(self, backends: Sequence[Backend], clock: Clock, rng: Chance | None, key: Key) -> None:
        super().__init__(backends, clock, rng)
        self.key = key

    def pick(self, exchange: Exchange, tried: Sequence[Backend]) -> Backend | None:
        """The backend of the request's key or one in its stead, or None."""
        key = self.key(exchange)
        if not self.weights or not key:
            return self.round_robin.pick(exchange, tried)
        backend = self.at(hashed(key))
        if not tried and backend.eligible(self.clock.now):
            return backend
        return self.along(hashes(key), exchange, tried)

    def why(self, exchange: Exchange, tried: Sequence[Backend], chosen: Backend) -> str:
        """Why it has just chosen so."""
        key = self.key(exchange)
        if not self.weights or not key:
            return f"{'there is no key; ' * (not key)}{self.round_robin.why(exchange, tried, chosen)}"
        return told(shown(key), self.at(hashed(key)), chosen)


def hashed(key: bytes) -> int:
    """The hash of a key."""
    return crc32(key) >> 16 & 0x7FFF


def hashes(key: bytes) -> Iterator[int]:
    """The hash of a key, and those that follow, without end."""
    value, turn = hashed(key), 0
    while True:
        yield value
        turn += 1
        value += hashed(b"%d%b" % (turn, key))


def shown(key: bytes) -> str:
    """A key in a sentence, and not all of a long one: it may be a secret."""
    text = key.decode("utf-8", "backslashreplace")
    return f'"{text[:12]}..."' if len(text) > 12 else f'"{text}"'
