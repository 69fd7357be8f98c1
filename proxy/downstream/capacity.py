"""How many client connections a worker takes, and how many of one address the host does.

Rules: descriptors are kept for links, files and the admin door, so that accepting never fails for want of one. When all
places are taken, one that nothing happens on gives way, of some that are looked at, others each time: rather one that
is between two requests than one whose first is still awaited, and the longest idle first; but none that has come just
now, or new ones would push each other out before they can ask. When there is none, the new connection is closed at
once. Both are said in the error log, at most once a second.
"""

from __future__ import annotations

import logging
import resource
from itertools import islice
from typing import Final, Protocol

from proxy.clock import NEVER
from proxy.parties import Client

RESERVE: Final = 64  # descriptors for what is not a connection
SHARE: Final = 0.6  # of the others, for clients; the rest is for links and files
LEAST: Final = 16
LOOKED_AT: Final = 64
SPARED: Final = 1.0  # seconds
IPV6_BYTES: Final = 8  # of an address that count as one client: a /64

log = logging.getLogger("frontgate")


class Guest(Protocol):
    """A connection that has a place, from when it was accepted until its descriptor is closed."""

    @property
    def served(self) -> bool:
        """Whether it is between two requests, or behind the last."""

    @property
    def idle_since(self) -> float:
        """Since when nothing happens on it; NEVER if something does, or if it is going already."""

    def give_way(self) -> None:
        """Close at once, and let somebody else have the place."""


class Counted(Protocol):
    """How much of each key is in use, over all workers of the host (`shared.tally`)."""

    def take(self, key: bytes, most: int, row: int) -> bool:
        """One more, if that is not too many."""

    def give_back(self, key: bytes, row: int) -> None:
        """One fewer."""


class Capacity:
    """The places of one worker, over all its listeners: `most`, of which `taken` are."""

    __slots__ = ("_most", "_places", "_row", "_said", "_tally", "per_address")

    def __init__(self, tally: Counted, row: int) -> None:
        self._tally = tally
        self._row = row
        self._said = 0.0
        self._places: dict[Guest, Client | None] = {}  # and as whom they are counted; those looked at last come last
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

    @property
    def taken(self) -> int:
        """How many connections have one."""
        return len(self._places)

    def admits(self, guest: Guest, client: Client, now: float) -> bool:
        """Whether a new connection of this client may stay; then it has a place, and its address counts one more."""
        counted = self.per_address > 0
        if counted and not self._tally.take(key_of(client), self.per_address, self._row):
            self._say(now, f"{client.address.decode()} has {self.per_address} connections already: one more is closed")
            return False
        if len(self._places) >= self.most and not self._make_room(now):
            if counted:
                self._tally.give_back(key_of(client), self._row)
            return False
        self._places[guest] = client if counted else None
        return True

    def succeed(self, guest: Guest, heir: Guest) -> None:
        """What looks after a connection has changed: the place is the other's, if there was one."""
        if guest in self._places:
            self._places[heir] = self._places.pop(guest)

    def leave(self, guest: Guest) -> None:
        """A connection is gone."""
        client = self._places.pop(guest, None)
        if client is not None:
            self._tally.give_back(key_of(client), self._row)

    def _make_room(self, now: float) -> bool:
        looked_at = list(islice(self._places, LOOKED_AT))
        for guest in looked_at:
            self._places[guest] = self._places.pop(guest)
        oldest = min((guest for guest in looked_at if spare(guest, now)), key=rank, default=None)
        words = "an idle one is closed for a new one" if oldest is not None else "a new one is closed"
        self._say(now, f"all {self.most} places for client connections are taken: {words}")
        if oldest is not None:
            oldest.give_way()
        return oldest is not None

    def _say(self, now: float, words: str) -> None:
        if now - self._said >= 1.0:
            self._said = now
            log.warning("%s", words)


def spare(guest: Guest, now: float) -> bool:
    """Whether a connection can be closed for another."""
    since = guest.idle_since
    return since != NEVER and (guest.served or since <= now - SPARED)


def rank(guest: Guest) -> tuple[bool, float]:
    """Which one goes first."""
    return not guest.served, guest.idle_since


def key_of(client: Client) -> bytes:
    """What a client's connections are counted under: its address, or its /64."""
    packed = client.packed
    return b"from " + (packed[:IPV6_BYTES] if len(packed) == 16 else packed)
