"""Judging requests, and h11 as a second opinion: what we accept h11 reads in the same way."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import faults
from proxy.downstream.reader import HeadReader
from proxy.http.request import judge_request

GOOD = (b"Host", b"a")


def head(text):
    return HeadReader().read(text)


def by_h11(text):
    """(method, target, framing) as h11 reads a head, or None."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(text)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.Request):
        return None
    fields = dict(event.headers)
    if b"transfer-encoding" in fields:
        framing = "chunked"
    else:
        framing = int(fields.get(b"content-length", 0))
    return event.method, event.target, framing


line = st.sampled_from(
    [b"GET / HTTP/1.1"] * 6
    + [b"POST /x?y HTTP/1.1", b"GET http://a/ HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET / HTTP/1.0", b"GET /  HTTP/1.1"]
    + [b"GET /\x01 HTTP/1.1", b"G@T / HTTP/1.1", b"GET / HTTP/1.1 ", b"GET /a b HTTP/1.1"]
)
field = st.sampled_from(
    [
        b"Host: a",
        b"Host: b",
        b"Host:",
        b"Content-Length: 5",
        b"Content-Length: 05",
        b"Content-Length: 5, 5",
        b"Content-Length: +5",
        b"Content-Length: 5\t",
        b"content-length : 5",
        b"Content_Length: 6",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: Chunked ",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer-Encoding:\tchunked",
        b"Transfer-Encoding: chunked\x00",
        b"X: y",
        b"X: \xff",
        b"X: a\rb",
        b" folded",
        b"\tfolded",
        b"X",
        b": y",
        b"X\x00: y",
        b"X y: z",
        b"Connection: close, content-length, transfer-encoding",
        b"Connection: upgrade",
        b"Upgrade: websocket",
        b"Upgrade: h2c",
        b"Expect: 100-continue",
        b"X-Forwarded-For: 1.1.1.1",
    ]
)


@st.composite
def heads(draw):
    """Request heads, most of them nearly right."""
    ends = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r"])
    text = draw(line) + draw(ends)
    fields = draw(st.lists(field, max_size=4))
    if draw(st.integers(0, 4)):
        fields.insert(0, b"Host: a")
    for one in fields:
        text += one + draw(ends)
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(st.binary(max_size=1)) + text[at + 1 :]
    text = text.replace(b"\r\n\r\n", b"\r\n") + b"\r\n"
    return text if text.endswith(b"\r\n\r\n") else text[:-2] + b"\r\n\r\n"


@given(heads())
def test_what_we_accept_h11_reads_in_the_same_way(text):
    read = head(text)
    if read.fault is not None:
        return
    fields = read.fields
    framing = "chunked" if fields.chunked else max(fields.length, 0)
    assert by_h11(text) == (read.line.method, read.line.target, framing)


