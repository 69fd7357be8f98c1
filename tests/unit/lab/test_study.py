"""docs/study/: its commands run and make its figures, and what its text and tables say is what they show.

Every command is run once, in full, with the seed that the reader has; numbers may differ by as much as another
machine's libm may make of them.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import re
import shlex
import tempfile
import textwrap
import tomllib
from itertools import pairwise
from math import e, factorial
from pathlib import Path

import pytest

from proxy import cli, lab
from proxy.cli.lab import said, varied
from proxy.config.limit import Limit
from proxy.config.redis import Redis
from proxy.config.upstream import Upstream

ROOT = Path(__file__).resolve().parents[3]
STUDY = ROOT / "docs" / "study"
PAGES = {page.stem: page.read_text() for page in sorted(STUDY.glob("*.md"))}
CHAPTERS = ["round-robin", "two-choices", "cold-server", "retries", "limits", "many-doors"]
NEAR = 0.02  # another libm, another rounding, another queue
FENCED = re.compile(r"^```\n(frontgate lab [^`]*)\n```$", re.M)
IMAGE = re.compile(r"!\[([^]]*)\]\(([^)]*)\)")
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]\d+)?")
FIGURES = [(name, command) for name, page in PAGES.items() for command in FENCED.findall(page)]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def words_of(command):
    return shlex.split(command.replace("\\\n", ""))


def figure_of(command):
    words = words_of(command)
    return Path(words[words.index("--svg") + 1]).stem


BY_FIGURE = {figure_of(command): command for _, command in FIGURES}


@functools.cache
def ran(figure):
    """The JSON, what is printed, and the figure of the command that makes a figure."""
    words = words_of(BY_FIGURE[figure])[1:]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as printed:
        words[words.index("--svg") + 1] = f"{folder}/figure.svg"
        assert cli.main([*words, "--json", f"{folder}/told.json"]) == 0
        told = json.loads(Path(folder, "told.json").read_text())
        return told, printed.getvalue(), Path(folder, "figure.svg").read_text()


def measured(figure, measure="mean"):
    """{strategy: numbers over the values} of a series; of a single run {strategy: number}."""
    told = ran(figure)[0]

    def of(one):
        total = one["answered"] + sum(one["failed"].values())
        return sum(one["failed"].values()) / total if measure == "failed" else one["latency_ms"][measure]

    if "points" not in told:
        return {name: of(one) for name, one in told["strategies"].items()}
    names = told["points"][0]["strategies"]
    return {name: [of(point["strategies"][name]) for point in told["points"]] for name in names}


def numbers(text):
    return [float(word) for word in NUMBER.findall(text)]


def near(found, wanted, least=0.0):
    return found == pytest.approx(wanted, rel=NEAR, abs=least)


# --- the pages themselves -------------------------------------------------------------------------------------------


def test_each_chapter_has_its_parts():
    assert set(PAGES) == {"index", *CHAPTERS}
    for name in CHAPTERS:
        parts = re.findall(r"^## (.*)$", PAGES[name], re.M)
        assert parts[:3] == ["The principle", "The theory", "The experiment"], name
        assert parts[-3:] == ["What to write in frontgate.toml", "Try it", "Open questions"], name
        assert f"({name}.md)" in PAGES["index"]
        assert f"study/{name}.md" in (ROOT / "mkdocs.yml").read_text()


def test_each_figure_is_made_by_one_command_beside_it():
    assert sorted(figure_of(command) for _, command in FIGURES) == sorted(one.stem for one in STUDY.glob("*.svg"))
    for name, page in PAGES.items():
        made = [f"{figure_of(command)}.svg" for command in FENCED.findall(page)]
        assert [file for _, file in IMAGE.findall(page)] == made, name
        assert all(len(text) > 60 for text, _ in IMAGE.findall(page)), name
    used = {word for _, command in [*FIGURES, *SHORT] for word in words_of(command) if word.endswith(".toml")}
    assert used == {str(one.relative_to(ROOT)) for one in STUDY.rglob("*.toml")}


def asked(command):
    return cli.parser().parse_args(words_of(command)[1:])


SHORT = [
    (name, " ".join("".join(command).split()))
    for name, page in PAGES.items()
    for command in re.findall(r"(?m)`(frontgate lab simulate [^`]+)`|^    (frontgate lab .*)$", page)
]


@pytest.mark.parametrize(("page", "command"), [*FIGURES, *SHORT])
def test_each_command_can_be_understood(page, command):
    found = asked(command)
    assert said.scenario_of(found) if found.vary is None else varied.scenarios(found)


@pytest.mark.parametrize("name", CHAPTERS)
def test_what_is_to_be_written_is_a_configuration(name):
    for text in re.findall(r"^```toml\n(.*?)^```$", PAGES[name], re.M | re.S):
        tables = tomllib.loads(text)
        for kind, model in (("upstream", Upstream), ("limit", Limit)):
            for table in tables.pop(kind, {}).values():
                model.model_validate(table)
        Redis.model_validate(tables.pop("redis", {"url": "redis://localhost"}))
        assert set(tables) <= {"workers"}


@pytest.mark.parametrize(
    ("name", "program", "out"),
    [
        (name, *found)
        for name, page in PAGES.items()
        for found in re.findall(r"^```python\n(.*?)^```(?:\n\n```\n(.*?)^```)?$", page, re.M | re.S)
    ],
)
def test_each_program_does_what_it_says(name, program, out, capsys):
    exec(compile(program, f"{name}.md", "exec"), {"__name__": "page"})  # the page's own
    printed = capsys.readouterr().out
    assert printed
    if out:
        assert re.sub(r"\d+", "N", printed) == re.sub(r"\d+", "N", out)
        assert near(numbers(printed), numbers(out), 1.0)


def test_the_notebook_of_the_package():
    """What `help(proxy.lab)` shows runs."""
    found: dict[str, object] = {}
    text = lab.__doc__ or ""
    exec(textwrap.dedent(text.split("In a notebook:")[1].split("A Scenario is")[0]), found)  # our own
    assert set(found["outcomes"]) == {"round_robin", "least_conn"}


def test_the_python_of_the_laboratory_page():
    """All of it but for what wants a real door and a log, which have tests of their own."""
    section = (ROOT / "docs" / "lab.md").read_text().split("## In Python")[1].split("\n## ")[0]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    found: dict[str, object] = {}
    exec("\n".join(line for line in lines if not line.startswith(("live(", "replay("))), found)
    assert len(lines) > 4 and set(found["outcomes"]) == {"round_robin", "least_conn"}


def test_a_scenario_with_one_thing_changed():
    scenario = lab.read("docs/study/client.toml")
    assert scenario.but(load=0.5).rate is None and scenario.but(load=0.5).load == 0.5
    assert scenario.but(seed=2) == scenario.model_copy(update={"seed": 2})
    with pytest.raises(ValueError, match="doors"):
        scenario.but(doors=0)


# --- what the commands show -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("figure", BY_FIGURE)
def test_each_figure_is_what_its_command_draws(figure):
    drawn = re.search(r"<desc[^>]*>(.*?)</desc>", ran(figure)[2], re.S)
    there = re.search(r"<desc[^>]*>(.*?)</desc>", (STUDY / f"{figure}.svg").read_text(), re.S)
    assert drawn and there
    assert near(numbers(there[1]), numbers(drawn[1]), 0.002), f"make {figure}.svg anew: {BY_FIGURE[figure]}"


@pytest.mark.parametrize(("page", "command"), FIGURES)
def test_each_table_is_what_its_command_prints(page, command):
    figure = figure_of(command)
    told, printed, _ = ran(figure)
    behind = PAGES[page].split(command, 1)[1]
    behind = re.split(r"^```\nfrontgate|^## ", behind, maxsplit=1, flags=re.M)[0]
    if "points" not in told:
        block = re.search(r"^```\n(strategy .*?)^```$", behind, re.M | re.S)
        lines = {line.split()[0]: line for line in printed.splitlines() if line}
        assert block, figure
        for line in block[1].splitlines()[1:]:
            assert near(numbers(line), numbers(lines[line.split()[0]]), 0.01), line
        return
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in behind.splitlines() if line[:1] == "|"]
    assert rows[0][1:] == told["values"]
    words = words_of(command)
    usual = words[words.index("--measure") + 1].split(",")[0]
    checked = 0
    for label, *cells in rows[2:]:
        series = of_row(figure, label, usual)
        if series is not None:
            assert near([float(cell) for cell in cells], series, 0.001 if usual == "failed" else 0.0), label
            checked += 1
    assert checked >= len(measured(figure, usual))


def of_row(figure, label, usual):
    """What a row of a table shows, or None when it is theory."""
    found = measured(figure, usual)
    if label in found:
        return found[label]
    if label in ("mean", "p99"):
        return next(iter(measured(figure, label).values()))
    return next(iter(found.values())) if label in ("failed", "rejected") else None


def row(page, label):
    """The numbers of a row of theory."""
    return next(numbers(line.split("|", 2)[2]) for line in PAGES[page].splitlines() if line.startswith(f"| {label}"))


def test_round_robin_by_theory():
    """Pollaczek-Khinchine for random, Kingman for round robin."""
    squares = [0.0, 1.0, 2.25, 4.75]
    exact = [20 + 0.7 / 0.3 * (1 + cs) / 2 * 20 for cs in squares]
    about = [20 + 0.7 / 0.3 * (0.1 + cs) / 2 * 20 for cs in squares]
    assert row("round-robin", "its formula (exact)") == pytest.approx(exact, abs=0.06)
    assert row("round-robin", "its formula (Kingman)") == pytest.approx(about, abs=0.06)
    found = measured("variance")
    assert found["random"] == pytest.approx(exact, rel=0.12)
    assert found["round_robin"] == pytest.approx(about, rel=0.16)
    factors = [least / turn for least, turn in zip(found["least_conn"], found["round_robin"], strict=True)]
    assert factors[0] > 1.0 and factors[-1] < 0.25


def test_a_slow_backend_has_no_end_under_round_robin():
    assert measured("slow-backend", "p99")["round_robin"] > 20 * measured("slow-backend", "p99")["least_conn"]
    assert measured("slow-backend", "p50")["round_robin"] < 30


def test_two_choices_by_theory():
    """The supermarket model: the mean is the sum of lambda^((d^k - 1) / (d - 1)) over lambda, by Little's law."""
    loads = [0.5, 0.6, 0.7, 0.8, 0.9]
    one = [20 / (1 - load) for load in loads]
    two = [20 / load * sum(load ** (2**k - 1) for k in range(1, 10)) for load in loads]
    assert row("two-choices", "its formula, d = 1") == pytest.approx(one, abs=0.06)
    assert row("two-choices", "its formula, d = 2") == pytest.approx(two, abs=0.06)
    assert row("two-choices", "two choices") == pytest.approx([0.9 ** (2**k - 1) for k in range(1, 6)], abs=0.001)
    found = measured("loads")
    assert found["random_two"] == pytest.approx(two, rel=0.035)
    assert found["random"] == pytest.approx(one, rel=0.09)
    tails = measured("tails", "p99")
    assert tails["random"] > 5 * tails["random_two"] and tails["random_two"] > 1.4 * tails["least_conn"]


