"""A line of an access log as a format says: text with variables, whose values can neither end a quotation nor a line.

Rules: nginx's (ngx_http_log_variable): what a variable does not find is "-", and unsafe bytes become \\xHH; in JSON it
is nothing, and they become \\u00HH; `none` writes values as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from proxy.exchange import Exchange
from proxy.http.message import quoted
from proxy.policy.template import VARIABLE, Getter

_JSON: Final = re.compile(rb'["\\\x00-\x1f]')
_SHORT: Final = {0x22: b'\\"', 0x5C: b"\\\\", 0x0A: b"\\n", 0x0D: b"\\r", 0x09: b"\\t", 0x08: b"\\b", 0x0C: b"\\f"}

NGINX: Final = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
"""nginx's own combined format."""


def json_text(text: bytes) -> bytes:
    """Text that may stand between the quotes of JSON."""
    if _JSON.search(text) is None:
        return text
    return _JSON.sub(lambda match: _SHORT.get(match[0][0]) or b"\\u%04X" % match[0][0], text)


def as_it_is(text: bytes) -> bytes:
    """Text that nobody protects."""
    return text


ESCAPES: Final[dict[str, tuple[Callable[[bytes], bytes], bytes]]] = {
    "default": (quoted, b"-"),
    "json": (json_text, b""),
    "none": (as_it_is, b""),
}


class LogLine:
    """Renders a finished exchange, with the line end."""

    __slots__ = ("_escape", "_nothing", "_parts")

    def __init__(self, text: str, getter: Callable[[str], Getter], escape: str = "default") -> None:
        """ValueError with the end of a sentence for a variable that nobody knows."""
        self._escape, self._nothing = ESCAPES[escape]
        self._parts: list[bytes | Getter] = []
        at = 0
        for match in VARIABLE.finditer(text):
            self._parts.append(text[at : match.start()].encode("utf-8", "surrogateescape"))
            name = match[1] or match[2]
            self._parts.append(OWN.get(name) or getter(name))
            at = match.end()
        self._parts.append(text[at:].encode("utf-8", "surrogateescape") + b"\n")

    def __call__(self, exchange: Exchange) -> bytes:
        """The line."""
        escape, nothing = self._escape, self._nothing
        found: list[bytes] = []
        for part in self._parts:
            if isinstance(part, bytes):
                found.append(part)
            else:
                value = part(exchange)
                found.append(nothing if value is None else escape(value))
        return b"".join(found)


def _time(exchange: Exchange) -> bytes:
    return exchange.clock.local


# Where the log has a shorter way, or more to say, than texts elsewhere.
OWN: Final[dict[str, Getter]] = {"time_local": _time}
