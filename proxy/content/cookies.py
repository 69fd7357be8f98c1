"""Cookies of backends, changed on their way to the client: Domain, Path and flags.

Rules: those of nginx's proxy_cookie_domain, _path and _flags. A Set-Cookie is taken apart at its semicolons, and put
together again only if something has changed, so that any other stays as it was, to the byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.content.swaps import Swaps
from proxy.exchange import Exchange
from proxy.policy.pattern import Pattern
from proxy.policy.template import Template

Attribute = tuple[bytes, bytes | None]

_WRITTEN: Final = {b"secure": b"Secure", b"httponly": b"HttpOnly", b"samesite": b"SameSite"}
_KNOWN: Final = frozenset(
    (
        b"secure", b"nosecure", b"httponly", b"nohttponly", b"samesite=strict", b"samesite=lax", b"samesite=none",
        b"nosamesite",
    )
)  # fmt: skip


class Flags:
    """What becomes of the flags of cookies whose name is `cookie`, in any case, or matches it; later flags of a kind
    count less than earlier ones, as in nginx strict before lax before none before taking away."""

    __slots__ = ("_cookie", "_flags")

    def __init__(self, cookie: Template | Pattern, flags: Sequence[Template]) -> None:
        self._cookie = cookie
        self._flags = tuple(flags)

    def matches(self, exchange: Exchange, name: bytes) -> bool:
        """Whether they are meant for a cookie of this name."""
        if isinstance(self._cookie, Pattern):
            return self._cookie.search(name) is not None
        return self._cookie(exchange).lower() == name.lower()

    def change(self, exchange: Exchange, attributes: list[Attribute]) -> list[Attribute] | None:
        """The attributes with their flags changed; None when nothing is asked for."""
        said = {flag(exchange).lower() for flag in self._flags} & _KNOWN
        if not said:
            return None
        kept, there = [attributes[0]], set[bytes]()
        for name, value in attributes[1:]:
            kind = name.lower()
            wanted = _wanted(said, kind) if kind in _WRITTEN else None
            there.add(kind)
            if wanted == b"no":
                continue
            if wanted and wanted != (value or b"").lower():
                name, value = _WRITTEN[kind], wanted.capitalize()
            kept.append((name, value))
        for kind, written in _WRITTEN.items():
            wanted = _wanted(said, kind)
            if kind not in there and wanted is not None and wanted != b"no":
                kept.append((written, wanted.capitalize() or None))
        return kept


def _wanted(said: set[bytes], kind: bytes) -> bytes | None:
    """b"" for a flag alone, a value, b"no" for its absence, None for as it is."""
    if kind in said:
        return b""
    for value in (b"strict", b"lax", b"none"):
        if b"%b=%b" % (kind, value) in said:
            return value
    return b"no" if b"no" + kind in said else None


class Cookies:
    """Changes the values of Set-Cookie fields."""

    __slots__ = ("_domains", "_flags", "_paths")

    def __init__(self, domains: Swaps, paths: Swaps, flags: Sequence[Flags]) -> None:
        self._domains = domains
        self._paths = paths
        self._flags = tuple(flags)

    def __call__(self, exchange: Exchange, cookie: bytes) -> bytes:
        """A Set-Cookie, changed or not."""
        before = [_attribute(part) for part in cookie.split(b";")]
        if before[0][1] is None:
            return cookie
        after = [before[0], *(self._changed(exchange, name, value) for name, value in before[1:])]
        flags = next((one for one in self._flags if one.matches(exchange, before[0][0])), None)
        after = (flags.change(exchange, after) if flags is not None else None) or after
        if after == before:
            return cookie
        return b"; ".join([name if value is None else b"%b=%b" % (name, value) for name, value in after])

    def _changed(self, exchange: Exchange, name: bytes, value: bytes | None) -> Attribute:
        swaps = {b"domain": self._domains, b"path": self._paths}.get(name.lower())
        if swaps is None or value is None:
            return name, value
        swapped = swaps(exchange, value)
        return name, value if swapped is None else swapped.partition(b";")[0]


def _attribute(text: bytes) -> Attribute:
    name, equals, value = text.partition(b"=")
    return name.strip(b" "), value.strip(b" ") if equals else None
