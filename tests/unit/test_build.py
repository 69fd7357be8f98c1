"""A Model becomes a Runtime: what routes inherit, what listeners answer, what a reload adopts."""

from __future__ import annotations

import asyncio

import pytest

from proxy import build, ledger
from proxy.clock import Clock, Parking, Wheel
from proxy.config.model import Model
from proxy.content.redirect import FixedReply, Nowhere, Redirect
from proxy.downstream.reader import HeadReader
from proxy.exchange import Exchange
from proxy.http.request import judge_request
from proxy.http.response import judge_response
from proxy.parties import Client
from proxy.policy.routing import NO_LIMIT
from proxy.shared.arena import Arena, Layout
from proxy.shared.breakers import Breakers
from proxy.shared.memory import Memory
from proxy.shared.tally import Tally, made, size_for

LISTEN = {"web": {"address": "127.0.0.1:80"}}
PEM = {"certificate": "/pem", "key": "/key"}


class Builder:
    """Builds Runtimes, one after the other, as reloads do."""

    def __init__(self):
        self.layout = Layout(())
        self.arena = Arena(Memory(Arena.size(1, self.layout.capacity)), 1, self.layout)
        self.clock, self.wheel, self.parking = Clock(1000.0), Wheel(), Parking(lambda at: None)
        self.zones = {}
        self.shared = (Breakers(Memory(Breakers.size(8)), 8), Tally(made(size_for(8, 1), 1), 1))
        self.runtime = None

    def __call__(self, **tables):
        tables = {"workers": 1, "log": {"access": "off"}, "listen": LISTEN, **tables}
        model = Model.model_validate(tables)
        self.layout.extend(ledger.counters(model))
        for name, size in build.zone_sizes(model).items():
            self.zones.setdefault(name, Memory(size))
        place = build.Place(self.clock, self.wheel, self.parking, self.arena, 0, self.zones, *self.shared)
        self.runtime = build.runtime(model, place, self.runtime)
        return self.runtime


@pytest.fixture
def built():
    return Builder()


def site(*routes, **more):
    return {"default": True, "route": list(routes), **more}


def route_of(runtime, path=b"/", host=b"s", listener="web"):
    return runtime.listeners[listener].sites.site(host).route(path)


FIXED = {"path": "/", "reply": {"body": "x"}}


def test_a_route_sees_its_own_timeouts_over_its_sites_over_those_of_the_door(built):
    runtime = built(
        timeouts={"connect": 1, "send": 2, "read": 3, "client_body": 4, "tunnel": 5, "client_idle": 6},
        site={
            "s": site(
                {**FIXED, "timeouts": {"read": "20s"}}, {**FIXED, "path": "/b"}, timeouts={"read": "10s", "send": "11s"}
            )
        },
    )
    own, plain = route_of(runtime).timeouts, route_of(runtime, b"/b").timeouts
    assert (own.read, own.send, own.connect, own.client_body, own.tunnel, own.client_idle) == (20, 11, 1, 4, 5, 6)
    assert (plain.read, plain.send, plain.connect) == (10, 11, 1)
    door = runtime.listeners["web"].timeouts
    assert (door.read, door.send) == (3, 2)


@pytest.mark.parametrize(
    ("door", "sites", "routes", "expected"),
    [
        ("1k", None, None, 1024),
        ("1k", "2k", None, 2048),
        ("1k", "2k", "3k", 3072),
        ("1k", "2k", 0, NO_LIMIT),
        ("1k", 0, None, NO_LIMIT),
        ("1k", 0, "3k", 3072),
        (0, None, None, NO_LIMIT),
    ],
)
def test_max_body_is_inherited_and_0_is_no_limit(built, door, sites, routes, expected):
    route = {**FIXED, **({} if routes is None else {"max_body": routes})}
    more = {} if sites is None else {"max_body": sites}
    runtime = built(http={"max_body": door}, site={"s": site(route, **more)})
    assert route_of(runtime).max_body == expected


def test_edits_of_a_site_and_its_route_are_merged(built):
    route = {
        **FIXED,
        "response_headers": {"set": {"X-Both": "route"}, "add": {"X-Add": "route"}, "remove": ["X-Two"]},
        "request_headers": {"set": {"X-Both": "route", "X-Mine": "m"}, "remove": ["X-Two"]},
    }
    more = {
        "response_headers": {"set": {"X-Both": "site", "X-Site": "s"}, "add": {"X-Add": "site"}, "remove": ["X-One"]},
        "request_headers": {"set": {"X-Both": "site"}, "remove": ["X-One"]},
    }
    runtime = built(site={"s": site(route, {**FIXED, "path": "/b"}, **more)})
    raw = [(name, b"old") for name in (b"X-One", b"X-Two", b"X-Both", b"X-Kept")]

    def answered(path):
        edits = route_of(runtime, path).edits
        return judge_response(b"HTTP/1.1 200 OK", raw, edits).forward.split(b"\r\n")[1:-1]

    assert answered(b"/") == [
        b"X-Kept: old", b"X-Both: route", b"X-Site: s", b"X-Add: site", b"X-Add: route"
    ]  # fmt: skip
    assert answered(b"/b") == [b"X-Two: old", b"X-Kept: old", b"X-Both: site", b"X-Site: s", b"X-Add: site"]
    asked = judge_request([(b"Host", b"s"), *raw]).forward
    edited = route_of(runtime).request_edits.edit(asked).lower()
    assert b"x-one" not in edited and b"x-two" not in edited and b"x-kept: old" in edited
    assert edited.endswith(b"x-both: route\r\nx-mine: m\r\n")
    nowhere = runtime.listeners["web"].sites.site(b"s").otherwise
    assert b"X-Site: s" in nowhere.edits.appended


