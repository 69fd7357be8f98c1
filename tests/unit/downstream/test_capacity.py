"""Places for client connections: how many, who gives way, and whose address is counted."""

from __future__ import annotations

import pytest

from proxy.clock import NEVER
from proxy.downstream.capacity import LOOKED_AT, Capacity, key_of
from proxy.parties import Client

NOW = 1000.0


class Tally:
    def __init__(self):
        self.counts = {}

    def take(self, key, most, row):
        if self.counts.get(key, 0) >= most:
            return False
        self.counts[key] = self.counts.get(key, 0) + 1
        return True

    def give_back(self, key, row):
        self.counts[key] -= 1


class Guest:
    """A connection that is idle since so many seconds, or busy (None)."""

    def __init__(self, idle, served=True):
        self.idle_since = NEVER if idle is None else NOW - idle
        self.served = served
        self.gone = False

    def give_way(self):
        assert not self.gone
        self.gone = True
        self.idle_since = NEVER


def client(number=1):
    return Client(b"192.0.2.%d" % number, bytes((192, 0, 2, number)), b"http", b"")


def full(*guests, most=None, per_address=0):
    """A worker all of whose places these have."""
    capacity = Capacity(Tally(), 0)
    capacity.configure(len(guests) if most is None else most, per_address)
    for guest in guests:
        assert capacity.admits(guest, client(), NOW)
    return capacity


@pytest.mark.parametrize(
    ("guests", "gives_way"),
    [
        ([Guest(5), Guest(70), Guest(30)], 1),
        ([Guest(8, served=False), Guest(2), Guest(3)], 2),  # whoever was served comes back on another connection
        ([Guest(8, served=False), Guest(9, served=False), Guest(None)], 1),
        ([Guest(0.1, served=False), Guest(0.2), Guest(0.5, served=False)], 1),
        ([Guest(0.1, served=False), Guest(0.9, served=False), Guest(None)], None),  # they have just come
        ([Guest(None), Guest(None)], None),
    ],
)
def test_who_gives_way(guests, gives_way):
    capacity = full(*guests)
    newcomer = Guest(0, served=False)
    assert capacity.admits(newcomer, client(), NOW) is (gives_way is not None)
    assert [number for number, guest in enumerate(guests) if guest.gone] == ([] if gives_way is None else [gives_way])
    assert capacity.taken == len(guests) + (gives_way is not None)  # the place is free when the descriptor is closed
    for guest in guests:
        capacity.leave(guest)
    assert capacity.taken == (gives_way is not None)


def test_a_newcomer_is_not_pushed_out_by_the_next():
    idle = [Guest(60) for _ in range(10)]
    capacity = full(*idle)
    newcomers = [Guest(0, served=False) for _ in range(12)]
    admitted = [capacity.admits(one, client(), NOW) for one in newcomers]
    assert admitted == [True] * 10 + [False] * 2 and all(one.gone for one in idle)
    assert not any(one.gone for one in newcomers)


def test_others_are_looked_at_each_time():
    busy = [Guest(None) for _ in range(LOOKED_AT * 2)]
    idle = Guest(30)
    capacity = full(*busy, idle)
    tries = [capacity.admits(Guest(0, served=False), client(), NOW) for _ in range(3)]
    assert tries == [False, False, True] and idle.gone


def test_nobody_gives_way_for_an_address_that_has_enough():
    innocent = Guest(30)
    capacity = full(innocent, most=2, per_address=1)
    assert capacity.admits(Guest(0), client(2), NOW)
    for _ in range(3):
        assert not capacity.admits(Guest(0), client(2), NOW)
    assert not innocent.gone and capacity.taken == 2


def test_an_address_for_which_there_is_no_place_is_not_counted():
    capacity = full(Guest(None), per_address=5)
    assert not capacity.admits(Guest(0), client(2), NOW)
    assert capacity._tally.counts == {key_of(client(1)): 1, key_of(client(2)): 0}


def test_a_place_is_handed_on_and_given_back_once():
    first, heir = Guest(0), Guest(0)
    capacity = full(first, most=5, per_address=5)
    capacity.succeed(first, heir)
    capacity.leave(first)
    assert capacity.taken == 1 and capacity._tally.counts[key_of(client())] == 1
    capacity.leave(heir)
    capacity.leave(heir)
    capacity.succeed(heir, first)  # which had none
    assert capacity.taken == 0 and capacity._tally.counts[key_of(client())] == 0
