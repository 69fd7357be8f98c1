"""How long clients may keep an answer: nginx's `expires` in all its forms, as the two fields that say so.

Rules: a form is text, "30d", "-1", "modified +24h", "@15h30m", "epoch", "max" or "off"; it is read once at load, or for
each answer where it holds variables. Pure: the time is given.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from proxy.http.conditional import UNKNOWN, http_date

OFF: Final = "off"
EPOCH: Final = "epoch"
MAX: Final = "max"
ACCESS: Final = "access"
MODIFIED: Final = "modified"
DAILY: Final = "daily"

_UNITS: Final = {  # in thousandths, so that long spans are exact
    "y": 31536000000, "M": 2592000000, "w": 604800000, "d": 86400000, "h": 3600000, "m": 60000, "s": 1000, "ms": 1,
    "": 1000,
}  # fmt: skip
_LONGEST: Final = (1 << 63) - 1  # seconds: what nginx can count
_SPAN: Final = re.compile(r"(?:\d+(?:ms|[yMwdhms])? *)+", re.ASCII)
_SPAN_PART: Final = re.compile(r"(\d+)(ms|[yMwdhms])?", re.ASCII)
_DIGITS: Final = 19  # of one number in a span
_DAY: Final = 86400


class Expires(NamedTuple):
    """A form: its kind, and seconds (of the day, for DAILY)."""

    kind: str
    seconds: int = 0


def read(text: str) -> Expires:
    """What a form means; ValueError with the end of a sentence."""
    word = text.strip()
    if word in (OFF, EPOCH, MAX):
        return Expires(word)
    if word.startswith("@"):
        seconds = _span(word[1:])
        if seconds >= _DAY:
            raise ValueError("must be a time of the day behind its @")
        return Expires(DAILY, seconds)
    kind = ACCESS
    if word.startswith("modified"):
        kind, word = MODIFIED, word.removeprefix("modified").strip()
    sign = -1 if word.startswith("-") else 1
    return Expires(kind, sign * _span(word.lstrip("+-")))


def _span(text: str) -> int:
    if not _SPAN.fullmatch(text):
        raise ValueError('must be a time such as "30d", "modified +1h", "@15h30m", "epoch", "max" or "off"')
    parts: list[tuple[str, str]] = _SPAN_PART.findall(text)
    seconds = sum(int(count[:_DIGITS]) * _UNITS[unit] for count, unit in parts) // 1000
    if seconds > _LONGEST or any(len(count) > _DIGITS for count, _ in parts):
        raise ValueError("must be a time that can be counted")
    return seconds


def fields(rule: Expires, now: float, modified: int = UNKNOWN) -> tuple[bytes, bytes]:
    """The values of Expires and Cache-Control; `now` is the wall clock, `modified` that of the answer."""
    if rule.kind == EPOCH:
        return b"Thu, 01 Jan 1970 00:00:01 GMT", b"no-cache"
    if rule.kind == MAX:
        return b"Thu, 31 Dec 2037 23:55:55 GMT", b"max-age=315360000"
    now = int(now)
    if rule.kind == DAILY:
        until = _next(now, rule.seconds)
    elif rule.kind == MODIFIED and modified != UNKNOWN and rule.seconds:
        until = modified + rule.seconds
    else:
        until = now + rule.seconds
    age = until - now
    cache = b"no-cache" if rule.seconds < 0 or age < 0 else b"max-age=%d" % age
    return http_date(until), cache


def _next(now: float, seconds: int) -> int:
    """When it will be so many seconds behind midnight, local time, again."""
    local = datetime.fromtimestamp(now).astimezone()
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + timedelta(seconds=seconds)
    if at <= local:
        at += timedelta(days=1)
    return int(at.timestamp())