@given(heads())
def test_reading_twice_is_the_same(text):
    reader = HeadReader()
    first = reader.read(text)
    second = reader.read(text)
    third = reader.heads.get(text) or reader.read(text)
    for other in (second, third):
        assert (other.fault, other.line.head, other.fields.forward) == (
            first.fault,
            first.line.head,
            first.fields.forward,
        )


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ([GOOD], None),
        ([GOOD, GOOD], faults.BAD_REQUEST),
        ([(b"Host", b"a,b")], faults.BAD_REQUEST),
        ([GOOD, (b"Content-Length", b"0")], None),
        ([GOOD, (b"Content-Length", b"00")], faults.BAD_REQUEST),
        ([GOOD, (b"Content-Length", b"1" * 19)], faults.BAD_REQUEST),
        ([GOOD, (b"Content-Length", b"-1")], faults.BAD_REQUEST),
        ([GOOD, (b"Content-Length", b"")], faults.BAD_REQUEST),
        ([GOOD, (b"Content-Length", b"1"), (b"content-length", b"1")], faults.BAD_REQUEST),
        ([GOOD, (b"Transfer-Encoding", b"CHUNKED")], None),
        ([GOOD, (b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"0")], faults.BAD_REQUEST),
        ([GOOD, (b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")], faults.BAD_REQUEST),
        ([GOOD, (b"Transfer-Encoding", b"chunked, chunked")], faults.BAD_REQUEST),
        ([GOOD, (b"Transfer-Encoding", b"")], faults.BAD_REQUEST),
        ([GOOD, (b"Transfer-Encoding", b"identity")], faults.CODING_UNKNOWN),
        ([GOOD, (b"Transfer-Encoding", b"gzip , br,\tCHUNKED")], faults.CODING_UNKNOWN),
        ([GOOD, (b"Transfer-Encoding", b"xchunked")], faults.CODING_UNKNOWN),
        ([GOOD, (b"Transfer-Encoding", b"chunked, gzip")], faults.BAD_REQUEST),
        ([GOOD, (b"Transfer-Encoding", b"gzip, chunked, chunked")], faults.BAD_REQUEST),
        ([GOOD, (b"Transfer-Encoding", b"gzip,, chunked")], faults.BAD_REQUEST),
        ([GOOD, (b"Transfer-Encoding", b"gzip,")], faults.BAD_REQUEST),
        ([GOOD, (b"Transfer-Encoding", b"gzip;q=1")], faults.BAD_REQUEST),
        ([GOOD, (b"Transfer-Encoding", b'"gzip"')], faults.BAD_REQUEST),
        ([GOOD, (b"Transfer-Encoding", b"gzip"), (b"Transfer-Encoding", b"chunked")], faults.BAD_REQUEST),
        ([GOOD, (b"Transfer-Encoding", b"gzip"), (b"Content-Length", b"5")], faults.BAD_REQUEST),
        ([GOOD, (b"Expect", b"100-Continue")], None),
        ([GOOD, (b"Expect", b"100-continue, x")], faults.EXPECTATION_UNKNOWN),
        ([GOOD, (b"Expect", b"x")], faults.EXPECTATION_UNKNOWN),
        ([GOOD, (b"X y", b"z")], faults.BAD_REQUEST),
        ([GOOD, (b"", b"z")], faults.BAD_REQUEST),
        ([GOOD, (b"X", b"a\0b")], faults.BAD_REQUEST),
        ([GOOD, (b"X", b"a\r\nY: b")], faults.BAD_REQUEST),
        ([GOOD, (b"X", b"a\xffb\tc")], None),
    ],
)
def test_judged(fields, fault):
    assert judge_request(fields).fault is fault


def test_what_is_forwarded():
    judged = judge_request(
        [
            (b"HOST", b"A:80"),
            (b"aCCept", b" x "),
            (b"Connection", b"close, X-Hop, Content-Length"),
            (b"X-Hop", b"1"),
            (b"TE", b"trailers"),
            (b"Keep-Alive", b"5"),
            (b"Proxy-Connection", b"x"),
            (b"Proxy-Authorization", b"x"),
            (b"Proxy", b"x"),
            (b"X_Y", b"x"),
            (b"X-Original-URL", b"/admin"),
            (b"Forwarded", b"x"),
            (b"X-Forwarded-For", b"1"),
            (b"X-Forwarded-For", b"2"),
            (b"X-Request-ID", b"q"),
            (b"Content-Length", b"3"),
            (b"Cookie", b"a=1; b=2"),
        ]
    )
    assert judged.fault is None and judged.close and judged.length == 3 and judged.request_id == b"q"
    assert judged.forward == (
        b"Host: A:80\r\nX-Forwarded-Host: A:80\r\naCCept: x\r\nContent-Length: 3\r\nCookie: a=1; b=2\r\n"
        b"Via: 1.1 frontgate\r\n"
    )
    assert judged.forwarded[b"x-forwarded-for"] == b"1, 2"
    assert judged.cookie(b"b") == b"2" and judged.cookie(b"c") is None
