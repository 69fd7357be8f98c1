"""The figures that need a Recording: each backend's load as a heat map, imbalance and queues over time.

Rules: what is drawn of a time is the mean of the samples that fall into it; of a backend's load it is the requests that
are there over those that it works on at a time, so above 1 requests wait. Outcomes without a recording are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from proxy.lab.outcome import Outcome
from proxy.lab.pictures.figure import Axis, Figure, Heat, Line, Lines, Panel
from proxy.lab.recording import Recording, Sample
from proxy.lab.world import BEGIN

COLUMNS: Final = 120  # of a heat map, and points of a line, at most
ROWS: Final = 40  # of a heat map: of more backends, neighbours are one row
JOBS: Final = 40  # of a backend in each part of the time whose imbalance is drawn, on average
PARTS: Final = 60
LAST: Final = 10_000  # of the requests, among which the one that came last is looked for

Part = Sequence[Sample]


def recorded(found: Mapping[str, Outcome]) -> list[tuple[str, Outcome, Recording]]:
    """The outcomes that were recorded."""
    runs = [(name, outcome, outcome.world.recording) for name, outcome in found.items()]
    return [(name, outcome, recording) for name, outcome, recording in runs if recording is not None]


def parts(samples: Sequence[Sample], size: int) -> list[Part]:
    """Samples in parts of so many."""
    return [samples[place : place + size] for place in range(0, len(samples), size)]


def size_of(found: Mapping[str, Outcome], most: int) -> int:
    """How many samples are to be a part, so that no run has more parts than that."""
    return max(1, -(-max((len(one.samples) for _, _, one in recorded(found)), default=1) // most))


def edges(found: Sequence[Part]) -> list[float]:
    """Where parts begin, and where the last ends."""
    return [0.0, *(part[-1].at for part in found)]


def time_axis(found: Mapping[str, Outcome]) -> Axis:
    """Of all panels the same, so that they can be compared."""
    most = max((one.samples[-1].at for _, _, one in recorded(found) if one.samples), default=1.0)
    return Axis("seconds", "exact", least=0.0, most=most)


def last_arrival(outcome: Outcome) -> float:
    """When the last request came, of those that ended."""
    world = outcome.world
    return max([BEGIN, *world.starts[-LAST:], *world.failures[-LAST:]]) - BEGIN


def heat(found: Mapping[str, Outcome]) -> Figure:
    """Each backend's load over time, a panel for each strategy."""
    panels: list[Panel] = []
    time, size = time_axis(found), size_of(found, COLUMNS)
    for name, outcome, recording in recorded(found):
        columns = parts(recording.samples, size)
        rows = grouped(len(outcome.world.servers))
        cells = tuple(tuple(_load(outcome, part, row) for part in columns) for row in rows)
        names = tuple(named(row) for row in rows)
        panels.append(Heat(name, time, Axis("backend"), names, tuple(edges(columns)), cells))
    many = max((len(outcome.backends) for outcome in found.values()), default=0)
    note = "" if many <= ROWS else f"Each row is the mean of {len(grouped(many)[0])} backends."
    most = "; ".join(f"{panel.title}: at most {_most(panel):.3g}" for panel in panels if isinstance(panel, Heat))
    text = "Requests at each backend over those that it works on at a time; above 1 requests wait."
    return Figure(
        "heat", "Load of each backend over time", text, tuple(found), tuple(panels),
        ("strategy", "backend", "seconds", "load"), f"{most}.", note=note,
    )  # fmt: skip


def grouped(number: int) -> list[range]:
    """The backends of each row."""
    size = -(-number // ROWS)
    return [range(place, min(place + size, number)) for place in range(0, number, size or 1)]


def named(row: range) -> str:
    """What a row of backends is called."""
    return str(row[0]) if len(row) == 1 else f"{row[0]}-{row[-1]}"


def _load(outcome: Outcome, part: Part, row: range) -> float:
    servers = outcome.world.servers
    there: float = sum(sample.lengths[place] / servers[place].concurrency for sample in part for place in row)
    return there / (len(part) * len(row))


def _most(panel: Heat) -> float:
    return max((cell for cells in panel.cells for cell in cells), default=0.0)


def imbalance(found: Mapping[str, Outcome]) -> Figure:
    """The most that a backend did, and had, over the mean of all."""
    work, there, time = [], [], time_axis(found)
    jobs = min((one.answered / len(one.backends) for one in found.values()), default=0.0)
    size = size_of(found, max(6, min(PARTS, int(jobs / JOBS))))
    for name, outcome, recording in recorded(found):
        servers = outcome.world.servers
        last = last_arrival(outcome)
        samples = [sample for sample in recording.samples if sample.at <= last]
        columns = [part for part in parts(samples, size) if 2 * len(part) > size]
        uneven = partial(_uneven, [server.concurrency for server in servers])
        work.append(Line(name, _points(columns, [uneven([one.work for one in part]) for part in columns])))
        there.append(Line(name, _points(columns, [uneven([one.lengths for one in part]) for part in columns])))
    text = "While requests came: the most that a backend did, and had, over the mean of all. 1 is even."
    said = "; ".join(f"{name}: {one.imbalance:.3f} in the whole run" for name, one in found.items()) + "."
    cells = ("panel", "strategy", "seconds", "imbalance")
    y = Axis("most of a backend over the mean of all", least=1.0, most=1.1)
    panels = (Lines("Work begun", time, y, tuple(work)), Lines("Requests there", time, y, tuple(there)))
    return Figure("imbalance", "Imbalance over time", text, tuple(found), panels, cells, said)


def _uneven(places: Sequence[int], rows: Sequence[Sequence[float]]) -> float:
    each = [sum(row[place] for row in rows) / many for place, many in enumerate(places)]
    return max(each) * len(each) / total if (total := sum(each)) else 1.0


def _points(columns: Sequence[Part], values: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """A value in the middle of each part of the time."""
    ends = edges(columns)
    return tuple((0.5 * (ends[place] + ends[place + 1]), value) for place, value in enumerate(values))


def queues(found: Mapping[str, Outcome]) -> Figure:
    """How many requests wait, over time."""
    time, size = time_axis(found), size_of(found, COLUMNS)
    told: dict[str, list[Line]] = {"In the lines of all backends": [], "In the longest line": [], "At the doors": []}
    for name, _, recording in recorded(found):
        columns = parts(recording.samples, size)
        for title, values in (
            ("In the lines of all backends", [sum(one.waiting for one in part) / len(part) for part in columns]),
            ("In the longest line", [max(one.longest for one in part) for part in columns]),
            ("At the doors", [sum(one.queued for one in part) / len(part) for part in columns]),
        ):
            told[title].append(Line(name, _points(columns, values)))
    if not any(y for line in told["At the doors"] for _, y in line.points):
        del told["At the doors"]
    most = {line.name: max((y for _, y in line.points), default=0.0) for line in told["In the longest line"]}
    text = "Requests that wait for a place at a backend."
    said = "The longest line: " + "; ".join(f"{name} {number:g}" for name, number in most.items()) + "."
    cells = ("panel", "strategy", "seconds", "requests")
    panels = tuple(Lines(title, time, Axis("requests", least=0.0), tuple(lines)) for title, lines in told.items())
    return Figure("queues", "Queues over time", text, tuple(found), panels, cells, said)
