"""What the door says itself, as h11 reads it."""

from __future__ import annotations

import h11
import pytest

from proxy.http.render import render_head, render_identity, render_reply
from proxy.http.response import NO_EDITS, HeaderEdits, judge_response
from proxy.verdict import Reply

DATE = b"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"


def read(raw, closed=False):
    """(status, reason, fields, body) of a response that has an end."""
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(raw)
    if closed:
        reader.receive_data(b"")
    head, body = reader.next_event(), b""
    while not isinstance(event := reader.next_event(), h11.EndOfMessage):
        body += bytes(event.data)
    assert reader.trailing_data[0] == b""
    return head.status_code, bytes(head.reason), dict(head.headers), body


def replied(reply, edits=NO_EDITS, lines=DATE, keep=True, minor=1):
    head, body = render_reply(reply, edits, lines, keep, minor)
    return read(head + body)


def test_a_reply_is_a_whole_message():
    status, reason, fields, body = replied(Reply(200, b"hello", content_type=b"text/css"))
    assert (status, reason, body) == (200, b"OK", b"hello")
    assert fields == {
        b"server": b"frontgate",
        b"date": b"Tue, 14 Nov 2023 22:13:20 GMT",
        b"content-type": b"text/css",
        b"content-length": b"5",
    }


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, b"Not Found"), (429, b"Too Many Requests"), (499, b"Client Closed Request"), (799, b"")],
)
def test_a_reply_without_a_body_says_its_status(status, reason):
    found = replied(Reply(status))
    assert found[:2] == (status, reason) and found[3] == b"%d %b\n" % (status, reason)


def test_an_empty_body_is_a_body():
    assert replied(Reply(200, b""))[2][b"content-length"] == b"0"


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_that_has_no_body_has_no_framing_either(status):
    _, _, fields, body = replied(Reply(status, b"nothing to see"))
    assert body == b"" and not {b"content-length", b"content-type", b"transfer-encoding"} & set(fields)


@pytest.mark.parametrize(
    ("keep", "minor", "word"), [(True, 1, None), (True, 0, b"keep-alive"), (False, 1, b"close"), (False, 0, b"close")]
)
def test_whether_the_connection_stays(keep, minor, word):
    assert replied(Reply(200, b"x"), keep=keep, minor=minor)[2].get(b"connection") == word
    head = judge_response(b"HTTP/1.1 200 OK", [(b"Content-Length", b"0")])
    assert read(render_head(head, b"", DATE, False, keep, minor))[2].get(b"connection") == word


def test_edits_and_extra_lines_of_a_reply():
    edits = HeaderEdits([b"X-Gone"], [(b"Server", b"door")], [(b"Via", b"us")])
    _, _, fields, _ = replied(Reply(429, b"", b"X-Gone: 1\r\nRetry-After: 3\r\n"), edits, DATE + b"X-Limit: 2\r\n")
    assert fields[b"server"] == b"door" and fields[b"via"] == b"us" and b"x-gone" not in fields
    assert fields[b"retry-after"] == b"3" and fields[b"x-limit"] == b"2"


def test_edits_cannot_break_the_framing_of_a_reply():
    edits = HeaderEdits([b"Content-Length", b"Connection"])
    _, _, fields, body = replied(Reply(200, b"hello"), edits, keep=False)
    assert fields[b"content-length"] == b"5" and fields[b"connection"] == b"close" and body == b"hello"


def test_a_backends_head_gets_what_it_lacks():
    head = judge_response(b"HTTP/1.1 200 Fine", [(b"Transfer-Encoding", b"chunked"), (b"X-A", b"b")])
    raw = render_head(head, b"RateLimit: 1\r\n", DATE, True, True, 1)
    status, reason, fields, body = read(raw + b"2\r\nok\r\n0\r\n\r\n")
    assert (status, reason, body) == (200, b"Fine", b"ok")
    assert fields[b"date"] and fields[b"x-a"] == b"b" and fields[b"ratelimit"] == b"1"


def test_a_backends_date_is_kept():
    head = judge_response(b"HTTP/1.1 200 OK", [(b"Date", b"then"), (b"Content-Length", b"0")])
    raw = render_head(head, b"", DATE, False, True, 1)
    assert raw.count(b"Date:") == 1 and b"Date: then\r\n" in raw


def test_a_body_until_close_is_announced_so():
    head = judge_response(b"HTTP/1.1 200 OK", [])
    raw = render_head(head, b"", DATE, False, False, 0)
    assert b"Transfer-Encoding" not in raw and read(raw + b"rest", closed=True)[3] == b"rest"


@pytest.mark.parametrize(("chain", "shown"), [(b"", b"1.2.3.4"), (b"6.6.6.6, 10.0.0.1", b"6.6.6.6, 10.0.0.1")])
def test_the_lines_that_name_a_client(chain, shown):
    assert render_identity(b"1.2.3.4", b"https", chain) == (
        b"X-Real-IP: 1.2.3.4\r\nX-Forwarded-For: %b\r\nX-Forwarded-Proto: https\r\nX-Request-ID: " % shown
    )
