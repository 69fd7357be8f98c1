"""Who asked a proxy before us: the walk through a list of addresses from its right end, as nginx walks it.

Rules: those of `ngx_http_get_forwarded_addr`. Each word is believed if who said it is trusted; the walk goes on only
when it is recursive, and ends at the first word that is no address.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.policy.intervals import Interval, Intervals, address

_WORDS: Final = re.compile(rb"[ ,\t]+")


class Trusted:
    """Peers that may say who their client is: networks, and whether those on unix sockets belong to them."""

    __slots__ = ("_networks", "_unix")

    def __init__(self, networks: tuple[Interval, ...], unix: bool = False) -> None:
        self._networks = Intervals([(one, True) for one in networks])
        self._unix = unix

    def holds(self, packed: bytes) -> bool:
        """Whether the peer with this address belongs to them; b"" is a unix socket's."""
        return self._networks.get(packed) is True if packed else self._unix


def behind(peer: bytes, chain: bytes, trusted: Trusted, recursive: bool) -> tuple[bytes, int] | None:
    """Address and port of the client that a peer speaks for; None if the peer says nothing that is believed."""
    found: tuple[bytes, int] | None = None
    for word in reversed(_WORDS.split(chain.strip(b" ,\t"))):
        if not trusted.holds(peer):
            break
        packed, port = address(word)
        if not packed:
            break
        found, peer = (packed, port), packed
        if not recursive:
            break
    return found
