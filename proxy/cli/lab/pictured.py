"""What the studies of the laboratory write besides their tables: pictures, CSV, JSON and the report.

Rules: whether files can be written is looked at before a long run; each is written whole or not at all. A picture is
of one figure, which --plot says.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import shtab

from proxy.cli.asking import Trouble
from proxy.config.units import duration
from proxy.lab import files
from proxy.lab.figures import over_time, plots
from proxy.lab.outcome import Outcome
from proxy.lab.pictures.draw import svg
from proxy.lab.pictures.figure import Figure
from proxy.lab.pictures.png import drawer, png
from proxy.lab.recording import Recorder
from proxy.lab.report import decisions
from proxy.lab.report.page import Study, facts, report, series_report
from proxy.lab.scenario import Scenario
from proxy.lab.series import Series

WINDOW: Final = 40  # requests that a report explains, if nothing is said
THEMES: Final = ("light", "dark")
FIGURES: Final = {  # in the order of a report
    "cdf": plots.cdf,
    "percentiles": plots.percentiles,
    "rates": plots.rates,
    "shares": plots.shares,
    "heat": over_time.heat,
    "imbalance": over_time.imbalance,
    "queues": over_time.queues,
}
SAMPLED: Final = ("heat", "imbalance", "queues")  # these need a recording


def options(command: Any, names: Sequence[str], usual: str) -> None:
    """Give a command the options of pictures, of the figures with these names."""
    command.add_argument("--plot", choices=names, metavar="NAME", help=f"which figure: {', '.join(names)} ({usual})")
    for option, text in (
        ("--png", "write the figure as PNG (or as SVG, if the name ends so)"),
        ("--svg", "write the figure as SVG, light or dark as its reader prefers"),
    ):
        command.add_argument(option, metavar="FILE", help=text).complete = shtab.FILE
    command.add_argument("--theme", choices=THEMES, default="light", help="of the PNG (light)")
    command.add_argument(
        "--csv",
        metavar="PATH",
        help='write the numbers: those of --plot, or the table, to a FILE.csv or "-", all to a folder',
    )


def reported(command: Any) -> None:
    """Give a command the options of the report."""
    command.add_argument(
        "--report", metavar="FILE", help="write a report that needs nothing else, as HTML"
    ).complete = shtab.FILE
    command.add_argument(
        "--explain", "--window", metavar="FROM:TO", type=window,
        help="explain the decisions of these seconds, in the report, the JSON and the CSV (with --report: 40 requests)",
    )  # fmt: skip


def window(text: str) -> tuple[float, float]:
    """FROM:TO in seconds, as durations are written. ArgumentTypeError with a sentence."""
    begin, _, end = text.partition(":")
    try:
        found = _seconds(begin), _seconds(end)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f'"{text}" is no window FROM:TO such as 10s:10.5s ({problem})') from None
    if not 0.0 <= found[0] < found[1]:
        raise argparse.ArgumentTypeError(f'"{text}" is no window: it must begin before it ends')
    return found


def _seconds(text: str) -> float:
    """A duration; a number alone are seconds."""
    try:
        return float(text)
    except ValueError:
        return duration(text)


def chosen(asked: argparse.Namespace, scenario: Scenario) -> tuple[float, float] | None:
    """The window that is explained: what is asked for, or for a report some requests after the warm-up."""
    if asked.explain is not None or asked.report is None:
        found: tuple[float, float] | None = asked.explain
        return found
    first = scenario.warmup * scenario.requests / scenario.arriving
    return first, first + WINDOW / scenario.arriving


def ready(asked: argparse.Namespace) -> None:
    """Look before a run whether what is asked for can be written. ValueError and Trouble with sentences."""
    if asked.plot is not None and not any((asked.png, asked.svg, asked.csv, asked.json)):
        raise Trouble(f"--plot {asked.plot} says what is drawn; say where with --png, --svg, --csv or --json FILE")
    if "-" in (asked.png, asked.svg, asked.report):
        raise Trouble('"-", standard output, is for --json and --csv: say a file')
    if asked.csv == asked.json == "-":
        raise Trouble("--json and --csv cannot both be standard output: say a file for one of them")
    for path in (asked.png, asked.svg, asked.report, asked.json):
        if path is not None and path != "-":
            files.writable(path)
    if asked.csv is not None and asked.csv != "-":
        files.writable(asked.csv, _foldered(asked.csv))
    if asked.png is not None and not asked.png.endswith(".svg"):
        drawer()


def recorder(asked: argparse.Namespace, scenario: Scenario) -> Recorder | None:
    """What is to be remembered of the runs for what is asked for; None: nothing."""
    found = chosen(asked, scenario)
    folder = asked.csv is not None and _foldered(asked.csv)
    return Recorder(found) if found or folder or asked.report or asked.plot in SAMPLED else None


def figures(found: Mapping[str, Outcome], subtitle: str) -> list[Figure]:
    """All figures that there are of outcomes: without a recording, those that need none."""
    sampled = any(outcome.world.recording is not None for outcome in found.values())
    made = [make(found) for name, make in FIGURES.items() if sampled or name not in SAMPLED]
    return [replace(figure, subtitle=subtitle) for figure in made]


def study_written(
    asked: argparse.Namespace,
    found: Mapping[str, Outcome],
    scenario: Scenario,
    told: dict[str, Any],
    sentence: str = "",
) -> None:
    """Write all that is asked for of a study's outcomes, and add the figures and decisions that are asked for to its
    JSON, `told`. `sentence` says what was done, if it is not a simulation of the scenario as it stands."""
    made = figures(found, sentence or plots.told(scenario))
    written(asked, made, "cdf", (SUMMARY, summary(found)))
    if asked.csv is not None and _foldered(asked.csv) and (rows := list(decisions.rows(found))):
        files.write(Path(asked.csv) / "decisions.csv", files.table(decisions.COLUMNS, rows))
    if asked.report is not None:
        title = " and ".join(found) if len(found) < 4 else f"{len(found)} strategies"
        command = shlex.join(["frontgate", *asked.given])
        said = sentence or facts(scenario)
        again = (told["scenario"], command, chosen(asked, scenario), not sentence)
        study = Study(f"Laboratory: {title}", said, scenario, *again)
        files.write(asked.report, report(study, found, made))
    shown = [one for one in made if asked.report is not None or one.name == asked.plot]
    if shown:
        told["figures"] = {one.name: {"columns": one.columns, "rows": list(one.rows())} for one in shown}
    if asked.explain is not None:
        told["decisions"] = [dict(zip(decisions.COLUMNS, row, strict=True)) for row in decisions.rows(found)]


def series_written(asked: argparse.Namespace, found: Series, measures: Sequence[str]) -> None:
    """Write all that is asked for of a series."""
    figure = plots.vary(found, measures)
    written(asked, [figure], "vary", summary_of(found))
    if asked.report is not None and found.found:
        first = found.found[0]
        said = f"{found.key}: {', '.join(found.values)}. Else {plots.told(first.scenario, found.key)}."
        command = shlex.join(["frontgate", *asked.given])
        again = (first.told()["scenario"], command, None, True, f"{found.key} = {found.values[0]}")
        study = Study(f"Laboratory: {figure.title}", said, first.scenario, *again)
        files.write(asked.report, series_report(study, found, figure))


def _foldered(path: str) -> bool:
    """Whether a path is to be a folder of files."""
    return path != "-" and Path(path).suffix != ".csv"


def written(asked: argparse.Namespace, figures: Sequence[Figure], usual: str, summary: tuple[Any, Any]) -> None:
    """Write pictures and CSV; `summary` are the columns and rows of the outcome's own table."""
    named = {figure.name: figure for figure in figures}
    wanted = asked.plot or usual
    figure = named.get(wanted)
    if figure is None and (asked.png or asked.svg or asked.plot):
        raise Trouble(f"there is no figure {wanted} of this run: it has {', '.join(named)}")
    if figure is not None:
        picture(figure, asked)
    if asked.csv is None:
        return
    if not _foldered(asked.csv):
        text = files.table(*((figure.columns, figure.rows()) if figure is not None and asked.plot else summary))
        if asked.csv == "-":
            sys.stdout.write(text)
        else:
            files.write(asked.csv, text)
        return
    folder = Path(asked.csv)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as problem:
        raise Trouble(f"the folder {folder} cannot be made: {problem.strerror}") from None
    files.write(folder / "outcome.csv", files.table(*summary))
    for one in figures:
        files.write(folder / f"{one.name}.csv", files.table(one.columns, one.rows()))


