"""The report: one page of HTML that needs nothing else, and says what the outcomes say."""

from __future__ import annotations

import re
import tomllib
from html.parser import HTMLParser

import pytest

from proxy.cli.lab.pictured import figures
from proxy.lab import compare
from proxy.lab.figures import plots
from proxy.lab.recording import Recorder
from proxy.lab.report import decisions
from proxy.lab.report.page import Study, facts, report
from proxy.lab.scenario import of

WINDOW = (2.0, 2.2)
VOID = {"meta", "br", "link", "input", "img", "hr"}


class Reader(HTMLParser):
    """Reads a page: whether its elements close in order, ids, references, texts by element, tables by caption."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.references, self.tables = [], [], [], {}
        self.texts = {}
        self.row = None
        self.caption = ""
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag not in VOID:
            self.open.append((tag, found))
        self.ids += [found["id"]] if "id" in found else []
        for name in ("src", "href", "action", "data", "poster", "srcset", "xlink:href", "formaction", "background"):
            if name in found:
                self.references.append(found[name])
        if tag == "tr":
            self.row = []

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag
        if tag == "tr":
            self.tables.setdefault(self.caption, []).append(self.row)

    def handle_data(self, text):
        if not self.open:
            return
        tag, found = self.open[-1]
        if tag == "caption":
            self.caption = text
        elif tag in ("th", "td"):
            self.row.append(text)
        self.texts.setdefault(found.get("id", tag), []).append(text)


@pytest.fixture(scope="module")
def made():
    scenario = of({
        "strategies": "round_robin,least_conn", "backends": 3, "load": 0.7, "requests": 3000,
        "upstream": {"retry": {"budget": 0.5}}, "event": [{"at": "10s", "do": "speed", "value": 0.5, "backends": [1]}],
    })  # fmt: skip
    found = compare(scenario, recorder=Recorder(WINDOW))
    study = Study("A & B", facts(scenario), scenario, found.told()["scenario"], "frontgate lab simulate 'x y'", WINDOW)
    return found, report(study, found, figures(found, plots.told(scenario)))


def test_it_is_whole_and_asks_for_nothing(made):
    text = made[1]
    reader = Reader(text)
    assert len(reader.ids) == len(set(reader.ids))
    assert reader.references and all(one.startswith("#") and one[1:] in reader.ids for one in reader.references)
    assert "url(" not in text and "@import" not in text and "fetch(" not in text
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) == {"http://www.w3.org/2000/svg"}  # the name of SVG
    assert "default-src &#x27;none&#x27;" in text or "default-src 'none'" in text
    assert "A &amp; B" in text


def test_its_tables_say_what_the_outcomes_say(made):
    found, text = made
    rows = {row[0]: row for row in Reader(text).tables["Outcome of each strategy"]}
    for name, outcome in found.items():
        assert float(rows[name][1]) == pytest.approx(outcome.latency.mean, rel=1e-3)
        assert float(rows[name][5]) == pytest.approx(outcome.latency.p99, rel=1e-3)
        assert rows[name][9] == f"{outcome.answered:,}" or float(rows[name][9]) == outcome.answered


def test_each_figure_has_a_title_a_description_and_a_table(made):
    found, text = made
    reader = Reader(text)
    for figure in figures(found, ""):
        assert reader.texts[f"{figure.name}-title"] == [figure.title]
        assert "".join(reader.texts[f"{figure.name}-text"]) == f"{figure.description} {figure.said}" and figure.said
        assert any(caption.startswith(figure.title) for caption in reader.tables), figure.name


def test_decisions_are_told_one_by_one(made):
    found, text = made
    rows = Reader(text).tables
    for name, outcome in found.items():
        many = len(outcome.world.recording.decisions)
        told = rows[f"Decisions of {name}: {many} requests"]
        assert len(told) == many + 1  # and the heads
        assert "turn" in told[1][-3] if name == "round_robin" else "in flight" in told[1][-3]
    first = next(decisions.rows(found))
    assert dict(zip(decisions.COLUMNS, first, strict=True))["in_flight"].startswith("0:")


def test_it_can_be_repeated_from_what_it_says(made):
    found, text = made
    reader = Reader(text)
    assert "".join(reader.texts["command"]) == "frontgate lab simulate 'x y'"
    scenario = of(tomllib.loads("".join(reader.texts["scenario"])))
    assert compare(scenario).told() == found.told()


def test_many_backends_are_told_once_each():
    scenario = of({"backends": 20, "requests": 300, "warmup": 0})
    found = compare(scenario, recorder=Recorder((0.0, 0.2)))
    rows = re.findall(r'<span class="seen">(.*?)</span>', decisions.section(found, (0.0, 0.2)))
    assert len(rows) > 100
    for row in rows:
        places = [int(place) for place in re.findall(r'title="backend (\d+): ', row)]
        assert places == sorted(set(places)) and row.count('class="chosen"') == 1
        assert f"+{20 - len(places)}</i>" in row
