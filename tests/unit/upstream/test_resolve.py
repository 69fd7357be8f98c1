"""Addresses of names: what is believed, for how long, and what happens when nobody answers."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from types import SimpleNamespace

import pytest

from proxy.upstream import resolve
from proxy.upstream.resolve import AGAIN, LONGEST, Answer, Cares, Resolver, ask_system, in_order


class Names:
    """A look-up by hand. `told` is what it answers (an OSError is raised); while `open` is clear it says nothing."""

    def __init__(self, *addresses, ttl=None):
        self.told = Answer(addresses, ttl)
        self.asked = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, host):
        self.asked.append(host)
        await self.open.wait()
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


def run(life):
    return asyncio.run(asyncio.wait_for(life, 20))


async def asked_again(resolver, now, host="app.test"):
    """What is given when the query that `addresses` may have begun has ended."""
    await resolver.addresses(host, now)
    await asyncio.gather(*resolver._queries())
    return await resolver.addresses(host, now)


def test_answers_are_in_order_and_each_is_there_once():
    assert in_order(["10.0.0.10", "::1", "10.0.0.9", "10.0.0.10"]) == ["10.0.0.9", "10.0.0.10", "::1"]

    async def life():
        return await Resolver(lookup=Names("b::", "9.9.9.9", "1.1.1.1", "9.9.9.9")).addresses("app.test", 0.0)

    assert run(life()) == ["1.1.1.1", "9.9.9.9", "b::"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1"])
def test_addresses_ask_nobody(host):
    async def life():
        names = Names()
        return await Resolver(lookup=names).addresses(host, 0.0), names.asked

    assert run(life()) == ([host], [])


def test_localhost_asks_nobody():
    async def life():
        names = Names()
        return await Resolver(lookup=names).addresses("LocalHost", 0.0), names.asked

    assert run(life()) == (["127.0.0.1", "::1"], [])


@pytest.mark.parametrize(("ttl", "believed"), [(None, 30.0), (7, 7.0), (0, 1.0), (0.2, 1.0), (86400, LONGEST)], ids=str)
def test_how_long_an_answer_is_believed(ttl, believed):
    async def life():
        names = Names("10.0.0.1", ttl=ttl)
        resolver = Resolver(30.0, names)
        await resolver.addresses("app.test", 1000.0)
        names.told = Answer(["10.0.0.2"])
        assert await resolver.addresses("APP.test", 999.9 + believed) == ["10.0.0.1"]
        assert len(names.asked) == 1
        assert await asked_again(resolver, 1000.0 + believed) == ["10.0.0.2"]
        assert len(names.asked) == 2

    run(life())


def test_those_who_ask_at_the_same_time_share_a_query():
    async def life():
        names = Names("10.0.0.1")
        names.open.clear()
        resolver = Resolver(lookup=names)
        askers = [asyncio.ensure_future(resolver.addresses("app.test", 0.0)) for _ in range(5)]
        other = asyncio.ensure_future(resolver.addresses("other.test", 0.0))
        while len(names.asked) < 2:
            await asyncio.sleep(0)
        askers[0].cancel()  # who began it leaves, and the others get their answer
        await asyncio.sleep(0)
        names.open.set()
        assert await asyncio.gather(*askers[1:], other) == [["10.0.0.1"]] * 5
        assert names.asked == ["app.test", "other.test"]

    run(life())


def test_what_is_given_is_the_askers_own():
    async def life():
        resolver = Resolver(lookup=Names("10.0.0.1"))
        (await resolver.addresses("app.test", 0.0)).clear()
        assert await resolver.addresses("app.test", 0.0) == ["10.0.0.1"]

    run(life())


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


def test_the_last_good_ones_are_kept_and_each_run_of_failures_is_told_once(caplog):
    caplog.set_level(logging.INFO)

    async def life():
        names = Names("10.0.0.1")
        resolver = Resolver(30.0, names)
        now = 0.0
        for turn in range(2):
            names.told = Answer(["10.0.0.1"])
            now += 100.0
            assert await asked_again(resolver, now) == ["10.0.0.1"]
            for failure in (OSError("no answer"), Answer([]), ValueError("odd")):
                now += 1e6
                names.told = failure
                assert await asked_again(resolver, now) == ["10.0.0.1"]
                asked = len(names.asked)
                assert await resolver.addresses("app.test", now + AGAIN - 0.1) == ["10.0.0.1"]
                assert len(names.asked) == asked  # not at once again
            assert len(lines(caplog)) == 2 * turn + 1

    run(life())
    trouble = "app.test cannot be resolved: no answer; its last addresses stay in use (10.0.0.1)"
    assert lines(caplog) == [trouble, "app.test is resolved again: 10.0.0.1", trouble]


def test_a_move_is_told(caplog):
    caplog.set_level(logging.INFO)

    async def life():
        names = Names("10.0.0.1")
        resolver = Resolver(30.0, names)
        await resolver.addresses("app.test", 0.0)
        names.told = Answer(["10.0.0.3", "10.0.0.2"])
        await asked_again(resolver, 30.0)
        names.told = Answer(["10.0.0.2", "10.0.0.3"])  # shuffled
        await asked_again(resolver, 60.0)

    run(life())
    assert lines(caplog) == ["app.test has moved: 10.0.0.2, 10.0.0.3, was 10.0.0.1"]


def test_a_name_that_was_never_known(caplog):
    async def life():
        names = Names()
        names.told = OSError("no such name")
        resolver = Resolver(30.0, names)
        for now in (0.0, 0.9, 1.0):
            with pytest.raises(OSError, match=r"^app\.test: no such name$"):
                await resolver.addresses("app.test", now)
        assert len(names.asked) == 2
        names.told = Answer(["10.0.0.1"])
        assert await resolver.addresses("app.test", 2.0) == ["10.0.0.1"]

    run(life())
    assert lines(caplog) == [
        "app.test cannot be resolved: no such name",
        "app.test is resolved again: 10.0.0.1",
    ]


def test_nobody_waits_for_a_name_server_when_old_addresses_are_there():
    async def life():
        names = Names("10.0.0.1")
        resolver = Resolver(30.0, names)
        await resolver.addresses("app.test", 0.0)
        names.open.clear()
        names.told = Answer(["10.0.0.2"])
        for _ in range(2):
            with pytest.raises(StopIteration) as given:  # at once: a coroutine that never waits
                resolver.addresses("app.test", 30.0).send(None)
            assert given.value.value == ["10.0.0.1"]
        await turns()
        assert len(names.asked) == 2
        query = resolver._known["app.test"].query
        names.open.set()
        await query
        assert await resolver.addresses("app.test", 30.0) == ["10.0.0.2"]
        assert len(names.asked) == 2

    run(life())


def test_closing_ends_queries():
    async def life():
        names = Names("10.0.0.1")
        names.open.clear()
        resolver = Resolver(lookup=names)
        asker = asyncio.ensure_future(resolver.addresses("app.test", 0.0))
        while not names.asked:
            await asyncio.sleep(0)
        await resolver.close()
        with pytest.raises(OSError, match="no answer"):
            await asker

    run(life())


def test_the_system_is_asked(monkeypatch):
    async def life():
        loop = asyncio.get_running_loop()

        async def getaddrinfo(host, port, **_):
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 0)),
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 0, 0, 2)),
            ]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        return await ask_system("app.test")

    assert run(life()) == Answer(["10.0.0.1", "fe80::1"], None)


# --- c-ares against a name server -----------------------------------------------------------------------------------


class NameServer(asyncio.DatagramProtocol):
    """Answers A and AAAA questions from a table of name to (ttl, addresses); others do not exist."""

    def __init__(self, table):
        self.table = table
        self.asked = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, question, peer):
        end = question.index(b"\0", 12)
        name, labels = [], question[12:end]
        while labels:
            name.append(labels[1 : 1 + labels[0]].decode())
            labels = labels[1 + labels[0] :]
        kind = struct.unpack_from("!H", question, end + 1)[0]
        known = self.table.get(".".join(name).lower())
        self.asked.append((".".join(name), kind))
        records = b""
        ttl, addresses = known or (0, [])
        family, wanted = (socket.AF_INET6, True) if kind == 28 else (socket.AF_INET, False)
        found = [socket.inet_pton(family, one) for one in addresses if (":" in one) is wanted]
        for packed in found:
            records += struct.pack("!HHHIH", 0xC00C, kind, 1, ttl, len(packed)) + packed
        flags = 0x8180 | (0 if known else 3)
        head = question[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0)
        self.transport.sendto(head + question[12 : end + 5] + records, peer)


async def name_server(table):
    _, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(table), local_addr=("127.0.0.1", 0)
    )
    return server, f"127.0.0.1:{server.transport.get_extra_info('sockname')[1]}"


@pytest.mark.skipif(resolve.aiodns is None, reason="needs the extra dns")
def test_the_time_to_live_is_that_of_dns():
    async def life():
        server, place = await name_server(
            {"app.test": (60, ["10.0.0.2", "10.0.0.1", "fd00::1"]), "four.test": (7, ["10.0.0.4"])}
        )
        cares = Cares([place])
        try:
            answer = await cares("app.test")
            assert in_order(answer.addresses) == ["10.0.0.1", "10.0.0.2", "fd00::1"]
            assert answer.ttl == 60
            assert await cares("four.test") == Answer(["10.0.0.4"], 7)
            with pytest.raises(OSError, match="not found"):
                await cares("none.test")
            assert {kind for name, kind in server.asked if name == "app.test"} == {1, 28}
        finally:
            await cares.close()
            server.transport.close()

    run(life())


@pytest.mark.skipif(resolve.aiodns is None, reason="needs the extra dns")
def test_a_resolver_over_c_ares():
    async def life():
        server, place = await name_server({"app.test": (5, ["10.0.0.1"])})
        resolver = Resolver(lookup=Cares([place]))
        try:
            assert await resolver.addresses("app.test", 0.0) == ["10.0.0.1"]
            asked = len(server.asked)
            assert await resolver.addresses("app.test", 4.9) == ["10.0.0.1"]
            assert len(server.asked) == asked
            with pytest.raises(OSError, match=r"^none\.test: "):
                await resolver.addresses("none.test", 0.0)
        finally:
            await resolver.close()
            server.transport.close()

    run(life())


def test_without_aiodns_the_system_is_asked(monkeypatch):
    monkeypatch.setattr(resolve, "aiodns", None)
    assert Resolver()._lookup is ask_system


def test_retired_it_closes_when_its_queries_have_ended(monkeypatch):
    closed = []

    class Channel:
        def __init__(self, *_, **__):
            self.open = asyncio.Event()

        async def getaddrinfo(self, host, **_):
            await self.open.wait()
            node = SimpleNamespace(addr=(b"10.0.0.1", 0), ttl=5)
            return SimpleNamespace(nodes=[node], cnames=[])

        async def close(self):
            closed.append(self)

    monkeypatch.setattr(resolve, "aiodns", SimpleNamespace(DNSResolver=Channel, error=None))

    async def life():
        cares = Cares()
        resolver = Resolver(lookup=cares)
        waiting = asyncio.ensure_future(resolver.addresses("app.test", 0.0))
        await turns()
        first = cares._resolver
        resolver.retire()
        await turns()
        assert not closed and not waiting.done()
        first.open.set()
        assert await waiting == ["10.0.0.1"]
        await resolver._retiring
        assert closed == [first]
        again = asyncio.ensure_future(resolver.addresses("app.test", 100.0))  # adopted again after all
        await turns()
        assert cares._resolver is not first
        cares._resolver.open.set()
        assert await again == ["10.0.0.1"]

    run(life())


async def turns():
    """Let the loop turn a few times."""
    for _ in range(5):
        await asyncio.sleep(0)
