"""The figures of a comparison: latencies, percentiles over time, load, imbalance, queues, failures, and series.

Rules: figures are made of outcomes alone and are pure; what is over time needs a Recording, but for latencies, which
every run keeps. Latencies are in milliseconds, times in seconds from the beginning of the simulation.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from proxy.lab.figures.over_time import grouped, last_arrival, named
from proxy.lab.outcome import Latency, Outcome, quantile
from proxy.lab.pictures.figure import Axis, Bars, Figure, Line, Lines, Panel
from proxy.lab.pictures.scales import number
from proxy.lab.scenario import Scenario
from proxy.lab.series import MEASURES, Series
from proxy.lab.world import BEGIN

STEPS: Final = 240  # points of a line that tells of a distribution
SPANS: Final = 60  # parts of the time, at most
SHARES: Final = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
ENOUGH: Final = 200  # requests of a part, on average: a 99th percentile of fewer says little
TIME: Final = Axis("seconds", "exact", least=0.0)
BODY: Final = 0.01  # of the fastest requests that are not drawn: they would take most of a logarithmic scale
TAIL: Final = 0.5  # of the slowest that are


def _said(found: Mapping[str, Any], what: Callable[[Any], str]) -> str:
    return "; ".join(f"{name}: {what(outcome)}" for name, outcome in found.items()) + "."


class Timed(Protocol):
    """Anything whose latencies are known: `times` in seconds, `latency` in milliseconds."""

    @property
    def times(self) -> Sequence[float]: ...

    @property
    def latency(self) -> Latency: ...


def cdf(found: Mapping[str, Timed]) -> Figure:
    """What share of the requests took how long at most, and how many took longer."""
    bodies, tails = [], []
    for name, outcome in found.items():
        ordered = sorted(outcome.times)
        bodies.append(Line(name, tuple(_body(ordered))))
        tails.append(Line(name, tuple(_tail(ordered))))
    least = max(1e-5, min((1.0 / len(one.times) for one in found.values() if one.times), default=0.01))
    latency = Axis("milliseconds", "log")
    text = "The share of the answers that were there after a time, and of those that took longer."
    return Figure(
        "cdf",
        "Latency: how many were answered in which time",
        text,
        tuple(found),
        (
            Lines("All requests", latency, Axis("share answered", least=0.0, most=1.0), tuple(bodies)),
            Lines(
                "The slow ones", latency, Axis("share that took longer", "log", least=least, most=TAIL), tuple(tails)
            ),
        ),
        columns=("panel", "strategy", "latency_ms", "share"),
        across=2,
        said=_said(found, _percentiles),
        table=(("share of the answers", *(f"{name}, ms" for name in found)), tuple(_quantiles(found))),
    )


def _quantiles(found: Mapping[str, Timed]) -> Iterator[tuple[str | float, ...]]:
    ordered = [sorted(outcome.times) for outcome in found.values()]
    for share in SHARES:
        yield f"{100.0 * share:g} %", *(1e3 * quantile(times, share) for times in ordered)


def _percentiles(outcome: Timed) -> str:
    one = outcome.latency
    return f"p50 {number(one.p50)} ms, p90 {number(one.p90)} ms, p99 {number(one.p99)} ms"


def _body(ordered: Sequence[float]) -> list[tuple[float, float]]:
    many = len(ordered)
    first = int(BODY * many)
    places = sorted({first + round(step * (many - 1 - first) / STEPS) for step in range(STEPS + 1)}) if many else []
    return [(1e3 * ordered[place], (place + 1) / many) for place in places]


def _tail(ordered: Sequence[float]) -> list[tuple[float, float]]:
    """Points evenly spaced over the powers of ten of the share that took longer."""
    many = len(ordered)
    most = int(TAIL * many)
    longer = {int(most ** (1.0 - step / STEPS)) for step in range(STEPS + 1)} if most else set()
    return [(1e3 * ordered[many - 1 - left], left / many) for left in sorted(longer, reverse=True)]


def spans(outcomes: Sequence[Outcome], number: int) -> list[float]:
    """The ends of the parts of the time in which requests came, the first and the last included."""
    end = max((last_arrival(outcome) for outcome in outcomes), default=0.0) or 1.0
    return [end * place / number for place in range(number + 1)]


def percentiles(found: Mapping[str, Outcome]) -> Figure:
    """The 50th, 90th and 99th percentile of the requests that came in each part of the time."""
    fewest = min((len(outcome.world.latencies) for outcome in found.values()), default=0)
    edges = spans(list(found.values()), max(4, min(SPANS, fewest // ENOUGH)))
    lines: dict[float, list[Line]] = {0.5: [], 0.9: [], 0.99: []}
    for name, outcome in found.items():
        parts = [array("d") for _ in edges[1:]]
        for start, latency in zip(outcome.world.starts, outcome.world.latencies, strict=True):
            parts[min(bisect_right(edges, start - BEGIN), len(parts)) - 1].append(latency)
        points: dict[float, list[tuple[float, float]]] = {share: [] for share in lines}
        for place, part in enumerate(parts):
            ordered = sorted(part)
            for share, found_of in points.items():
                if ordered:
                    found_of.append((0.5 * (edges[place] + edges[place + 1]), 1e3 * quantile(ordered, share)))
        for share, told in lines.items():
            told.append(Line(name, tuple(points[share])))
    text = f"Of the requests that came in each of {len(edges) - 1} parts of the time."
    panels = tuple(
        Lines(f"p{round(100 * share)}", TIME, Axis("milliseconds", least=0.0), tuple(told))
        for share, told in lines.items()
    )
    return Figure(
        "percentiles",
        "Latency over time",
        text,
        tuple(found),
        panels,
        ("percentile", "strategy", "seconds", "latency_ms"),
        _said(found, _percentiles),
    )


def rates(found: Mapping[str, Outcome]) -> Figure:
    """Requests a second that were answered well, and that failed, by the time at which they came."""
    edges = spans(list(found.values()), SPANS)
    well, ill = [], []
    for name, outcome in found.items():
        well.append(Line(name, tuple(_counted(edges, outcome.world.starts))))
        ill.append(Line(name, tuple(_counted(edges, outcome.world.failures))))
    text = "Requests a second, by the time at which they came."
    said = _said(found, lambda one: f"{sum(one.failed.values())} failed")
    panels = (
        Lines("Answered well", TIME, Axis("requests a second", least=0.0), tuple(well)),
        Lines("Failed", TIME, Axis("requests a second", least=0.0), tuple(ill)),
    )
    return Figure(
        "rates", "Answers and failures over time", text, tuple(found), panels,
        ("panel", "strategy", "seconds", "requests_a_second"), said,
    )  # fmt: skip


def _counted(edges: Sequence[float], times: Sequence[float]) -> list[tuple[float, float]]:
    counts = [0] * (len(edges) - 1)
    for time in times:
        counts[min(bisect_right(edges, time - BEGIN), len(counts)) - 1] += 1
    long = edges[1] - edges[0]
    return [(edges[place] + 0.5 * long, count / long) for place, count in enumerate(counts)]


def shares(found: Mapping[str, Outcome]) -> Figure:
    """Each backend's share of the answers and how much of its time it worked."""
    rows = grouped(max((len(outcome.backends) for outcome in found.values()), default=0))
    groups = tuple(named(row) for row in rows)
    answers, used = [], []
    for name, outcome in found.items():
        answers.append((name, tuple(sum(outcome.backends[place].share for place in row) for row in rows)))
        each = [sum(outcome.backends[place].utilisation for place in row) / len(row) for row in rows]
        used.append((name, tuple(each)))
    text = "Each backend's share of the answers, and how much of its time it worked."
    said = _said(found, lambda one: f"imbalance {one.imbalance:.3f}")
    y = Axis("share of its time and places", least=0.0, most=1.0)
    panels = (
        Bars("Share of the answers", Axis("backend"), Axis("share", least=0.0), groups, tuple(answers)),
        Bars("Utilisation", Axis("backend"), y, groups, tuple(used)),
    )
    columns = ("panel", "strategy", "backend", "share")
    return Figure("shares", "What each backend did", text, tuple(found), panels, columns, said)


