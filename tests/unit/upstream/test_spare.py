"""The second descriptor of a link: what it can still read, and that it is given back."""

from __future__ import annotations

import os
import socket

import pytest

from proxy.clock import NEVER, Clock, Wheel
from proxy.upstream.link import Link
from proxy.upstream.pool import Pool
from proxy.upstream.spare import MOST, NONE, drop, last_words, spare_of


class Transport:
    def __init__(self, plain):
        self.plain = plain

    def get_extra_info(self, name):
        return self.plain if name == "socket" else None

    def abort(self):
        pass

    def set_write_buffer_limits(self, high, low):
        pass


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def is_open(descriptor):
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_what_came_before_the_end_can_be_read_behind_it(pair):
    ours, theirs = pair
    spare = spare_of(Transport(ours))
    theirs.sendall(b"413")
    theirs.close()
    ours.close()
    assert last_words(spare) == b"413"
    assert drop(spare) == NONE and not is_open(spare)


def test_nothing_to_read_does_not_block(pair):
    spare = spare_of(Transport(pair[0]))
    assert last_words(spare) == b""
    drop(spare)


def test_last_words_are_bounded(pair):
    ours, theirs = pair
    for wire in pair:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    theirs.setblocking(False)
    sent = 0
    while sent <= 3 * MOST:
        try:
            sent += theirs.send(b"x" * 10000)
        except BlockingIOError:
            break
    spare = spare_of(Transport(ours))
    assert MOST <= len(last_words(spare)) < 2 * MOST
    drop(spare)


def test_a_transport_without_a_socket_has_no_spare(pair):
    assert spare_of(Transport(None)) == NONE
    pair[0].close()
    assert spare_of(Transport(pair[0])) == NONE
    assert drop(NONE) == NONE


@pytest.mark.parametrize("way", ["close", "abort", "connection_lost"])
def test_a_link_that_ends_gives_it_back(pair, way):
    pool = Pool("10.0.0.1:80", Clock(100.0), Wheel(1))
    link = Link(pool)
    link.connection_made(Transport(pair[0]))
    link._spare = spare = spare_of(link.transport)
    assert is_open(spare)
    getattr(link, way)(*[None] * (way == "connection_lost"))
    assert not is_open(spare) and link._spare == NONE and link.due == NEVER
    getattr(link, way)(*[None] * (way == "connection_lost"))  # again: it must not close what is another's by now
    assert link._spare == NONE
