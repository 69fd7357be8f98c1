"""Draws a Figure as SVG: its title, a legend, its panels.

Rules: the picture has a title and a description for those who do not see it; what is drawn in a colour has a dash or a
shape of its own besides. One drawing for pages, files and PNG; only the style differs.
"""

from __future__ import annotations

from html import escape
from typing import Final

from proxy.lab.pictures import colours, panels
from proxy.lab.pictures.figure import LEVELS, Bars, Figure, Heat, Lines
from proxy.lab.pictures.paper import Paper, shortened, width, wrapped

WIDE: Final = 760.0
EDGE: Final = 14.0
BETWEEN: Final = 22.0  # panels
LETTERS: Final = 118  # of a line of small text


def svg(figure: Figure, theme: str = "both", *, whole: bool = True) -> str:
    """The picture; without `whole` it stands in a page that has the style, the title and the description itself."""
    paper = Paper()
    y = EDGE
    if whole:
        y = _head(paper, figure, y)
    y = _legend(paper, figure, y)
    y = _panels(paper, figure, y)
    for line in wrapped(figure.note, LETTERS) if whole else ():
        y += 16.0
        paper.words(EDGE, y, line)
    high = y + EDGE
    name = escape(figure.name)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE:g} {high:.0f}" width="{WIDE:g}"'
        f' height="{high:.0f}" role="img" aria-labelledby="{name}-title {name}-text" font-family="{colours.FONT}">'
        f'<title id="{name}-title">{escape(figure.title)}</title>'
        f'<desc id="{name}-text">{escape(f"{figure.description} {figure.said}".strip())}</desc>'
    )
    if whole:
        head += f'<style>{colours.style(theme)}</style><rect class="paper" width="100%" height="100%"/>'
    return f"{head}{paper.text()}</svg>\n"


def _head(paper: Paper, figure: Figure, y: float) -> float:
    y += 12.0
    paper.words(EDGE, y, figure.title, 16.0, "ink", more=' font-weight="600"')
    for line in wrapped(figure.subtitle, LETTERS) if figure.subtitle else ():
        y += 17.0
        paper.words(EDGE, y, line)
    return y + 8.0


def _legend(paper: Paper, figure: Figure, y: float) -> float:
    """What the colours mean."""
    if any(isinstance(panel, Heat) for panel in figure.panels):
        y = _levels(paper, y)
    if not any(isinstance(panel, Lines | Bars) for panel in figure.panels):
        return y
    x, y = EDGE, y + 16.0
    marked = any(isinstance(panel, Lines) and panel.marked for panel in figure.panels)
    barred = all(isinstance(panel, Bars) for panel in figure.panels)
    for place, name in enumerate(figure.names):
        text = shortened(name, 48)
        if x > EDGE and x + 34.0 + width(text, 13.0) > WIDE - EDGE:
            x, y = EDGE, y + 19.0
        colour, dash = place % 8, colours.DASHES[place % 8]
        if barred:
            paper.box(x + 8.0, y - 9.0, 12.0, 10.0, f"f{colour}")
        else:
            paper.line(((x, y - 4.0), (x + 26.0, y - 4.0)), colour, dash, name)
        if marked:
            paper.mark(x + 13.0, y - 4.0, colour)
        paper.words(x + 32.0, y, text, 13.0, "ink")
        x += 54.0 + width(text, 13.0)
    return y + 6.0


def _levels(paper: Paper, y: float) -> float:
    y += 16.0
    paper.words(EDGE, y, "requests at a backend, over those that it works on at a time (above 1 they wait)", 12.0)
    x, y, wide = EDGE, y + 18.0, 60.0
    for place, least in enumerate(LEVELS):
        paper.box(x, y - 10.0, wide, 12.0, f"h{place}")
        paper.words(x, y + 14.0, f"{least:g}", 11.0, anchor="middle" if place else "start")
        x += wide
    return y + 20.0


def _panels(paper: Paper, figure: Figure, y: float) -> float:
    across = figure.across
    wide = (WIDE - 2 * EDGE - (across - 1) * BETWEEN) / across
    bottom = y
    for place, panel in enumerate(figure.panels):
        column = place % across
        if not column:
            y = bottom
        x = EDGE + column * (wide + BETWEEN)
        if isinstance(panel, Heat):
            end = panels.heat(paper, panel, x, y, wide)
        elif isinstance(panel, Bars):
            end = panels.bars(paper, panel, figure.names, x, y, wide)
        else:
            end = panels.lines(paper, panel, figure.names, x, y, wide, 190.0 if len(figure.panels) > across else 270.0)
        bottom = max(bottom, end)
    return bottom
