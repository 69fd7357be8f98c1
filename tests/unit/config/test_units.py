"""Durations, sizes and rates: what is read, exactly, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10.0),
        ("500ms", 0.5),
        ("2m", 120.0),
        ("1h30m", 5400.0),
        ("1.5s", 1.5),
        ("30d", 2592000.0),
        ("1s100ms", 1.1),
        ("0s", 0.0),
        (3, 3.0),
        (0.25, 0.25),
        (0, 0.0),
    ],
)
def test_duration(text: object, seconds: float) -> None:
    assert units.duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "10", "s", "10 s", "-1s", "1x", "1s ", "٣s", True, None, [], -1, float("nan"), float("inf")]
)
def test_duration_refuses(text: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        units.duration(text)


@pytest.mark.parametrize(
    ("text", "count"), [("32k", 32768), ("10m", 10485760), ("1G", 1 << 30), ("7", 7), (0, 0), (5, 5)]
)
def test_size(text: object, count: int) -> None:
    assert units.size(text) == count


@pytest.mark.parametrize("text", ["", "k", "1.5k", "10mb", "-1", -1, 1.0, True, None, "²k"])
def test_size_refuses(text: object) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        units.size(text)


@pytest.mark.parametrize(("text", "thousandths"), [("10r/s", 10000), ("600r/m", 10000), ("1r/m", 16), ("100r/m", 1666)])
def test_rate_is_cut_off_as_nginx_does(text: str, thousandths: int) -> None:
    assert units.rate(text) == thousandths


@pytest.mark.parametrize("text", ["10", "10r", "10/s", "10r/h", "1.5r/s", "-1r/s", 10, True, None, ""])
def test_rate_refuses(text: object) -> None:
    with pytest.raises(ValueError, match="must be a rate"):
        units.rate(text)


def test_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="something pass"):
        units.rate("0r/s")


@given(st.integers(0, 1000), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_parts_of_a_duration_add_up(hours: int, minutes: int, seconds: int, thousandths: int) -> None:
    expected = hours * 3600 + minutes * 60 + seconds + thousandths / 1000
    assert units.duration(f"{hours}h{minutes}m{seconds}s{thousandths}ms") == pytest.approx(expected)
