"""What Accept-Encoding says of gzip (RFC 9110 section 12.5.3), as nginx reads it.

Rules: "gzip" as a word of its own, not with a weight of 0; "*" means nothing.
"""

from __future__ import annotations

import re
from typing import Final

_GZIP: Final = re.compile(rb"(?:^|[, ])gzip *(?:;([^,]*)|(?=,|$))", re.IGNORECASE)
_NOTHING: Final = re.compile(rb" *q *= *0(?:\.0{0,3})? *", re.IGNORECASE)


def takes_gzip(value: bytes | None) -> bool:
    """Whether who sent this takes gzip."""
    if value is None:
        return False
    match = _GZIP.search(value)
    return match is not None and (match[1] is None or _NOTHING.fullmatch(match[1]) is None)