def test_a_cold_server_and_one_that_fails():
    slow = measured("slow-start", "p99")["least_conn"]
    assert slow[0] > 1.15 * slow[3] and slow[3] == pytest.approx(slow[5], rel=0.05)
    assert len(set(measured("slow-start", "p99")["peak_ewma"])) == 1
    failed = measured("fast-failure", "failed")
    assert failed["round_robin"] == pytest.approx(0.25, abs=0.01) and failed["least_conn"] == pytest.approx(
        0.63, abs=0.02
    )
    assert failed["round_robin"] < failed["random_two"] < failed["peak_ewma"] < failed["least_conn"]
    latency = measured("fast-failure")
    assert latency["least_conn"] < latency["round_robin"]
    saved = lab.compare(lab.read("docs/study/fast-failure.toml").but(upstream={"breaker": {}}))
    assert {sum(one.failed.values()) for one in saved.values()} == {6}


def test_a_storm_ends_below_its_threshold():
    budgets = [float(value) for value in ran("budgets")[0]["values"]]
    loads = row("retries", "load with all retries")
    assert loads == pytest.approx([0.7 * (1 + budget) for budget in budgets], abs=0.001)
    for load, failed in zip(loads, measured("budgets", "failed")["round_robin"], strict=True):
        assert (failed > 0.8) is (load > 1.0)
    world = lab.simulate(lab.read("docs/study/storm.toml")).world
    assert not any(start > world.since + 15.0 for start in world.starts)


