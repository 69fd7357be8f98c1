"""Fuzz target: bytes from a backend through a door on the stage; no client takes for whole what was not.

Rules: a final answer that reaches the client whole is the one that a strict reader finds in the backend's bytes, or an
error of the door's. What is broken is an error or is broken off; what is in excess costs the link its life.
"""

from __future__ import annotations

from typing import Any

import seeds
import strict
from paths import path

SEEDS = seeds.RESPONSES
METHODS = (b"GET", b"HEAD", b"POST")


def final(data: bytes, method: bytes) -> tuple[strict.Response | None, bytes]:
    """The first final response, or None if there is none that is whole; and what is behind it."""
    try:
        while True:
            read = strict.response(data, method, sent=False)
            if read is None:
                return None, b""
            data = data[read.size :]
            if read.status >= 200 or read.status == 101:
                return read, data
    except strict.Wrong:
        return None, b""


def heard(client: Any, method: bytes) -> strict.Response | None:
    """The final response that the client takes for whole; what it hears is never wrong."""
    said = client.heard()
    while said:
        read = strict.response(said, method)
        if read is None:
            return None
        said = said[read.size :]
        if read.status >= 200:
            assert read.whole or client.closing or client.eof_sent, "until the end, and it does not end"
            assert not said, f"more behind the answer: {said!r}"
            return read if read.whole or not client.aborted else None
    return None


def one(data: bytes) -> None:
    """Say one input to a waiting request, in parts, and then close."""
    method = METHODS[len(data) % 3]
    stage = path()
    client = stage.client()
    minor = b"0" if len(data) % 7 == 0 else b"1"
    client.says(method + b" / HTTP/1." + minor + b"\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    wire = stage.backend.wire
    wire.heard()
    for part in seeds.cuts(data):
        if not wire.closing:
            wire.says(part)
    whole, closed = bool(stage.door.finished), wire.closing
    if not wire.closing:
        wire.hangs_up()
    assert stage.door.finished, "the backend has gone, and the exchange goes on"
    found, (wanted, rest) = heard(client, method), final(data, method)
    if found is None:
        assert client.aborted, "no answer, and no visible end"
        assert wanted is None or stricter(data, wanted), f"a good answer is lost: {wanted}"
    elif found.all("server") == [b"frontgate"] and found.status >= 500:
        assert wanted is None or stricter(data, wanted), f"refused for no reason: {wanted}"
    else:
        assert wanted is not None, f"whole, though no strict reader takes it: {found}"
        assert (found.status, found.body) == (wanted.status, b"" if method == b"HEAD" else wanted.body)
        if whole and rest:
            assert closed, "what is in excess, and the link lives"
    stage.tidy()


def stricter(data: bytes, wanted: strict.Response) -> bool:
    """Whether the door may refuse what a strict reader takes."""
    lengths = wanted.all("content-length")
    return (
        wanted.status == 101
        or data.startswith(b"\r\n")
        or bool(lengths and lengths[0] != b"%d" % int(lengths[0]))
        or bool(lengths and len(lengths[0]) > 18)
        or bool(wanted.all("transfer-encoding"))
        or data.count(b"HTTP/1.") > 10
        or b"HTTP/1.1 101" in data
        or len(wanted.fields) > 250
        or len(data) > 4000
    )
