"""Links that are idle, and the group that asks for them."""

from __future__ import annotations

import pytest

from proxy.clock import Clock, Wheel
from proxy.upstream.link import Link
from proxy.upstream.pool import Pool


class Transport:
    def __init__(self):
        self.aborted = False

    def abort(self):
        self.aborted = True

    def set_write_buffer_limits(self, high, low):
        pass


@pytest.fixture
def pool():
    pool = Pool("10.0.0.1:80", Clock(100.0), Wheel(1))
    pool.configure(2, 1.5, 0, False)
    return pool


def idle(pool):
    link = Link(pool)
    link.connection_made(Transport())
    pool.links.add(link)
    pool.give_back(link)
    return link


class Lent:
    """Stands in for `start`: which link was taken."""

    fresh = False
    upload_done = True


def lend(pool, monkeypatch):
    taken = []
    monkeypatch.setattr(Link, "start", lambda link, exchange: taken.append(link))
    pool.lend(Lent())
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
