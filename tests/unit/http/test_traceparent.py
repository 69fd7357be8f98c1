"""W3C Trace Context, Level 1: the cases of its own test suite for the two fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.traceparent import Parent, lines_of, parent_of, state_of, without

TRACE, SPAN = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"
GOOD = b"00-" + TRACE + b"-" + SPAN + b"-01"


def read(*values, states=()):
    fields = [(b"traceparent", value) for value in values] + [(b"tracestate", value) for value in states]
    return parent_of(fields)


def test_a_good_one():
    assert read(GOOD) == Parent(TRACE, SPAN, True, b"")
    assert read(GOOD[:-2] + b"00") == Parent(TRACE, SPAN, False, b"")


@pytest.mark.parametrize(("flags", "sampled"), [(b"03", True), (b"ff", True), (b"02", False), (b"fe", False)])
def test_of_the_flags_only_one_is_known(flags, sampled):
    assert read(GOOD[:-2] + flags).sampled is sampled


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        b"ff" + GOOD[2:],  # a version that never is
        b"0" + GOOD[2:],
        b".0" + GOOD[2:],
        GOOD + b"-",  # version 00 has no more
        GOOD + b"-what-the-future-will-be-like",
        GOOD + b".",
        GOOD[:-1],
        GOOD[:-2] + b".0",
        GOOD[:-2] + b"0A",
        GOOD.upper(),
        GOOD.replace(TRACE, b"0" * 32),
        GOOD.replace(SPAN, b"0" * 16),
        GOOD.replace(TRACE, TRACE[:-1]),
        GOOD.replace(TRACE, TRACE + b"0"),
        GOOD.replace(TRACE, b"." + TRACE[1:]),
        GOOD.replace(b"-", b"_"),
        GOOD + b"," + GOOD,
        b"01" + GOOD[2:] + b".more",
        b"01" + GOOD[2:] + b"0",
    ],
)
def test_what_is_not_as_it_must_be_is_nothing(value):
    assert read(value, states=[b"a=1"]) is None


@pytest.mark.parametrize("more", [b"", b"-", b"-what-the-future-will-be-like"])
def test_a_later_version_is_read_as_far_as_it_is_known(more):
    assert read(b"cc" + GOOD[2:] + more) == Parent(TRACE, SPAN, True, b"")


def test_there_is_only_one():
    assert read(GOOD, GOOD) is None
    assert read() is None


def test_a_state_without_a_parent_means_nothing():
    assert read(states=[b"a=1"]) is None


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ([b"foo=1"], b"foo=1"),
        ([b"foo=1,bar=2", b"baz=3"], b"foo=1,bar=2,baz=3"),  # several fields are one list
        ([b"foo=1 \t , \t bar=2, \t baz=3"], b"foo=1,bar=2,baz=3"),
        ([b"foo=1,,,"], b"foo=1"),
        ([b"", b"foo=1"], b"foo=1"),
        ([b"fw529a3039@dt=FfD4,t61rcWkgMzE@x=1"], b""),  # no capitals in names
        ([b"0tenant@vendor=1,a*/-_=v:/ x"], b"0tenant@vendor=1,a*/-_=v:/ x"),
        ([b"foo@=1"], b""),
        ([b"@foo=1"], b""),
        ([b"foo@@bar=1"], b""),
        ([b"0foo=1"], b""),
        ([b"foo =1"], b""),
        ([b"foo=1=2"], b""),
        ([b"foo"], b""),
        ([b"foo=1,foo=2"], b""),  # each name once
        ([b"foo=\xc3\xa4"], b""),
        ([b"z" * 256 + b"=1"], b"z" * 256 + b"=1"),
        ([b"z" * 257 + b"=1"], b""),
        ([b"t" * 241 + b"@" + b"v" * 14 + b"=1"], b"t" * 241 + b"@" + b"v" * 14 + b"=1"),
        ([b"t" * 242 + b"@v=1"], b""),
        ([b"t@" + b"v" * 15 + b"=1"], b""),
        ([b"a=" + b"v" * 256], b"a=" + b"v" * 256),
        ([b"a=" + b"v" * 257], b""),
        ([b",".join(b"a%d=1" % n for n in range(32))], b",".join(b"a%d=1" % n for n in range(32))),
        ([b",".join(b"a%d=1" % n for n in range(33))], b""),
    ],
)
def test_states(values, state):
    assert state_of(values) == state
    assert read(GOOD, states=values) == Parent(TRACE, SPAN, True, state)


@given(st.binary(max_size=80), st.lists(st.binary(max_size=40), max_size=3))
def test_whatever_comes_what_goes_on_is_valid(value, states):
    found = read(value, states=states)
    if found is not None:
        lines = lines_of(*found).split(b"\r\n")
        assert read(lines[0].partition(b": ")[2]) == found._replace(state=b"")
        assert b"\n" not in found.state


def test_both_fields_are_written_and_taken_out_in_whatever_case():
    lines = lines_of(TRACE, SPAN, True, b"a=1")
    assert lines == b"traceparent: " + GOOD + b"\r\ntracestate: a=1\r\n"
    assert lines_of(TRACE, SPAN, False, b"") == b"traceparent: " + GOOD[:-1] + b"0\r\n"
    around = b"Host: x\r\n%bX-Traceparent: 1\r\n" + lines.title()
    assert without(around % lines) == b"Host: x\r\nX-Traceparent: 1\r\n"
