"""Conversations that fuzzing and the reading for it have found."""

from __future__ import annotations

import pytest


@pytest.fixture
def tunnel(door):
    """A client in a tunnel whose backend takes nothing."""
    client = door.client()
    client.get(more=b"Connection: upgrade\r\nUpgrade: websocket\r\n")
    door.backend().request()
    door.backend().says(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    client.heard()
    door.backend().wire.jammed = True
    return client


def test_what_a_client_says_last_in_a_tunnel_reaches_a_slow_backend(door, tunnel):
    tunnel.says(b"last words")
    tunnel.hangs_up()
    wire = door.backend().wire
    assert tunnel.gone and not wire.gone
    wire.flows()
    assert wire.heard() == b"last words" and wire.gone and not wire.aborted


def test_a_backend_that_does_not_take_them_is_not_waited_for_longer_than_for_anything(door, tunnel):
    tunnel.says(b"x" * 70000)
    tunnel.hangs_up()
    wire = door.backend().wire
    wire.flows(100)
    door.wait(50)
    assert not wire.gone
    door.wait(15)
    assert wire.aborted and wire.gone


def test_a_tunnel_of_which_all_was_taken_ends_at_once(door, tunnel):
    wire = door.backend().wire
    wire.jammed = False
    tunnel.says(b"all")
    tunnel.hangs_up()
    assert wire.heard() == b"all" and wire.gone


@pytest.mark.parametrize("end", ["hangs_up", "resets"])
def test_last_words_of_many_tunnels_keep_no_backend_taken(door, tunnel, end):
    tunnel.says(b"last words")
    getattr(tunnel, end)()
    assert door.state().taken == door.state().settled == 1
    door.backend().wire.resets()
    assert not door.state().pool.links
