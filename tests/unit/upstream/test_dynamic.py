"""Destinations that requests name: how long their names are asked for."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from proxy.upstream import dns
from proxy.upstream.dns import Dns
from proxy.upstream.dynamic import Dynamic


def test_a_name_is_asked_for_no_longer_than_its_exchange_waits(monkeypatch):
    monkeypatch.setattr(dns, "LINGER", 0.0)
    ended = []

    async def silent(name, kind, timeout):
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(name)

    async def run():
        dynamic = Dynamic(None, {}, None, None)
        resolver = Dns(["127.0.0.1"], ipv6=False, ask=silent)
        exchange = SimpleNamespace(queue=None)
        dynamic._look_up(exchange, resolver, "a.test", 80)
        for _ in range(4):
            await asyncio.sleep(0)
        exchange.queue.leave(exchange)  # what the engine does with whoever leaves
        for _ in range(4):
            await asyncio.sleep(0)
        assert ended == ["a.test"] and exchange.queue is None and not dynamic._queries

    asyncio.run(run())
