"""Who cannot see well, or uses no mouse, has the whole page too; and nothing on it jumps.

axe-core, as the package axe-playwright-python brings it, judges each view by the rules of WCAG 2.2 A and AA.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from eyes import DESK, PHONE
from stand_in import StandIn

import proxy.admin

pytestmark = [pytest.mark.debian, pytest.mark.timeout(180)]
STATIC = Path(proxy.admin.__file__).parent / "static"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def door():
    with StandIn() as one:
        yield one


def judged(page):
    """What axe finds wrong, in words."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="no axe: pip install axe-playwright-python")
    page.evaluate(Path(axe.__file__).with_name("axe.min.js").read_text())  # past the page's policy, not through it
    found = page.evaluate("rules => axe.run(document, rules)", RULES)
    assert len(found["passes"]) > 10
    return [f"{one['id']}: {one['help']}: {[n['target'] for n in one['nodes']]}" for one in found["violations"]]


def settled(page):
    page.get_by_role("table", name="Backends of app").wait_for()
    page.get_by_text("still to come").wait_for()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_the_page(door, eyes, theme, size):
    page = eyes(door.url, theme=theme, size=size)
    settled(page)
    for panel in ("#live", "#configuration"):
        page.locator(panel).get_by_role("button", name="Show").click()
    page.get_by_text("frontgate.toml:21").wait_for()
    assert judged(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_the_dialogs(door, eyes, theme):
    page = eyes(door.url, theme=theme)
    settled(page)
    page.get_by_role("button", name="Weight of 127.0.0.1:8001").click()
    assert judged(page) == []
    page.get_by_role("button", name="Set weight").click()
    page.get_by_text("weight is done").wait_for()
    assert judged(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("table", name="Recent errors").get_by_role("button").first.click()
    page.get_by_text("took 412 ms").wait_for()
    assert judged(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_where_a_token_is_asked_for(eyes, theme):
    with StandIn(token=True) as door:
        page = eyes(door.url, theme=theme)
        page.get_by_label("Token").wait_for()
        assert judged(page) == []


def test_axe_bites(door, eyes):
    page = eyes(door.url)
    settled(page)
    page.evaluate("""() => { const one = document.createElement('img'); one.src = 'static/icon.svg';
                       document.querySelector('main').append(one); }""")
    assert any(one.startswith("image-alt") for one in judged(page))


def test_the_keyboard_reaches_all_that_can_be_pressed_and_shows_where_it_is(door, eyes):
    page = eyes(door.url)
    settled(page)
    door.silent.set()  # the page stands still, so that the walk can be compared
    reach = """() => [...document.querySelectorAll('a[href], button:not(:disabled), input, [tabindex="0"]')]
                     .filter((one) => one.type !== 'radio').length"""
    wanted = page.evaluate(reach)
    assert wanted > 60
    look = """() => { const e = document.activeElement, s = getComputedStyle(e), near = e.nextElementSibling;
        const shown = (s) => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
        const seen = shown(s) || (e.type === 'radio' && shown(getComputedStyle(near)));
        window.walked ??= []; const known = window.walked.includes(e); window.walked.push(e);
        return { known, seen, radio: e.type === 'radio',
                 what: e.outerHTML.slice(0, 80), body: e === document.body }; }"""
    stops = 0
    for _ in range(wanted + 10):
        page.keyboard.press("Tab")
        found = page.evaluate(look)
        if found["body"] or found["known"]:
            break
        assert found["seen"], f"no focus to be seen: {found['what']}"
        stops += not found["radio"]
    assert stops == wanted


def test_one_can_skip_to_the_numbers_and_walk_by_headings(door, eyes):
    page = eyes(door.url)
    settled(page)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the numbers")
    assert skip.bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "traffic"
    assert page.get_by_role("heading", level=1).count() == 1
    headings = page.get_by_role("heading", level=2).all_inner_texts()
    assert headings[:3] == ["Traffic", "Backends", "Limits"]


def test_radio_buttons_follow_the_arrow_keys(door, eyes):
    page = eyes(door.url)
    settled(page)
    page.get_by_role("radio", name="5 min").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("radio", name="10 min").is_checked()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_jumps_while_numbers_come(eyes, size):
    watch = """window.jumps = []; new PerformanceObserver((list) => { for (const one of list.getEntries())
        window.jumps.push([one.value, ...one.sources.map((s) => s.node?.outerHTML?.slice(0, 90))]); })
        .observe({ type: 'layout-shift', buffered: true });"""
    with StandIn() as door:
        page = eyes(door.url, size=size)
        settled(page)
        page.evaluate("document.fonts.ready")
        page.evaluate(watch)
        at = door.at
        page.wait_for_function("() => document.querySelector('.figure').innerText !== '–'")
        while door.at < at + 15:
            page.wait_for_timeout(100)
        jumps = page.evaluate("window.jumps")
        assert sum(one[0] for one in jumps) < 0.005, jumps


def test_the_theme_follows_the_system_until_one_is_chosen_and_then_stays(door, eyes):
    page = eyes(door.url, theme="dark")
    settled(page)
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"dark => {ground} !== dark", arg=dark)
    page.get_by_role("radio", name="Dark").check()
    page.wait_for_function(f"dark => {ground} === dark", arg=dark)
    page.reload()
    settled(page)
    assert page.evaluate(ground) == dark
    assert page.get_by_role("radio", name="Dark").is_checked()


# --- colours ------------------------------------------------------------------------------------------------------


def tokens(theme):
    text = (STATIC / "tokens.css").read_text()
    block = re.search(rf'data-theme="{theme}"\] {{(.*?)}}', text, re.DOTALL).group(1)
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def light_of(colour):
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((light_of(one), light_of(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_shapes_stand_out_from_every_ground_they_are_on(theme):
    colours = tokens(theme)
    grounds = ("sheet", "raised", "paper", "bad-tint", "warn-tint", "tint")
    for text, ground in itertools.product(("ink", "soft", "bad", "warn"), grounds):
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for shape, ground in itertools.product(("good", "blue", "amber", "red", "edge", "accent"), ("sheet", "raised")):
        assert contrast(colours[shape], colours[ground]) >= 3, (shape, ground)
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5


# How colours look to whoever lacks one kind of cone: Viénot, Brettel and Mollon 1999, on linear RGB.
BLIND = {
    "protanopia": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deuteranopia": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}


def seen(colour, matrix):
    parts = [(int(colour[place : place + 2], 16) / 255) ** 2.2 for place in (1, 3, 5)]
    mixed = [sum(factor * part for factor, part in zip(line, parts, strict=True)) for line in matrix]
    return [max(0.0, value) ** (1 / 2.2) * 255 for value in mixed]


@pytest.mark.parametrize("kind", sorted(BLIND))
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lines_are_told_apart_by_who_is_colour_blind_and_by_their_dashes_alone(theme, kind):
    colours = tokens(theme)
    for one, other in itertools.combinations(("blue", "amber", "red"), 2):
        first, second = seen(colours[one], BLIND[kind]), seen(colours[other], BLIND[kind])
        apart = sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5
        assert apart > 25, (one, other, apart)
    lines = r"word: \"[\w/ ]+\", colour: \"\w+\", (dash: \[[\d, ]+\]|fill|width)"
    dashes = re.findall(lines, (STATIC / "overview.js").read_text())
    assert len(dashes) == 9
    for place in range(0, 9, 3):
        assert len(set(dashes[place : place + 3])) == 3
