"""How strictly a listener reads requests: as RFC 9112 asks, or as leniently as nginx does.

Rules: STRICT refuses whatever two readers could take differently. The lenient dialect repairs what nginx repairs, and
only that: a fragment is cut off, the host of an absolute-form target counts more than Host, any method in capitals is
one, and lines with unusual names are left out before they are parsed. Framing is never lenient.
"""

from __future__ import annotations

import re
from typing import Final

# A whole line whose name is visible but unusual, for each way of nginx to look at names (ngx_http_parse_header_line).
_LINE: Final = rb"(?m)^(?!%b+:)[^\x00-\x20\x7f:]+:[^\n]*\n"
PLAIN: Final = re.compile(_LINE % rb"[A-Za-z0-9-]")
UNDERSCORES: Final = re.compile(_LINE % rb"[A-Za-z0-9_-]")
FOLDED: Final = re.compile(rb"(?m)^[ \t]")


class Dialect:
    """`unusual` finds the lines of a block of fields that are left out (None: none is), `underscores` says whether
    names with "_" go on to backends, `slashes` whether several of them in a path are one."""

    __slots__ = ("lenient", "slashes", "underscores", "unusual")

    def __init__(
        self,
        lenient: bool = False,
        unusual: re.Pattern[bytes] | None = None,
        underscores: bool = False,
        slashes: bool = True,
    ) -> None:
        self.lenient = lenient
        self.unusual = unusual
        self.underscores = underscores
        self.slashes = slashes

    def cleaned(self, block: bytes) -> bytes:
        """A block of field lines without the unusual ones. Where lines are folded nothing is left out: what followed
        would join the line before."""
        if self.unusual is None or FOLDED.search(block) is not None:
            return block
        return self.unusual.sub(b"", block)


STRICT: Final = Dialect()
