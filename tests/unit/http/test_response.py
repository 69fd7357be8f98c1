"""Judging answers, changing them, and rendering our own."""

from __future__ import annotations

import h11
import pytest

from proxy.http.render import render_identity, render_reply
from proxy.http.response import NO_EDITS, HeaderEdits, judge_response
from proxy.verdict import Reply

DATE = b"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b"HTTP/1.1 200", []),
        (b"HTTP/1.1 200 ", []),
        (b"HTTP/1.1 200 O\xe4K", []),
        (b"HTTP/1.0 200 OK", [(b"Content-Length", b"5")]),
        (b"HTTP/1.1 200 OK", [(b"Transfer-Encoding", b"Chunked")]),
        (b"HTTP/1.1 101 Switching", [(b"Connection", b"upgrade"), (b"Upgrade", b"websocket")]),
    ],
)
def test_accepted(line, fields):
    assert judge_response(line, fields).fault is None


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b"HTTP/1.1 20 OK", []),
        (b"HTTP/1.1 0200 OK", []),
        (b"HTTP/1.1 099 OK", []),
        (b"HTTP/1.1 600 OK", []),
        (b"HTTP/1.1 999 OK", []),
        (b"HTTP/1.2 200 OK", []),
        (b"HTTP/1.1 200 a\x01b", []),
        (b"http/1.1 200 OK", []),
        (b"HTTP/1.1 200 OK", [(b"Content-Length", b"5"), (b"Content-Length", b"5")]),
        (b"HTTP/1.1 200 OK", [(b"Content-Length", b"5,5")]),
        (b"HTTP/1.1 200 OK", [(b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked")]),
        (b"HTTP/1.1 200 OK", [(b"Transfer-Encoding", b"gzip, chunked")]),
        (b"HTTP/1.0 200 OK", [(b"Transfer-Encoding", b"chunked")]),
        (b"HTTP/1.1 200 OK", [(b"X y", b"z")]),
        (b"HTTP/1.1 200 OK", [(b"X", b"a\r\nSet-Cookie: b")]),
        (b"HTTP/1.1 200 OK", [(b"X", b"a\x0bb")]),
    ],
)
def test_refused(line, fields):
    assert judge_response(line, fields).fault is not None


@pytest.mark.parametrize(
    ("minor", "connection", "keep"),
    [(1, None, True), (1, b"Close", False), (0, None, False), (0, b"keep-alive", True), (1, b"x, close", False)],
)
def test_whether_the_link_can_be_used_again(minor, connection, keep):
    fields = [] if connection is None else [(b"Connection", connection)]
    assert judge_response(b"HTTP/1.%d 200 OK" % minor, fields).keep_alive is keep


def test_edits():
    edits = HeaderEdits([b"X-Gone"], [(b"Server", b"us")], [(b"Via", b"us")])
    head = judge_response(b"HTTP/1.1 200 OK", [(b"SERVER", b"them"), (b"x-gone", b"1"), (b"Via", b"them")], edits)
    assert head.forward == b"HTTP/1.1 200 OK\r\nVia: them\r\nServer: us\r\nVia: us\r\n"
    assert (
        judge_response(b"HTTP/1.1 103 Early", [(b"Link", b"x")], edits).forward == b"HTTP/1.1 103 Early\r\nLink: x\r\n"
    )
    assert edits.edit(b"Server: a\r\nX: y\r\n") == b"X: y\r\nServer: us\r\nVia: us\r\n"
    assert edits.any and not NO_EDITS.any and NO_EDITS.edit(b"A: b\r\n") == b"A: b\r\n"


def test_which_answers_are_simple():
    dated = (b"Date", b"x")
    length = (b"Content-Length", b"1")
    head = judge_response(b"HTTP/1.1 200 OK", [dated, length])
    assert head.simple and head.dated
    assert judge_response(b"HTTP/1.1 200 OK", [length]).simple
    for line, fields in (
        (b"HTTP/1.1 200 OK", [dated]),
        (b"HTTP/1.1 304 Not Modified", [dated, length]),
        (b"HTTP/1.1 200 OK", [dated, length, (b"Connection", b"close")]),
        (b"HTTP/1.0 200 OK", [dated, length]),
    ):
        assert not judge_response(line, fields).simple


def parsed(text, method="GET"):
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(text)
    return reader.next_event()


@pytest.mark.parametrize("status", [200, 204, 301, 304, 404, 413, 429, 499, 503, 599])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("minor", [0, 1])
def test_replies(status, keep, minor):
    head, body = render_reply(Reply(status, fields=b"X: y\r\n"), HeaderEdits(append=[(b"A", b"b")]), DATE, keep, minor)
    answer = parsed(head + body)
    fields = dict(answer.headers)
    assert answer.status_code == status and fields[b"x"] == b"y" and fields[b"a"] == b"b" and fields[b"date"]
    assert fields.get(b"connection") == (b"close" if not keep else None if minor else b"keep-alive")
    if status in (204, 304):
        assert not body and b"content-length" not in fields
    else:
        assert int(fields[b"content-length"]) == len(body) > 0


def test_a_reply_with_an_empty_body_is_empty():
    head, body = render_reply(Reply(200, b""), NO_EDITS, DATE, True, 1)
    assert body == b"" and b"Content-Length: 0\r\n" in head


def test_a_replaced_field_stands_once_in_our_own_answers():
    head, _ = render_reply(Reply(404), HeaderEdits(replace=[(b"Server", b"x")]), DATE, True, 1)
    assert head.lower().count(b"server:") == 1


def test_identities():
    assert render_identity(b"1.2.3.4", b"https", b"5.6.7.8, 1.2.3.4") == (
        b"X-Real-IP: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8, 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Request-ID: "
    )
