"""Servers that are names: members come and go, and keep what they are while they are found."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from proxy.policy.backend import Backend
from proxy.upstream import members as module
from proxy.upstream.dns import Found, Missing, Service
from proxy.upstream.members import AGAIN, Member, Members, Named, service_name


class Finder:
    """Answers what it is told to."""

    timeout = 30.0

    def __init__(self):
        self.names = {}
        self.records = {}

    async def found(self, name):
        return Found(self._said(self.names, name), 0.0)

    async def services(self, name):
        return sorted(self._said(self.records, name)), 0.0

    def _said(self, table, name):
        found = table.get(name, Missing(f"{name} could not be resolved"))
        if isinstance(found, Exception):
            raise found
        return found


class Scene:
    """A group with one fixed backend and one name."""

    def __init__(self, service="", monkeypatch=None):
        self.finder = Finder()
        self.changes = []
        self.now = 100.0
        monkeypatch.setattr(module, "monotonic", lambda: self.now)
        self.fixed = backend("10.9.9.9:9")
        self.name = Named("app.test", 80, service, self.make)
        self.members = Members([self.fixed, self.name], self.finder, lambda found: self.changes.append(texts(found)))

    def make(self, member, old):
        made = old or backend(member.address)
        made.weight, made.backup, made.server = member.weight, member.backup, member.server
        return made

    def look(self, *addresses):
        if addresses:
            self.finder.names["app.test"] = addresses

        async def turn():
            self.members.tick(self.now)
            for named in self.members.named:
                if named.query is not None:
                    await named.query

        asyncio.run(turn())

    @property
    def addresses(self):
        return texts(self.members.backends())


def backend(address):
    pool = SimpleNamespace(closed=False)
    pool.close = lambda: setattr(pool, "closed", True)
    return Backend(address, pool=pool)


def texts(backends):
    return [one.address for one in backends]


@pytest.fixture
def scene(monkeypatch):
    return Scene(monkeypatch=monkeypatch)


def test_members_come_and_go_and_stay_who_they_are(scene):
    scene.look("10.0.0.1", "::1")
    assert scene.changes == [["10.9.9.9:9", "10.0.0.1:80", "[::1]:80"]]
    first, second = scene.members.backends()[1:]
    scene.now += AGAIN
    scene.look("::1", "10.0.0.3")
    assert scene.addresses == ["10.9.9.9:9", "[::1]:80", "10.0.0.3:80"]
    assert scene.members.backends()[1] is second and first.pool.closed and not second.pool.closed
    scene.now += AGAIN
    scene.look("10.0.0.3", "::1")  # a shuffle is no change
    assert len(scene.changes) == 2


def test_nobody_is_asked_before_it_is_due(scene):
    scene.look("10.0.0.1")
    scene.now += AGAIN / 2
    scene.look("10.0.0.2")
    assert scene.addresses[1:] == ["10.0.0.1:80"]


def test_a_failure_leaves_the_members_and_a_name_that_is_gone_takes_them(scene):
    scene.look("10.0.0.1")
    scene.now += AGAIN
    scene.finder.names["app.test"] = OSError("SERVFAIL")
    scene.look()
    assert scene.addresses[1:] == ["10.0.0.1:80"] and scene.name.due == scene.now + 30.0
    scene.now += 30.0
    scene.finder.names["app.test"] = Missing("NXDOMAIN")
    scene.look()
    assert scene.addresses == ["10.9.9.9:9"] and scene.name.due == scene.now + AGAIN


def test_who_has_gone_is_remembered_until_it_is_done(scene):
    scene.look("10.0.0.1")
    gone = scene.members.backends()[1]
    gone.taken = 1
    scene.now += AGAIN
    scene.look("10.0.0.2")
    assert scene.members.gone == [gone]
    gone.settled = 1
    scene.members.tick(0.0)
    assert scene.members.gone == [gone]  # its counts are not told
    gone.reported = (1, 0)
    scene.members.tick(0.0)
    assert not scene.members.gone


def test_a_reload_begins_with_the_members_of_before(scene):
    scene.look("10.0.0.1", "10.0.0.2")
    again = Named("app.test", 80, "", scene.make)
    after = Members([again], scene.finder, lambda found: None)
    after.adopt(scene.members)
    scene.members.close(after)
    assert texts(after.backends()) == ["10.0.0.1:80", "10.0.0.2:80"]
    assert not any(one.pool.closed for one in after.backends())
    other = Members([Named("other.test", 80, "", scene.make)], scene.finder, lambda found: None)
    other.adopt(after)
    after.close(other)
    assert not other.backends() and all(one.pool.closed for one in after.backends())


def test_whoever_rests_asks_nobody_and_keeps_its_members(scene):
    scene.look("10.0.0.1")
    scene.members.rest()
    scene.now += 100.0
    scene.look("10.0.0.2")
    assert scene.addresses[1:] == ["10.0.0.1:80"] and not scene.members.backends()[1].pool.closed


def test_a_reload_with_another_port_keeps_the_addresses(scene):
    scene.look("10.0.0.1", "::1")
    after = Members([Named("app.test", 81, "", scene.make)], scene.finder, lambda found: None)
    after.adopt(scene.members)
    assert texts(after.backends()) == ["10.0.0.1:81", "[::1]:81"]


def test_services_have_ports_weights_and_backups(monkeypatch):
    scene = Scene("http", monkeypatch)
    scene.finder.records["_http._tcp.app.test"] = [Service(1, 5, "a.test", 81), Service(2, 0, "b.test", 82)]
    scene.finder.names |= {"a.test": ("10.0.0.1", "10.0.0.2"), "b.test": ("10.0.0.3",)}
    scene.look()
    assert list(scene.name.members) == [
        Member("10.0.0.1:81", "a.test", 5),
        Member("10.0.0.2:81", "a.test", 5),
        Member("10.0.0.3:82", "b.test", 1, True),
    ]


@pytest.mark.parametrize(("error", "left"), [(OSError("SERVFAIL"), 1), (Missing("NXDOMAIN"), 0)])
def test_a_service_without_any_of_its_hosts(monkeypatch, error, left):
    scene = Scene("http", monkeypatch)
    scene.finder.records["_http._tcp.app.test"] = [Service(1, 1, "a.test", 81)]
    scene.finder.names["a.test"] = ("10.0.0.1",)
    scene.look()
    scene.now += AGAIN
    scene.finder.names["a.test"] = error
    scene.look()
    assert len(scene.addresses[1:]) == left


def test_the_same_record_twice_is_two_members(monkeypatch):
    scene = Scene("http", monkeypatch)
    scene.finder.records["_http._tcp.app.test"] = [Service(1, 1, "a.test", 81)] * 2
    scene.finder.names["a.test"] = ("10.0.0.1",)
    scene.look()
    assert scene.addresses[1:] == ["10.0.0.1:81"] * 2


def test_a_service_without_one_of_its_hosts(monkeypatch):
    scene = Scene("http", monkeypatch)
    scene.finder.records["_http._tcp.app.test"] = [Service(1, 1, "a.test", 81), Service(1, 1, "b.test", 82)]
    scene.finder.names["b.test"] = ("10.0.0.3",)
    scene.look()
    assert scene.addresses[1:] == ["10.0.0.3:82"]


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("http", "_http._tcp.app.test"),
        ("_http._tcp", "_http._tcp.app.test"),
        ("one.backend", "one.backend.app.test"),
    ],
)
def test_names_of_services(service, name):
    assert service_name(service, "app.test") == name
