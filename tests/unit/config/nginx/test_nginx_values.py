"""nginx's values: what it takes, and what it makes of it."""

from __future__ import annotations

import pytest

from proxy.config.nginx import values

MOST = 2**63 - 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("512", 512), ("8k", 8192), ("8K", 8192), ("1m", 2**20), ("001M", 2**20), (str(MOST), MOST)],
)
def test_sizes(text, expected):
    assert values.size(text) == values.offset(text) == expected


@pytest.mark.parametrize(
    "text", ["", "k", "1.5k", "-1", "+1", " 1", "1 ", "1kb", "1t", "\u0661", "1\n", str(MOST + 1), f"{MOST}k"]
)
def test_no_sizes(text):
    for read in (values.size, values.offset):
        with pytest.raises(ValueError, match="invalid value") as caught:
            read(text)
        assert str(caught.value) == f'invalid value "{text}"'


def test_gigabytes_are_for_offsets():
    assert values.offset("2g") == values.offset("2G") == 2**31
    with pytest.raises(ValueError, match='invalid value "2g"'):
        values.size("2g")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("90", 90),
        ("90s", 90),
        ("1m", 60),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1h 30", 3630),
        ("1d 2h 30m", 95400),
        ("1w2d", 9 * 86400),
        (" 5", 5),
        ("5 ", 5),
        ("5m  s", 300),
    ],
)
def test_times_of_both_kinds(text, expected):
    assert values.seconds(text) == expected
    assert values.milliseconds(text) == expected * 1000


def test_times_of_one_kind():
    assert values.seconds("1y") == 365 * 86400
    assert values.seconds("1M") == 30 * 86400
    assert values.seconds("1y 2M 3d") == (365 + 60 + 3) * 86400
    assert values.milliseconds("500ms") == 500
    assert values.milliseconds("1s500ms") == 1500
    assert values.seconds(str(MOST)) == MOST
    assert values.milliseconds(f"{MOST}ms") == MOST
    for read, text in ((values.seconds, "500ms"), (values.milliseconds, "1y"), (values.milliseconds, "1M")):
        with pytest.raises(ValueError, match="invalid value"):
            read(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "s",
        "ms",
        "1x",
        "1.5s",
        "-1",
        "1S",
        "1m1h",
        "1s1s",
        "5 m",
        "5 5 5",
        "1s 2 3",
        " 5s",
        "1h,",
        "1\n",
        "9" * 30,
    ],
)
def test_no_times(text):
    for read in (values.seconds, values.milliseconds):
        with pytest.raises(ValueError, match="invalid value"):
            read(text)


def test_times_that_do_not_fit():
    for read, text in ((values.seconds, f"{MOST}m"), (values.milliseconds, str(MOST)), (values.seconds, f"1m{MOST}")):
        with pytest.raises(ValueError, match="invalid value"):
            read(text)


def test_numbers():
    assert values.number("0012") == 12
    assert values.number("5", 1, 5) == 5
    for text in ("", "-1", "1k", "\u00b2", str(MOST + 1), "9" * 5000):
        with pytest.raises(ValueError, match="invalid number"):
            values.number(text)
    with pytest.raises(ValueError, match=r"^value must be between 1 and 5$"):
        values.number("6", 1, 5)
    with pytest.raises(ValueError, match=r"^value must be equal to or greater than 1$"):
        values.number("0", 1)


def test_flags():
    assert values.flag("on") is values.flag("ON") is True
    assert values.flag("Off") is False
    with pytest.raises(ValueError, match=r'^invalid value "yes", it must be "on" or "off"$'):
        values.flag("yes")


def test_rates():
    assert values.rate("10r/s") == values.rate("10") == 10_000
    assert values.rate("1r/m") == 16
    for text in ("0r/s", "r/s", "1.5r/s", "1r/h", ""):
        with pytest.raises(ValueError, match="invalid rate") as caught:
            values.rate(text)
        assert str(caught.value) == f'invalid rate "rate={text}"'


def test_words():
    assert values.choice("Strict", ["lax", "strict"]) == "strict"
    assert values.bits(["GET", "get", "off"], ("get", "off")) == {"get", "off"}
    with pytest.raises(ValueError, match=r'^invalid value "x"$'):
        values.bits(["get", "x"], ("get",))


def test_buffers():
    assert values.buffers("8", "4k") == (8, 4096)
    for pair in (("0", "4k"), ("8", "0"), ("x", "4k"), ("8", "4g")):
        with pytest.raises(ValueError, match="invalid value"):
            values.buffers(*pair)


def test_fixed_points():
    assert [values.fixed(text, 2) for text in ("10.5", "10", "0.01", ".5", "1.")] == [1050, 1000, 1, 50, 100]
    for text in ("1.234", "", ".", "a", "1.x", "-1"):
        with pytest.raises(ValueError, match="invalid value"):
            values.fixed(text, 2)
