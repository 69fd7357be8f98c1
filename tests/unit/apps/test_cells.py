"""What stands in shared memory of seats, and who goes by it."""

from __future__ import annotations

from time import monotonic

import pytest

from proxy import ledger
from proxy.apps.cells import Cells, hold
from proxy.apps.standing import apps, serving, vacant
from proxy.config.app import seat
from proxy.config.model import Model
from proxy.policy import seats
from proxy.policy.standing import AWAITED, UNPROVEN, WELL
from proxy.shared.arena import Arena, Layout, SignCells
from proxy.shared.memory import Memory

MODEL = Model.model_validate({"runtime": "/r", "app": {"main": {"app": "main:app", "workers": 2}}})
ROWS = 4  # two workers, the supervisor, the keeper


@pytest.fixture
def arena():
    layout = Layout(ledger.counters(MODEL))
    return Arena(Memory(Arena.size(ROWS, layout.capacity)), ROWS, layout)


def cells(arena, number):
    return Cells(arena, "main", number, seat("/r", "main", number))


def signs(arena, number):
    return SignCells(arena, 0, ("backend", "main", seat("/r", "main", number)))


def test_nobody_asks_a_seat_of_which_nothing_is_known(arena):
    hold(arena, "main", [server.address for server in MODEL.upstream["main"].servers])
    assert [signs(arena, number).health() for number in range(3)] == [UNPROVEN] * 3
    cells(arena, 1).open()
    hold(arena, "main", [server.address for server in MODEL.upstream["main"].servers])
    assert signs(arena, 1).health() == WELL  # one that serves goes on


def test_the_doors_workers_see_what_the_supervisor_says(arena):
    one = cells(arena, 0)
    one.open()
    assert (signs(arena, 0).health(), signs(arena, 0).drained(), one.is_open()) == (WELL, False, True)
    one.drain()
    assert signs(arena, 0).drained()
    one.shut()
    assert (signs(arena, 0).health(), signs(arena, 0).drained(), one.is_open()) == (UNPROVEN, False, False)
    one.shut(awaited=True)
    assert (signs(arena, 0).health(), one.is_open()) == (AWAITED, False)


def test_an_operators_drain_is_another_one(arena):
    arena.cells(arena.keeper)[arena.column(("backend", "main", seat("/r", "main", 0), "drain"))] = 1
    cells(arena, 0).open()
    assert signs(arena, 0).drained()


def test_it_is_seen_when_all_who_are_awake_have_looked(arena):
    one, now = cells(arena, 0), monotonic()
    looked = arena.column(("worker", "looked_us"))
    assert one.seen(now)  # nobody serves
    arena.cells(0)[looked] = int((now + 0.1) * 1e6)
    arena.cells(1)[looked] = int((now - 0.1) * 1e6)
    assert not one.seen(now)
    arena.cells(1)[looked] = int((now - 60) * 1e6)  # stopped, or dead
    assert one.seen(now)


def test_what_others_are_shown(arena):
    for number, state in enumerate((seats.SERVING, seats.VACANT, seats.BROKEN)):
        cells(arena, number).state(state)
    one = cells(arena, 0)
    one["pid"], one["taken"] = 4711, 5
    arena.cells(0)[arena.column(("backend", "main", one.address, "taken"))] = 12
    arena.cells(1)[arena.column(("backend", "main", one.address, "inflight"))] = 3
    [found] = apps(arena, MODEL)
    assert [(worker["name"], worker["state"]) for worker in found["workers"]] == [
        ("main.0", "serving"),
        ("main.2", "broken"),
    ]
    assert (found["workers"][0]["pid"], found["workers"][0]["requests"]) == (4711, 7)
    assert found["workers"][0]["in_flight"] == one.in_flight() == 3
    assert serving(arena, MODEL, "main") == {"main.0": one.address}
    assert [vacant(arena, MODEL, "main", seat("/r", "main", number)) for number in range(3)] == [False, True, False]
    assert not vacant(arena, MODEL, "other", "127.0.0.1:1")
