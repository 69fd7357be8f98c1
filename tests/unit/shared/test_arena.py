"""Counters over processes."""

from __future__ import annotations

import os
import pickle

import pytest

from proxy.shared.arena import Arena, GaugeCells, Layout
from proxy.shared.memory import Memory

A, B = ("backend", "app", "a", "inflight"), ("backend", "app", "b", "inflight")
PASSED = ("limit", "per_ip", "passed")


def arena(rows=3, names=(A, B, PASSED), capacity=8):
    return Arena(Memory(Arena.size(rows, capacity)), rows, Layout(names, capacity))


def test_a_layout_grows_and_keeps_its_columns():
    layout = Layout([A, B])
    assert layout.add(*A) == 0
    assert layout.add(*PASSED) == 2
    layout.extend([PASSED, ("more",)])
    assert [layout.column(name) for name in (A, B, PASSED, ("more",))] == [0, 1, 2, 3]
    assert list(layout) == [A, B, PASSED, ("more",)]
    assert layout.under("backend", "app") == [A, B]
    with pytest.raises(KeyError):
        layout.column(("unknown",))


def test_a_full_layout_says_so_and_stays_as_it_was():
    layout = Layout([A], capacity=2)
    with pytest.raises(ValueError, match="3 columns and there is room for 2"):
        layout.extend([A, B, PASSED])
    assert list(layout) == [A]
    layout.extend([B])
    with pytest.raises(ValueError, match="restart"):
        Layout([A, B, PASSED], capacity=2)


def test_a_layout_travels():
    copy = pickle.loads(pickle.dumps(Layout([A, B], capacity=5)))
    assert list(copy) == [A, B]
    assert copy.capacity == 5


def test_totals_are_over_all_rows_the_keepers_included():
    shared = arena()
    for row in range(3):
        shared.cells(row)[shared.column(B)] += 10**row
    assert shared.total(B) == 111
    assert shared.total(A) == 0
    assert shared.keeper == 2


def test_old_cells_stay_valid_when_the_layout_grows():
    shared = arena(names=(A,))
    gauge = GaugeCells(shared, 0, A)
    gauge.add(2)
    shared.layout.extend([B])
    GaugeCells(shared, 1, B).add(5)
    gauge.add(1)
    assert (shared.total(A), shared.total(B), gauge.total()) == (3, 5, 3)


def test_too_little_memory_is_refused():
    with pytest.raises(ValueError, match="rows of counters need"):
        Arena(Memory(8), 2, Layout(capacity=8))


def test_workers_count_without_locks_and_all_see_the_total():
    shared = arena(rows=4)
    children = []
    for row in range(3):
        child = os.fork()
        if not child:
            gauge = GaugeCells(shared, row, A)
            for _ in range(20_000):
                gauge.add(1)
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    assert GaugeCells(shared, 3, A).total() == 60_000


def test_what_a_dead_worker_had_in_flight_can_be_cleared():
    shared = arena()
    dead, alive = GaugeCells(shared, 0, A), GaugeCells(shared, 1, A)
    dead.add(7)
    alive.add(2)
    shared.cells(0)[shared.column(PASSED)] = 40
    shared.clear(0, suffix="inflight")
    assert alive.total() == 2
    assert shared.total(PASSED) == 40
    shared.clear(0, [PASSED])
    assert shared.total(PASSED) == 0
    shared.cells(1)[shared.column(PASSED)] = 1
    shared.clear(1)
    assert shared.total(A) == shared.total(PASSED) == 0
