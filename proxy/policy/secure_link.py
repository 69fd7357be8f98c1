"""Whether a link is one that the application has signed: `$secure_link` (nginx's module of that name).

Rules: those of ngx_http_secure_link_module, MD5 included: applications compute the same. Values are empty for a link
that is wrong, "0" for one that is over, "1" for a good one; in the older form they are the path that was signed.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode
from hmac import compare_digest
from typing import Final

from proxy.exchange import Exchange
from proxy.policy.script import course_of
from proxy.policy.template import Template

LONGEST: Final = 24  # characters of a digest in base64
_BASE64: Final = re.compile(rb"[A-Za-z0-9_-]*")
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")
_SIGNED: Final = re.compile(rb"/[^/]*/([0-9A-Fa-f]{32})/(.+)", re.DOTALL)


class SecureLink:
    """A getter: `link` gives the digest and perhaps a time behind a comma, `signed` the text that was signed."""

    __slots__ = ("_link", "_signed")

    def __init__(self, link: Template, signed: Template) -> None:
        self._link = link
        self._signed = signed

    def __call__(self, exchange: Exchange) -> bytes | None:
        """What the link is worth; its time becomes `$secure_link_expires`."""
        values = course_of(exchange).values
        if "secure_link" not in values:
            values["secure_link"] = None
            values["secure_link"] = self._weighed(exchange)
        return values["secure_link"]

    def _weighed(self, exchange: Exchange) -> bytes | None:
        digest, comma, until = self._link(exchange).partition(b",")
        if comma:
            if _DIGITS.fullmatch(until) is None or int(until) == 0:
                return None
            course_of(exchange).values["secure_link_expires"] = until
        text = digest.partition(b"=")[0]
        if len(digest) > LONGEST or _BASE64.fullmatch(text) is None or len(text) % 4 == 1:
            return None
        asked = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
        if not compare_digest(asked, hashlib.md5(self._signed(exchange)).digest()):
            return None
        return b"0" if comma and int(until) < exchange.clock.wall else b"1"


class SignedPath:
    """The older form, a getter: "/PREFIX/DIGEST/PATH", where the digest is that of path and secret."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __call__(self, exchange: Exchange) -> bytes | None:
        """The path that was signed."""
        match = _SIGNED.fullmatch(exchange.line.origin)
        if match is None:
            return None
        made = hashlib.md5(match[2] + self._secret).hexdigest().encode()
        return match[2] if compare_digest(made, match[1].lower()) else None
