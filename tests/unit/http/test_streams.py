"""Unit tests of the judge of HTTP/2 heads (proxy.http.streams), by section of RFC 9113. That no malformed request gets
to a backend is told by conversations (`test_talk_h2_conformance`), with the same cases for each engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.downstream.reader import HeadReader
from proxy.http.message import ResponseHead
from proxy.http.streams import StreamReader, fields_of, joined, response_fields, sound_value, trailer_lines

GET = ((b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/a?b"), (b":authority", b"door:1"))
POST = ((b":method", b"POST"), *GET[1:])


@pytest.fixture
def reader():
    return StreamReader(HeadReader(), b"a2V5a2V5a2V5a2V5a2V5aw==")


def test_8_3_1_a_request_and_the_same_in_http1(reader):
    head = reader.read((*GET, (b"accept", b"*/*")), True)
    assert head.fault is None and head.line.head == b"GET /a?b HTTP/1.1\r\n" and head.line.version == b"HTTP/2.0"
    assert head.fields.forward.startswith(b"Host: door:1\r\nX-Forwarded-Host: door:1\r\naccept: */*\r\n")
    assert head.line.log == b'"GET /a?b HTTP/2.0"'


def test_a_head_is_remembered_with_its_kind_of_body(reader):
    assert reader.read(POST, True) is reader.read((*POST,), True)
    whole, streaming = reader.read(POST, True), reader.read(POST, False)
    assert not whole.fields.chunked and streaming.fields.chunked
    assert b"Transfer-Encoding: chunked\r\n" in streaming.fields.forward
    assert streaming.fields.get(b"transfer-encoding") is None, "the client has not said that"
    assert [reader.read(GET, True) for _ in range(3)] == [reader.read((*GET,), True)] * 3
    assert reader.read(GET, False) is not reader.read(GET, True) is not reader.read(POST, True) is whole


def test_8_1_1_a_length_that_is_none_is_answered(reader):
    assert reader.read((*POST, (b"content-length", b"1")), True) is None
    assert reader.read((*POST, (b"content-length", b"0")), True).fields.length == 0
    assert reader.read((*POST, (b"content-length", b"5")), False).fields.length == 5
    for wrong in (b"+5", b"5, 5", b"0x5", b" 5"):
        head = reader.read((*POST, (b"content-length", wrong)), False)
        assert head is None or head.fault.status == 400


def test_8_2_3_cookies(reader):
    head = reader.read((*GET, (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")), True)
    assert head.fields.get(b"cookie") == b"a=1; b=2"
    assert joined([(b"cookie", b"a")]) == [(b"cookie", b"a")]


def test_8_2_2_te(reader):
    assert b"te:" not in reader.read((*GET, (b"te", b"trailers")), True).fields.forward
    assert reader.read((*GET, (b"te", b"gzip")), True) is None


def test_rfc_8441_a_websocket(reader):
    fields = ((b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:])
    head = reader.read(fields, False)
    assert head.fault is None and head.fields.upgrade and head.line.method == b"GET"
    assert head.fields.get(b"sec-websocket-key") == b"a2V5a2V5a2V5a2V5a2V5aw=="
    assert head.line.log == b'"CONNECT /a?b HTTP/2.0"'
    other = ((b":method", b"CONNECT"), (b":protocol", b"connect-udp"), *GET[1:])
    assert reader.read(other, False).fault.status == 501


def test_limits_are_those_of_http1(reader):
    assert reader.read((*GET, *[(b"x", b"y")] * 100), True).fault is None
    assert reader.read((*GET, *[(b"x", b"y")] * 101), True).fault.status == 431
    assert reader.read((*GET, (b"x", b"y" * 40000)), True).fault.status == 431
    assert reader.read((*GET[:2], (b":path", b"/" + b"a" * 9000), GET[3]), True).fault.status == 414


def test_8_1_trailers():
    assert trailer_lines(((b"x-sum", b"1"), (b"content-length", b"3"), (b"x-real-ip", b"1"))) == b"x-sum: 1\r\n"
    for wrong in ((b":path", b"/"), (b"X", b"1"), (b"x", b"a\r\nb: c"), (b"connection", b"close"), (b"", b"")):
        assert trailer_lines((wrong,)) is None


def test_8_2_2_answers_are_without_fields_of_connections():
    lines = b"Date: x\r\nConnection: close\r\nX: a:b\r\nTransfer-Encoding: chunked\r\n"
    lines += b"Set-Cookie: a\r\nSet-Cookie: b\r\n"
    assert fields_of(lines) == ((b"date", b"x"), (b"x", b"a:b"), (b"set-cookie", b"a"), (b"set-cookie", b"b"))
    head = ResponseHead(200, b"OK", ())
    head.forward = b"HTTP/1.1 200 OK\r\nX: y\r\n"
    assert response_fields(head) == ((b":status", b"200"), (b"x", b"y")) and response_fields(head) is head.fields2


@given(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8)), max_size=5), st.booleans())
def test_whatever_comes_there_is_one_request_of_it_or_none(fields, end):
    head = StreamReader(HeadReader(), b"k").read((*GET, *fields), end)
    if head is not None and head.fault is None:
        forward = head.fields.forward
        assert b"\0" not in forward and forward.count(b"\r") == forward.count(b"\n") == forward.count(b"\r\n")
        assert forward.count(b"\r\n") <= len(fields) + 6 and b"\r\n\r\n" not in forward


@given(st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=20))
def test_pseudo_fields_make_one_line(method, path, authority):
    fields = ((b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", authority))
    head = StreamReader(HeadReader(), b"k").read(fields, True)
    if head is not None and head.fault is None:
        assert head.line.head.count(b" ") == 2 and head.line.head.count(b"\n") == 1
        assert head.fields.host == authority


@given(st.binary(max_size=10))
def test_8_2_1_values(value):
    wrong = any(byte in value for byte in b"\0\r\n") or value != value.strip(b" \t")
    assert sound_value(value) is not wrong
