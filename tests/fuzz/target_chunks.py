"""Fuzz target: the decoder of chunks against a strict reader and h11, whole and in parts."""

from __future__ import annotations

import re

import h11
import seeds
import strict

from proxy.http.chunked import EXTENSION_LIMIT, LINE_LIMIT, TRAILER_COUNT, TRAILER_LIMIT, ChunkedDecoder

SEEDS = seeds.CHUNKS
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
# Where we are stricter than the grammar: white space before an extension, and sizes of 16 digits and more.
OURS = re.compile(rb"(?m)^[0-9A-Fa-f]+[ \t]+;|[0-9A-Fa-f]{16}")
FRAMING = (b"content-length", b"transfer-encoding")


def decoded(parts: list[bytes]) -> tuple[bytes, bytes] | str:
    """(body, what is behind it), "more" or "refused"."""
    decoder, body = ChunkedDecoder(), b""
    for number, part in enumerate(parts):
        body += decoder.feed(part)
        if decoder.failed:
            return "refused"
        if decoder.done:
            return body, decoder.rest + b"".join(parts[number + 1 :])
    return "more"


def by_h11(data: bytes) -> bytes:
    """The body, as h11 reads it."""
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    reader.receive_data(HEAD + data)
    reader.next_event()
    body = b""
    while not isinstance(event := reader.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data), event
        body += bytes(event.data)
    return body


def one(data: bytes) -> None:
    """Hold one input against the others."""
    found = decoded([data])
    assert decoded(seeds.cuts(data)) == found, "it depends on how the bytes come"
    if len(data) < 300:
        assert decoded([data[at : at + 1] for at in range(len(data))]) == found, "it depends on how the bytes come"
    try:
        wanted = strict.chunks(data, 0)
    except strict.Wrong:
        assert not isinstance(found, tuple), f"taken, though no strict reader takes it: {found!r}"
        return
    if isinstance(found, tuple):
        assert wanted is not None and found == (wanted[0], data[wanted[2] :])
        assert by_h11(data) == found[0]
    elif wanted is not None:
        assert found == "refused", f"not seen to be whole: {found!r}"
        trailers = wanted[1]
        large = len(data) > min(LINE_LIMIT, EXTENSION_LIMIT, TRAILER_LIMIT) or len(trailers) > TRAILER_COUNT
        assert large or OURS.search(data) or any(name in FRAMING for name, _ in trailers), "refused for no reason"
