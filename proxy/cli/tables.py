"""What commands print for people: tables, and times in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def uptime(seconds: float) -> str:
    """Seconds in the two largest units that matter."""
    whole = int(seconds)
    for size, unit, small, word in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // small} {word}"
    return f"{whole} s"


def table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns under titles, numbers to the right; "" without rows."""
    if not rows:
        return ""
    cells = [list(titles), *([str(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles))]
    right = [isinstance(value, int) for value in rows[0]]
    lines = (
        "  ".join(
            text.rjust(width) if r else text.ljust(width) for text, width, r in zip(row, widths, right, strict=True)
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)