def lost(room, load):
    """M/D/1/K (Brun and Garcia 2000)."""
    last = room - 1
    b = sum((-1) ** k / factorial(k) * (last - k) ** k * load**k * e ** ((last - k) * load) for k in range(room))
    return 1 - b / (1 + load * b)


def test_bursts_by_theory():
    theory = [lost(int(burst) + 1, 0.8) for burst in ran("bursts")[0]["values"]]
    assert theory[0] == pytest.approx(0.8 / 1.8)
    assert row("limits", "formula") == pytest.approx(theory, abs=0.0006)
    assert measured("bursts", "failed")["round_robin"] == pytest.approx(theory, abs=0.007)
    p99 = measured("delays", "p99")["round_robin"]
    assert [before - after for before, after in pairwise(p99[:4])] == pytest.approx([200, 300, 500], abs=10)
    assert p99[-1] < 5


def test_many_doors():
    found = measured("doors")
    assert found["least_conn"][0] < found["random_two"][0] < found["round_robin"][0] < found["random"][0]
    assert found["least_conn"][4] == pytest.approx(found["random_two"][4], rel=0.1)
    assert all(found[name][-1] > 0.75 * found["random"][-1] for name in found)
    old = measured("stale")
    assert old["least_conn"][2] == pytest.approx(old["random_two"][2], rel=0.1)
    assert old["random_two"][3] < old["least_conn"][3] < old["random"][3] < old["least_conn"][4]
    assert old["least_conn"][5] > 3 * old["random"][5] > 3 * old["random_two"][5]
    together = lab.read("docs/study/client.toml").but(
        rate=40, shared="all", doors=4, limit={"rate": "10r/s", "burst": 20}
    )
    assert together.limit is not None
    assert lab.simulate(together).failed["limited"] == pytest.approx(0.746 * 20_000, rel=0.005)
    for doors, failed in zip((1, 2, 3, 4, 6, 8), measured("limits", "failed")["round_robin"], strict=True):
        assert failed == pytest.approx(max(0.0, 1 - 10 * doors / 40), abs=0.02)


