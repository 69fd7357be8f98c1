"""What the operator says of backends reaches a worker at its next tick, and costs a look otherwise."""

from __future__ import annotations

from types import SimpleNamespace

from proxy.build.steering import DEEDS, Steering
from proxy.clock import Clock, Parking
from proxy.policy.backend import Backend
from proxy.policy.balance.round_robin import RoundRobin
from proxy.policy.breaker import OPEN, Breaker, LocalRecord, Settings
from proxy.shared.arena import Arena, Layout
from proxy.shared.memory import Memory
from proxy.upstream.group import Group

ADDRESSES = ("a:1", "b:1")
WORDS = ("weight", "pardons", "disabled")


class House:
    """One group, its operator's cells, and what was made anew."""

    def __init__(self, weight=1, fine=1):
        names = [DEEDS, *(("backend", "app", address, word) for address in ADDRESSES for word in WORDS)]
        self.arena = Arena(Memory(Arena.size(3)), 3, Layout(names))
        self.backends = [Backend(address, weight=weight) for address in ADDRESSES]
        for backend in self.backends:
            backend.whole = backend.weight = backend.effective = weight * fine
            backend.pool = Pool()
        self.group = Group("app", self.backends, RoundRobin(self.backends, Clock()), Parking(lambda at: None))
        self.remade = []
        self.begin()

    def begin(self):
        place = SimpleNamespace(arena=self.arena)
        self.steering = Steering(place, {"app": self.group}, {"app": self.remade.append})

    def say(self, word, number, address="a:1"):
        cells = self.arena.cells(self.arena.keeper)
        cells[self.arena.column(("backend", "app", address, word))] = number
        cells[self.arena.column(DEEDS)] += 1

    def look(self, now=100.0):
        self.steering.look(now)


class Pool:
    """Idle links that can be closed."""

    def __init__(self):
        self.links = [SimpleNamespace(close=lambda: self.links.pop()) for _ in range(3)]

    @property
    def idle(self):
        return len(self.links)

    def coldest(self):
        return self.links[0] if self.links else None


def test_a_weight_is_another_until_it_is_taken_back():
    house = House(weight=2)
    house.look()
    house.say("weight", 7)
    house.look()
    first = house.backends[0]
    assert (first.nominal, first.weight, first.effective, first.current) == (7, 7, 7, 0)
    assert house.remade == [house.backends] and house.backends[1].weight == 2
    house.look()
    assert len(house.remade) == 1  # nothing was said
    house.say("weight", 0)
    house.look()
    assert (first.nominal, first.weight) == (2, 2) and len(house.remade) == 2


def test_parts_of_a_weight_stay_as_fine():
    house = House(weight=2, fine=100)
    house.say("weight", 3)
    house.look()
    assert (house.backends[0].nominal, house.backends[0].whole) == (3, 300)


def test_a_new_worker_finds_weights_but_does_not_repeat_pardons():
    house = House()
    house.say("weight", 4)
    house.say("pardons", 2)
    house.backends[0].fails = 3
    house.begin()
    house.look()
    assert house.backends[0].weight == 4 and house.backends[0].fails == 3
    house.say("pardons", 3)
    house.look()
    assert house.backends[0].fails == 0


def test_a_pardon_forgets_failures_and_closes_the_breaker_of_that_one_alone():
    house = House()
    house.look()
    for backend in house.backends:
        backend.configure(weight=1, max_fails=1, fail_timeout=600.0, max_conns=0, backup=False, down=False)
        backend.breaker = Breaker(Settings(failures=1), LocalRecord())
        backend.guard()
        assert backend.take(100.0)
        backend.settle(100.0, True, True, backend.breaker.claim(100.0), "connect")
    assert [backend.breaker.state for backend in house.backends] == [OPEN, OPEN]
    house.say("pardons", 1)
    house.look()
    first, second = house.backends
    assert first.eligible(100.0) and first.effective == 1 and not first.breaker.state
    assert first.breaker.events[-1].reason == "the operator has closed it"
    assert not second.eligible(100.0)


def test_idle_connections_to_a_disabled_backend_are_closed():
    house = House()
    house.look()
    house.say("disabled", 1)
    house.look()
    assert [backend.pool.idle for backend in house.backends] == [0, 3]


def test_members_that_come_later_get_what_was_said():
    house = House()
    house.group.members = object()
    house.begin()
    house.say("weight", 4)
    house.look()
    fresh = Backend("c:1")
    fresh.key, fresh.pool = "a:1", Pool()
    house.group.backends = (fresh, house.backends[1])
    house.look()
    assert fresh.weight == 4
