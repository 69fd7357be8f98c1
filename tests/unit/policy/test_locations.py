"""Locations: exact, longest prefix, expressions, and locations inside locations, as nginx finds them."""

from __future__ import annotations

import re
import timeit

import pytest

from proxy.policy.locations import EXACT, FIRST, PREFIX, REGEX, Location, Locations


def prefix(path, *inside, kind=PREFIX):
    return Location(kind, path, path, inside=inside)


def regex(text, *inside):
    return Location(REGEX, text, text, re.compile(text), inside)


LEVEL = Locations(
    [
        prefix(b"/"),
        prefix(b"/images/", kind=FIRST),
        prefix(b"/docs/", prefix(b"/docs/deep/"), regex(rb"\.txt$"), prefix(b"/docs/one", kind=EXACT)),
        prefix(b"/only", kind=EXACT),
        regex(rb"\.(gif|jpg)$"),
        regex(rb"\.gif$"),
        regex(rb"^/nest", prefix(b"/nested/a")),
    ]
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"/", b"/"),
        (b"/only", b"/only"),
        (b"/only/", b"/"),
        (b"/a.gif", rb"\.(gif|jpg)$"),  # the first expression, not the longest
        (b"/images/a.gif", b"/images/"),  # ^~: no expression is tried
        (b"/docs/a.gif", rb"\.(gif|jpg)$"),  # an expression outside beats a prefix inside
        (b"/docs/a.txt", rb"\.txt$"),
        (b"/docs/deep/x", b"/docs/deep/"),
        (b"/docs/one", b"/docs/one"),
        (b"/docs/two", b"/docs/"),
        (b"/nest", rb"^/nest"),
        (b"/nested/a/b", b"/nested/a"),
    ],
)
def test_what_is_found(path, found):
    assert LEVEL.find(path) == found


def test_nothing_is_found():
    assert Locations([prefix(b"/a"), regex(b"x$")]).find(b"/b") is None


def test_of_two_alike_the_last_holds():
    assert Locations([Location(PREFIX, b"/", 1), Location(PREFIX, b"/", 2)]).find(b"/") == 2


def test_all_targets_are_told():
    assert len(list(LEVEL.targets())) == 11


def seconds(locations, paths):
    """The least time for a round of look-ups, of several."""
    return min(timeit.repeat(lambda: [locations.find(path) for path in paths], number=200, repeat=7))


def test_a_thousand_prefixes_cost_what_ten_cost():
    few = Locations([prefix(b"/%04d/" % number) for number in range(10)])
    many = Locations([prefix(b"/%04d/" % number) for number in range(1000)])
    paths = [b"/%04d/x" % number for number in range(10)]
    assert all(many.find(path) == few.find(path) for path in paths)
    assert seconds(many, paths) < 2 * seconds(few, paths)
