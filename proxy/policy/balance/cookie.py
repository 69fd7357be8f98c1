"""What stands behind the value of a cookie that binds: how long, where and how it is kept.

Rules: the order and the form of dates are nginx's. Domain and samesite may be made of the request, so a value that
could end the field or add another attribute is left out, and a samesite that there is not becomes "strict".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.exchange import Exchange

Text = Callable[["Exchange"], bytes]

FOREVER: Final = b"; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000"
SAMESITE: Final = (b"strict", b"lax", b"none")
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNSAFE: Final = re.compile(rb"[\x00-\x1f\x7f;]")


class Attributes:
    """The attributes of a cookie. `expires` is in seconds; -1.0: until the browser is closed, inf: for ever."""

    __slots__ = ("domain", "end", "expires", "samesite")

    def __init__(
        self,
        expires: float,
        domain: Text | None,
        path: str,
        httponly: bool,
        secure: bool,
        samesite: Text | None,
    ) -> None:
        self.expires = expires
        self.domain = domain
        self.samesite = samesite
        flags = (b"; httponly" if httponly else b"") + (b"; secure" if secure else b"")
        self.end = flags, b"; path=" + path.encode() if path else b""

    def __call__(self, exchange: Exchange) -> bytes:
        """What stands behind the value."""
        flags, path = self.end
        domain = self.domain(exchange) if self.domain is not None else b""
        kind = self.samesite(exchange) if self.samesite is not None else b""
        if kind and kind.lower() not in SAMESITE:
            kind = b"strict"
        return b"".join(
            (
                self._kept(exchange),
                b"; domain=" + domain if domain and not _UNSAFE.search(domain) else b"",
                flags,
                b"; samesite=" + kind if kind else b"",
                path,
            )
        )

    def _kept(self, exchange: Exchange) -> bytes:
        if self.expires < 0:
            return b""
        if self.expires == float("inf"):
            return FOREVER
        return b"; expires=%b; max-age=%d" % (date(exchange.clock.wall + self.expires), self.expires)


def date(wall: float) -> bytes:
    """A time as cookies have it since Netscape: "Thu, 31-Dec-37 23:55:55 GMT", with all digits of years behind 2037."""
    at = datetime.fromtimestamp(int(wall), UTC)
    year = f"{at.year % 100:02}" if at.year <= 2037 else str(at.year)
    return f"{DAYS[at.weekday()]}, {at.day:02}-{MONTHS[at.month - 1]}-{year} {at:%H:%M:%S} GMT".encode()