def vary(series: Series, measures: Sequence[str]) -> Figure:
    """One measure, or several, over the values of a key: lines over numbers, bars over anything else."""
    numbers = series.numbers
    strategies = tuple(dict.fromkeys(name for found in series.found for name in found))
    values = series.values[: len(series.found)]
    panels: list[Panel] = []
    for name in measures:
        measure = MEASURES[name]
        found = {
            strategy: [measure.of(one[strategy]) for one in series.found if strategy in one] for strategy in strategies
        }
        y = Axis(measure.label, least=measure.least, most=measure.most)
        title = _capital(measure.title) if len(measures) > 1 else ""
        if numbers is None:
            bars = tuple((strategy, (*each, *[0.0] * (len(values) - len(each)))) for strategy, each in found.items())
            panels.append(Bars(title, Axis(series.key), y, values, bars))
        else:
            lines = (Line(strategy, tuple(zip(numbers, each, strict=False))) for strategy, each in found.items())
            panels.append(Lines(title, _over(series.key, numbers), y, tuple(lines), marked=True))
    title = _capital(" and ".join(MEASURES[name].title for name in measures))
    first = series.found[0].scenario if series.found else None
    text = f"Each value of {series.key} is a run of its own, with the same seed."
    columns = ("measure", "strategy", series.key, "value")
    subtitle = told(first, series.key) if first is not None else ""
    said = "; ".join(f"{row[1]} at {row[2]}: {number(float(row[3]))}" for one in panels for row in one.rows()) + "."
    title = f"{title} over {series.key}"
    return Figure("vary", title, text, strategies, tuple(panels), columns, said, subtitle=subtitle)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _over(key: str, numbers: Sequence[float]) -> Axis:
    """An axis of the values themselves: logarithmic when they span more than a power of ten."""
    spread = len(numbers) > 2 and min(numbers) > 0.0 and max(numbers) / min(numbers) >= 20.0
    return Axis(key, "log" if spread else "exact", min(numbers), max(numbers), ticks=tuple(sorted(set(numbers))))


def told(scenario: Scenario, without: str = "") -> str:
    """A scenario in a line, but for the key that is varied."""
    load = scenario.arriving / scenario.capacity
    facts = {
        "backends": f"{len(scenario.backends)} backends",
        "service": scenario.service,
        "arrivals": scenario.arrivals.partition("/")[0],
        "load": f"load {load:.3g}",
        "doors": f"{scenario.doors} doors" if scenario.doors > 1 else "",
        "workers": f"{scenario.workers} workers each" if scenario.workers > 1 else "",
        "requests": f"{scenario.requests} requests",
        "seed": f"seed {scenario.seed}",
    }
    left_out = {without, "load" if without == "rate" else ""}
    return ", ".join(fact for key, fact in facts.items() if fact and key not in left_out)
