"""Memory between processes."""

from __future__ import annotations

import os
import socket

import pytest

from proxy.shared.memory import Memory


def test_fresh_memory_is_zeros_and_inherited():
    memory = Memory(4096)
    assert memory.map[:] == bytes(4096)
    child = os.fork()
    if not child:
        memory.map[10:13] = b"abc"
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert memory.map[10:13] == b"abc"


def test_memory_made_after_the_fork_arrives_over_a_socket():
    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        _, fds, _, _ = socket.recv_fds(theirs, 1, 1)
        Memory(4096, fds[0]).map[:5] = b"hello"
        os._exit(0)
    memory = Memory(4096)
    socket.send_fds(ours, [b"m"], [memory.fd])
    assert os.waitpid(child, 0)[1] == 0
    assert memory.map[:5] == b"hello"
    ours.close()
    theirs.close()
    memory.close()
    memory.close()


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="at least 1 byte"):
        Memory(0)
    memory = Memory(100)
    with pytest.raises(ValueError, match="200 are needed"):
        Memory(200, memory.fd)


def test_closed_while_somebody_looks_it_stays_mapped():
    memory = Memory(64)
    view = memoryview(memory.map)
    memory.close()
    assert view[0] == 0
