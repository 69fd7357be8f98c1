"""The wheel and the parking place."""

from __future__ import annotations

from proxy.clock import Clock, Parking, Wheel


class Thing:
    def __init__(self, due):
        self.due = due
        self.told = []

    def expired(self, now):
        self.told.append(now)
        self.due = float("inf")


def test_the_wall_clock():
    assert Clock(5.0, 100.0).wall == 105.0


def test_each_is_told_once_within_a_turn():
    wheel = Wheel()
    things = [Thing(due) for due in (1.0, 2.0, 3.0, 99.0) * 5]
    for thing in things:
        wheel.add(thing)
    for tick in range(1, 60):
        wheel.tick(tick / 10)
    for thing in things:
        if thing.due == 99.0:
            assert not thing.told
        else:
            assert len(thing.told) == 1
    assert all(1.0 <= thing.told[0] <= 3.6 for thing in things if thing.told)


def test_a_thing_that_leaves_is_not_told():
    wheel = Wheel(1)
    one, other = Thing(1.0), Thing(1.0)
    wheel.add(one)
    wheel.add(other)
    wheel.discard(one)
    wheel.tick(2.0)
    assert not one.told and other.told


def test_things_may_come_and_go_while_others_are_told():
    wheel = Wheel(1)

    class Mother(Thing):
        def expired(self, now):
            super().expired(now)
            wheel.add(Thing(1.0))
            wheel.discard(self)

    for _ in range(10):
        wheel.add(Mother(1.0))
    wheel.tick(2.0)
    wheel.tick(2.0)


def test_parking_wakes_in_order_with_one_alarm():
    alarms, woken = [], []
    parking = Parking(alarms.append)
    for at, name in ((5.0, "a"), (3.0, "b"), (5.0, "c"), (4.0, "d")):
        parking.park(at, lambda name=name: woken.append(name))
    assert alarms == [5.0, 3.0] and len(parking) == 4
    parking.ring(2.9)
    assert not woken and alarms[-1] == 3.0
    parking.ring(4.0)
    assert woken == ["b", "d"] and alarms[-1] == 5.0
    parking.ring(9.0)
    assert woken == ["b", "d", "a", "c"] and not len(parking)


def test_parking_again_while_waking():
    alarms, woken = [], []
    parking = Parking(alarms.append)
    parking.park(1.0, lambda: parking.park(2.0, lambda: woken.append("again")))
    parking.ring(1.0)
    assert alarms == [1.0, 2.0] and not woken
    parking.ring(2.0)
    assert woken == ["again"]