@pytest.mark.parametrize(
    ("address", "port"),
    [("0.0.0.0:443", ""), ("0.0.0.0:8443", ":8443"), ("[::]:9443", ":9443"), ("unix:/run/tls.sock", "")],
)
def test_a_listener_that_redirects_names_the_port_of_the_tls_one(built, address, port):
    runtime = built(
        listen={
            "plain": {"address": "127.0.0.1:80", "redirect": "https"},
            "secure": {"address": address, "tls": True},
        },
        site={"s": site(FIXED, **PEM)},
    )
    found = route_of(runtime, listener="plain")
    assert found.site == ledger.NOBODY and isinstance(found.destination, Redirect)

    class Asked:
        said = None

        def reply(self, exchange, reply):
            self.said = reply.fields

    asked = Asked()
    found.destination.send(exchange(found, asked))
    assert asked.said == b"Location: https://door.test%b/a?b=c\r\n" % port.encode()
    assert isinstance(route_of(runtime, listener="secure").destination, FixedReply)


def exchange(route, downstream):
    head = HeadReader().read(b"GET /a?b=c HTTP/1.1\r\nHost: door.test\r\n\r\n")
    downstream.done = lambda: None
    return Exchange(downstream, Client(b"1.2.3.4", b"", b"http", b""), head.line, head.fields, Clock(1.0), route)


def test_unknown_names_are_the_default_sites_or_else_the_firsts(built):
    names = {"a": {"names": ["a"], "route": [FIXED]}, "b": {"names": ["b"], "route": [FIXED]}}
    assert route_of(built(site=names), host=b"c").site == "a"
    names["b"]["default"] = True
    assert route_of(built(site=names), host=b"c").site == "b"
    assert route_of(built(site=names), host=b"a").site == "a"


def test_a_path_without_a_route_is_nowhere(built):
    runtime = built(site={"s": site({**FIXED, "path": "/only"})})
    assert isinstance(route_of(runtime, b"/").destination, Nowhere)
    assert isinstance(route_of(runtime, b"/only").destination, FixedReply)


def test_a_reload_adopts_what_lives(built):
    tables = {
        "upstream": {"app": {"servers": ["10.0.0.1:1", "10.0.0.2:2"]}},
        "site": {"s": site({"path": "/", "upstream": "app"})},
    }
    first = built(**tables)
    one, two = first.upstreams["app"].backends
    tables["upstream"] = {"app": {"servers": ["10.0.0.2:2", "10.0.0.3:3"], "max_fails": 7}}
    one.take(1000.0)
    second = built(**tables)
    kept, new = second.upstreams["app"].backends
    assert kept is two and kept.max_fails == 7 and new.address == "10.0.0.3:3"
    assert second.listeners["web"] is first.listeners["web"] and second.ledger is first.ledger
    assert list(second.leaving) == [("app", "10.0.0.1:1")]
    tables["upstream"] = {"app": {"servers": ["10.0.0.1:1"]}}
    third = built(**tables)
    assert third.upstreams["app"].backends == (one,) and not third.leaving
    one.settle(1000.0, False, True)
    tables["upstream"] = {"app": {"servers": ["10.0.0.9:9"]}}
    assert not built(**tables).leaving


def test_the_same_address_in_another_upstream_is_another_backend(built):
    upstream = {name: {"servers": ["10.0.0.1:1"]} for name in ("a", "b")}
    runtime = built(upstream=upstream, site={"s": site({"path": "/", "upstream": "a"})})
    assert runtime.upstreams["a"].backends[0] is not runtime.upstreams["b"].backends[0]


def test_a_reload_tells_resolvers_and_retires_those_that_are_dropped(built):
    tables = {
        "upstream": {"app": {"servers": ["a.test:1", "b.test:1", "10.0.0.1:1"], "resolve": "30s"}},
        "site": {"s": site({"path": "/", "upstream": "app"})},
    }
    first = built(**tables)
    kept, dropped, plain = (backend.pool.resolver for backend in first.upstreams["app"].backends)
    assert (kept.valid, dropped.valid, plain) == (30.0, 30.0, None)
    tables["upstream"] = {"app": {"servers": ["a.test:1"], "resolve": "7s"}}
    second = built(**tables)
    assert second.upstreams["app"].backends[0].pool.resolver is kept and kept.valid == 7.0

    async def reload():
        first.retire(second)
        assert kept._retiring is None
        await asyncio.wait_for(dropped._retiring, 10)

    asyncio.run(reload())


def test_weights_stay_in_proportion_when_some_servers_start_slowly(built):
    servers = [{"address": "10.0.0.1:1", "slow_start": "10s"}, {"address": "10.0.0.2:2", "weight": 2}]
    runtime = built(upstream={"app": {"servers": servers}}, site={"s": site(FIXED)})
    one, two = runtime.upstreams["app"].backends
    assert two.weight == 2 * one.weight


@pytest.mark.parametrize(
    ("upstream", "expected"),
    [
        ({"servers": ["10.0.0.1:1"]}, 0),  # the breaker's affair
        ({"servers": [{"address": "10.0.0.1:1", "max_fails": 1}]}, 1),
        ({"servers": [{"address": "10.0.0.1:1", "max_fails": 4}]}, 4),
        ({"servers": ["10.0.0.1:1"], "max_fails": 1}, 1),
        ({"servers": ["10.0.0.1:1"], "max_fails": 5}, 5),
        ({"servers": [{"address": "10.0.0.1:1", "max_fails": 2}], "max_fails": 5}, 2),
    ],
)
def test_beside_a_breaker_failures_are_counted_where_that_is_written(built, upstream, expected):
    runtime = built(upstream={"app": {**upstream, "breaker": {}}}, site={"s": site(FIXED)})
    assert runtime.upstreams["app"].backends[0].max_fails == expected
