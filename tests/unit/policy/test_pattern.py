"""Expressions of PCRE as Python understands them."""

from __future__ import annotations

import pytest

from proxy.course import Course
from proxy.policy.pattern import pattern, remember


@pytest.mark.parametrize(
    ("text", "subject", "matches"),
    [
        ("^/a", b"/abc", True),
        ("b", b"/abc", True),
        ("(?<name>x+)y", b"xxy", True),
        ("(?'name'x+)y", b"xxy", True),
        (r"(?<!a)b", b"ab", False),
        (r"^[[:digit:]]+$", b"0123", True),
        (r"^[[:digit:]_]+$", b"01_3", True),
        (r"a\z", b"a\n", False),
        (r"^\h$", b"\t", True),
        (r"\\z", rb"\z", True),
        (r"\(?<x", b"(<x", True),
        ("é", "é".encode(), True),
    ],
)
def test_what_matches(text, subject, matches):
    assert (pattern(text).search(subject) is not None) is matches


def test_case_is_ignored_when_asked():
    assert pattern("abc", ignore_case=True).search(b"xABCx")
    assert not pattern("abc").search(b"xABCx")


def test_a_wrong_one_is_refused():
    with pytest.raises(ValueError, match="no regular expression"):
        pattern("(")


def test_captures_are_remembered_by_number_and_name():
    course = Course(b"/ab", b"")
    remember(course, pattern("/(?<One>a)(b)?(c)?").search(b"/ab"))
    assert course.captures == (b"/ab", b"a", b"b", None)
    assert course.values == {"one": b"a"}
