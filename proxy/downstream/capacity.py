"""How many client connections a worker takes, and how many of one address the host does.

Rules: descriptors are kept for links, files and the admin door, so that accepting never fails for want of one. When all
places are taken, the connection makes room that has been without a whole request longest, of some that are looked at;
when there is none, the new one is closed at once. Both are said in the error log, at most once a second.
"""

from __future__ import annotations

import logging
import resource
from collections.abc import Iterable
from itertools import islice
from typing import Final, Protocol

from proxy.downstream.h1 import Http1
from proxy.exchange import Client

RESERVE: Final = 64  # descriptors for what is not a connection
SHARE: Final = 0.6  # of the others, for clients; the rest is for links and files
LEAST: Final = 16
LOOKED_AT: Final = 64
IPV6_BYTES: Final = 8  # of an address that count as one client: a /64

log = logging.getLogger("frontgate")


class Counted(Protocol):
    """How much of each key is in use, over all workers of the host (`shared.tally`)."""

    def take(self, key: bytes, most: int, row: int) -> bool:
        """One more, if that is not too many."""

    def give_back(self, key: bytes, row: int) -> None:
        """One fewer."""


class Capacity:
    """The places of one worker, over all its listeners: `most`, of which `taken` are."""

    __slots__ = ("_most", "_row", "_said", "_tally", "per_address", "taken")

    def __init__(self, tally: Counted, row: int) -> None:
        self._tally = tally
        self._row = row
        self._said = 0.0
        self.taken = 0
        self.configure(0, 0)

    def configure(self, most: int, per_address: int) -> None:
        """Take over what a configuration says; 0 connections is as many as the descriptors allow."""
        self._most = most
        self.per_address = per_address

    @property
    def most(self) -> int:
        """How many places there are. Asked for each connection (0.4 us): the limit may be changed from outside."""
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return self._most or max(LEAST, int((descriptors - RESERVE) * SHARE))

    def admits(self, client: Client, connections: Iterable[object], now: float) -> bool:
        """Whether a new connection of this client may stay; then it has a place, and its address counts one more."""
        if self.taken >= self.most and not self._make_room(connections, now):
            return False
        if self.per_address and not self._tally.take(key_of(client), self.per_address, self._row):
            self._say(now, f"{client.address.decode()} has {self.per_address} connections already: one more is closed")
            return False
        self.taken += 1
        return True

    def leave(self, client: Client | None) -> None:
        """A connection is gone that had a place; None if its address was not counted."""
        self.taken -= 1
        if client is not None:
            self._tally.give_back(key_of(client), self._row)

    def _make_room(self, connections: Iterable[object], now: float) -> bool:
        looked_at = islice(connections, LOOKED_AT)
        idle = [one for one in looked_at if isinstance(one, Http1) and one.exchange is None and one.transport]
        oldest = min(idle, key=lambda one: one.due, default=None)
        words = "an idle one is closed for a new one" if oldest is not None else "a new one is closed"
        self._say(now, f"all {self.most} places for client connections are taken: {words}")
        if oldest is not None:
            oldest.expired(now)
        return oldest is not None

    def _say(self, now: float, words: str) -> None:
        if now - self._said >= 1.0:
            self._said = now
            log.warning("%s", words)


def key_of(client: Client) -> bytes:
    """What a client's connections are counted under: its address, or its /64."""
    packed = client.packed
    return b"from " + (packed[:IPV6_BYTES] if len(packed) == 16 else packed)
