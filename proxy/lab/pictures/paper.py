"""A sheet of SVG that lines, boxes and words are put on.

Rules: colours are classes of `colours.rules`; numbers have one decimal, which is a tenth of a pixel; whatever is a word
is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

LETTER: Final = 0.5  # the width of a letter over its size, on average


class Paper:
    """The elements of a picture, in the order in which they are drawn."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def words(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 12.0,
        kind: str = "soft",
        anchor: str = "start",
        more: str = "",
    ) -> None:
        """A line of text; `anchor` is start, middle or end; `more` are attributes."""
        place = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self.parts.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" font-size="{size:g}"{place}{more}>{escape(text)}</text>'
        )

    def rule(self, x: float, y: float, to_x: float, to_y: float, kind: str = "grid", width: float = 1.0) -> None:
        """A straight line."""
        self.parts.append(
            f'<line class="{kind}" x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke-width="{width:g}"/>'
        )

    def line(self, points: Iterable[tuple[float, float]], colour: int, dash: str, name: str) -> None:
        """A line through points, with its name for whoever hovers over it."""
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        if path:
            dashed = f' stroke-dasharray="{dash}"' if dash else ""
            self.parts.append(
                f'<path class="s{colour}" d="M{path}" fill="none" stroke-width="2" stroke-linejoin="round"{dashed}>'
                f"<title>{escape(name)}</title></path>"
            )

    def box(self, x: float, y: float, width: float, height: float, kind: str, title: str = "") -> None:
        """A filled box."""
        end = f"><title>{escape(title)}</title></rect>" if title else "/>"
        self.parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"{end}'
        )

    def mark(self, x: float, y: float, colour: int, title: str = "") -> None:
        """A point of a line: each colour has a shape of its own."""
        end = f"><title>{escape(title)}</title></path>" if title else "/>"
        self.parts.append(f'<path class="f{colour}" d="{shape(x, y, colour)}"{end}')

    def boxes(self, text: str, kind: str) -> None:
        """Boxes as SVG writes a path, without seams."""
        self.parts.append(f'<path class="{kind}" shape-rendering="crispEdges" d="{text}"/>')

    def text(self) -> str:
        """All that was drawn."""
        return "".join(self.parts)


def shape(x: float, y: float, number: int, size: float = 4.0) -> str:
    """A disc, square, triangle, rhombus ... around a point."""
    corners = (
        (),
        ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        ((0, -1.25), (1.2, 0.9), (-1.2, 0.9)),
        ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
        ((0, 1.25), (1.2, -0.9), (-1.2, -0.9)),
        ((-1.2, -0.45), (1.2, -0.45), (1.2, 0.45), (-1.2, 0.45)),
        ((-0.45, -1.2), (0.45, -1.2), (0.45, 1.2), (-0.45, 1.2)),
        ((-1.25, 0), (0.9, -1.2), (0.9, 1.2)),
    )[number % 8]
    if not corners:
        return f"M{x - size:.1f} {y:.1f}a{size} {size} 0 1 0 {2 * size} 0a{size} {size} 0 1 0 {-2 * size} 0z"
    return "M" + "L".join(f"{x + size * dx:.1f} {y + size * dy:.1f}" for dx, dy in corners) + "z"


def width(text: str, size: float) -> float:
    """About how wide a text is."""
    return LETTER * size * len(text)


def shortened(text: str, most: int) -> str:
    """A text of so many letters at most."""
    return text if len(text) <= most else text[: most - 1] + "…"


def wrapped(text: str, most: int) -> list[str]:
    """Lines of so many letters at most."""
    found = [""]
    for word in text.split():
        if found[-1] and len(found[-1]) + len(word) + 1 > most:
            found.append(word)
        else:
            found[-1] = f"{found[-1]} {word}".strip()
    return found
