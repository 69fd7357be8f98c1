"""Links that are made in several ways: from which address they come, and who may have which."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace

import pytest

from proxy.build.ways import bound as written
from proxy.clock import Clock, Wheel
from proxy.upstream.keyed import KeyedLink, KeyedPool, Way, bound


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", ("", 0)),
        (b"off", ("", 0)),
        (b"127.0.0.9", ("127.0.0.9", 0)),
        (b"127.0.0.9:81", ("127.0.0.9", 81)),
        (b"::1", ("::1", 0)),
        (b"[::1]", ("::1", 0)),
        (b"[::1]:81", ("::1", 81)),
        (b"name:81", ("", 0)),
        (b"127.0.0.9:99999", ("127.0.0.9", 0)),
    ],
)
def test_addresses_of_our_own(text, expected):
    assert written(text) == expected


def connected(way):
    """The peer's address as a server sees it, and the link's socket options."""

    async def run():
        seen = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(
            lambda reader, writer: seen.set_result(writer.get_extra_info("peername")[0]), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        pool = KeyedPool(f"127.0.0.1:{port}", Clock(0.0, 0.0), Wheel(), lambda exchange: way)
        link = KeyedLink(pool, way)
        await pool._connect(link)
        peer = await seen
        alive = link.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        link.close()
        server.close()
        return peer, bool(alive)

    return asyncio.run(run())


def test_from_where_a_link_comes():
    assert connected(Way()) == ("127.0.0.1", False)
    assert connected(Way(bind="127.0.0.9")) == ("127.0.0.9", False)


def test_the_kernel_is_told_to_look_after_it():
    assert connected(Way(alive=True))[1] and connected(Way(bind="127.0.0.9", alive=True))[1]


def test_an_address_that_is_not_ours():
    with pytest.raises(OSError):
        bound(Way(bind="192.0.2.1"), "127.0.0.1")


class Transport:
    """Never closed, and never asked for anything."""

    def is_closing(self):
        return False


def test_nobody_gets_a_link_that_was_made_otherwise(monkeypatch):
    clock = Clock(100.0, 0.0)
    pool = KeyedPool("10.0.0.1:1", clock, Wheel(), lambda exchange: exchange.way)
    dialled, started = [], []
    monkeypatch.setattr(KeyedPool, "dial", lambda pool, exchange: dialled.append(exchange.way.bind))
    monkeypatch.setattr(KeyedLink, "start", lambda link, exchange: started.append(link.way.bind))
    for bind in ("a", "b"):
        link = KeyedLink(pool, Way(bind=bind))
        link.transport = Transport()
        pool.give_back(link)

    def lend(bind, fresh=False):
        line = SimpleNamespace(method=b"GET")
        route = SimpleNamespace(composer=None)
        pool.lend(SimpleNamespace(way=Way(bind=bind), fresh=fresh, line=line, route=route))

    lend("a", fresh=True)
    lend("a")
    lend("a")
    lend("c")
    lend("b")
    assert (dialled, started) == (["a", "a", "c"], ["a", "b"])


def introduced(name, fresh=False):
    """An exchange of a client whose header is its name."""
    line, route = SimpleNamespace(method=b"GET"), SimpleNamespace(composer=None)
    return SimpleNamespace(name=name, fresh=fresh, line=line, route=route)


def introducing(monkeypatch):
    """A pool that introduces clients, and whom it has dialled for and started."""
    pool = KeyedPool("10.0.0.1:1", Clock(100.0, 0.0), Wheel(), lambda exchange: Way())
    pool.introduce = lambda exchange: exchange.name
    dialled, started = [], []
    monkeypatch.setattr(KeyedPool, "dial", lambda pool, exchange: dialled.append(exchange.name))
    monkeypatch.setattr(KeyedLink, "start", lambda link, exchange: started.append(link.way.header))
    return pool, dialled, started


class Closing(Transport):
    """May be broken off."""

    def abort(self):
        """Nothing more comes of it."""


def given_back(pool, name):
    """A link for a client that is free again."""
    link = pool._made(introduced(name))
    link.transport = Closing()
    pool.give_back(link)
    return link


def test_a_link_behind_a_header_is_for_that_client_alone(monkeypatch):
    pool, dialled, started = introducing(monkeypatch)
    given_back(pool, b"one")
    for name in (b"two", b"one", b"one"):
        pool.lend(introduced(name))
    assert (dialled, started) == ([b"two", b"one"], [b"one"])
    assert not pool._kept and not pool.idle


def test_the_coldest_goes_when_there_is_no_room(monkeypatch):
    pool, dialled, started = introducing(monkeypatch)
    pool.keepalive = 2
    links = [given_back(pool, name) for name in (b"one", b"two", b"three")]
    assert [link.transport is None for link in links] == [True, False, False] and pool.idle == 2
    for name in (b"one", b"three", b"two"):
        pool.lend(introduced(name))
    assert (dialled, started) == ([b"one"], [b"three", b"two"])
    pool.keepalive = 0
    assert given_back(pool, b"four").transport is None and not pool._kept


def test_a_link_that_is_lost_is_not_found_again(monkeypatch):
    pool, dialled, _started = introducing(monkeypatch)
    links = [given_back(pool, b"one"), given_back(pool, b"one")]
    pool.forget(links[1])
    assert pool.idle == 1
    pool.forget(links[0])
    assert not pool._kept and not pool.idle
    pool.lend(introduced(b"one"))
    assert dialled == [b"one"]


@pytest.mark.parametrize("family", ["tcp", "unix"])
@pytest.mark.parametrize("bind", ["", "127.0.0.9"])
def test_the_header_comes_first(family, bind, tmp_path):
    async def run():
        came = asyncio.get_running_loop().create_future()

        async def served(reader, writer):
            came.set_result(await reader.readexactly(20))

        path = str(tmp_path / "s")
        if family == "unix":
            server, address = await asyncio.start_unix_server(served, path), f"unix:{path}"
        else:
            server = await asyncio.start_server(served, "127.0.0.1", 0)
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        way = Way(header=b"PROXY UNKNOWN\r\n", bind=bind)
        pool = KeyedPool(address, Clock(0.0, 0.0), Wheel(), lambda exchange: way)
        link = KeyedLink(pool, way)
        await pool._connect(link)
        link.transport.write(b"GET /")
        data = await came
        link.close()
        server.close()
        return data

    assert asyncio.run(run()) == b"PROXY UNKNOWN\r\nGET /"
