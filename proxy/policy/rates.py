"""The one grammar of rates that steps, backends and variables give an answer (`limit_rate`): bytes a second.

Rules: digits and, perhaps, k, m or g (powers of 1024), as ngx_parse_size. What is no rate changes nothing.
"""

from __future__ import annotations

import re
from typing import Final

_RATE: Final = re.compile(rb"(\d{1,15})([kmg]?)", re.IGNORECASE)
_UNITS: Final = {b"": 1, b"k": 1 << 10, b"m": 1 << 20, b"g": 1 << 30}


def rate(text: bytes | None) -> int | None:
    """Bytes a second, 0 for no limit; None for what is no rate."""
    match = _RATE.fullmatch(text or b"")
    return int(match[1]) * _UNITS[match[2].lower()] if match is not None else None
