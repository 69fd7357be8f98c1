"""A simulated door is made of an [upstream] table as the Runtime makes one, key by key."""

from __future__ import annotations

import types
import typing

import pytest
from pydantic import BaseModel

from proxy.config.upstream import Upstream
from proxy.lab import Scenario
from proxy.lab.fidelity import UNSIMULATED, unsimulated
from proxy.lab.scenario import of
from proxy.lab.wires import Way
from proxy.lab.world import World
from proxy.process.checks import check_of
from tests.unit.test_build import Builder, route_of, site

SERVERS = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]


def server(**keys):
    return {"servers": [{"address": SERVERS[0], **keys}, *SERVERS[1:]]}


# What to write so that a key says something else than nothing; where others have to stand beside it, they do.
WRITTEN = {
    "balance": {"balance": "least_conn"},
    "consistent": {"balance": "hash", "hash": "$remote_addr", "consistent": True},
    "random_by": {"balance": "random_two", "random_by": "least_time"},
    "least_time": {"balance": "least_time", "least_time": "last_byte"},
    "inflight": {"balance": "least_time", "inflight": True},
    "sticky": {"sticky": {"cookie": "a"}},
    "sticky.expires": {"sticky": {"cookie": "a", "expires": "1h"}},
    "sticky.learn": {"sticky": {"learn": {"create": ["$upstream_cookie_a"], "lookup": ["$cookie_a"]}}},
    "sticky.learn.timeout": {
        "sticky": {"learn": {"create": ["$upstream_cookie_a"], "lookup": ["$cookie_a"], "timeout": "9s"}}
    },
    "max_fails": {"max_fails": 7},
    "fail_timeout": {"fail_timeout": "7s"},
    "servers": {"servers": SERVERS[:2]},
    "servers.address": server(address="10.0.0.9:80"),
    "servers.weight": server(weight=5),
    "servers.max_fails": server(max_fails=5),
    "servers.fail_timeout": server(fail_timeout="5s"),
    "servers.max_conns": server(max_conns=5),
    "servers.backup": server(backup=True),
    "servers.down": server(down=True),
    "servers.drain": server(drain=True),
    "servers.slow_start": server(slow_start="5s"),
    "servers.route": server(route="a"),
    "servers.name": server(name="a"),
    "servers.tag": server(tag="a"),
    "slow_start": {"slow_start": "5s"},
    "panic": {"panic": 50},
    "unavailable": {"unavailable": 502},
    "fallback": {"fallback": {"body": "x"}},
    "fallback.status": {"fallback": {"status": 200}},
    "health": {"health": True},
    **{f"health.{key}": {"health": {key: "1s"}} for key in ("interval", "timeout")},
    **{f"health.{key}": {"health": {key: 9}} for key in ("rise", "fall")},
    "health.jitter": {"health": {"jitter": 0.5}},
    "health.mandatory": {"health": {"mandatory": True}},
    "queue": {**server(max_conns=1), "queue": {"size": 9}},
    "queue.size": {**server(max_conns=1), "queue": {"size": 9}},
    "queue.timeout": {**server(max_conns=1), "queue": {"timeout": "9s"}},
    "retry": {"retry": {"on": ["closed"]}},
    "retry.on": {"retry": {"on": [503]}},
    **{f"retry.{key}": {"retry": {key: "9s"}} for key in ("per_try", "deadline", "within", "base", "cap")},
    "retry.attempts": {"retry": {"attempts": 3}},
    "retry.floor": {"retry": {"floor": 3}},
    "retry.non_idempotent": {"retry": {"non_idempotent": True}},
    **{f"retry.{key}": {"retry": {key: 0.5}} for key in ("jitter", "budget")},
    "breaker": {"breaker": {}},
    **{f"breaker.{key}": {"breaker": {key: 7}} for key in ("failures", "least", "probes")},
    **{f"breaker.{key}": {"breaker": {key: "7s"}} for key in ("window", "recovery", "longest")},
    "breaker.ratio": {"breaker": {"ratio": 0.5}},
    "breaker.on": {"breaker": {"on": ["connect"]}},
    "keepalive": {"keepalive": 7},
    "keepalive_timeout": {"keepalive_timeout": "7s"},
}
SAME = {"balance_from"}  # `catalog.made` reads it, which makes both
REFUSED = {"fallback.upstream"}


