"""Percent-encoding as nginx does it: which bytes of a path, of a query and of a component are written as %XX.

Rules: the sets are those of `ngx_escape_uri`; nothing that is already encoded is looked at twice.
"""

from __future__ import annotations

import re
from typing import Final

_PATH: Final = re.compile(rb'[\x00-\x20"#%<>?\\^`{|}\x7f-\xff]')
_ARGS: Final = re.compile(rb'[\x00-\x20"#%&+;<>?\\^`{|}\x7f-\xff]')
_COMPONENT: Final = re.compile(rb"[^A-Za-z0-9\-._~]")
_QUERY: Final = 0x3F
_ENCODED_OR_QUERY: Final = re.compile(rb"%([0-9A-Fa-f]{2})|\?")
_ENCODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


def _octet(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]


def escaped_path(path: bytes) -> bytes:
    """A decoded path as it is written in a request line or a Location."""
    return _PATH.sub(_octet, path)


def escaped_args(text: bytes) -> bytes:
    """A decoded text as it is written in a query."""
    return _ARGS.sub(_octet, text)


def escaped_component(text: bytes) -> bytes:
    """A text as it is written inside one component: everything but unreserved characters is encoded."""
    return _COMPONENT.sub(_octet, text)


def unescaped_place(place: bytes) -> bytes:
    """Where a redirect leads, with what need not be encoded written plainly up to the query, as nginx does
    (NGX_UNESCAPE_REDIRECT)."""
    if b"%" not in place:
        return place
    parts: list[bytes] = []
    at = 0
    for match in _ENCODED_OR_QUERY.finditer(place):
        octet = int(match[1], 16) if match[1] else _QUERY
        if octet == _QUERY or 0x25 < octet < 0x7F:
            parts += (place[at : match.start()], bytes((octet,)))
            at = match.end()
        if octet == _QUERY:
            break
    return b"".join(parts) + place[at:]


def unescaped(text: bytes) -> bytes:
    """Percent-encoding undone; what is none stays."""
    return _ENCODED.sub(lambda match: bytes((int(match[1], 16),)), text) if b"%" in text else text
