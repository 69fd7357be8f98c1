"""Messages and descriptors between master and children."""

from __future__ import annotations

import os
import socket

import pytest

from proxy.process import channel
from proxy.process.channel import Applied, Channel, Crew, Failed, Quit, Ready


@pytest.fixture
def pair():
    ours, theirs = Channel.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


def received(end):
    return list(end.receive())


def exchanged(sender, receiver):
    """Everything that was sent, also what did not fit at once."""
    found = received(receiver)
    while sender.pending:
        sender.flush()
        found += received(receiver)
    return found


def test_messages_arrive_whole_and_in_order(pair):
    ours, theirs = pair
    for message in (Ready(), Failed("no certificate"), Crew({0: 11, 1: 12}, 3)):
        ours.send(message)
    assert [message for message, _ in received(theirs)] == [Ready(), Failed("no certificate"), Crew({0: 11, 1: 12}, 3)]
    assert received(theirs) == []
    assert not theirs.closed


def test_descriptors_really_arrive_with_their_message(pair):
    ours, theirs = pair
    reading, writing = os.pipe()
    ours.send(Quit())
    ours.send(Applied(), [writing])
    ours.send(Ready())
    os.close(writing)  # a duplicate travels
    (_, none), (message, (arrived,)), (_, nothing) = received(theirs)
    assert (message, none, nothing) == (Applied(), [], [])
    os.write(arrived, b"through")
    os.close(arrived)
    assert os.read(reading, 100) == b"through"
    assert os.read(reading, 100) == b""  # no copy is left open anywhere
    os.close(reading)


def test_more_descriptors_than_one_frame_takes(pair, monkeypatch):
    monkeypatch.setattr(channel, "MOST_DESCRIPTORS", 2)
    ours, theirs = pair
    pipes = [os.pipe() for _ in range(5)]
    ours.send(Quit(), [writing for _, writing in pipes])
    ours.send(Ready())
    (_, arrived), (_, nothing) = exchanged(ours, theirs)
    assert nothing == []
    for number, descriptor in enumerate(arrived):
        os.write(descriptor, b"%d" % number)
        os.close(descriptor)
    assert [os.read(reading, 9) for reading, _ in pipes] == [b"0", b"1", b"2", b"3", b"4"]
    for pipe in pipes:
        for descriptor in pipe:
            os.close(descriptor)


def test_frames_of_descriptors_wait_for_their_message(pair, monkeypatch):
    monkeypatch.setattr(channel, "MOST_DESCRIPTORS", 1)
    ours, theirs = pair
    reading, writing = os.pipe()
    ours.send(Quit(), [reading, writing])
    raw, descriptors, _, _ = socket.recv_fds(theirs.socket, 65536, 10)
    theirs._inbox += raw
    theirs._taken += descriptors
    assert list(theirs._whole()) == []  # the first frame alone is no message
    ((_, arrived),) = received(theirs)
    os.write(arrived[1], b"x")
    assert os.read(arrived[0], 1) == b"x"
    for descriptor in (reading, writing, *arrived):
        os.close(descriptor)


def test_a_message_larger_than_the_socket_waits_in_the_outbox(pair):
    ours, theirs = pair
    sentence = "x" * 3_000_000
    ours.send(Failed(sentence))
    ours.send(Ready())
    assert ours.pending
    assert exchanged(ours, theirs) == [(Failed(sentence), []), (Ready(), [])]


def test_the_end_is_noticed_after_the_last_words(pair):
    ours, theirs = pair
    ours.send(Failed("last words"))
    ours.close()
    assert received(theirs) == [(Failed("last words"), [])]
    assert theirs.closed
    theirs.send(Ready())  # nobody hears it and nothing breaks
    assert not theirs.pending
