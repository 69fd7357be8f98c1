"""What a limit counts by: functions from an exchange to the key of its bucket.

Rules: a key is bytes; the empty key is not limited, as in nginx (a request without the header counts by nothing). An
IPv6 client counts by its network, 64 bits unless configured, because one customer has a whole network to ask from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.exchange import Exchange

Key = Callable[["Exchange"], bytes]
MAPPED: Final = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, IPv4 addresses written as IPv6 (RFC 4291 section 2.5.5.2)


def address(ipv6_prefix: int = 64) -> Key:
    """By client: an IPv4 address whole, an IPv6 address by its first `ipv6_prefix` bits, all unix sockets as one."""
    if not 1 <= ipv6_prefix <= 128:
        raise ValueError(f"an IPv6 prefix has 1 to 128 bits (got {ipv6_prefix})")
    whole, rest = divmod(ipv6_prefix, 8)
    mask = (0xFF00 >> rest) & 0xFF
    padding = bytes(16 - whole - (rest > 0))

    def key(exchange: Exchange) -> bytes:
        packed = exchange.client.packed
        if len(packed) == 4:
            return packed
        if not packed:
            return exchange.client.address
        if packed.startswith(MAPPED):
            return packed[12:]
        if rest:
            return packed[:whole] + bytes((packed[whole] & mask,)) + padding
        return packed[:whole] + padding

    return key


def header(name: str) -> Key:
    """By the value of the first header field of this name."""
    lower = name.lower().encode("latin-1")

    def key(exchange: Exchange) -> bytes:
        return exchange.fields.get(lower) or b""

    return key


def cookie(name: str) -> Key:
    """By the value of this cookie."""
    encoded = name.encode("latin-1")

    def key(exchange: Exchange) -> bytes:
        return exchange.fields.cookie(encoded) or b""

    return key


def constant(name: str) -> Key:
    """By one bucket for all who have this limit: that of a site or a route."""
    encoded = name.encode()

    def key(exchange: Exchange) -> bytes:
        return encoded

    return key


def named(words: str, *, site: str = "", route: str = "", ipv6_prefix: int = 64) -> Key:
    """The key that the configuration calls address, header:NAME, cookie:NAME, site or route.

    `site` and `route` name where the limit stands. ValueError, with what can be written instead, for anything else.
    """
    kind, _, name = words.partition(":")
    if words == "address":
        return address(ipv6_prefix)
    if words == "site":
        return constant(f"site {site}")
    if words == "route":
        return constant(f"route {site} {route}")
    if kind == "header" and name:
        return header(name)
    if kind == "cookie" and name:
        return cookie(name)
    raise ValueError(f'unknown key "{words}": use address, header:NAME, cookie:NAME, site or route')
