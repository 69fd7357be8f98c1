"""The chunked coding against h11 and llhttp: the same payload, or a refusal.

Where we are stricter: only CRLF ends a line, nothing stands between a size and its end but extensions of visible
characters, a size has at most 15 digits, trailer fields are not folded and do not frame. We are nowhere laxer than h11.
"""

from __future__ import annotations

import itertools

import h11
import pytest
from httptools import HttpParserError, HttpRequestParser
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.http.chunked import LAST, ChunkedDecoder, chunk

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def decoded(parts):
    """(payload, rest, trailers), "more" or "refused" by our decoder."""
    decoder = ChunkedDecoder()
    payload = b""
    parts = list(parts)
    while parts and not decoder.done:
        payload += decoder.feed(parts.pop(0))
        if decoder.failed:
            return "refused"
    if not decoder.done:
        return "more"
    return payload, decoder.rest + b"".join(parts)


def by_h11(data):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(HEAD + data)
    payload = b""
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                return "more"
            if isinstance(event, h11.Data):
                payload += bytes(event.data)
            if isinstance(event, h11.EndOfMessage):
                return payload, connection.trailing_data[0]
    except h11.RemoteProtocolError:
        return "refused"


class Body:
    def __init__(self):
        self.payload = b""
        self.whole = False

    def on_body(self, data):
        self.payload += data

    def on_message_complete(self):
        self.whole = True


def by_llhttp(data):
    body = Body()
    try:
        HttpRequestParser(body).feed_data(HEAD + data)
    except HttpParserError:
        return "refused"
    return body.payload if body.whole else "more"


extension = st.sampled_from([b"", b"", b";a", b";a=b", b';a="b c"', b" ", b";", b";\x01", b";\n"])
size = st.sampled_from(["{:x}", "{:X}", "0{:x}", "{:016x}", "0x{:x}", "+{:x}", " {:x}", "{:x} "])
end = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r", b"\r\r\n", b""])


@st.composite
def bodies(draw):
    """Chunked bodies, most of them nearly right."""
    text = b""
    for payload in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4)):
        form = draw(size) if draw(st.integers(0, 5)) == 0 else "{:x}"
        text += form.format(len(payload)).encode() + draw(extension) + draw(end) + payload + draw(end)
    text += draw(st.sampled_from([b"0", b"0", b"0", b"00", b"0;x"])) + draw(end)
    text += draw(
        st.sampled_from([b"", b"", b"A: b\r\n", b"A: b\r\n c\r\n", b"A : b\r\n", b"Content-Length: 5\r\n", b"A: b\n"])
    )
    text += draw(end) + draw(st.sampled_from([b"", b"GET / HTTP/1.1\r\n\r\n"]))
    if draw(st.integers(0, 3)) == 0 and text:
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(st.binary(max_size=2)) + text[at + 1 :]
    return text


@given(bodies())
@example(b"5\r\nhello\r\n0\r\n\r\n")
@example(b"5;\r\nhello\r\n0\r\n\r\n")
def test_same_payload_or_a_refusal(text):
    ours = decoded([text])
    if isinstance(ours, tuple):
        assert by_h11(text) == ours
        used = text[: len(text) - len(ours[1])]
        assert by_llhttp(used) in (ours[0], "refused")


@given(bodies(), st.lists(st.integers(0, 80), max_size=6))
def test_pieces_do_not_matter(text, cuts):
    cuts = sorted({0, len(text), *[cut for cut in cuts if cut < len(text)]})
    parts = [text[a:b] for a, b in itertools.pairwise(cuts)]
    assert decoded(parts) == decoded([text])
    assert decoded([text[at : at + 1] for at in range(len(text))]) == decoded([text])


@given(st.lists(st.binary(min_size=1, max_size=50)))
def test_what_we_send_is_what_others_read(payloads):
    text = b"".join([chunk(payload) for payload in payloads]) + LAST
    whole = b"".join(payloads)
    assert by_h11(text) == (whole, b"") and by_llhttp(text) == whole and decoded([text]) == (whole, b"")


@pytest.mark.parametrize(
    "text",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"0x5\r\n",
        b"5 \r\nhello",
        b" 5\r\nhello",
        b"5\nhello",
        b"5\r\nhelloX",
        b"5\r\nhello\n",
        b"1" * 16,
        b"5;\x00\r\n",
        b"5;a\nb\r\n",
        b"5;" + b"a" * 5000,
        b"0\r\nA\r\n",
        b"0\r\n: b\r\n",
        b"0\r\nA : b\r\n",
        b"0\r\n A: b\r\n",
        b"0\r\nA: \0\r\n",
        b"0\r\nA: b\rc\r\n",
        b"0\r\nContent-Length: 1\r\n",
        b"0\r\nTransfer-Encoding: x\r\n",
        b"0\r\n" + b"A: b\r\n" * 65,
        b"0\r\nA: " + b"b" * 17000,
        b"1;" + b"a" * 4000 + b"\r\nx\r\n" + (b"1;" + b"a" * 4000 + b"\r\nx\r\n") * 4,
    ],
)
def test_refused(text):
    assert decoded([text]) == "refused"
    decoder = ChunkedDecoder()
    decoder.feed(text)
    assert decoder.feed(b"0\r\n\r\n") == b"" and not decoder.done


def test_trailers():
    decoder = ChunkedDecoder()
    assert (
        decoder.feed(b"0\r\nX-Sum:  1 \r\nHost: x\r\nX-Forwarded-For: x\r\nX_Y: z\r\nSet-Cookie: x\r\nE: f\r\n\r\nrest")
        == b""
    )
    assert decoder.done and decoder.trailers == b"X-Sum: 1\r\nE: f\r\n" and decoder.rest == b"rest"
