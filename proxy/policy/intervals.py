"""Addresses by network: what a list of networks and ranges says of one address, as fast with thousands as with ten.

Rules: an address is its 4 or 16 bytes; IPv4 written as IPv6 is IPv4. The list is laid out at load as intervals that do
not overlap, so that finding is one binary search in the address's family.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from heapq import heappop, heappush
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, Generic, NamedTuple, TypeVar

Value = TypeVar("Value")

MAPPED: Final = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, IPv4 addresses written as IPv6 (RFC 4291 section 2.5.5.2)
NONE: Final = b"\xff\xff\xff\xff"  # what nginx looks up for what is no address (INADDR_NONE)
MEMO: Final = 4096
LONGEST: Final = 54  # bytes of an address as text, with brackets and a port

_known: dict[bytes, tuple[bytes, int]] = {}


class Interval(NamedTuple):
    """First and last address, both of one family, as bytes."""

    first: bytes
    last: bytes

    @property
    def size(self) -> int:
        """How many addresses, less one."""
        return int.from_bytes(self.last, "big") - int.from_bytes(self.first, "big")


def interval(text: str) -> Interval:
    """The addresses of "10.0.0.0/8", "10.0.0.1", "2001:db8::/32" or "10.0.0.1-10.0.0.9"; ValueError for anything else.

    Bits behind a prefix count as 0, as in nginx.
    """
    start, dash, end = text.partition("-")
    if dash:
        first, last = _packed(ip_address(start.strip())), _packed(ip_address(end.strip()))
        if len(first) != len(last) or first > last:
            raise ValueError(text)
        return Interval(first, last)
    network = ip_network(text, strict=False)
    return Interval(network.network_address.packed, network.broadcast_address.packed)


def address(text: bytes) -> tuple[bytes, int]:
    """An address and its port (0: none said) as fields write them: "1.2.3.4", "1.2.3.4:80", "::1", "[::1]:80".

    The address is b"" for anything else. What was read is remembered, for those who ask ask again.
    """
    found = _known.get(text)
    if found is None:
        found = (b"", 0) if len(text) > LONGEST else _read(text)
        if len(_known) >= MEMO:
            _known.clear()
        if len(text) <= LONGEST:
            _known[bytes(text)] = found
    return found


def bare_address(text: bytes) -> bytes:
    """An address without brackets and port; b"" for anything else."""
    packed, port = address(text)
    return b"" if port or text.startswith(b"[") else packed


def written(packed: bytes) -> bytes:
    """An address as text."""
    return str(ip_address(packed)).encode()


class Intervals(Generic[Value]):
    """What is said of addresses; of entries that overlap, the later one holds for what both have."""

    __slots__ = ("_starts", "_values")

    def __init__(self, entries: Iterable[tuple[Interval, Value]] = ()) -> None:
        families: dict[int, list[tuple[Interval, Value]]] = {4: [], 16: []}
        for place, value in entries:
            families[len(place.first)].append((place, value))
        laid = {size: _laid_out(found) for size, found in families.items()}
        self._starts = {size: starts for size, (starts, _) in laid.items()}
        self._values = {size: values for size, (_, values) in laid.items()}

    def get(self, packed: bytes) -> Value | None:
        """What is said of an address; None when nothing is, or when it is no address."""
        if len(packed) == 16 and packed.startswith(MAPPED):
            packed = packed[12:]
        starts = self._starts.get(len(packed))
        if not starts:
            return None
        return self._values[len(packed)][bisect_right(starts, int.from_bytes(packed, "big")) - 1]


def nearest(entries: Iterable[tuple[Interval, Value]]) -> Intervals[Value]:
    """Intervals where the smallest one that holds an address says what it is: the longest prefix wins."""
    return Intervals(sorted(entries, key=lambda entry: entry[0].size, reverse=True))


def _laid_out(entries: list[tuple[Interval, Value]]) -> tuple[list[int], list[Value | None]]:
    """Where each piece begins, and its value: one walk over all bounds, with what is open on a heap."""
    bounds: dict[int, list[int]] = {0: []}
    ends: list[int] = []
    for index, (place, _) in enumerate(entries):
        first, last = int.from_bytes(place.first, "big"), int.from_bytes(place.last, "big") + 1
        bounds.setdefault(first, []).append(index)
        bounds.setdefault(last, [])
        ends.append(last)
    starts: list[int] = []
    values: list[Value | None] = []
    open_: list[int] = []  # indexes, negated: the latest first
    for at in sorted(bounds):
        for index in bounds[at]:
            heappush(open_, -index)
        while open_ and ends[-open_[0]] <= at:
            heappop(open_)
        starts.append(at)
        values.append(entries[-open_[0]][1] if open_ else None)
    return starts, values


def _packed(found: IPv4Address | IPv6Address) -> bytes:
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped.packed
    return found.packed


def _read(text: bytes) -> tuple[bytes, int]:
    host, port = text, b""
    if text.startswith(b"["):
        host, bracket, rest = text[1:].partition(b"]")
        if not bracket or (rest and not rest.startswith(b":")):
            return b"", 0
        port = rest[1:] or (b"-" if rest else b"")
    elif text.count(b":") == 1:
        host, _, port = text.partition(b":")
        port = port or b"-"
    if port and not (port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        return b"", 0
    try:
        found = ip_address(host.decode("ascii"))
    except ValueError:
        return b"", 0
    if isinstance(found, IPv6Address) and found.scope_id is not None:
        return b"", 0  # a zone means something on its own host only
    return _packed(found), int(port or 0)
