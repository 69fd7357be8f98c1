"""Texts with variables."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from proxy.config.variables import NAMES
from proxy.config.variables import PREFIXES as NAMED_PREFIXES
from proxy.course import Course
from proxy.policy.template import Vocabulary, stored
from proxy.policy.variables import KNOWN, PREFIXES

WORDS = Vocabulary(
    {"one": lambda exchange: b"1", "none": lambda exchange: None},
    {"arg_": lambda name: lambda exchange: name.upper().encode()},
)
EXCHANGE = SimpleNamespace(course=None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", b""),
        ("plain", b"plain"),
        ("$one", b"1"),
        ("a$one-b", b"a1-b"),
        ("${one}2", b"12"),
        ("$ONE", b"1"),
        ("$none|", b"|"),
        ("$arg_x y", b"X y"),
        ("$arg_|", b"|"),
        ("100$ $. $", b"100$ $. $"),
        ("$1", b""),
        ("é", "é".encode()),
    ],
)
def test_values(text, value):
    assert WORDS.template(text)(EXCHANGE) == value


def test_a_text_without_variables_is_constant():
    assert WORDS.template("a b").constant == b"a b" and WORDS.template("a $one").constant is None


@pytest.mark.parametrize("text", ["$two", "${two}"])
def test_an_unknown_variable_is_refused(text):
    with pytest.raises(ValueError, match="unknown"):
        WORDS.template(text)


def test_declared_ones_come_first_and_captures_are_there():
    words = Vocabulary({"one": lambda exchange: b"1"}, {})
    words.declare("one", stored("one"))
    course = Course(b"/", b"")
    course.values["one"] = b"own"
    course.captures = (b"all", b"first", None)
    exchange = SimpleNamespace(course=course)
    assert words.template("$one $0 $1 $2 $3")(exchange) == b"own all first  "
    assert words.template("$one")(EXCHANGE) == b""


def test_the_two_lists_of_variables_are_one():
    assert set(KNOWN) == NAMES and set(PREFIXES) == set(NAMED_PREFIXES)
