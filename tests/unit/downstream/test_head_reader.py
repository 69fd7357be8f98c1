"""The reader of heads: limits, memos, and what is hopeless before it is whole."""

from __future__ import annotations

import pytest

from proxy import faults
from proxy.downstream.reader import MEMO, HeadReader

HEAD = b"GET /%d HTTP/1.1\r\nHost: a\r\nX: %d\r\n\r\n"


def test_memos_are_bounded():
    reader = HeadReader()
    for number in range(3 * MEMO):
        for _ in range(2):
            assert reader.read(HEAD % (number, number)).fault is None
    for memo in (reader.lines, reader.blocks, reader.heads, reader.whole):
        assert 0 < len(memo) <= MEMO


def test_large_ones_and_faulty_ones_are_not_remembered():
    reader = HeadReader()
    for _ in range(3):
        reader.read(b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nHost: a\r\nX: " + b"b" * 5000 + b"\r\n\r\n")
        reader.read(b"GET / HTTP/3.0\r\nHost: a\r\nHost: b\r\n\r\n")
    assert not reader.lines and not reader.blocks and not reader.heads


def test_only_requests_without_body_are_whole():
    reader = HeadReader()
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"
    for _ in range(3):
        reader.read(post)
        reader.read(HEAD % (1, 1))
    assert post in reader.heads and post not in reader.whole and HEAD % (1, 1) in reader.whole


@pytest.mark.parametrize(
    ("begun", "fault"),
    [
        (b"G", None),
        (b"\r", None),
        (b"GET / HTTP/1.1\r", None),
        (b"GET / HTTP/1.1\r\nHo", None),
        (b"\x16\x03", faults.BAD_REQUEST),
        (b"GET /\0", faults.BAD_REQUEST),
        (b"GET /\n", faults.BAD_REQUEST),
        (b"GET /\r\n", faults.BAD_REQUEST),
        (b"G" * 300, faults.TARGET_TOO_LONG),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 1100, faults.HEAD_TOO_LARGE),
    ],
)
def test_hopeless(begun, fault):
    assert HeadReader(1024, 10, 100).hopeless(begun) is fault


@pytest.mark.parametrize(
    ("seen", "more", "fault"),
    [
        (b"GET / HTTP/1.1\r\nA: b", b"c", None),
        (b"GET / HTTP/1.1\r\nA: b\r", b"\n", None),
        (b"GET / HTTP/1.1\r\nA: b", b"\n", faults.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nA: b", b"\0", faults.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 1000, b"z" * 100, faults.HEAD_TOO_LARGE),
    ],
)
def test_only_what_is_new_of_a_head_is_searched(seen, more, fault):
    reader = HeadReader(1024, 10, 100)
    assert reader.hopeless(seen) is None
    assert reader.hopeless(seen + more, max(0, len(seen) - 3)) is fault
    assert reader.hopeless(b"GET / HTTP/1.1\nA: b", 16) is None  # what was seen is not looked at once more


def test_fields_are_counted():
    reader = HeadReader(max_fields=3)
    assert reader.read(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\n\r\n").fault is None
    assert reader.read(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\nA: b\r\n\r\n").fault is faults.HEAD_TOO_LARGE


@pytest.mark.parametrize(
    ("value", "minor", "fault"),
    [
        (b"gzip", 1, faults.CODING_UNKNOWN),
        (b"gzip, chunked", 1, faults.CODING_UNKNOWN),
        (b"chunked, gzip", 1, faults.BAD_REQUEST),
        (b"gzip\x0b", 1, faults.BAD_REQUEST),
        (b"gzip", 0, faults.BAD_REQUEST),
        (b"gzip, chunked", 0, faults.BAD_REQUEST),
        (b"gzip\r\nContent-Length: 5", 1, faults.BAD_REQUEST),
        (b"gzip\r\nX : y", 1, faults.BAD_REQUEST),
    ],
)
def test_a_coding_that_llhttp_refuses_behind_its_head_is_judged_by_us(value, minor, fault):
    head = b"POST / HTTP/1.%d\r\nHost: a\r\nTransfer-Encoding: %b\r\n\r\n" % (minor, value)
    assert HeadReader().read(head).fault is fault


def test_an_answer_of_our_own_is_no_whole_request():
    reader = HeadReader()
    head = b"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: %d\r\n\r\n"
    for _ in range(3):
        assert reader.read(head % 0).last_hop and not reader.read(head % 1).last_hop
        assert not reader.read((head % 0).replace(b"OPTIONS", b"GET")).last_hop
    assert head % 0 in reader.heads and head % 0 not in reader.whole and head % 1 in reader.whole
