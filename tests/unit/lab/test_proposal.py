"""Limits proposed by logs, held against the arithmetic of the leaky bucket by hand, and production's buckets."""

from __future__ import annotations

from random import Random

import pytest

from proxy.config.units import rate as thousandths
from proxy.lab.logs.entry import Entry
from proxy.lab.logs.keys import Keyed, Routes
from proxy.lab.logs.proposal import Option as Pair
from proxy.lab.logs.proposal import (
    Times,
    burst_of_clients,
    burst_of_requests,
    excepted,
    limited,
    peak,
    propose,
    rejections,
)
from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.shared.buckets import Buckets, made


def times(**own):
    """Times of keys."""
    found = Times()
    for key, moments in own.items():
        for ms in moments:
            found.add(key.encode(), ms)
    return found


def test_by_hand():
    """The first costs nothing; each request adds one, each second takes the rate away."""
    assert peak(Leaky(1000, 1 << 60), [5] * 6) == 5 * REQUEST
    assert peak(Leaky(1000, 1 << 60), [0, 0, 0, 2000, 2000]) == 2 * REQUEST
    assert peak(Leaky(1000, 1 << 60), [0, 1000, 2000]) == 0
    assert peak(Leaky(1000, 1 << 60), [0, 500, 1000]) == REQUEST
    assert rejections(Leaky(1000, 2 * REQUEST), [0, 0, 0, 0, 0, 1000, 1000]) == [0, 0, 1000]


def test_the_burst_that_clients_need():
    asked = times(a=[0] * 5, b=[0] * 3, c=[0, 9000])
    assert [burst_of_clients(asked, 1000, exceptions) for exceptions in range(4)] == [4, 2, 0, 0]
    one = propose("x", asked, share=0.6, rates=["1r/s"])  # one of three may be limited
    assert one.option == ("1r/s", 2)
    assert [(found.key, found.requests, found.rejected, found.first) for found in one.limited] == [(b"a", 5, 2, 0)]
    assert propose("x", asked, rates=["1r/s"]).option.burst == 4 and not propose("x", asked, rates=["1r/s"]).limited


def test_the_burst_that_requests_need():
    asked = times(a=[0] * 5, b=[0] * 3, c=[0, 9000])
    assert [burst_of_requests(asked, 1000, exceptions) for exceptions in (0, 1, 2, 3, 4, 6)] == [4, 3, 2, 2, 1, 0]
    assert propose("x", asked, share=0.8, of="requests", rates=["1r/s"]).option.burst == 2
    assert propose("x", asked, share=0.8, of="both", rates=["1r/s"]).option.burst == 4


def test_shares_are_whole_keys():
    assert [excepted(number, 0.999) for number in (1, 999, 1000, 2000, 10_000)] == [0, 0, 1, 2, 10]
    assert excepted(10, 0.9) == 1 and excepted(5, 1.0) == 0


def test_times_come_in_any_order():
    assert burst_of_clients(times(a=[3000, 0, 1000, 2000]), 1000, 0) == 0


@pytest.mark.parametrize("seed", range(5))
def test_production_rejects_whom_it_says(seed):
    """At the proposal, production's buckets (shared memory and all) reject the very requests that are told."""
    rng = Random(seed)
    asked, order = Times(), []
    for key in range(60):
        now = rng.randrange(5000)
        for _ in range(int(rng.paretovariate(0.9))):
            now += int(rng.expovariate(1 / 400)) * (rng.random() < 0.7)
            asked.add(b"%d" % key, now + 1)
            order.append((now + 1, b"%d" % key))
    one = propose("x", asked, share=0.9)
    memory = made(1 << 20)
    try:
        leaky = Leaky(thousandths(one.option.rate), one.option.burst * REQUEST, None)
        buckets = Buckets(memory, leaky)
        rejected = {}
        for ms, key in sorted(order):
            if buckets.charge(key, ms) < 0:
                rejected.setdefault(key, []).append(ms)
        buckets.cells.release()
    finally:
        memory.close()
    assert {found.key: (found.rejected, found.first) for found in one.limited} == {
        key: (len(moments), moments[0]) for key, moments in rejected.items()
    }
    assert len(rejected) <= 6 < 60
    less = limited(asked, Pair(one.option.rate, one.option.burst - 1)) if one.option.burst else ()
    assert not one.option.burst or len(less) > 6


def test_the_pair_that_grants_least():
    """A page of ten requests each ten seconds: of what lets it pass and drains in a minute, the least in a minute."""
    asked = times(a=[10_000 * page for page in range(30) for _ in range(10)])
    one = propose("x", asked)
    assert one.option.drains and not one.limited
    assert one.option == min((pair for pair in one.options if pair.drains), key=lambda pair: pair.most)
    assert one.option.rate == "1r/s" and one.option.burst == 9
    assert propose("a.b", asked).toml("address", 56).splitlines() == [
        '[limit."a.b"]', 'key = "address"', "ipv6_prefix = 56", 'rate = "1r/s"', "burst = 9", "nodelay = true"
    ]  # fmt: skip
    slow = propose("x", asked, rates=["20r/m"])
    assert slow.option.burst > 9


def entry(client="192.0.2.1", target="/"):
    return Entry(0.0, 0.0, 200, client, "GET", target, "", 0.0, 0.0, ())


def test_keys():
    by = Keyed("address")
    assert by(entry(), {}) == b"\xc0\x00\x02\x01" and by.shown(b"\xc0\x00\x02\x01") == "192.0.2.1"
    one, two = by(entry("2001:db8::1"), {}), by(entry("2001:db8::ffff:1"), {})
    assert one == two and by.shown(one) == "2001:db8::/64"
    assert by(entry("::ffff:192.0.2.1"), {}) == b"\xc0\x00\x02\x01"
    assert by(entry("unix:"), {}) == b"unix:" and by.shown(b"unix:") == "unix:"
    assert Keyed("address", 128)(entry("2001:db8::1"), {}) != Keyed("address", 128)(entry("2001:db8::2"), {})
    header = Keyed("header:X-Api-Key")
    assert header(entry(), {"http_x_api_key": "k"}) == b"k" and header(entry(), {"http_x_api_key": "-"}) == b""
    assert Keyed("header:User-Agent")(entry(), {"user_agent": "a b"}) == b"a b"
    assert Keyed("cookie:sid")(entry(), {"cookie_sid": "s"}) == b"s"
    assert Keyed("site")(entry(), {"site": "shop"}) == b"shop" and Keyed("route")(entry(), {}) == b"route"
    for wrong in ("adress", "header", "header:", "address:x"):
        with pytest.raises(ValueError, match="there is no key"):
            Keyed(wrong)


def test_routes():
    routes = Routes(["/api/", "/api/login", "/", "/API-/"])
    assert [routes(path) for path in ("/api/x", "/api/login?x=/", "/other", "/?/api/")] == [
        "api", "api_login", "rest", "rest"
    ]  # fmt: skip
    assert routes.prefix("api_login") == "/api/login" and routes("/API-/x") == "api_"
    assert Routes([])("/x") == "clients" and Routes(["/a"])("/b") is None
