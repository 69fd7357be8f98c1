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


def test_fields_are_counted():
    reader = HeadReader(max_fields=3)
    assert reader.read(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\n\r\n").fault is None
    assert reader.read(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\nA: b\r\n\r\n").fault is faults.HEAD_TOO_LARGE
