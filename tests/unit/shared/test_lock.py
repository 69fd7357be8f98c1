"""Locks between processes, and what is left of them when their holder is killed."""

from __future__ import annotations

import os
import signal
import struct

import pytest

from proxy.shared.lock import HAS_ROBUST, SIZE, Lock, RecordLock
from proxy.shared.memory import Memory


@pytest.mark.parametrize("kind", [Lock, RecordLock])
def test_only_one_holds_it(kind):
    memory = Memory(4096)
    lock = kind(memory, 0)
    children = []
    for _ in range(3):
        child = os.fork()
        if not child:
            for _ in range(3_000):
                lock.acquire()
                (n,) = struct.unpack_from("=q", memory.map, 1024)
                struct.pack_into("=q", memory.map, 1024, n + 1)
                lock.release()
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    assert struct.unpack_from("=q", memory.map, 1024) == (9_000,)


@pytest.mark.parametrize("kind", [Lock, RecordLock])
def test_a_killed_holder_does_not_keep_it(kind):
    memory = Memory(4096)
    lock = kind(memory, SIZE)
    told, tells = os.pipe()
    child = os.fork()
    if not child:
        lock.acquire()
        os.write(tells, b"1")
        signal.pause()
    assert os.read(told, 1) == b"1"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert lock.acquire() is (kind is Lock and HAS_ROBUST)
    lock.release()
    assert lock.acquire() is False
    lock.release()
    os.close(told)
    os.close(tells)


def test_who_waits_for_a_killed_holder_gets_it():
    memory = Memory(4096)
    lock = Lock(memory, 0)
    told, tells = os.pipe()
    holder = os.fork()
    if not holder:
        lock.acquire()
        os.write(tells, b"1")
        signal.pause()
    os.read(told, 1)
    waiter = os.fork()
    if not waiter:
        os.write(tells, b"2")
        died = lock.acquire()
        lock.release()
        os._exit(0 if died is HAS_ROBUST else 1)
    os.read(told, 1)
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    assert os.waitpid(waiter, 0)[1] == 0


def test_the_second_process_finds_the_lock_and_does_not_make_it_anew():
    memory = Memory(4096)
    lock = Lock(memory, 0)
    lock.acquire()
    before = memory.map[:SIZE]
    Lock(Memory(4096, os.dup(memory.fd)), 0)
    assert memory.map[:SIZE] == before
    lock.release()
