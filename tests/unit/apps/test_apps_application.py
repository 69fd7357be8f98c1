"""What meets while an application's workers are replaced, without any worker."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace

import pytest

from proxy import ledger
from proxy.apps.application import Application
from proxy.apps.seating import Means
from proxy.config.model import Model
from proxy.policy import seats
from proxy.shared.arena import Arena, Layout
from proxy.shared.memory import Memory

MODEL = Model.model_validate({"runtime": "/r", "app": {"main": {"app": "main:app", "workers": 2}}})
ROWS = 4  # two workers, the supervisor, the keeper


class Acted(Application):
    """An application whose workers come up when `may` is set, or at once, and are only numbers."""

    def __init__(self) -> None:
        layout = Layout(ledger.counters(MODEL))
        arena = Arena(Memory(Arena.size(ROWS, layout.capacity)), ROWS, layout)
        super().__init__("main", MODEL.app["main"], Means(arena, "/r", 0, 0o22, print, Random(1)))
        self.may = asyncio.Event()
        self.may.set()
        self.started: list[int] = []
        self.tried: list[str] = []

    async def _start(self, number, awaited=False):
        self.started.append(number)
        self._write("generation", self._generation() + 1)
        one = SimpleNamespace(seat=number, generation=self._generation(), leaving=False, alive=True, ready_at=1.0)
        self.tenants[number] = one  # as soon as it is started, ready or not
        await self.may.wait()
        return ""

    async def _let_go(self, tenant):
        del self.tenants[tenant.seat]

    async def _replace(self, old):
        await self._start(self._spare())
        await self._let_go(old)
        return ""


def test_who_comes_again_by_himself_while_all_are_replaced_is_no_mishap():
    async def life():
        app = Acted()

        async def never():
            await asyncio.Event().wait()

        def second_comes_again():
            app.retries.pop(1).cancel()
            app.tenants[1] = SimpleNamespace(seat=1, generation=99, leaving=False, alive=True, ready_at=1.0)

        app.retries = {0: asyncio.create_task(never()), 1: asyncio.create_task(never())}
        app.may.clear()
        rolling = asyncio.create_task(app.roll())
        while not app.started:
            await asyncio.sleep(0)
        second_comes_again()
        app.may.set()
        assert await rolling == ""
        assert app.started == [0]

    asyncio.run(life())


def test_a_roll_waits_until_the_first_workers_have_come_up():
    async def life():
        app = Acted()
        app.may.clear()
        beginning = asyncio.create_task(app.begin())
        while len(app.started) < 2:
            await asyncio.sleep(0)
        rolling = asyncio.create_task(app.roll())
        for _ in range(20):
            await asyncio.sleep(0)
        assert app.started == [0, 1]
        app.may.set()
        assert await beginning == []
        assert await rolling == ""
        assert len(app.started) == 4

    asyncio.run(life())


@pytest.mark.parametrize("word", ["roll", "become"])
def test_settings_that_cannot_be_read_are_logged_and_change_nothing(caplog, word):
    async def life():
        app = Acted()

        async def look():
            return "cannot be started: no such file"

        app._look = look
        problem = await (app.roll() if word == "roll" else app.become(app.table))
        assert problem == "cannot be started: no such file"
        assert app.started == []

    asyncio.run(life())
    assert "cannot be started: no such file; those of before stay in service" in caplog.text


def test_a_roll_starts_whom_the_beginning_could_not():
    async def life():
        app = Acted()
        look, app.broken = app._look, True

        async def looked():
            return "cannot be started: a mistake in gunicorn.conf.py" if app.broken else await look()

        app._look = looked
        assert await app.begin()
        assert app.tenants == {}
        app.broken = False
        assert await app.roll() == ""
        assert sorted(app.tenants) == [0, 1]
        assert app._cells(0)["state"] == seats.VACANT

    asyncio.run(life())
