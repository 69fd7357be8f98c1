"""Host names with wildcards."""

from __future__ import annotations

import pytest

from proxy.policy.names import Names

WRITTEN = (b"a.example.com", b"*.example.com", b"*.b.example.com", b"www.*", b"www.example.*", b".both.org", b"one.net")


@pytest.fixture
def names():
    found = Names()
    for name in WRITTEN:
        found.add(name, name)
    return found


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        (b"a.example.com", b"a.example.com"),
        (b"x.example.com", b"*.example.com"),
        (b"x.y.example.com", b"*.example.com"),
        (b"x.b.example.com", b"*.b.example.com"),
        (b"b.example.com", b"*.example.com"),
        (b"example.com", None),
        (b"www.net", b"www.*"),
        (b"www.example.net", b"www.example.*"),
        (b"www.example.co.uk", b"www.example.*"),
        (b"www.example.com", b"*.example.com"),  # the front comes first
        (b"both.org", b".both.org"),
        (b"x.both.org", b".both.org"),
        (b"www", None),
        (b"", None),
    ],
)
def test_what_a_name_means(names, name, meant):
    assert names.find(name) == meant


def test_the_first_of_two_alike_holds(names):
    names.add(b"*.example.com", b"late")
    assert names.find(b"x.example.com") == b"*.example.com"


def test_without_wildcards_a_name_means_itself():
    plain = Names(wildcards=False)
    plain.add(b"*.example.com", 1)
    assert plain.find(b"*.example.com") == 1 and plain.find(b"x.example.com") is None
