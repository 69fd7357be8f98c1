"""What is remembered of heads has bounds."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from proxy.content import subrequest
from proxy.content.rewrites import Proxied
from proxy.http import memo
from proxy.http.answer import Answer
from proxy.http.headers import unbroken
from proxy.http.memo import ENTRIES, LONGEST, MOST, Memo
from proxy.http.message import RequestFields, ResponseHead
from proxy.policy.request import Composer


def test_what_was_remembered_is_known():
    known = Memo()
    known.remember(b"a", 1, 10)
    assert known.get(b"a") == 1 and known.get(b"b") is None


def test_entries_are_bounded():
    known = Memo()
    for number in range(ENTRIES * 3):
        known.remember(number, number, 1)
        assert len(known) <= ENTRIES and known[number] == number


def test_bytes_are_bounded():
    known = Memo()
    for number in range(ENTRIES):
        known.remember(number, number, LONGEST)
        assert len(known) * LONGEST <= MOST
    known.remember("long", 1, LONGEST + 1)
    assert "long" not in known


def heads(size, count):
    """Fields of requests that were so large."""
    for _ in range(count):
        fields = RequestFields(((b"host", b"door"), (b"x", b"y" * size)))
        fields.size = size
        yield fields


@pytest.mark.parametrize("size", [100, LONGEST, LONGEST + 1, 28_000])
def test_whoever_sends_other_heads_each_time_fills_no_memory(size, monkeypatch):
    composer, inner, proxied = Composer(), Memo(), Proxied()
    monkeypatch.setattr(subrequest, "_bodiless", inner)
    for fields in heads(size, 600):
        composer._passed(fields)
        subrequest.bodiless(fields)
        source = ResponseHead(200, b"OK", fields.fields)
        source.known_as = b"z" * size
        answer = Answer.of(source)
        proxied(SimpleNamespace(source=source), answer, None)
    for known in (composer._lines, inner, proxied._memo):
        assert len(known) * size <= MOST and len(known) <= ENTRIES
        assert bool(known) is (size <= LONGEST)


def test_the_bounds_are_small():
    assert memo.MOST <= 1 << 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a b", b"a b"),
        (b"a\r\nX: b", b"aX: b"),
        (b"\na\0b\r", b"ab"),
        (b" \t a \t", b"a"),
        (b"\r\n", b""),
        (b" \r", b""),
    ],
)
def test_a_value_ends_no_line(text, expected):
    assert unbroken(text) == expected
