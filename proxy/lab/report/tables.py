"""Tables of a report: of figures, of outcomes, of decisions.

Rules: a table has a caption and its rows and columns have heads; a table too wide or too long is in a box that scrolls
and that the keyboard reaches. Of very long ones, rows are left out evenly, and the caption says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from proxy.lab.pictures.figure import Bars, Cell, Figure, Heat, Panel, Row
from proxy.lab.pictures.scales import number

MOST_ROWS: Final = 60
MOST_COLUMNS: Final = 16  # of a heat map's table


def written(cell: Cell) -> str:
    """A cell as people read it."""
    return escape(cell) if isinstance(cell, str) else number(cell)


def table(caption: str, columns: Row, rows: Iterable[Row], kind: str = "") -> str:
    """A table in a box that scrolls; its first column are heads of rows."""
    lines = "".join(f"<tr>{_row(row)}</tr>" for row in rows)
    heads = "".join(f'<th scope="col">{written(column)}</th>' for column in columns)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table{f' class={kind}' if kind else ''}><caption>{escape(caption)}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _row(row: Row) -> str:
    first, *rest = row
    cells = "".join(f"<td>{written(cell)}</td>" for cell in rest)
    return f'<th scope="row">{written(first)}</th>{cells}'


def of_figure(figure: Figure) -> str:
    """The numbers of a figure as tables, one for each panel."""
    if figure.table is not None:
        columns, rows = figure.table
        return table(figure.title, columns, rows)
    found = []
    for panel in figure.panels:
        columns, rows = _heat(panel) if isinstance(panel, Heat) else _panel(panel)
        every = max(1, -(-len(rows) // MOST_ROWS))
        caption = f"{figure.title}: {panel.title}" if panel.title else figure.title
        caption += f" ({panel.y.label})" if not isinstance(panel, Heat) else " (mean load)"
        caption += f", each {every}th row" if every > 1 else ""
        found.append(table(caption, columns, rows[::every]))
    return "".join(found)


def _panel(panel: Panel) -> tuple[Row, list[Row]]:
    """A row for each x, a column for each line."""
    if isinstance(panel, Bars):
        columns = [panel.x.label, *(name for name, _ in panel.values)]
        return columns, [
            (group, *(values[place] for _, values in panel.values)) for place, group in enumerate(panel.groups)
        ]
    assert not isinstance(panel, Heat)
    places: dict[float, dict[str, float]] = {}
    for line in panel.lines:
        for x, y in line.points:
            places.setdefault(float(f"{x:.9g}"), {})[line.name] = y
    names = [line.name for line in panel.lines]
    rows: list[Row] = [[x, *(found.get(name, "") for name in names)] for x, found in sorted(places.items())]
    return [panel.x.label, *names], rows


def _heat(panel: Heat) -> tuple[Row, list[Row]]:
    """A row for each backend, a column for some cells together."""
    many = max(1, -(-(len(panel.starts) - 1) // MOST_COLUMNS))
    begins = range(0, len(panel.starts) - 1, many)
    columns = [panel.y.label, *(f"from {number(panel.starts[begin])} s" for begin in begins)]
    rows: list[Row] = []
    for name, cells in zip(panel.names, panel.cells, strict=True):
        rows.append([name, *(_mean(cells[begin : begin + many]) for begin in begins)])
    return columns, rows


def _mean(cells: Sequence[float]) -> float:
    return sum(cells) / len(cells)
