"""Expressions of PCRE as Python understands them."""

from __future__ import annotations

import itertools
import re
import sys
import time

import pytest
import regex

from proxy.course import Course
from proxy.policy.effort import NEVER, longest
from proxy.policy.pattern import QUIET, Endless, pattern, remember


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


EVIL = [
    ("^/re/((a|a)+)+$", b"/re/" + b"a" * 40 + b"!"),
    ("^(a|a)*$", b"a" * 40 + b"!"),
    ("(?i)([a-z]*)([a-z]*)([a-z]*)[0-9]", b"aB" * 4000),
    ("([a-z]*)([a-z]*)([a-z]*)[0-9]", b"ab" * 4000),
    ("(x+x+)+y", b"x" * 8000),
    ("(?>(?:a|aa)+)+b", b"a" * 8000),
]


@pytest.mark.parametrize(("text", "subject"), EVIL)
def test_a_search_ends(text, subject):
    began = time.process_time()
    with pytest.raises(Endless):
        pattern(text).search(subject)
    assert time.process_time() - began < 1


def test_that_it_was_given_up_is_told_once_a_minute(caplog):
    evil = pattern("^(a|a)*$")
    for now in (1.0, 2.0, 1.0 + QUIET):
        with pytest.raises(Endless) as problem:
            evil.search(b"a" * 40 + b"!")
        problem.value.tell(now)
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 2 and "^(a|a)*$" in caplog.text


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("^/a$", sys.maxsize),
        (r"\.php$", 1 << 20),
        (r"\.(?:gif|jpg)$", 1 << 19),
        ("^/(.*)$", 1 << 20),
        ("^/(?P<a>[^]/]+)/?$", 1 << 19),
        ("^/(.*)/(.*)$", 1 << 10),
        (r"^/\d{4}-\d{2}", 1 << 10),
        ("^/a|/b", 1 << 19),
        ("(a+)+", NEVER),
        ("(a|a)*", NEVER),
        ("(?:a){5}", NEVER),
        (r"(a)\1", NEVER),
        ("(?=a)b", NEVER),
        ("(?i)a", NEVER),
        ("a{b", NEVER),
        ("a?" * 21, 0),
        ("(" * 3000, NEVER),
    ],
)
def test_what_is_surely_harmless(text, most):
    assert longest(text) == most


@pytest.mark.parametrize(
    "text", ["(?P<a>a|ab)(c|bcd)?(d*)", "^(a*)(b?)(a|b|c)$", "[ab]*?b", "a{,2}b", r"\ba\w+", "a{1,2}?(b)?$", "(a)|b|^$"]
)
def test_both_engines_agree(text):
    ours, other = re.compile(text.encode()), regex.compile(text.encode())
    for size in range(5):
        for letters in itertools.product(b"abcd\n", repeat=size):
            subject = bytes(letters)
            one, two = ours.search(subject), other.search(subject)
            assert (one and (one.span(), one.groups())) == (two and (two.span(), two.groups())), subject


@pytest.mark.parametrize(
    ("text", "subject"), [("(a)+b{e}", b"aab{e}"), (r"(a)+\\{2}", b"a\\\\"), ("(a)+{i}", b"aa{i}")]
)
def test_a_brace_that_says_no_number_is_one(text, subject):
    long = subject.rjust(3000, b"-")
    assert pattern(text).search(long)[0] == subject
    assert pattern(text).search(long.replace(b"}", b"")) is None or b"}" not in subject
