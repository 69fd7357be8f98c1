"""Fuzz target: bytes from a client through a door on the stage; the backend must see what strict readers see, no more.

Rules: what is forwarded is a prefix of what a strict reader of the client's bytes finds, request by request, with the
same method, target and body, in bytes that a strict reader and h11 take. Where the door stops earlier it has said why:
either the client wanted to close, or `stricter` knows the reason.
"""

from __future__ import annotations

import re
from typing import Any

import seeds
import strict
from paths import path
from players import by_h11

from proxy.http.target import METHODS, canonical_path

SEEDS = seeds.REQUESTS
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
ORIGIN = re.compile(rb"(?i)https?://[^/?]*(.*)")


def wanted(data: bytes) -> list[strict.Request]:
    """What a strict reader finds, up to the first thing that is wrong or not whole."""
    found: list[strict.Request] = []
    try:
        while True:
            while data.startswith(b"\r\n"):
                data = data[2:]
            read = strict.request(data)
            if read is None:
                return found
            found.append(read)
            data = data[read.size :]
    except strict.Wrong:
        return found


def origin(request: strict.Request) -> bytes:
    """The target as it is to be forwarded."""
    match = ORIGIN.fullmatch(request.target)
    if match is None:
        return request.target
    if not match[1] and request.method == b"OPTIONS":
        return b"*"
    return match[1] if match[1].startswith(b"/") else b"/" + match[1]


def stricter(request: strict.Request) -> bool:
    """Whether the door may refuse what a strict reader takes, by limits or by its policy."""
    lengths, hosts = request.all("content-length"), request.all("host")
    head = request.raw.find(b"\r\n\r\n")
    target = origin(request)
    return (
        head > 4000
        or len(request.target) > 8192
        or len(request.fields) > 20
        or len(request.body) > 1024
        or bool(lengths and (lengths[0] != b"%d" % int(lengths[0]) or int(lengths[0]) > 1024))
        or request.method not in METHODS
        or not request.raw[:1].isalpha()
        or b"#" in request.target
        or (request.target != target and not target.startswith((b"/", b"*")))
        or ORIGIN.fullmatch(request.target) is not None
        or not (request.target.startswith(b"/") or (request.target == b"*" and request.method == b"OPTIONS"))
        or (target != b"*" and canonical_path(target.partition(b"?")[0]) is None)
        or bool(request.all("expect") and request.all("expect")[0].lower() != b"100-continue")
        or len(request.all("expect")) > 1
        or bool(hosts and (b"," in hosts[0] or len(hosts[0].rpartition(b":")[2]) > 4))
        or bool(hosts and (b".." in hosts[0] or hosts[0].partition(b":")[0] == b"."))  # no label: nginx refuses it, too
        or bool(request.all("upgrade") and (request.body or request.all("transfer-encoding")))
        or bool(
            request.all("transfer-encoding")
            and (request.trailers or re.search(rb"[0-9A-Fa-f]{16}|;", request.raw[head:]))
        )
    )


def last(request: strict.Request) -> bool:
    """Whether nothing behind it is to be read."""
    options = request.options()
    return b"close" in options or (not request.minor and b"keep-alive" not in options)


def seen(client: Any, backend: Any) -> list[strict.Request]:
    """Answer all that comes until nothing more comes; what was whole."""
    found: list[strict.Request] = []
    heard: dict[int, bytes] = {}
    while backend.asked:
        for wire in list(backend.wires):
            begun = heard[id(wire)] = heard.get(id(wire), b"") + wire.heard()
            read = strict.request(begun) if begun else None
            if read is not None:
                assert read.size == len(begun), f"more than one request at once: {begun!r}"
                assert by_h11(read.raw) == (read.method, read.target, read.body)
                heard[id(wire)] = b""
                found.append(read)
                wire.says(ANSWER)
    return found


def one(data: bytes) -> None:
    """Send one input, in parts."""
    stage = path()
    client = stage.client()
    found: list[strict.Request] = []
    # A backend whose requests come in parts has to hold on to them, so it is asked once, when all has been sent.
    for part in seeds.cuts(data):
        if not client.closing:
            client.says(part)
    found += seen(client, stage.backend)
    expected = wanted(data)
    said = client.heard()
    for place, request in enumerate(found):
        assert place < len(expected), f"forwarded, though no strict reader takes it: {request.raw!r}"
        other = expected[place]
        assert (request.method, request.target, request.body) == (other.method, origin(other), other.body)
        assert not request.all("expect") and len(request.all("x-forwarded-for")) == 1
        assert place == len(found) - 1 or not last(other), "served behind a close"
    if len(found) < len(expected) and not (found and last(expected[len(found) - 1])):
        assert stricter(expected[len(found)]), f"refused for no reason: {expected[len(found)].raw!r}: {said[-200:]!r}"
        assert client.closing or client.eof_sent, "neither answered nor closed"
    stage.tidy()
