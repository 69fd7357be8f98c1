"""Links that are idle, and the group that asks for them."""

from __future__ import annotations

import asyncio
import errno
import socket
from types import SimpleNamespace

import pytest

from proxy import faults
from proxy.clock import Clock, Wheel
from proxy.upstream import link as link_module
from proxy.upstream import pool as pool_module
from proxy.upstream.link import Link
from proxy.upstream.pool import Pool


class Transport:
    def __init__(self, plain=None):
        self.aborted = False
        self.plain = plain

    def get_extra_info(self, name):
        return self.plain if name == "socket" else None

    def abort(self):
        self.aborted = True

    def set_write_buffer_limits(self, high, low):
        pass


@pytest.fixture
def pool():
    pool = Pool("10.0.0.1:80", Clock(100.0), Wheel(1))
    pool.configure(2, 1.5, 0, False)
    return pool


def idle(pool, plain=None):
    link = Link(pool)
    link.connection_made(Transport(plain))
    pool.links.add(link)
    pool.give_back(link)
    return link


class Lent:
    """Stands in for `start`: which link was taken."""

    fresh = False
    upload_done = True

    def __init__(self, method):
        self.line = SimpleNamespace(method=method)


def lend(pool, monkeypatch, method=b"GET"):
    taken = []
    monkeypatch.setattr(Link, "start", lambda link, exchange: taken.append(link))
    pool.lend(Lent(method))
    return taken[0]


def test_the_warmest_is_lent_first(pool, monkeypatch):
    first, second = idle(pool), idle(pool)
    assert lend(pool, monkeypatch) is second and lend(pool, monkeypatch) is first


def test_no_more_are_kept_than_wanted(pool):
    links = [idle(pool) for _ in range(3)]
    assert [link.transport is None for link in links] == [False, False, True]


def test_an_old_one_is_not_lent(pool, monkeypatch):
    old = idle(pool)
    transport = old.transport
    pool.clock.now += 1.0
    young = idle(pool)
    pool.clock.now += 1.0
    assert lend(pool, monkeypatch) is young
    pool.wheel.tick(pool.clock.now)
    assert transport.aborted


@pytest.mark.parametrize("method", [b"POST", b"PATCH"])
@pytest.mark.parametrize("word", [b"", b"unasked"])
def test_what_may_not_be_sent_twice_goes_on_no_link_that_the_backend_has_left(pool, monkeypatch, method, word):
    wires = [socket.socketpair() for _ in range(2)]
    steady, gone = [idle(pool, ours) for ours, _ in wires]
    wires[1][1].sendall(word)
    wires[1][1].close()
    transport = gone.transport
    assert lend(pool, monkeypatch, method) is steady
    assert transport.aborted and gone.transport is None
    for wire in (*wires[0], *wires[1]):
        wire.close()


def test_what_may_be_sent_twice_costs_no_look(pool, monkeypatch):
    link = idle(pool, "no socket")
    assert lend(pool, monkeypatch, b"PUT") is link


def test_a_link_without_a_socket_is_good_for_nothing_that_may_not_be_sent_twice(pool, monkeypatch):
    ours, theirs = socket.socketpair()
    steady, _ = idle(pool, ours), idle(pool, None)
    assert lend(pool, monkeypatch, b"POST") is steady
    for wire in (ours, theirs):
        wire.close()


@pytest.fixture
def by_clock(pool, monkeypatch):
    """The loop's time is the clock's, and every link has a backend that is there."""
    monkeypatch.setattr(link_module, "monotonic", lambda: pool.clock.now)
    monkeypatch.setattr(pool_module, "hung_up", lambda transport: False)
    dialled = []
    monkeypatch.setattr(Pool, "dial", lambda pool, exchange: dialled.append(exchange))
    return dialled


def closed_after(pool, seconds):
    """The backend closes a link that was idle for so long."""
    link = idle(pool)
    pool.clock.now += seconds
    link.eof_received()
    link.connection_lost(None)


def test_a_backend_that_closes_idle_links_gets_on_warm_ones_only_what_may_be_sent_twice(pool, monkeypatch, by_clock):
    closed_after(pool, 0.4)
    link = idle(pool)
    pool.clock.now += 0.25
    pool.lend(Lent(b"POST"))
    assert len(by_clock) == 1 and list(pool._idle) == [link]
    assert lend(pool, monkeypatch, b"GET") is link


def test_one_that_is_warm_enough_is_used(pool, monkeypatch, by_clock):
    closed_after(pool, 0.4)
    link = idle(pool)
    pool.clock.now += 0.15
    assert lend(pool, monkeypatch, b"POST") is link and not by_clock


def test_the_shortest_of_several_counts_and_is_forgotten(pool, monkeypatch, by_clock):
    for seconds in (0.4, 0.1, 0.3):
        closed_after(pool, seconds)
    link = idle(pool)
    pool.clock.now += 0.1
    pool.lend(Lent(b"POST"))
    assert len(by_clock) == 1
    pool.clock.now += 1.0
    assert lend(pool, monkeypatch, b"POST") is link
    closed_after(pool, 0.4)
    link = idle(pool)
    pool.clock.now += 0.15
    assert lend(pool, monkeypatch, b"POST") is link