def picture(figure: Figure, asked: argparse.Namespace) -> None:
    """Write one figure as it is asked for. ValueError when the extra is not there, or it cannot be written."""
    for path in (asked.png, asked.svg):
        if path is None:
            continue
        if path.endswith(".svg") or path == asked.svg:
            files.write(path, svg(figure, "both"))
        else:
            files.write(path, png(figure, asked.theme))


def json_written(path: str, told: Mapping[str, Any]) -> str:
    """Write JSON, or give it when the path is "-"."""
    text = json.dumps(told, indent=2, allow_nan=False) + "\n"
    if path == "-":
        return text
    files.write(path, text)
    return ""


SUMMARY: Final = (
    "strategy", "mean_ms", "margin_ms", "p50_ms", "p90_ms", "p99_ms", "max_ms", "imbalance", "retries", "answered",
    "failed",
)  # fmt: skip


def summary(found: Mapping[str, Outcome]) -> list[list[Any]]:
    """The outcomes as rows of SUMMARY."""
    return [
        [
            name, one.latency.mean, one.margin, one.latency.p50, one.latency.p90, one.latency.p99, one.slowest,
            one.imbalance, one.retries, one.answered, sum(one.failed.values()),
        ]
        for name, one in found.items()
    ]  # fmt: skip


def summary_of(series: Series) -> tuple[list[str], list[list[Any]]]:
    """The columns and rows of a series: the value first."""
    rows = [[value, *row] for value, found in zip(series.values, series.found, strict=False) for row in summary(found)]
    return [series.key, *SUMMARY], rows
