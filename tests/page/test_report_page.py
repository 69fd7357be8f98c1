"""A laboratory's report in a browser: whole without a network, for keyboards, by axe's rules, in light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from eyes import DESK, PHONE

from proxy import cli

pytestmark = [pytest.mark.debian, pytest.mark.timeout(180)]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
WORDS = ["lab", "simulate", "--strategy", "round_robin,least_conn", "--requests", "3000", "--backends", "5"]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert cli.main([*WORDS, "--report", str(path)]) == 0
    return path.as_uri()


def judged(page):
    """What axe finds wrong, in words."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="no axe: pip install axe-playwright-python")
    page.evaluate(Path(axe.__file__).with_name("axe.min.js").read_text())
    found = page.evaluate("rules => axe.run(document, rules)", RULES)
    assert len(found["passes"]) > 10
    return [f"{one['id']}: {one['help']}: {[n['target'] for n in one['nodes']]}" for one in found["violations"]]


def paper(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(report, eyes, theme, size):
    page = eyes(report, theme=theme, size=size)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert judged(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_axe_bites(report, eyes):
    page = eyes(report)
    page.evaluate("document.querySelector('caption').style.color = '#cccccc'")
    assert any(one.startswith("color-contrast") for one in judged(page))


def test_it_asks_for_nothing_but_itself(report, eyes):
    page = eyes(report, offline=True)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.get_by_role("heading", name="Repeat it").wait_for()
    assert asked == [report]


def test_it_is_dark_where_its_reader_prefers_and_can_be_switched(report, eyes):
    light, dark = paper(eyes(report, theme="light")), paper(eyes(report, theme="dark"))
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(20, 24, 29)")
    page = eyes(report, theme="light")
    line = "getComputedStyle(document.querySelector('path.s0')).stroke"
    before = page.evaluate(line)
    page.get_by_label("Colours").select_option("dark")
    assert paper(page) == dark and page.evaluate(line) != before
    page.reload()  # it is remembered
    assert paper(page) == dark
    page.get_by_label("Colours").select_option("")
    assert paper(page) == light


def test_the_keyboard_reaches_everything(report, eyes):
    page = eyes(report)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
        )
    assert {"Numbers of this figure", "Copy the command", "Picture: Queues over time", "Scenario"} <= reached
    page.get_by_text("Numbers of this figure").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("table", name="Latency: how many were answered in which time").wait_for()


def test_pictures_have_names_for_those_who_do_not_see_them(report, eyes):
    page = eyes(report)
    for name in ("Latency over time", "Load of each backend over time", "Queues over time"):
        picture = page.get_by_role("img", name=name)
        assert picture.count() == 1 and picture.is_visible()


def test_it_is_whole_without_scripts(report, eyes):
    page = eyes(report, java_script_enabled=False)
    assert page.locator("svg").count() == 7
    assert not page.get_by_role("button", name="Copy the command").is_visible()
    assert page.get_by_role("table", name="Outcome of each strategy").is_visible()


def test_what_is_to_be_repeated_can_be_copied(report, eyes):
    page = eyes(report)
    page.get_by_role("button", name="Copy the command").click()
    page.get_by_role("status").filter(has_text="opied").or_(page.get_by_text("It is selected")).wait_for()
