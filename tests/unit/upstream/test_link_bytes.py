"""What a link sends: h11 reads from it the message that the client sent, and nothing else."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.clock import Clock, Wheel
from proxy.downstream.reader import HeadReader
from proxy.exchange import Exchange
from proxy.http.render import render_identity
from proxy.parties import Client
from proxy.policy.routing import Route
from proxy.upstream.link import Link
from proxy.upstream.pool import Pool


class Silent:
    def accept(self):
        pass


class Transport:
    def get_extra_info(self, name):
        return None

    def __init__(self):
        self.sent = b""

    def write(self, data):
        self.sent += data

    def set_write_buffer_limits(self, high, low):
        pass


def sent(head, *parts):
    """What a backend gets of a request whose body comes in `parts`."""
    clock = Clock(10.0)
    client = Client(b"1.2.3.4", b"\1\2\3\4", b"http", render_identity(b"1.2.3.4", b"http"))
    exchange = Exchange(Silent(), client, head.line, head.fields, clock, Route("s", b"/", None))
    exchange.request_id = head.fields.request_id or b"id"
    exchange.upload_done = not parts
    link = Link(Pool("b:1", clock, Wheel()))
    transport = Transport()
    link.connection_made(transport)
    link.start(exchange)
    for number, part in enumerate(parts, 1):
        link.body(part, number == len(parts))
    return transport.sent


def by_h11(text):
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(text)
    request = reader.next_event()
    assert isinstance(request, h11.Request), request
    body = b""
    while not isinstance(event := reader.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data), event
        body += bytes(event.data)
    return request, body, reader.trailing_data[0]


name = st.sampled_from(
    [
        b"Accept",
        b"X-A",
        b"Cookie",
        b"Connection",
        b"TE",
        b"X_Y",
        b"X-Forwarded-For",
        b"Keep-Alive",
        b"Upgrade",
        b"Expect",
        b"Proxy-Connection",
        b"Via",
        b"X-Request-ID",
        b"Trailer",
        b"Content-Type",
        b"HTTP2-Settings",
        b"X-Original-URL",
    ]
)
value = st.sampled_from(
    [
        b"x",
        b"close",
        b"keep-alive, x-a",
        b"content-length",
        b"transfer-encoding, host",
        b"\xff\xfe",
        b"a\tb",
        b"",
        b"h2c",
    ]
)


@given(
    st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS"]),
    st.sampled_from([b"/", b"/a//../b?c=%2e%2e", b"//x", b"/%00", b"http://door/x", b"http://door"]),
    st.lists(st.tuples(name, value), max_size=5),
    st.sampled_from(["none", "length", "chunked"]),
    st.lists(st.binary(max_size=30), min_size=1, max_size=4),
)
def test_what_is_forwarded_is_one_message_and_the_same(method, target, fields, framing, parts):
    lines = [b"Host: door", *[b"%b: %b" % one for one in fields]]
    body = b"".join(parts) if framing != "none" else b""
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
    head = HeadReader().read(b"%b %b HTTP/1.1\r\n%b\r\n\r\n" % (method, target, b"\r\n".join(lines)))
    if head.fault is not None:
        return
    text = sent(head, *(parts if framing != "none" else ()))
    request, got, rest = by_h11(text)
    assert request.method == method and got == body and rest == b""
    empty = b"*" if method == b"OPTIONS" else b"/"  # RFC 9112 section 3.2.4
    assert request.target == (target.removeprefix(b"http://door") or empty)
    got_fields = [(key.lower(), word) for key, word in request.headers]
    names = [key for key, _ in got_fields]
    assert names.count(b"host") == 1 and dict(got_fields)[b"host"] == b"door"
    assert names.count(b"content-length") == (framing == "length")
    assert names.count(b"transfer-encoding") == (framing == "chunked")
    for hop in (b"te", b"keep-alive", b"proxy-connection", b"expect", b"trailer", b"x_y", b"http2-settings"):
        assert hop not in names
    for ours in (b"x-real-ip", b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id"):
        assert names.count(ours) == 1
    assert dict(got_fields)[b"x-forwarded-for"] == b"1.2.3.4"


@pytest.mark.parametrize("data", [b"", b"x" * 100000])
def test_an_empty_part_does_not_end_a_chunked_body(data):
    head = HeadReader().read(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert by_h11(sent(head, data, b"", b"y", b""))[1] == data + b"y"
