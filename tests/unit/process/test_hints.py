"""What hosts tell each other about backends: over a Redis of the test's own."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from proxy import ledger
from proxy.config.model import Model
from proxy.policy.breaker import CONSECUTIVE, Breaker, Settings
from proxy.policy.hint import warn
from proxy.policy.standing import ILL
from proxy.process.checks import Cells
from proxy.process.hints import Hints, name, wants
from proxy.shared.arena import Arena, Layout
from proxy.shared.breakers import Breakers
from proxy.shared.memory import Memory

KEY = ("app", "192.0.2.1:80")


def model(**words):
    servers = [
        "192.0.2.1:80",
        "192.0.2.2:80",
        "127.0.0.1:80",
        "unix:/run/app.sock",
        {"address": "192.0.2.3:80", "down": True},
    ]
    upstream = {"servers": servers, "breaker": {"failures": 5}} | words
    return Model.model_validate({"redis": {"url": "redis://h", "hints": True}, "upstream": {"app": upstream}})


class Kept:
    """A Redis, and a pipeline of it."""

    def __init__(self):
        self.values = {}
        self.lives = {}
        self.asked = []

    def pipeline(self, transaction=True):
        self.asked = []
        return self

    def set(self, key, value, px):
        self.values[key], self.lives[key] = value, px
        self.asked.append(True)

    def get(self, key):
        self.asked.append(self.values.get(key))

    async def execute(self):
        return self.asked


class Host:
    def __init__(self, redis, **words):
        self.model = model(**words)
        self.redis = redis
        layout = Layout(ledger.counters(self.model))
        self.arena = Arena(Memory(Arena.size(3, layout.capacity)), 3, layout)
        self.breakers = Breakers(Memory(Breakers.size(8)), 8)
        self.hurried = []
        self.hints = Hints(self.arena, self.breakers, self.hurried.append)
        self.hints.model = self.model

    def talk(self):
        asyncio.run(self.hints.talk(self.redis, self.model.redis))

    @property
    def record(self):
        return self.breakers.record(" ".join(KEY))


@pytest.fixture
def hosts():
    redis = Kept()
    return Host(redis), Host(redis)


def test_only_backends_that_are_everybodys_are_spoken_of(hosts):
    assert hosts[0].hints.keys() == [("app", "192.0.2.1:80"), ("app", "192.0.2.2:80")]


def by_votes(host):
    host.arena.cells(0)[host.arena.column(("backend", *KEY, "down_until_ms"))] = int(monotonic() * 1000) + 5000


def by_checks(host):
    Cells(host.arena, KEY).write(ILL)


def by_breaker(host):
    breaker = Breaker(Settings(failures=1), host.record)
    breaker.failure(1.0, breaker.claim(1.0))


@pytest.mark.parametrize("leave", [by_votes, by_checks, by_breaker])
def test_whom_one_leaves_alone_the_other_is_wary_of(hosts, leave):
    one, other = hosts
    other.talk()
    assert other.hurried == []
    leave(one)
    one.talk(), other.talk(), other.talk()
    assert other.hurried == [KEY] and other.record.cells[CONSECUTIVE] == 4
    assert not other.hints.out(KEY) and one.hurried == []
    breaker = Breaker(Settings(failures=5), other.record)
    breaker.failure(2.0, breaker.claim(2.0))
    assert breaker.blocks(2.0)


def test_our_own_success_counts_for_more(hosts):
    one, other = hosts
    by_votes(one)
    one.talk(), other.talk()
    breaker = Breaker(Settings(failures=5), other.record)
    breaker.success(1.0, breaker.claim(1.0))
    for _ in range(4):
        breaker.failure(2.0, breaker.claim(2.0))
    other.talk()
    assert not breaker.blocks(2.0)


def test_a_hint_that_ends_and_comes_again(hosts):
    one, other = hosts
    by_votes(one)
    one.talk(), other.talk()
    one.redis.values.clear()
    other.talk()
    assert other.hints.heard == set()
    one.talk(), other.talk()
    assert other.hurried == [KEY] * 2


def test_hints_live_shortly_and_their_names_say_nothing(hosts):
    by_votes(hosts[0])
    hosts[0].talk()
    ((key, life),) = hosts[0].redis.lives.items()
    assert life == 3000 and key == name(hosts[0].model.redis, KEY) and "192" not in key


def test_a_breaker_that_opens_at_once_needs_no_hint():
    host = Host(Kept())
    assert not warn(host.record, 1) and not warn(host.record, 0)
    by_breaker(host)
    assert not warn(host.record, 5)


def test_who_wants_hints():
    assert wants(model())
    assert not wants(Model.model_validate({"redis": {"url": "redis://h"}}))
    assert not wants(Model.model_validate({"redis": {"hints": True}}))


def test_without_redis_it_is_said_once_and_tried_again(caplog, monkeypatch):
    pytest.importorskip("redis")
    monkeypatch.setattr("proxy.process.hints.EVERY", 0.01)
    host = Host(Kept())
    tried = []

    async def run():
        hints = host.hints

        async def talk(client, table):
            tried.append(client)
            if len(tried) < 4:
                raise ConnectionError("gone")

        monkeypatch.setattr(hints, "talk", talk)
        hints.adopt(host.model)
        while len(tried) < 6:
            await asyncio.sleep(0.01)
        hints.adopt(host.model)
        hints.adopt(Model.model_validate({}))
        await hints.close()

    asyncio.run(run())
    assert [line.getMessage() for line in caplog.records if "hints" in line.getMessage()] == [
        "redis: no hints are heard from other hosts: gone",
        "redis: hints are heard again",
    ]


def test_a_hint_about_a_backend_that_a_reload_has_removed_is_no_mishap():
    host = Host(Kept())
    host.hints.model = Model.model_validate({"redis": {"url": "redis://h", "hints": True}})
    host.hints.hear(KEY)
