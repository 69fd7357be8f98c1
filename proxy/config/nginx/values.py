"""The values of nginx.conf: sizes, times, rates, flags and words, by nginx's own arithmetic.

Rules: pure. A function takes one word and gives a plain value, or raises a ValueError whose text ends a sentence that
begins with `"name" directive `. Numbers are those of a 64-bit nginx: what does not fit there is wrong here too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

_MOST: Final = (1 << 63) - 1
_DIGITS: Final = re.compile(r"0*([0-9]{1,19})")
_SIZE_UNITS: Final = {"k": 1 << 10, "m": 1 << 20}
_OFFSET_UNITS: Final = {**_SIZE_UNITS, "g": 1 << 30}
_RATE_UNITS: Final = {"r/s": 1, "r/m": 60}

# A unit's rank, which must rise from part to part, and its milliseconds. A blank right behind digits counts seconds.
_TIME_PART: Final = re.compile(r"([0-9]*)(ms|[yMwdhms ]) *")
_TIME_UNITS: Final = {
    "y": (1, 365 * 86400_000),
    "M": (2, 30 * 86400_000),
    "w": (3, 7 * 86400_000),
    "d": (4, 86400_000),
    "h": (5, 3600_000),
    "m": (6, 60_000),
    "s": (7, 1000),
    " ": (7, 1000),
    "ms": (8, 1),
}
_WHOLE, _WEEK, _LAST = 0, 2, 9  # ranks: what seconds begin below, what milliseconds begin below, what ends a time


def invalid(value: str) -> ValueError:
    """nginx's sentence about a value of the wrong form."""
    return ValueError(f'invalid value "{value}"')


def wrong_flag(name: str, value: str) -> str:
    """nginx's whole sentence about a flag."""
    return f'invalid value "{value}" in "{name}" directive, it must be "on" or "off"'


def flag(value: str) -> bool:
    """Whether "on" or "off" is written, in any case of letters."""
    word = value.lower()
    if word not in ("on", "off"):
        raise ValueError(f'invalid value "{value}", it must be "on" or "off"')
    return word == "on"


def number(value: str, least: int = 0, most: int | None = None) -> int:
    """A whole number without a sign, within its bounds."""
    found = _integer(value)
    if found is None:
        raise ValueError(f'invalid number "{value}"')
    if most is not None and not least <= found <= most:
        raise ValueError(f"value must be between {least} and {most}")
    if found < least:
        raise ValueError(f"value must be equal to or greater than {least}")
    return found


def size(value: str) -> int:
    """Bytes of "512", "8k" or "1m", in either case of letters; nginx knows no "g" here."""
    return _bytes(value, _SIZE_UNITS)


def offset(value: str) -> int:
    """Bytes of a file or a body: as a size, and "1g"."""
    return _bytes(value, _OFFSET_UNITS)


def buffers(count: str, each: str) -> tuple[int, int]:
    """Number and size of buffers, such as "8 4k"; neither is 0."""
    number_of, bytes_of = _integer(count), size(each)
    if not number_of:
        raise invalid(count)
    if not bytes_of:
        raise invalid(each)
    return number_of, bytes_of


def seconds(value: str) -> int:
    """Whole seconds of "90", "1h30m", "1M 2d" (30 days a month) or "1y" (365 days); no milliseconds."""
    return _time(value, _WHOLE) // 1000


def milliseconds(value: str) -> int:
    """Milliseconds of "90" (which are seconds), "1m30s", "500ms" or "1w"; no months and years."""
    return _time(value, _WEEK)


def rate(value: str) -> int:
    """Thousandths of a request per second of "10r/s", "600r/m" or "10", cut off as nginx does."""
    scale = _RATE_UNITS.get(value[-3:])
    found = _integer(value[:-3] if scale else value)
    if not found:
        raise ValueError(f'invalid rate "rate={value}"')
    return found * 1000 // (scale or 1)


def fixed(value: str, places: int) -> int:
    """A number with up to so many digits behind its point, times ten to their power: ("10.5", 2) gives 1050."""
    before, _, behind = value.partition(".")
    if len(behind) > places or not before + behind:
        raise invalid(value)
    found = _integer(before + behind.ljust(places, "0"))
    if found is None:
        raise invalid(value)
    return found


def choice(value: str, known: Iterable[str]) -> str:
    """One of the words that are known, which are in lower case; nginx takes any case."""
    word = value.lower()
    if word not in known:
        raise invalid(value)
    return word


def bits(values: Iterable[str], known: Collection[str]) -> frozenset[str]:
    """A set of known words; a word said twice counts once, as nginx only warns of it."""
    return frozenset(choice(value, known) for value in values)


def _integer(text: str) -> int | None:
    """The number of decimal digits, None when there are others or too many."""
    match = _DIGITS.fullmatch(text)
    return int(match[1]) if match and int(match[1]) <= _MOST else None


def _bytes(value: str, units: Mapping[str, int]) -> int:
    scale = units.get(value[-1:].lower())
    found = _integer(value[:-1] if scale else value)
    if found is None or found * (scale or 1) > _MOST:
        raise invalid(value)
    return found * (scale or 1)


def _time(value: str, rank: int) -> int:
    """Milliseconds of a time whose units rank above `rank`; seconds are asked for by _WHOLE."""
    most = _MOST if rank else _MOST * 1000
    total = position = 0
    while match := _TIME_PART.match(value, position):
        digits, unit = match.groups()
        own, scale = _TIME_UNITS[unit]
        count = _integer(digits or "0")
        if rank >= own or count is None or (unit == "ms" and most > _MOST):
            raise invalid(value)
        rank = _LAST if unit == " " else own
        total += count * scale
        position = match.end()
    rest = _integer(value[position:] or "0")
    if rest is None or not re.search("[0-9]", value) or total + rest * 1000 > most:
        raise invalid(value)
    return total + rest * 1000
