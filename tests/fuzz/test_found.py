"""What lives by chance have found, made small."""

from __future__ import annotations

import pytest
from stage import SOLO, Door

QUEUED = SOLO.replace('["10.0.0.1:1"]', '[{address = "10.0.0.1:1", max_conns = 1}]')
BAD_CHUNK = b"POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_request_that_turns_out_bad_while_it_waits_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(QUEUED, monkeypatch)
    Door.opened.remove(door)
    first, second = door.client(), door.client()
    first.get(b"/first")
    second.says(BAD_CHUNK)
    second.says(b"no size\r\n")
    assert second.answer().status == 400
    assert door.backend().request()[0] == b"GET /first HTTP/1.1"
    door.backend().answers(b"first")
    assert first.answer().body == b"first"
    assert len(door.backend().wires) == 1 and not door.backend().wires[0].heard(), "it was sent all the same"
    door.end()
