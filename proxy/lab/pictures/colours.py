"""Colours of pictures, for light and for dark paper.

Rules: lines have a contrast of 3 to 1 with their paper at least, words 4.5 to 1 (WCAG 2.2, 1.4.3 and 1.4.11), and
the lines' colours stay apart for people who see no red, green or blue; each has a dash of its own besides. Heat becomes
ever darker on light paper and ever lighter on dark: blue while nobody waits, orange when somebody does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FONT: Final = "'Source Sans Pro', system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
DASHES: Final = ("", "7 3", "2 2.5", "9 3 2 3", "5 2 1 2 1 2", "12 4", "1 3", "4 4")


@dataclass(frozen=True)
class Palette:
    """Paper, ink (words), soft (lesser words), grid, the colours of lines, the levels of heat."""

    paper: str
    ink: str
    soft: str
    grid: str
    lines: tuple[str, ...]
    heat: tuple[str, ...]


LIGHT: Final = Palette(
    paper="#ffffff",
    ink="#1c2127",
    soft="#565e69",
    grid="#dfe3e8",
    lines=("#0068b0", "#cc5200", "#00856a", "#a8407f", "#7a6a00", "#1a1a1a", "#6a52c7", "#8a8f98"),
    heat=("#e9f1f8", "#c8dced", "#9dc0df", "#6f9fcc", "#d9812a", "#b8600f", "#8e4209", "#602807", "#341304"),
)
DARK: Final = Palette(
    paper="#14181d",
    ink="#eceff3",
    soft="#a9b3bf",
    grid="#303842",
    lines=("#4fa8ee", "#ff9340", "#2fc79d", "#ee90c4", "#d8c23c", "#f5f5f5", "#a997ff", "#7f8894"),
    heat=("#18232f", "#1d3b58", "#265681", "#3a77ad", "#c67a24", "#e29b41", "#f3bd6c", "#fadba3", "#fff4dc"),
)


def rules(palette: Palette, within: str = "") -> str:
    """The style of a picture; `within` is a selector that it is for."""
    lead = f"{within} " if within else ""
    found = [
        f"{lead}.paper{{fill:{palette.paper}}}",
        f"{lead}.ink{{fill:{palette.ink}}}",
        f"{lead}.soft{{fill:{palette.soft}}}",
        f"{lead}.grid{{stroke:{palette.grid}}}",
        f"{lead}.rim{{stroke:{palette.soft}}}",
    ]
    for place, colour in enumerate(palette.lines):
        found.append(f"{lead}.s{place}{{stroke:{colour}}}")
        found.append(f"{lead}.f{place}{{fill:{colour}}}")
    found += [f"{lead}.h{place}{{fill:{colour}}}" for place, colour in enumerate(palette.heat)]
    return "".join(found)


def style(theme: str) -> str:
    """The style of a picture of its own: "light", "dark", or "both": as whoever looks at it prefers."""
    if theme == "both":
        return f"{rules(LIGHT)}@media (prefers-color-scheme: dark){{{rules(DARK)}}}"
    return rules(DARK if theme == "dark" else LIGHT)
