"""Conversations that fuzzing and the reading for it have found."""

from __future__ import annotations

import pytest


@pytest.mark.xfail(strict=True, reason="the link is aborted with what its backend has not taken yet")
def test_what_a_client_says_last_in_a_tunnel_reaches_a_slow_backend(door):
    client = door.client()
    client.get(more=b"Connection: upgrade\r\nUpgrade: websocket\r\n")
    door.backend().request()
    door.backend().says(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    client.heard()
    door.backend().wire.jammed = True
    client.says(b"last words")
    client.hangs_up()
    door.backend().flows()
    assert door.backend().wire.heard() == b"last words"