def test_links_that_we_close_say_nothing_about_the_backend(pool):
    link = idle(pool)
    pool.clock.now += 2.0
    link.expired(pool.clock.now)
    link.connection_lost(None)
    pool.close()
    assert pool._wary == 0.0


def test_a_lost_one_is_forgotten(pool):
    link = idle(pool)
    link.connection_lost(None)
    assert not pool._idle and not pool.links


def test_closing(pool):
    link = idle(pool)
    transport = link.transport
    pool.close()
    assert transport.aborted
    late = Link(pool)
    late.connection_made(Transport())
    kept = late.transport
    pool.give_back(late)
    assert kept.aborted


@pytest.mark.parametrize(("address", "host"), [("a:1", b"a:1"), ("[::1]:1", b"[::1]:1"), ("unix:/x", b"localhost")])
def test_what_a_backend_is_called(address, host):
    assert Pool(address, Clock(), Wheel()).host == host


# --- dialling ---------------------------------------------------------------------------------------------------------


class Loop:
    """Connects where `accepting` says, in the next turn; else it raises."""

    def __init__(self, *accepting, error=None):
        self.accepting = accepting
        self.error = error or ConnectionRefusedError(errno.ECONNREFUSED, "refused")
        self.tried = []

    async def create_connection(self, protocol, host, port):
        self.tried.append(host)
        await asyncio.sleep(0)
        if host not in self.accepting:
            raise self.error


class Names:
    """Three addresses of whatever name."""

    async def addresses(self, host, now):
        await asyncio.sleep(0)
        return ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


@pytest.fixture
def on_loop(monkeypatch):
    """Has pools dial on a loop of the test's."""

    def make(loop):
        names = {"get_running_loop": lambda: loop, "timeout": asyncio.timeout}
        monkeypatch.setattr(pool_module, "asyncio", SimpleNamespace(**names))
        return loop

    return make


@pytest.mark.parametrize("dials", [1, 2, 3, 7])
def test_every_dial_tries_every_address_of_a_name(pool, on_loop, dials):
    loop = on_loop(Loop("10.0.0.3"))

    async def life():
        await asyncio.gather(*(pool._connect_named(Names(), None, "app.test", 80) for _ in range(dials)))

    asyncio.run(life())
    assert loop.tried.count("10.0.0.3") == dials


class Waiting:
    """An exchange that waits for a connection."""

    def __init__(self):
        self.route = SimpleNamespace(timeouts=SimpleNamespace(connect=1.0, deadline=0.0))
        self.started = self.finished = self.attempted = self.deadline = 0.0
        self.backend = SimpleNamespace(trouble="")


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        (errno.ECONNREFUSED, faults.CONNECT_REFUSED),
        (errno.EHOSTUNREACH, faults.CONNECT_REFUSED),
        (errno.EMFILE, faults.NO_SOCKET),
        (errno.ENFILE, faults.NO_SOCKET),
        (errno.ENOBUFS, faults.NO_SOCKET),
        (errno.EADDRNOTAVAIL, faults.NO_SOCKET),
    ],
)
@pytest.mark.parametrize("resolver", [None, Names()])
def test_what_keeps_us_from_dialling_is_no_fault_of_the_backend(pool, on_loop, monkeypatch, number, fault, resolver):
    loop = on_loop(Loop(error=OSError(number, "no")))
    failed = []
    monkeypatch.setattr(pool_module.engine, "failed", lambda exchange, fault: failed.append(fault))
    pool.resolver = resolver
    asyncio.run(pool._dial(Waiting()))
    assert failed == [fault] and fault.health is (fault is faults.CONNECT_REFUSED)
    assert len(loop.tried) == (3 if resolver and fault is faults.CONNECT_REFUSED else 1)


class Broken:
    """An exchange that cannot be started: what its route composes raises."""

    fresh = upload_done = False
    finished = deadline = attempted = 0.0
    backend = link = None

    def __init__(self):
        timeouts = SimpleNamespace(connect=5.0)
        self.route = SimpleNamespace(timeouts=timeouts)


@pytest.mark.parametrize("where", ["_made", "_connect", "start"])
def test_an_error_of_our_own_while_dialling_fails_the_exchange(pool, monkeypatch, where):
    failed = []

    def breaks(*words):
        raise RecursionError("composed for ever")

    async def connects(pool, link):
        link.connection_made(Transport())

    monkeypatch.setattr(pool_module.engine, "failed", lambda *words: failed.append(words))
    monkeypatch.setattr(Pool, "_connect", connects)
    monkeypatch.setattr(Link if where == "start" else Pool, where, breaks)
    exchange = Broken()
    with pytest.raises(RecursionError):
        asyncio.run(pool._dial(exchange))
    assert failed == [(exchange, faults.NO_SOCKET)]