def in_turn(number, load):
    """The mean time of E_n/M/1 at 20 ms a request: what round robin makes of Poisson arrivals (Kleinrock 1975, 6.4)."""
    root = 0.5
    for _ in range(1000):
        root = (number * load / (number * load + 1 - root)) ** number
    return 20 / (1 - root)


SAID = [
    ("round-robin", "40.4 ms", lambda: in_turn(10, 0.7)),
    ("round-robin", "23.85 ms; the p99 does", lambda: measured("slow-backend", "p50")["round_robin"]),
    ("round-robin", "2966 ms", lambda: measured("slow-backend", "p99")["round_robin"]),
    (
        "two-choices",
        "72 % of the mean",
        lambda: 100 - 100 * measured("loads")["random_two"][-1] / measured("loads")["random"][-1],
    ),
    ("cold-server", "875.7 ms", lambda: ran("cold")[0]["strategies"]["peak_ewma"]["max_ms"]),
    ("cold-server", "63 % of the requests", lambda: 100 * measured("fast-failure", "failed")["least_conn"]),
    ("cold-server", "2.6 *seconds*", lambda: simulated("cold", "round_robin").latency.p99 / 1000),
    ("retries", "b < 0.43", lambda: 1 / 0.7 - 1),
    ("retries", "12527 of 14000 requests", lambda: sum(ran("storm")[0]["failed"].values())),
    ("limits", "80 % loses 44 %", lambda: 80),
    ("limits", "44 %. It has done nothing wrong", lambda: 100 * lost(1, 0.8)),
    ("many-doors", "100 ms at λ = 0.8", lambda: 20 / (1 - 0.8)),
]


def simulated(file, strategy):
    return lab.simulate(lab.read(f"docs/study/{file}.toml"), strategy)


@pytest.mark.parametrize(("page", "words", "value"), SAID, ids=[f"{page}: {words}" for page, words, _ in SAID])
def test_numbers_of_the_text(page, words, value):
    assert words in " ".join(PAGES[page].replace(",", "").split())
    assert numbers(words)[0] == pytest.approx(value(), rel=NEAR)
