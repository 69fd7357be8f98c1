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
