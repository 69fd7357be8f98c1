"""Pictures: scales, colours, and that what is drawn is what the figure says."""

from __future__ import annotations

import re
import struct
import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from proxy.lab.pictures import draw, scales
from proxy.lab.pictures.colours import DARK, DASHES, LIGHT
from proxy.lab.pictures.figure import LEVELS, Axis, Bars, Figure, Heat, Line, Lines, level
from proxy.lab.pictures.png import png
from proxy.lab.pictures.scales import Scale, number, written

SVG = "{http://www.w3.org/2000/svg}"


def figure(*panels, names=("a", "b"), **more):
    return Figure("test", "A <title>", "What & why", names, panels, **more)


def lines(points=((0.0, 0.0), (5.0, 10.0), (10.0, 5.0)), marked=False):
    return Lines("panel", Axis("x", "exact"), Axis("y", least=0.0), (Line("a", points),), marked)


def drawn(one, theme="light"):
    return ElementTree.fromstring(draw.svg(one, theme))


def luminance(colour):
    """WCAG 2.2's relative luminance."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


# How dichromats see linear RGB: Viénot, Brettel and Mollon 1999 for those without red or green.
BLIND = {
    "red": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "green": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}


def seen(colour, without):
    """CIE Lab of a colour, as those see it who are `without` red or green."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    if without:
        linear = [max(0.0, sum(a * b for a, b in zip(row, linear, strict=True))) for row in BLIND[without]]
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [sum(a * b for a, b in zip(row, linear, strict=True)) for row in rows]
    x, y, z = (
        (share ** (1 / 3) if share > 0.008856 else 7.787 * share + 16 / 116)
        for share in (part / white for part, white in zip(xyz, (0.9505, 1.0, 1.089), strict=True))
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_can_be_seen(palette):
    for words in (palette.ink, palette.soft):
        assert contrast(words, palette.paper) >= 4.5
    for line in palette.lines:
        assert contrast(line, palette.paper) >= 3.0, line


@pytest.mark.parametrize("without", [None, "red", "green"])
@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_the_first_colours_stay_apart_for_the_colour_blind(palette, without):
    first = [seen(colour, without) for colour in palette.lines[:4]]
    for place, one in enumerate(first):
        for other in first[:place]:
            apart = sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
            assert apart > 11, (place, apart)  # 2.3 is just noticeable
    assert len(set(DASHES)) == len(DASHES) == len(palette.lines)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_heat_goes_ever_further_from_its_paper(palette):
    away = [contrast(colour, palette.paper) for colour in palette.heat]
    assert away == sorted(away) and len(away) == len(LEVELS)


def test_levels():
    assert [level(value) for value in (0.0, 0.24, 0.25, 0.99, 1.0, 1.01, 2.0, 2.5, 16.0, 99.0)] == [
        0, 0, 1, 3, 3, 4, 4, 5, 7, 8,
    ]  # fmt: skip


def test_scales_show_all_and_tick_at_round_numbers():
    found = Scale(Axis("y", least=0.0), [3.0, 47.0], 200.0, 0.0)
    assert found.ticks == [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]
    assert found(0.0) == 200.0 and found(50.0) == 0.0 and found(25.0) == 100.0
    powers = Scale(Axis("x", "log"), [0.7, 800.0], 0.0, 90.0)
    assert (powers.least, powers.most) == (0.5, 1000.0) and powers(0.0) == 0.0
    assert powers.ticks == [1.0, 10.0, 100.0, 1000.0]
    assert Scale(Axis("x", "exact", least=0.0), [3.0, 7.5], 0.0, 75.0)(3.0) == 30.0
    assert Scale(Axis("x", names=("p", "q")), [], 0.0, 40.0)(1.0) == 30.0


@pytest.mark.parametrize("values", [[], [0.0], [float("inf")], [5.0, 5.0], [1e-9, 1e9]])
@pytest.mark.parametrize("kind", ["linear", "log", "exact"])
def test_scales_of_odd_numbers(kind, values):
    found = Scale(Axis("x", kind), values, 0.0, 100.0)
    assert found.ticks and all(0.0 <= found(value) <= 100.0 for value in values)


def test_numbers_in_words():
    assert [written(value) for value in (0.1, 1.0, 2000.0, 10_000.0, 2.5e6)] == ["0.1", "1", "2000", "10k", "2.5M"]
    assert [number(value) for value in (0.12345, 13487.0, 0.0, 1e-6)] == ["0.1235", "13,487", "0", "1e-06"]


def test_a_line_is_drawn_through_its_points():
    root = drawn(figure(lines()))
    path = next(
        one.get("d") for one in root.iter(f"{SVG}path") if one.get("fill") == "none" and one.get("d").count("L") == 2
    )
    (left, bottom), (middle, top), (right, half) = (map(float, word.split()) for word in path[1:].split("L"))
    assert middle == pytest.approx((left + right) / 2, abs=0.1)
    assert half == pytest.approx((top + bottom) / 2, abs=0.1)
    grid = [one for one in root.iter(f"{SVG}line") if one.get("class") == "grid"]
    assert any(float(one.get("y1")) == top and one.get("y1") == one.get("y2") for one in grid)  # 10 is a tick


def test_marks_say_their_numbers():
    titles = [one.text for one in drawn(figure(lines(marked=True))).iter(f"{SVG}title")]
    assert "a, x 5: 10" in titles


def test_bars_are_as_high_as_their_values():
    panel = Bars("", Axis("group"), Axis("y", least=0.0), ("one", "two"), (("a", (4.0, 8.0)), ("b", (2.0, 1.0))))
    root = drawn(figure(panel))
    highs = {}
    for one in root.iter(f"{SVG}rect"):
        if (title := one.find(f"{SVG}title")) is not None:
            highs[title.text] = float(one.get("height"))
    assert highs["a, two: 8"] == pytest.approx(2 * highs["a, one: 4"], abs=0.2)
    assert highs["b, one: 2"] == pytest.approx(2 * highs["b, two: 1"], abs=0.2)


def test_cells_cover_a_heat_map():
    cells = ((0.0, 0.0, 3.0), (0.6, 20.0, 0.6))
    root = drawn(figure(Heat("h", Axis("s", "exact"), Axis("backend"), ("0", "1"), (0.0, 1.0, 2.0, 3.0), cells)))
    paths = {one.get("class"): one.get("d") for one in root.iter(f"{SVG}path")}
    assert {kind: text.count("M") for kind, text in paths.items()} == {"h0": 1, "h5": 1, "h2": 2, "h8": 1}
    wide = {kind: int(re.search(r"h(\d+)v", text)[1]) for kind, text in paths.items()}
    assert wide["h0"] == pytest.approx(2 * wide["h5"], abs=2)


def test_words_are_escaped_and_the_picture_says_what_it_is():
    root = drawn(figure(lines(), subtitle="a < b"))
    assert root.get("role") == "img"
    title, desc = (root.find(f"{SVG}{name}") for name in ("title", "desc"))
    assert (title.text, desc.text) == ("A <title>", "What & why")
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert "a < b" in [one.text for one in root.iter(f"{SVG}text")]


def test_a_picture_is_light_dark_or_as_its_reader_prefers():
    light, dark, both = (draw.svg(figure(lines()), theme) for theme in ("light", "dark", "both"))
    assert LIGHT.paper in light and DARK.paper not in light
    assert DARK.paper in dark and LIGHT.paper not in dark
    assert f"@media (prefers-color-scheme: dark){{.paper{{fill:{DARK.paper}}}" in both


def test_a_png_has_words_where_there_are_no_fonts():
    pytest.importorskip("resvg_py", reason="no resvg: pip install resvg-py")
    one = figure(lines())
    whole, other = png(one), png(replace(one, title="Another title"))
    assert whole[:8] == b"\x89PNG\r\n\x1a\n"
    root = drawn(one)
    assert struct.unpack(">II", whole[16:24]) == (2 * int(root.get("width")), 2 * int(root.get("height")))
    assert png(one) == whole  # and always the same
    assert whole != other  # for the words are drawn, though no font of the system is looked for
    assert png(one, "dark") != whole


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(ValueError, match=r'frontgate\[lab\]", or write \.svg'):
        png(figure(lines()))


def test_rows_are_what_is_drawn():
    heat = Heat("h", Axis("s"), Axis("backend"), ("0",), (0.0, 1.0, 2.0), ((0.5, 2.0),))
    bars = Bars("b", Axis("g"), Axis("y"), ("one",), (("a", (4.0,)),))
    assert list(figure(lines(((1.0, 2.0),)), bars, heat).rows()) == [
        ["panel", "a", 1.0, 2.0], ["b", "a", "one", 4.0], ["h", "0", 0.0, 0.5], ["h", "0", 1.0, 2.0],
    ]  # fmt: skip
    assert scales.step(47.0) == 10.0