def tables(annotation):
    """The tables in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for one in typing.get_args(annotation) for found in tables(one)]


def keys(model, place=""):
    for name, field in model.model_fields.items():
        yield place + name
        if place + name in UNSIMULATED:
            continue  # with all that is in it
        for table in tables(field.annotation):
            yield from keys(table, f"{place}{name}.")


KEYS = list(keys(Upstream))


def test_every_key_is_simulated_or_said():
    assert set(KEYS) == {*WRITTEN, *SAME, *REFUSED, *UNSIMULATED}
    assert not set(WRITTEN) & set(UNSIMULATED)


def slots(thing, *without):
    """What an object holds, compiled or not, as far as it is plain."""
    plain = (int, float, str, bytes, bool, frozenset, tuple, types.NoneType)
    names = [name for name in dir(thing) if name not in without and not name.startswith("__") and hasattr(thing, name)]
    return {name: value for name in names if isinstance(value := getattr(thing, name), plain)}


NOT_OURS = {"counted", "counts", "reported", "taken", "settled"}  # what is counted for others is no decision


def portrait(group, route, keepalive):
    """What decides in a group."""
    base = getattr(group.balancer, "base", group.balancer)
    return {
        "backends": [
            (slots(one, *NOT_OURS), one.breaker and slots(one.breaker.settings)) for one in group.backends
        ],
        "balancer": (type(group.balancer).__name__, type(base).__name__, slots(base, "clock", "groups", "primaries")),
        "two": slots(base.times, "clock", "groups") if hasattr(getattr(base, "times", None), "last_byte") else None,
        "budget": (group.budget.share, group.budget.floor),
        "standing": (group.standing.panic, group.standing.slow_start),
        "queue": None if group.queue is None else (group.queue.size, group.queue.timeout),
        "fallback": group.fallback and (type(group.fallback).__name__, getattr(group.fallback, "_reply", None)),
        "retry": slots(route.retry, "rng"),
        "timeouts": (route.timeouts.answer, route.timeouts.deadline),
        "keepalive": keepalive,
    }  # fmt: skip


def plain(drawn):
    """Without what is no value: replies by what they say, strategies by their numbers."""
    kind = drawn["fallback"]
    if kind is not None and kind[1] is not None:
        drawn["fallback"] = (kind[0], kind[1].status)
    drawn["balancer"] = (*drawn["balancer"][:2], {k: v for k, v in drawn["balancer"][2].items() if k != "alone"})
    for one, _ in drawn["backends"]:
        one.pop("upstream", None)
    return drawn


def of_runtime(upstream):
    """The portrait of what the door makes of a table."""
    said = {"servers": SERVERS, **upstream}
    runtime = Builder()(upstream={"a": said}, site={"s": site({"path": "/", "upstream": "a"})})
    route = route_of(runtime)
    pool = route.destination.backends[0].pool
    return plain(portrait(route.destination, route, (pool.keepalive, pool.idle_time)))


def of_laboratory(upstream):
    """The portrait of what the laboratory makes of it, for whatever door comes first."""
    said = {"servers": SERVERS, **upstream}
    world = World(
        of({"upstream": said, "strategies": said.get("balance", "round_robin")}), said.get("balance", "round_robin")
    )
    worker = world.doors.workers[0]
    way = Way(0.001, world.doors.table)
    return plain(portrait(worker.group, worker.route, (way.keepalive, way.idle)))


KEPT_ELSEWHERE = {"sticky.expires", "sticky.learn", "sticky.learn.timeout"}  # with the client, or in its session


@pytest.mark.parametrize("key", [key for key in WRITTEN if not key.startswith("health")])
def test_a_key_makes_the_same_in_both(key):
    here, there = of_laboratory(WRITTEN[key]), of_runtime(WRITTEN[key])
    assert here == there
    before = {"consistent": "hash", "random_by": "random_two", "least_time": "least_time", "inflight": "least_time"}
    base = (
        {"balance": before[key], **({"hash": "$remote_addr"} if key == "consistent" else {})} if key in before else {}
    )
    base = {**server(max_conns=1)} if key.startswith("queue") else base
    if key not in KEPT_ELSEWHERE:
        assert here != of_laboratory(base), "it says nothing"


@pytest.mark.parametrize("key", [key for key in WRITTEN if key.startswith("health")])
def test_checks_are_those_of_the_keeper(key):
    table = Upstream.model_validate({"servers": SERVERS, **WRITTEN[key]})
    wanted = check_of(table.health)
    world = World(of({"upstream": {"servers": SERVERS, **WRITTEN[key]}}), "round_robin")
    names = ("interval", "timeout", "rise", "fall", "jitter", "mandatory")
    assert [getattr(world.doors.check, name) for name in names] == [getattr(wanted, name) for name in names]


@pytest.mark.parametrize(
    ("sticky", "seconds"),
    [
        (WRITTEN["sticky"], float("inf")),
        (WRITTEN["sticky.expires"], 3600.0),
        ({"sticky": {"cookie": "a", "expires": "max"}}, float("inf")),
        (WRITTEN["sticky.learn.timeout"], 9.0),
    ],
)
def test_how_long_a_client_is_bound(sticky, seconds):
    world = World(of({"upstream": sticky}), "round_robin")
    assert world.doors.workers[0].group.balancer.learning.sessions.timeout == seconds


def test_a_door_waits_as_long_as_the_runtime():
    assert World(Scenario(), "random")._patience().answer == 120.0
    assert World(of({"timeout": "3s"}), "random")._patience().answer == 3.0
    per_try = of({"timeout": "3s", "upstream": {"retry": {"per_try": "1s"}}})
    assert World(per_try, "random")._patience().answer == 1.0


def test_what_makes_no_difference_is_said():
    said = {"servers": [{"address": "a:80", "resolve": True}], "tls": {}, "panic": 3, "health": {"path": "/"}}
    lines = unsimulated(said)
    assert [line.partition(":")[0] for line in lines] == ["upstream.servers.resolve", "upstream.tls"]
    assert all(len(line) > 30 for line in lines)
