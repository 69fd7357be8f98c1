"""All forms of `expires`, and what the two fields say then."""

from __future__ import annotations

import pytest

from proxy.http import expires
from proxy.http.conditional import http_date, parse_date

NOW = 1_700_000_000


@pytest.mark.parametrize(
    ("text", "until", "control"),
    [
        ("30d", NOW + 30 * 86400, b"max-age=2592000"),
        ("1h30m", NOW + 5400, b"max-age=5400"),
        ("2048", NOW + 2048, b"max-age=2048"),
        ("0", NOW, b"max-age=0"),
        ("-1", NOW - 1, b"no-cache"),
        ("epoch", 1, b"no-cache"),
        ("max", parse_date(b"Thu, 31 Dec 2037 23:55:55 GMT"), b"max-age=315360000"),
        ("modified 1d", NOW - 1000 + 86400, b"max-age=85400"),
        ("modified +10s", NOW - 990, b"no-cache"),
        ("modified", NOW, b"max-age=0"),
    ],
)
def test_forms(text, until, control):
    if text == "modified":
        text = "modified 0"
    assert expires.fields(expires.read(text), NOW, NOW - 1000) == (http_date(until), control)


def test_without_a_date_it_is_from_now():
    assert expires.fields(expires.read("modified 1d"), NOW)[1] == b"max-age=86400"


def test_a_time_of_the_day():
    until, control = expires.fields(expires.read("@15h30m"), NOW)
    assert 0 < parse_date(until) - NOW <= 86400 and control == b"max-age=%d" % (parse_date(until) - NOW)


@pytest.mark.parametrize("text", ["", "x", "1x", "@25h", "@", "modified x", "1d -1"])
def test_what_is_no_form(text):
    with pytest.raises(ValueError, match="must be a time"):
        expires.read(text)


@pytest.mark.parametrize("text", ["999999999999999999y", "9999999999999999999999", "1" * 5000])
def test_what_cannot_be_counted_is_no_form(text):
    """As in nginx, whose seconds have 63 bits; nothing is said then where a variable holds it."""
    with pytest.raises(ValueError, match="must be a time"):
        expires.read(text)


def test_a_date_beyond_all_years_is_the_last_there_is():
    until, control = expires.fields(expires.read("99999999d"), NOW)
    assert until == b"Fri, 31 Dec 9999 23:59:59 GMT" and control == b"max-age=8639999913600"
    assert expires.fields(expires.read("-99999999d"), NOW) == (b"Thu, 01 Jan 1970 00:00:00 GMT", b"no-cache")
