"""Dates and entity tags, and what a client that has them already is answered (RFC 9110 sections 5.6.7, 8.8 and 13).

Rules: those of nginx's not-modified filter. A date that cannot be read is earlier than all others.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from proxy.http.message import Field

UNKNOWN: Final = -1  # a time that nobody has told
_LAST: Final = 253402300799  # the last second of the year 9999
_DAYS: Final = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_NUMBERS: Final = {name: number for number, name in enumerate(_MONTHS, 1)}
_CLOCK: Final = rb"(\d\d):(\d\d):(\d\d)"
_FIXED: Final = re.compile(rb"\w+, +(\d\d)[ -](\w{3})[ -](\d{4}|\d\d) +" + _CLOCK + rb"(?: +GMT)?.*", re.DOTALL)
_ASCTIME: Final = re.compile(rb"\w{3} +(\w{3}) +(\d{1,2}) +" + _CLOCK + rb" +(\d{4}).*", re.DOTALL)
CONDITIONS: Final = frozenset(
    (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"range", b"if-range")
)


def http_date(seconds: float) -> bytes:
    """A time as fields have it (IMF-fixdate), which knows the years from 1970 to 9999: others are the nearest of these,
    as in nginx (ngx_gmtime)."""
    at = datetime.fromtimestamp(min(max(0, int(seconds)), _LAST), UTC)
    return b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (
        _DAYS[at.weekday()], at.day, _MONTHS[at.month - 1], at.year, at.hour, at.minute, at.second
    )  # fmt: skip


def parse_date(text: bytes) -> int:
    """Seconds since 1970 of a date in any of HTTP's three forms; UNKNOWN when it is none."""
    match = _FIXED.fullmatch(text.strip())
    if match is not None:
        day, name, year_text, hour, minute, second = match.groups()
    else:
        match = _ASCTIME.fullmatch(text.strip())
        if match is None:
            return UNKNOWN
        name, day, hour, minute, second, year_text = match.groups()
    month, year = _NUMBERS.get(name), int(year_text)
    if len(year_text) == 2:
        year += 1900 if year >= 70 else 2000
    clock = int(hour), int(minute), int(second)
    if month is None or not 1 <= int(day) <= 31 or clock[0] > 23 or clock[1] > 59 or clock[2] > 59 or year < 1970:
        return UNKNOWN
    return timegm((year, month, int(day), *clock, 0, 0, 0))


def entity_tag(modified: float, size: int) -> bytes:
    """The tag of a file, as nginx writes it: seconds and size in hexadecimal."""
    return b'"%x-%x"' % (int(modified), size)


def weakened(tag: bytes) -> bytes:
    """The tag of a representation that is no longer the same byte for byte; b"" for what is no tag."""
    if tag.startswith(b"W/"):
        return tag
    return b"W/" + tag if tag.startswith(b'"') else b""


def is_conditional(fields: Iterable[Field]) -> bool:
    """Whether a request asks for more than the plain representation."""
    return any(name in CONDITIONS for name, _ in fields)


def judged(fields: Iterable[Field], modified: int, tag: bytes, how: str = "exact") -> int:
    """What a representation is answered with, instead of 200: 304, 412, or 0.

    `modified` is UNKNOWN or its time, `tag` b"" or its entity tag; `how` If-Modified-Since is taken: only the very same
    time (exact), a later one too (before), or not at all (off).
    """
    asked = {name: value for name, value in reversed(list(fields)) if name in CONDITIONS}
    unmodified, match = asked.get(b"if-unmodified-since"), asked.get(b"if-match")
    if unmodified is not None and (modified == UNKNOWN or parse_date(unmodified) < modified):
        return 412
    if match is not None and not _matches(match, tag, False):
        return 412
    since, none = asked.get(b"if-modified-since"), asked.get(b"if-none-match")
    if since is None and none is None:
        return 0
    if since is not None and _modified(parse_date(since), modified, how):
        return 0
    if none is not None and not _matches(none, tag, True):
        return 0
    return 304


def same(value: bytes, modified: int, tag: bytes) -> bool:
    """Whether an If-Range value still names this representation."""
    if len(value) >= 2 and value.endswith(b'"'):
        return bool(tag) and value == tag
    return modified != UNKNOWN and parse_date(value) == modified


def _modified(since: int, modified: int, how: str) -> bool:
    if modified == UNKNOWN or how == "off":
        return True
    return since != modified and (how == "exact" or since < modified)


def _matches(listed: bytes, tag: bytes, weak: bool) -> bool:
    """Whether a list of tags, or "*", holds this one; weakly compared, W/ means nothing."""
    if listed == b"*":
        return True
    if not tag:
        return False
    if weak:
        return tag.removeprefix(b"W/") in [one.strip(b" \t").removeprefix(b"W/") for one in listed.split(b",")]
    return tag in [one.strip(b" \t") for one in listed.split(b",")]
