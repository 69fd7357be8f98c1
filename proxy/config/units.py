"""Quantities as people write them: durations, sizes and rates.

Rules: a function takes what a configuration holds (text or number) and gives a plain number; what it cannot read it
refuses with a ValueError whose text continues a sentence that begins with the key ("read must be a duration, ...").
"""

from __future__ import annotations

import math
import re
from typing import Final

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+", re.ASCII)
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_BYTES: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIZE: Final = re.compile(r"(\d{1,15})([kmg]?)", re.ASCII | re.IGNORECASE)
_SCALE: Final = {"s": 1, "m": 60}
_RATE: Final = re.compile(r"(\d{1,9})r/([sm])", re.ASCII)

DURATION_HINT: Final = 'must be a duration, such as "10s", "500ms", "1h30m" or a number of seconds'
SIZE_HINT: Final = 'must be a size, such as "32k", "10m", "1g" or a number of bytes'
RATE_HINT: Final = 'must be a rate, such as "10r/s" or "600r/m"'


def duration(value: object) -> float:
    """Seconds of "10s", "500ms", "1h30m" (units ms, s, m, h, d) or of a number, which counts seconds."""
    if isinstance(value, str):
        if not _DURATION.fullmatch(value):
            raise ValueError(DURATION_HINT)
        # Rounded to the microsecond, so that "1.1s" and "1s100ms" are the same number.
        return round(sum(float(count) * _SECONDS[unit] for count, unit in _DURATION_PART.findall(value)), 6)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(DURATION_HINT)
    if not math.isfinite(value) or value < 0:
        raise ValueError(DURATION_HINT + ", 0 or more")
    return float(value)


def size(value: object) -> int:
    """Bytes of "32k", "10m", "1g" (powers of 1024, as nginx) or of a whole number."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match is None:
            raise ValueError(SIZE_HINT)
        return int(match[1]) * _BYTES[match[2].lower()]
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(SIZE_HINT)
    if value < 0:
        raise ValueError(SIZE_HINT + ", 0 or more")
    return value


def rate(value: object) -> int:
    """Thousandths of a request per second of "10r/s" or "600r/m", cut off as nginx does: rate * 1000 / scale.

    A bare number is refused: nobody could tell its unit.
    """
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(RATE_HINT)
    thousandths = int(match[1]) * 1000 // _SCALE[match[2]]
    if thousandths <= 0:
        raise ValueError('must let something pass: "1r/m" is the least')
    return thousandths
