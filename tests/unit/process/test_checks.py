"""The checks of a host: when they are made, what they write, what they say, and what outlives a keeper."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from time import monotonic

import pytest

from proxy import ledger
from proxy.admin.standing import Standing
from proxy.config.model import Model
from proxy.policy.health import Check
from proxy.policy.standing import ILL, UNCHECKED, UNPROVEN, WELL
from proxy.process import checks
from proxy.process.channel import Channel, Reload
from proxy.process.checks import Checks, check_of, checks_of, hold_unproven
from proxy.process.keeper import Keeper
from proxy.process.log import ErrorLog
from proxy.shared.arena import Arena, Layout
from proxy.shared.memory import Memory

A, B = ("app", "10.0.0.1:80"), ("app", "10.0.0.2:80")
OFTEN = Check(interval=0.005, rise=2, fall=3)
SELDOM = OFTEN._replace(interval=60.0)
MANDATORY = OFTEN._replace(mandatory=True)
REFUSED = "did not accept: Connection refused"


class Chance:
    """No chance: first checks begin at once."""

    def random(self):
        return 0.0


def made_arena(keys=(A, B), words=ledger.BACKEND_WORDS):
    layout = Layout([("backend", *key, word) for key in keys for word in words])
    return Arena(Memory(Arena.size(3)), 3, layout)


class Host:
    """Checks whose probes answer by hand."""

    def __init__(self, arena):
        self.arena = arena
        self.asking = {}  # address: the probe that waits for its result
        self.begun = asyncio.Event()
        self.checks = Checks(arena, Chance(), None, self.ask)

    async def ask(self, address, check, resolver):
        self.asking[address] = result = asyncio.get_running_loop().create_future()
        self.begun.set()
        return await result

    async def asked(self, key):
        """Wait for a probe; gives the time."""
        while key[1] not in self.asking:
            self.begun.clear()
            await self.begun.wait()
        return monotonic()

    async def hear(self, key, *troubles):
        """Answer as many probes; gives the states after each."""
        states = []
        for trouble in troubles:
            await self.asked(key)
            result = self.asking.pop(key[1])
            if isinstance(trouble, Exception):
                result.set_exception(trouble)
            else:
                result.set_result(trouble)
            for _ in range(3):  # turns of the loop until it has been heard
                await asyncio.sleep(0)
            states.append(self.state(key))
        return states

    def cell(self, key, word, row=-1):
        return self.arena.views[row][self.arena.column(("backend", *key, word))]

    def state(self, key):
        return self.cell(key, "health")

    def vote(self, key, until):
        """A worker keeps the backend out until then."""
        self.arena.cells(0)[self.arena.column(("backend", *key, "down_until_ms"))] = int(until * 1000)


def told(life, arena=None):
    """Run a test on a host, and close it."""

    async def whole():
        host = Host(arena or made_arena())
        try:
            await asyncio.wait_for(life(host), 20)
        finally:
            await host.checks.close()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(whole())


def lines(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records]


# --- results --------------------------------------------------------------------------------------------------------


def test_transitions_are_written_and_told_once_each(caplog):
    caplog.set_level(logging.INFO)

    async def life(host):
        host.checks.adopt({A: OFTEN})
        assert await host.hear(A, "", REFUSED, REFUSED, "", *[REFUSED] * 2) == [WELL] * 6
        assert host.cell(A, "up_since_ms") == 0  # not again, but from the start
        assert await host.hear(A, "answered 503", REFUSED, "", "") == [ILL, ILL, ILL, WELL]
        assert 0 <= monotonic() * 1000 - host.cell(A, "up_since_ms") < 60_000
        assert await host.hear(A, REFUSED, REFUSED, REFUSED) == [WELL, WELL, ILL]
        assert host.cell(A, "up_since_ms") == 0

    told(life)
    assert lines(caplog) == [
        ("INFO", "upstream app: 10.0.0.1:80 is up: its first check was good"),
        ("WARNING", "upstream app: 10.0.0.1:80 is down: it answered 503 (3 bad checks in a row)"),
        ("WARNING", "upstream app: 10.0.0.1:80 is up: 2 good checks in a row"),
        ("WARNING", f"upstream app: 10.0.0.1:80 is down: it {REFUSED} (3 bad checks in a row)"),
    ]


def test_a_backend_that_is_down_from_the_start(caplog):
    async def life(host):
        host.checks.adopt({A: OFTEN, B: OFTEN})
        assert await host.hear(A, REFUSED, REFUSED) == [ILL, ILL]
        assert host.state(B) == UNCHECKED

    told(life)
    assert lines(caplog) == [("WARNING", f"upstream app: 10.0.0.1:80 is down: it {REFUSED} (one bad check)")]


def test_a_mandatory_check(caplog):
    caplog.set_level(logging.INFO)

    async def life(host):
        host.checks.adopt({A: MANDATORY})
        assert host.state(A) == UNPROVEN
        assert await host.hear(A, REFUSED, REFUSED, REFUSED, REFUSED, "") == [UNPROVEN] * 4 + [WELL]

    told(life)
    assert lines(caplog) == [
        ("WARNING", f"upstream app: 10.0.0.1:80 gets no traffic yet: it {REFUSED}"),
        ("INFO", "upstream app: 10.0.0.1:80 is up: its first check was good"),
    ]


def test_mandatory_backends_are_held_before_there_is_a_keeper():
    arena = made_arena()
    arena.cells(2)[arena.column(("backend", *B, "health"))] = WELL
    hold_unproven(arena, {A: MANDATORY, B: MANDATORY})
    assert [arena.total(("backend", *key, "health")) for key in (A, B)] == [UNPROVEN, WELL]
    arena = made_arena()
    hold_unproven(arena, {A: OFTEN})
    assert not any(arena.cells(2))


def test_a_fault_of_ours_says_nothing_about_the_backend(caplog):

    async def life(host):
        host.checks.adopt({A: OFTEN})
        assert await host.hear(A, RuntimeError("a fault"), "", RuntimeError("again")) == [UNCHECKED, WELL, WELL]
        await host.asked(A)

    told(life)
    assert [line for _, line in lines(caplog)] == ["upstream app: the check of 10.0.0.1:80 failed itself"] * 2


def test_columns_that_are_not_there_are_not_written():
    async def life(host):
        host.checks.adopt({A: MANDATORY})
        await host.asked(A)
        watch = host.checks.watches[A]
        watch.heard("")
        watch.vote(monotonic())
        assert watch.health.up and not watch.hurry.is_set()
        assert not any(host.arena.cells(2))

    told(life, made_arena(words=("inflight",)))


# --- times ----------------------------------------------------------------------------------------------------------


def test_intervals_are_from_start_to_start(monkeypatch):
    paused = []

    async def rest(watch, started, due):
        paused.append(due - started)
        await asyncio.Event().wait()

    monkeypatch.setattr(checks.Watch, "rest", rest)

    async def life(host):
        host.checks.adopt({A: Check(interval=10.0, jitter=0.2)})
        await host.hear(A, "")
        assert paused == [pytest.approx(8.0)]  # this chance is at its lowest

    told(life)


def test_a_vote_of_a_worker_brings_the_next_check_soon(monkeypatch):
    monkeypatch.setattr(checks, "LOOK", 0.002)
    monkeypatch.setattr(checks, "SOONEST", 0.05)

    async def life(host):
        host.checks.adopt({A: SELDOM})
        began = await host.asked(A)
        await host.hear(A, "")
        host.vote(A, monotonic() + 60)
        for _ in range(2):  # as long as it stands, but not faster
            again = await host.asked(A)
            assert again - began >= 0.045
            began = again
            await host.hear(A, REFUSED)
        assert await host.hear(A, REFUSED) == [ILL]
        assert host.cell(A, "down_until_ms", 0) > 0  # the worker's own

    told(life)


def test_votes_that_change_nothing():
    async def life(host):
        host.checks.adopt({A: SELDOM, B: SELDOM})
        await host.hear(A, "")
        await host.hear(B, REFUSED)
        now = monotonic()
        up, down = host.checks.watches[A], host.checks.watches[B]
        host.vote(A, now - 1)
        host.vote(B, now + 60)
        for one in (up, down):
            one.vote(now)
            assert not one.hurry.is_set()
        host.vote(A, now + 60)
        up.vote(now)
        assert up.hurry.is_set()

    told(life)


# --- reloads and new keepers ----------------------------------------------------------------------------------------


def test_a_reload_leaves_alone_what_stays_the_same():
    async def life(host):
        body = re.compile("ok")
        host.checks.adopt({A: OFTEN._replace(path="/", body=body), B: SELDOM})
        first = dict(host.checks.watches)
        await host.hear(A, "", REFUSED, REFUSED)
        await host.hear(B, "")
        host.checks.adopt({A: OFTEN._replace(path="/", body=re.compile("ok"))})
        assert host.checks.watches == {A: first[A]}
        assert await host.hear(A, REFUSED) == [ILL]  # the third in a row
        assert host.state(B) == UNCHECKED
        await asyncio.gather(first[B].task, return_exceptions=True)
        assert first[B].task.cancelled()
        host.checks.adopt({})
        assert host.state(A) == UNCHECKED and host.cell(A, "up_since_ms") == 0

    told(life)


def test_another_check_keeps_the_state_until_it_has_an_opinion():
    async def life(host):
        host.checks.adopt({A: OFTEN, B: OFTEN})
        await host.hear(A, "")
        await host.hear(B, REFUSED)
        await asyncio.gather(host.asked(A), host.asked(B))
        host.asking.clear()  # those are cancelled
        other = OFTEN._replace(path="/ready")
        host.checks.adopt({A: other, B: other})
        assert (host.state(A), host.state(B)) == (WELL, ILL)
        assert await host.hear(A, "answered 503") == [ILL]
        assert await host.hear(B, "") == [WELL]

    told(life)


def test_a_keeper_that_follows_a_dead_one_goes_on_from_what_it_found(caplog):
    caplog.set_level(logging.INFO)
    arena = made_arena()

    async def before(host):
        host.checks.adopt({A: OFTEN, B: OFTEN})
        await host.hear(A, "")
        await host.hear(B, REFUSED)

    told(before, arena)
    caplog.clear()

    async def after(host):
        assert (host.state(A), host.state(B)) == (WELL, ILL)
        host.checks.adopt({A: OFTEN, B: OFTEN})
        assert (host.state(A), host.state(B)) == (WELL, ILL)
        assert await host.hear(A, REFUSED, REFUSED) == [WELL, WELL]
        assert await host.hear(B, "") == [ILL]
        assert lines(caplog) == []
        assert await host.hear(A, REFUSED) == [ILL]
        assert await host.hear(B, "") == [WELL]

    told(after, arena)


def test_what_a_dead_keeper_said_of_backends_that_are_checked_no_more_is_taken_back():
    arena = made_arena()
    arena.cells(2)[arena.column(("backend", *B, "health"))] = ILL
    arena.cells(0)[arena.column(("backend", *B, "inflight"))] = 7

    async def life(host):
        host.checks.adopt({A: OFTEN})
        assert host.state(B) == UNCHECKED
        assert host.cell(B, "inflight", 0) == 7

    told(life, arena)


# --- the configuration ----------------------------------------------------------------------------------------------


def model(health, *servers):
    return Model.model_validate(
        {
            "listen": {"web": {"address": "127.0.0.1:0"}},
            "upstream": {
                "app": {"servers": list(servers or ["127.0.0.1:1"]), **({} if health is None else {"health": health})},
                "plain": {"servers": ["127.0.0.1:2"]},
            },
            "site": {"s": {"default": True, "route": [{"path": "/", "upstream": "app"}]}},
        }
    )


def test_what_a_configuration_asks_for():
    assert checks_of(model(None)) == {}
    assert checks_of(model({}, "a:1", {"address": "b:1", "down": True})) == {("app", "a:1"): Check()}
    wanted = {
        "path": "/healthz",
        "host": "app.test",
        "status": [204, "300-399"],
        "body": "o+k",
        "interval": "2s",
        "timeout": "500ms",
        "rise": 4,
        "fall": 5,
        "jitter": 0.1,
        "mandatory": True,
    }
    assert check_of(model(wanted).upstream["app"].health) == Check(
        "/healthz", "app.test", ((204, 204), (300, 399)), re.compile("o+k"), 2.0, 0.5, 4, 5, 0.1, True
    )


def test_the_keeper_checks_and_hears_of_reloads(monkeypatch):
    """With real probes: a backend that listens, and then does not."""

    async def life():
        door = socket.create_server(("127.0.0.1", 0))
        address = f"127.0.0.1:{door.getsockname()[1]}"
        checked, unchecked = model({"interval": 0.005, "fall": 1, "timeout": 5}, address), model(None, address)
        arena = Arena(Memory(Arena.size(3)), 3, Layout(ledger.counters(checked)))
        ours, theirs = Channel.pair()
        keeper = Keeper(Standing(checked, arena, "1", 0.0), ours, ErrorLog("off"))
        cells, column = arena.cells(2), arena.column(("backend", "app", address, "health"))
        heard = asyncio.Event()
        whole = checks.Watch.heard
        monkeypatch.setattr(checks.Watch, "heard", lambda watch, trouble: (whole(watch, trouble), heard.set()))
        try:
            keeper.check(checked)
            await heard.wait()
            assert cells[column] == WELL
            door.close()
            while cells[column] == WELL:
                heard.clear()
                await heard.wait()
            assert cells[column] == ILL
            keeper.reload(Reload(unchecked, tuple(arena.layout)))
            assert cells[column] == UNCHECKED and not keeper.checks.watches
        finally:
            await keeper.checks.close()
            ours.close()
            theirs.close()

    asyncio.run(asyncio.wait_for(life(), 20))
