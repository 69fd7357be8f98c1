"""A zone is made once, by the master, so that all workers have one secret and one set of locks."""

from __future__ import annotations

import os

import pytest

from proxy.config.model import Model
from proxy.policy.limit.leaky import Leaky
from proxy.process.estate import Estate
from proxy.shared import buckets
from proxy.shared.buckets import MARK, Buckets
from proxy.shared.memory import Memory
from proxy.shared.places import SECRET

PROCESSES = 50


def model(memory="64k"):
    return Model.model_validate(
        {
            "workers": 1,
            "listen": {"web": {"address": "127.0.0.1:0"}},
            "limit": {"a": {"rate": "1r/s", "memory": memory}},
            "site": {"s": {"default": True, "route": [{"path": "/", "reply": {"body": "x"}}]}},
        }
    )


def each(memory, leaky, life):
    """What `life` gives in each of many processes that attach to a zone at the same instant."""
    gate, opener = os.pipe()
    ear, mouth = os.pipe()
    children = []
    for _ in range(PROCESSES):
        pid = os.fork()
        if not pid:
            try:
                os.close(opener)
                os.read(gate, 1)  # until the gate is opened for all
                os.write(mouth, life(Buckets(Memory(memory.size, os.dup(memory.fd)), leaky)).hex().encode() + b"\n")
            finally:
                os._exit(0)
        children.append(pid)
    for descriptor in (gate, opener, mouth):
        os.close(descriptor)
    with open(ear, "rb") as said:
        words = [bytes.fromhex(line.decode()) for line in said]
    for pid in children:
        os.waitpid(pid, 0)
    assert len(words) == PROCESSES
    return words


def test_processes_that_start_at_once_share_one_secret():
    memory = buckets.made(65536)
    assert bytes(memory.map[: len(MARK)]) == MARK
    secrets = each(memory, Leaky(1000), lambda zone: bytes(zone.memory.map[SECRET]))
    assert set(secrets) == {bytes(memory.map[SECRET])} and secrets[0] != bytes(16)


def test_processes_that_start_at_once_share_one_bucket():
    memory = buckets.made(65536)
    leaky = Leaky(1, 9_000)
    heard = each(memory, leaky, lambda zone: b"yes" if zone.charge(b"key", 0) >= 0 else b"no")
    assert heard.count(b"yes") == 10
    assert Buckets(memory, leaky).used() == 1


def test_each_zone_has_a_secret_of_its_own():
    one, other = buckets.made(65536), buckets.made(65536)
    assert bytes(one.map[SECRET]) != bytes(other.map[SECRET])


def test_too_little_memory_leaves_nothing_open():
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ValueError, match="a limit needs at least"):
        buckets.made(64)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_master_makes_zones_before_any_worker_sees_them():
    estate = Estate(model())
    try:
        first = bytes(estate.zones["a"].map[SECRET])
        assert bytes(estate.zones["a"].map[: len(MARK)]) == MARK and first != bytes(16)
        estate.apply(estate.prepare(model()))
        assert bytes(estate.zones["a"].map[SECRET]) == first
        estate.apply(estate.prepare(model("128k")))
        assert bytes(estate.zones["a"].map[: len(MARK)]) == MARK
        assert bytes(estate.zones["a"].map[SECRET]) not in (first, bytes(16))
    finally:
        estate.close()
