"""The page of a report: what was simulated, what came of it, the figures with their tables, how to repeat it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final, NamedTuple

import tomli_w

from proxy.lab.outcome import Outcome
from proxy.lab.pictures.colours import DARK, FONT, LIGHT, Palette, rules
from proxy.lab.pictures.draw import svg
from proxy.lab.pictures.figure import Figure, Row
from proxy.lab.pictures.scales import number
from proxy.lab.report import decisions, tables
from proxy.lab.scenario import Scenario
from proxy.lab.series import Series

HERE: Final = Path(__file__).parent
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'"
OUTCOME: Final = (
    "strategy", "mean, ms", "±", "p50, ms", "p90, ms", "p99, ms", "highest, ms", "imbalance", "retries", "answered",
    "failed",
)  # fmt: skip


class Study(NamedTuple):
    """What a report is of: its title, a sentence on what was done, the scenario and how it is told, the command that
    repeats it, the window whose decisions are explained, whether the scenario alone repeats it, too, and in a series
    the value that the scenario is of."""

    title: str
    facts: str
    scenario: Scenario
    told: Mapping[str, Any]
    command: str
    window: tuple[float, float] | None = None
    whole: bool = True
    value: str = ""


def report(study: Study, found: Mapping[str, Outcome], figures: Sequence[Figure]) -> str:
    """The page of one scenario's outcomes."""
    explained = decisions.section(found, study.window) if study.window is not None else ""
    return _page(study, _summary(study, [("", found)]), figures, explained)


def series_report(study: Study, series: Series, figure: Figure) -> str:
    """The page of a series."""
    found = [(f"{series.key} = {value}", one) for value, one in zip(series.values, series.found, strict=False)]
    return _page(study, _summary(study, found), [figure], "")


def _page(study: Study, summary: str, figures: Sequence[Figure], explained: str) -> str:
    parts = [
        _head(study.title),
        "<body>",
        _top(study.title, figures, bool(explained)),
        '<main id="content">',
        summary,
        *(_figure(figure) for figure in figures),
        explained,
        _repeat(study),
        "</main>",
        f"<script>{(HERE / 'page.js').read_text()}</script></body></html>\n",
    ]
    return "".join(parts)


def _head(title: str) -> str:
    style = "".join(
        (
            _variables(":root", LIGHT),
            rules(LIGHT),
            "@media (prefers-color-scheme: dark){",
            _variables(":root:not([data-theme=light])", DARK),
            rules(DARK, ":root:not([data-theme=light])"),
            "}",
            _variables(":root[data-theme=dark]", DARK),
            rules(DARK, ":root[data-theme=dark]"),
            (HERE / "page.css").read_text(),
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style}</style></head>"
    )


def _variables(where: str, palette: Palette) -> str:
    return (
        f"{where}{{--paper:{palette.paper};--ink:{palette.ink};--soft:{palette.soft};--line:{palette.grid};"
        f"--accent:{palette.lines[0]};--font:{FONT};color-scheme:{'light' if palette is LIGHT else 'dark'}}}"
    )


def _top(title: str, figures: Sequence[Figure], explained: bool) -> str:
    places = [(figure.name, figure.title.partition(":")[0]) for figure in figures]
    places = [("outcome", "Outcome"), *places, *([("decisions", "Decisions")] if explained else [])]
    links = "".join(
        f'<li><a href="#{name}">{escape(text)}</a></li>' for name, text in (*places, ("repeat", "Repeat it"))
    )
    return (
        '<a class="skip" href="#content">To the content</a><header>'
        f"<h1>{escape(title)}</h1>"
        '<label class="theme" hidden>Colours <select id="theme"><option value="">as the system says</option>'
        '<option value="light">light</option><option value="dark">dark</option></select></label>'
        f'<nav aria-label="On this page"><ul>{links}</ul></nav></header>'
    )


def facts(said: Scenario) -> str:
    """A scenario in a sentence."""
    load = said.arriving / said.capacity
    doors = f"{_counted(said.doors, 'door')} of {_counted(said.workers, 'worker')}"
    return (
        f"{said.requests:,} requests at {number(said.arriving)} a second ({said.arrivals}), load {load:.3g}, at"
        f" {_counted(len(said.backends), 'backend')} ({said.service}), through {doors}; seed {said.seed}."
    )


def _summary(study: Study, found: Sequence[tuple[str, Mapping[str, Outcome]]]) -> str:
    """The outcomes in tables, each with what it is of."""
    whole = all(one.complete for _, outcomes in found for one in outcomes.values())
    stopped = "" if whole else "<p><strong>It was stopped: this is what there is.</strong></p>"
    shown = "".join(
        tables.table(f"Outcome of each strategy{of and f', {of}'}", OUTCOME, map(_row, outcomes.items()), "outcome")
        for of, outcomes in found
    )
    note = "Latency from arrival to the end of the answer, of requests that went well and came after the warm-up."
    return (
        f'<section id="outcome"><h2>Outcome</h2><p>{escape(study.facts)}</p>{stopped}{shown}<p>{note}'
        " ± is half of the 95 % interval of confidence of the mean.</p></section>"
    )


def _row(found: tuple[str, Outcome]) -> Row:
    name, one = found
    failed = ", ".join(f"{what}: {many}" for what, many in sorted(one.failed.items())) or "0"
    return [
        name, one.latency.mean, "-" if one.margin is None else one.margin, one.latency.p50, one.latency.p90,
        one.latency.p99, one.slowest,
        round(one.imbalance, 3), float(one.retries), float(one.answered), failed,
    ]  # fmt: skip


def _counted(many: int, what: str) -> str:
    return f"{many:,} {what}{'' if many == 1 else 's'}"


def _figure(figure: Figure) -> str:
    note = f"<p>{escape(figure.note)}</p>" if figure.note else ""
    return (
        f'<section id="{figure.name}"><h2>{escape(figure.title)}</h2><p>{escape(figure.description)}</p>'
        f'<figure><div class="scroll picture" tabindex="0" role="region" aria-label="Picture: {escape(figure.title)}">'
        f"{svg(figure, whole=False)}</div></figure>{note}"
        f"<details><summary>Numbers of this figure</summary>{tables.of_figure(figure)}</details></section>"
    )


def _repeat(study: Study) -> str:
    said = dict(study.told)
    if "backends" in said and not any(said["backends"]):
        said["backends"] = len(said["backends"])
    scenario = tomli_w.dumps(json.loads(json.dumps(said)))
    value = f" of {study.value}" if study.value else ""
    played = ", for <code>frontgate lab simulate scenario.toml</code>" if study.whole else ""
    return (
        f'<section id="repeat"><h2>Repeat it</h2><p>The same seed ({study.scenario.seed}) gives the same result. The'
        " command that made this report:</p>"
        f'<pre tabindex="0" aria-label="Command"><code id="command">{escape(study.command)}</code></pre>'
        '<button type="button" data-copies="command" hidden>Copy the command</button>'
        f"<p>The whole scenario{escape(value)}{played}:</p>"
        f'<pre tabindex="0" aria-label="Scenario"><code id="scenario">{escape(scenario)}</code></pre>'
        '<button type="button" data-copies="scenario" hidden>Copy the scenario</button>'
        '<p id="copied" role="status"></p></section>'
    )
