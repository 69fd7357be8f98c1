"""Draws panels: axes with their grid, lines, bars, and cells of heat.

Rules: each function draws a panel of a width at a place and says where it ends. Cells of the same level are one path,
so that a heat map is small.
"""

from __future__ import annotations

from typing import Final

from proxy.lab.pictures.colours import DASHES
from proxy.lab.pictures.figure import Bars, Heat, Lines, level
from proxy.lab.pictures.paper import Paper, shortened, width
from proxy.lab.pictures.scales import Scale, written

LEFT: Final = 54.0  # for the numbers of y
ABOVE: Final = 40.0  # for the title and the label of y
BELOW: Final = 36.0  # for the numbers and the label of x
ROW: Final = 16.0  # of a heat map, at most
MOST_ROWS_HIGH: Final = 320.0


def lines(paper: Paper, panel: Lines, names: tuple[str, ...], x: float, y: float, wide: float, high: float) -> float:
    """A panel of lines."""
    left, top, right, bottom = _frame(paper, panel.title, panel.y.label, x, y, wide, high)
    across = Scale(panel.x, (point[0] for line in panel.lines for point in line.points), left, right)
    up = Scale(panel.y, (point[1] for line in panel.lines for point in line.points), bottom, top)
    _grid_up(paper, up, left, right)
    _grid_across(paper, panel, across, top, bottom)
    for line in panel.lines:
        place = names.index(line.name) if line.name in names else 0
        places = [(across(point[0]), up(point[1])) for point in line.points]
        paper.line(places, place % 8, DASHES[place % 8], line.name)
        if panel.marked:
            for (point_x, point_y), (at_x, at_y) in zip(line.points, places, strict=True):
                said = panel.x.names[int(point_x)] if panel.x.names else written(point_x)
                paper.mark(at_x, at_y, place % 8, f"{line.name}, {panel.x.label} {said}: {point_y:.4g}")
    return bottom + BELOW


def bars(
    paper: Paper, panel: Bars, names: tuple[str, ...], x: float, y: float, wide: float, high: float = 190.0
) -> float:
    """A panel of bars in groups."""
    left, top, right, bottom = _frame(paper, panel.title, panel.y.label, x, y, wide, high)
    up = Scale(panel.y, [0.0, *(value for _, values in panel.values for value in values)], bottom, top)
    _grid_up(paper, up, left, right)
    each = (right - left) / max(1, len(panel.groups))
    gap = min(10.0, 0.25 * each)
    broad = (each - gap) / max(1, len(panel.values))
    every = max(1, -int(-max(width(group, 12.0) + 8.0 for group in panel.groups) // each)) if panel.groups else 1
    for number, group in enumerate(panel.groups):
        begin = left + number * each
        for place, (name, values) in enumerate(panel.values):
            colour = names.index(name) if name in names else place
            at = up(values[number])
            title = f"{name}, {group}: {values[number]:.4g}"
            paper.box(begin + gap / 2 + place * broad, at, max(0.5, broad - 1.0), bottom - at, f"f{colour % 8}", title)
        if number % every == 0:
            paper.words(begin + each / 2, bottom + 15.0, group, anchor="middle")
    paper.rule(left, bottom, right, bottom, "rim")
    paper.words(right, bottom + 30.0, panel.x.label, anchor="end")
    return bottom + BELOW


def heat(paper: Paper, panel: Heat, x: float, y: float, wide: float) -> float:
    """A panel of cells."""
    row = min(ROW, max(2.0, MOST_ROWS_HIGH / max(1, len(panel.names))))
    high = row * len(panel.names)
    left, top, right, bottom = _frame(paper, panel.title, panel.y.label, x, y, wide, high)
    across = Scale(panel.x, panel.starts, left, right)
    paths: dict[int, list[str]] = {}
    for number, cells in enumerate(panel.cells):
        begin = 0
        for place in range(1, len(cells) + 1):
            if place == len(cells) or level(cells[place]) != level(cells[begin]):
                from_x, to_x = round(across(panel.starts[begin])), round(across(panel.starts[place]))
                at = top + number * row
                paths.setdefault(level(cells[begin]), []).append(
                    f"M{from_x} {at:.1f}h{to_x - from_x}v{row:.1f}h{from_x - to_x}z"
                )
                begin = place
    for place, found in sorted(paths.items()):
        paper.boxes("".join(found), f"h{place}")
    every = max(1, round(13.0 / row + 0.49))
    for number, name in enumerate(panel.names):
        if number % every == 0:
            paper.words(left - 6.0, top + (number + 0.5) * row + 4.0, shortened(name, 9), 11.0, anchor="end")
    _grid_across(paper, panel, across, bottom, bottom)
    return bottom + BELOW


def _frame(
    paper: Paper, title: str, label: str, x: float, y: float, wide: float, high: float
) -> tuple[float, float, float, float]:
    """The words above a panel; left, top, right and bottom of where it draws."""
    if not title:
        y -= 16.0
    else:
        paper.words(x, y + 20.0, title, 13.0, "ink", more=' font-weight="600"')
    paper.words(x, y + 35.0, label, 12.0)
    return x + LEFT, y + ABOVE + 6.0, x + wide - 8.0, y + ABOVE + 6.0 + high


def _grid_up(paper: Paper, up: Scale, left: float, right: float) -> None:
    for tick in up.ticks:
        at = up(tick)
        paper.rule(left, at, right, at)
        paper.words(left - 6.0, at + 4.0, written(tick), anchor="end")


def _grid_across(paper: Paper, panel: Lines | Heat, across: Scale, top: float, bottom: float) -> None:
    ended = -1.0
    for tick in across.ticks:
        at = across(tick)
        if top != bottom:
            paper.rule(at, top, at, bottom)
        else:
            paper.rule(at, bottom, at, bottom + 4.0, "rim")
        text = panel.x.names[int(tick)] if panel.x.names else written(tick)
        half = 0.5 * width(text, 12.0)
        if at - half > ended:
            paper.words(at, bottom + 16.0, text, anchor="middle")
            ended = at + half + 3.0
    if top != bottom:
        paper.rule(across.start, bottom, across.end, bottom, "rim")
    paper.words(across.end, bottom + 31.0, panel.x.label, anchor="end")
