"""Variables that a configuration declares: found by a table of cases, by an address, or by chance of a hash.

Rules: nginx's (ngx_http_map_module, ngx_http_geo_module, ngx_http_split_clients_module). A value is found when it is
asked for first and remembered for the request, unless it is volatile. One that leads back to itself is empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from proxy.exchange import Exchange
from proxy.policy.forwarded import Trusted, behind
from proxy.policy.intervals import NONE, Intervals, bare_address
from proxy.policy.names import Names
from proxy.policy.pattern import Pattern, remember
from proxy.policy.script import course_of
from proxy.policy.template import Template

WHOLE: Final = 0xFFFFFFFF
_MULTIPLIER: Final = 0x5BD1E995


class Finder(Protocol):
    """Finds the value of a declared variable."""

    def __call__(self, exchange: Exchange) -> bytes: ...


class Declared:
    """A variable: `find` is settled after all variables were declared, since they speak of each other."""

    __slots__ = ("_name", "_volatile", "find")

    def __init__(self, name: str, volatile: bool = False) -> None:
        self._name = name
        self._volatile = volatile
        self.find: Finder | None = None

    def __call__(self, exchange: Exchange) -> bytes | None:
        """Its value for an exchange."""
        values = course_of(exchange).values
        name = self._name
        if self._volatile:
            name = f" {name}"  # no name of a variable: what is remembered is that it is being asked for
        if name in values:
            return values[name]
        if self.find is None:
            return None
        values[name] = b""
        value = self.find(exchange)
        if self._volatile:
            del values[name]
        else:
            values[name] = value
        return value


class Cases:
    """A map: texts in any case of letters, host names with wildcards if asked for, expressions in order."""

    __slots__ = ("_default", "_hostnames", "_names", "_patterns", "_source")

    def __init__(
        self,
        source: Template,
        texts: Mapping[bytes, Template],
        patterns: Sequence[tuple[Pattern, Template]],
        default: Template,
        hostnames: bool = False,
    ) -> None:
        self._source = source
        self._patterns = tuple(patterns)
        self._default = default
        self._hostnames = hostnames
        self._names: Names[Template] = Names(wildcards=hostnames)
        for text, value in texts.items():
            self._names.add(text.lower(), value)

    def __call__(self, exchange: Exchange) -> bytes:
        """The value of the case that holds."""
        asked = self._source(exchange)
        text = asked.lower()
        if self._hostnames:
            text = text.removesuffix(b".")
        found = self._names.find(text)
        if found is None:
            for pattern, value in self._patterns:
                match = pattern.search(asked)
                if match is not None:
                    remember(course_of(exchange), match)
                    found = value
                    break
        return (found or self._default)(exchange)


class ByAddress:
    """A geo: by the address of the client, or of a text; `trusted` are proxies whose X-Forwarded-For is believed."""

    __slots__ = ("_default", "_networks", "_recursive", "_source", "_trusted")

    def __init__(
        self,
        networks: Intervals[bytes],
        default: bytes,
        source: Template | None = None,
        trusted: Trusted | None = None,
        recursive: bool = False,
    ) -> None:
        self._networks = networks
        self._default = default
        self._source = source  # None: the client's own
        self._trusted = trusted
        self._recursive = recursive

    def __call__(self, exchange: Exchange) -> bytes:
        """The value of the network that holds the address; for what is no address, that of 255.255.255.255."""
        packed = exchange.client.packed if self._source is None else bare_address(self._source(exchange))
        if self._trusted is not None and packed:
            chain = b",".join([value for name, value in exchange.fields.fields if name == b"x-forwarded-for"])
            found = behind(packed, chain, self._trusted, self._recursive)
            packed = packed if found is None else found[0]
        value = self._networks.get(packed or NONE)
        return self._default if value is None else value


class Split:
    """A split: parts of all hashes by upper bounds, the last of which may be 0 (all the rest)."""

    __slots__ = ("_parts", "_source")

    def __init__(self, source: Template, parts: Sequence[tuple[int, bytes]]) -> None:
        self._source = source
        self._parts = tuple(parts)

    def __call__(self, exchange: Exchange) -> bytes:
        """The value of the part that the text's hash lies in."""
        digest = murmur(self._source(exchange))
        return next((value for bound, value in self._parts if digest < bound or bound == 0), b"")


def bounds(hundredths: Sequence[int]) -> list[int]:
    """Upper bounds of parts given in hundredths of a percent, with nginx's arithmetic. ValueError above 100 %."""
    total = 0
    found: list[int] = []
    for part in hundredths:
        total += part
        found.append(total * WHOLE // 10000)
    if total > 10000:
        raise ValueError("percent total is greater than 100%")
    return found


def murmur(data: bytes) -> int:
    """MurmurHash2 of 32 bits with seed 0, as nginx has it."""
    size = len(data)
    whole = size & ~3
    digest = size
    for at in range(0, whole, 4):
        part = int.from_bytes(data[at : at + 4], "little") * _MULTIPLIER & WHOLE
        part = (part ^ part >> 24) * _MULTIPLIER & WHOLE
        digest = (digest * _MULTIPLIER & WHOLE) ^ part
    if whole < size:
        digest = (digest ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & WHOLE
    digest = (digest ^ digest >> 13) * _MULTIPLIER & WHOLE
    return digest ^ digest >> 15
