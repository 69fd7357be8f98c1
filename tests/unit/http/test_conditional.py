"""Dates in all three forms, and conditions beside each other."""

from __future__ import annotations

import pytest

from proxy.http.conditional import UNKNOWN, entity_tag, http_date, judged, parse_date, same, weakened

THEN = 784111777


@pytest.mark.parametrize(
    "text",
    [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"],
)
def test_the_three_forms_of_a_date(text):
    assert parse_date(text) == THEN


@pytest.mark.parametrize("text", [b"", b"x", b"Sun, 06 Nix 1994 08:49:37 GMT", b"Sun, 06 Nov 1994 28:49:37 GMT"])
def test_what_is_no_date(text):
    assert parse_date(text) == UNKNOWN


def test_dates_are_written_as_they_are_read():
    for seconds in (0, THEN, 1 << 31, 6442450943):
        assert parse_date(http_date(seconds)) == seconds


def test_tags():
    assert entity_tag(THEN + 0.7, 255) == b'"2ebc98a1-ff"'
    assert weakened(b'"a"') == weakened(b'W/"a"') == b'W/"a"' and weakened(b"a") == b""


def test_a_tag_counts_beside_a_date():
    """Who sends both has it only if both say so, as nginx judges."""
    since = (b"if-modified-since", http_date(THEN))
    assert judged([since, (b"if-none-match", b'"a"')], THEN, b'"a"') == 304
    assert judged([since, (b"if-none-match", b'"b"')], THEN, b'"a"') == 0
    assert judged([(b"if-modified-since", http_date(THEN - 1)), (b"if-none-match", b'"a"')], THEN, b'"a"') == 0


def test_what_has_no_date_and_no_tag():
    assert judged([(b"if-unmodified-since", http_date(THEN))], UNKNOWN, b"") == 412
    assert judged([(b"if-match", b'"a"')], UNKNOWN, b"") == 412
    assert judged([(b"if-match", b"*")], UNKNOWN, b"") == 0
    assert judged([(b"if-modified-since", http_date(THEN))], UNKNOWN, b"") == 0


def test_if_range():
    assert same(b'"a"', THEN, b'"a"') and not same(b'"b"', THEN, b'"a"') and not same(b'"a"', THEN, b"")
    assert same(http_date(THEN), THEN, b"") and not same(http_date(THEN + 1), THEN, b"")
    assert not same(b"nonsense", UNKNOWN, b"")
