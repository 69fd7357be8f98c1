"""The three ways in which a body ends, fed in any pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.body import CountedBody, UntilClose, body_of
from proxy.http.chunked import ChunkedDecoder


def fed(body, *pieces):
    """What a body makes of pieces, up to the one that it ends in; and what comes behind it."""
    got = b""
    for number, piece in enumerate(pieces):
        got += body.feed(piece)
        if body.done:
            return got, body.rest + b"".join(pieces[number + 1 :])
    return got, None


def test_which_body_a_message_has():
    assert type(body_of(5, False)) is CountedBody
    assert type(body_of(-1, False)) is UntilClose
    assert type(body_of(-1, True)) is ChunkedDecoder


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"abc"], (b"abc", b"")),
        ([b"ab", b"c"], (b"abc", b"")),
        ([b"ab", b"", b"c"], (b"abc", b"")),
        ([b"abcGET"], (b"abc", b"GET")),
        ([b"ab", b"cGET"], (b"abc", b"GET")),
        ([b"ab"], (b"ab", None)),
        ([], (b"", None)),
    ],
)
def test_a_counted_body(pieces, expected):
    body = CountedBody(3)
    assert fed(body, *pieces) == expected
    assert body.done is (expected[1] is not None) and not body.failed and body.trailers == b""
    assert body.left == 3 - len(expected[0])


def test_a_counted_body_that_fits_is_not_copied():
    whole = b"x" * 1000
    assert CountedBody(1000).feed(whole) is whole and CountedBody(1001).feed(whole) is whole


def test_until_close_is_never_done():
    body = UntilClose()
    assert [body.feed(piece) for piece in (b"a", b"", b"0\r\n\r\n")] == [b"a", b"", b"0\r\n\r\n"]
    assert not body.done and not body.failed and body.rest == body.trailers == b""


def cut(data, places):
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(
    st.binary(min_size=1, max_size=50),
    st.binary(max_size=20),
    st.lists(st.integers(0, 100), max_size=6),
    st.sampled_from(["counted", "chunked"]),
)
def test_pieces_do_not_matter(content, behind, places, framing):
    raw = content if framing == "counted" else b"%x\r\n%b\r\n0\r\nX-A: b\r\n\r\n" % (len(content), content)
    body = body_of(len(content) if framing == "counted" else -1, framing == "chunked")
    assert fed(body, *cut(raw + behind, places)) == (content, behind)
    assert body.done and not body.failed
    assert body.trailers == (b"" if framing == "counted" else b"X-A: b\r\n")


def test_a_chunked_body_that_is_broken_has_failed():
    body = body_of(-1, True)
    body.feed(b"zz\r\n")
    assert body.failed and not body.done
