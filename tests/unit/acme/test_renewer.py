"""Who looks after certificates in the keeper's loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from proxy.acme import renewer
from proxy.acme.renewer import Renewer, aside, asked
from proxy.config.model import Model

LISTEN = {"web": {"address": "127.0.0.1:443", "tls": True}, "plain": {"address": "127.0.0.1:80"}}
ONE = {"names": ["a.example.com"], "certificate": "acme", "route": [{"path": "/", "reply": {"body": "a"}}]}


def model(folder, **more):
    tables = {"agree": True, "folder": str(folder), "directory": "https://127.0.0.1:9/dir"}
    return Model.model_validate({"acme": tables, "listen": LISTEN, "site": {"one": {**ONE, **more}}})


def test_an_order_goes_on_over_reloads_that_do_not_concern_it(tmp_path):
    before = asked(model(tmp_path))
    assert asked(model(tmp_path, route=[{"path": "/x", "reply": {"body": "b"}}])) == before
    assert asked(model(tmp_path, names=["b.example.com"])) != before
    assert asked(model(tmp_path / "other")) != before


def test_a_call_aside_gives_back_what_it_gives_or_raises():
    async def calls():
        assert await aside(lambda: threading.current_thread().daemon) is True
        with pytest.raises(ZeroDivisionError):
            await aside(lambda: 1 // 0)

    asyncio.run(calls())


def test_a_loop_that_ends_does_not_wait_for_a_call():
    held, began = threading.Event(), threading.Event()

    def call():
        began.set()
        held.wait(20)

    async def leave():
        task = asyncio.ensure_future(aside(call))
        await aside(began.wait)
        task.cancel()

    asyncio.run(leave())
    held.set()


def test_a_look_that_takes_long_does_not_hold_the_others_up(monkeypatch):
    held, looked = threading.Event(), []

    class Store:
        def wanted(self, mark):
            return False

    class Orders:
        store = Store()

        def look(self, one):
            looked.append(one)
            if one == "slow":
                held.wait(20)
            return False

        def patience(self, one):
            return 0.0

    async def life():
        monkeypatch.setattr(renewer, "PATIENCE", 0.01)
        monkeypatch.setattr(renewer, "STEP", 0.001)
        keeping = asyncio.ensure_future(renewer.Renewer(lambda: None)._keep(Orders(), {"slow": "slow", "one": "one"}))
        while looked.count("one") < 3:
            await asyncio.sleep(0.001)
        assert looked.count("slow") == 1  # it is not begun again
        held.set()
        while looked.count("slow") < 2:
            await asyncio.sleep(0.001)
        keeping.cancel()
        await asyncio.wait((keeping,))

    asyncio.run(asyncio.wait_for(life(), 10))


def test_a_folder_that_cannot_be_had_is_told_and_nothing_else_happens(tmp_path, caplog):
    (tmp_path / "file").touch()

    async def life():
        changes = []
        renewer = Renewer(lambda: changes.append(1))
        renewer.adopt(model(tmp_path / "file"))
        while "certificates cannot be ordered" not in caplog.text:
            await asyncio.sleep(0)
        renewer.close()
        assert not changes

    asyncio.run(life())


def test_there_is_something_to_show_at_once(tmp_path):
    async def life():
        changed = asyncio.Event()
        renewer = Renewer(changed.set)
        renewer.adopt(model(tmp_path))
        await asyncio.wait_for(changed.wait(), 20)
        renewer.close()
        assert [path.name.partition("-")[0] for path in (tmp_path / "placeholders").iterdir()] == ["a.example.com"]

    asyncio.run(life())
