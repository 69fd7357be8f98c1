"""Conversations in which somebody looks at the instant when a client is answered: what is done by then."""

from __future__ import annotations

import pytest
from stage import SOLO, Wire

HEAD = b"HTTP/1.1 200 OK\r\n"
PACED = SOLO.replace('upstream = "app"\n', 'upstream = "app"\npace = "1k"\n')


@pytest.mark.parametrize(
    "parts",
    [
        [b"Content-Length: 2\r\n\r\nok"],
        [b"Content-Length: 0\r\n\r\n"],
        [b"Content-Length: 4\r\n\r\nok", b"ok"],
        [b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\nok\r\n", b"0\r\n\r\n"],
    ],
    ids=["at once", "empty", "in parts", "in chunks"],
)
def test_a_backend_is_free_before_its_client_has_the_last_of_the_answer(door, monkeypatch, parts):
    seen = []
    write = Wire.write

    def looked(wire, data):
        if wire in door.clients:
            seen.append(door.state().taken - door.state().settled)
        write(wire, data)

    client = door.client()
    for _ in range(2):
        client.get()
        wire = door.backend().wire
        wire.heard()
        monkeypatch.setattr(Wire, "write", looked)
        wire.says(HEAD + parts[0])
        for part in parts[1:]:
            wire.says(part)
        client.heard()
        assert seen[-1] == 0 and all(count == 1 for count in seen[:-1]), seen
        assert door.state().taken == door.state().settled
        monkeypatch.setattr(Wire, "write", write)
        seen.clear()


def test_what_a_link_says_the_moment_it_may_comes_behind_what_was_held(opened):
    door = opened(PACED)
    client = door.client()
    client.get()
    wire = door.backend().wire
    wire.heard()
    first, second = b"a" * 3000, b"b" * 100
    wire.says(HEAD + b"Content-Length: 3100\r\n\r\n" + first)
    assert not wire.reading, "it is held"
    real = wire.resume_reading

    def at_once():
        real()
        wire.resume_reading = real
        wire.protocol.data_received(second)

    wire.resume_reading = at_once
    door.wait(10)
    body = client.heard().partition(b"\r\n\r\n")[2]
    assert body == first + second
