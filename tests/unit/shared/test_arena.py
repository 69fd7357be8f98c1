"""Counters over processes."""

from __future__ import annotations

import os
import pickle
import signal

import pytest

from proxy.shared.arena import Arena, GaugeCells, HeadCells, Layout
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


def test_a_claim_goes_no_further_than_its_bound():
    cells = arena()
    one, other = GaugeCells(cells, 0, A), GaugeCells(cells, 1, A)
    assert [one.claim(2), other.claim(2), one.claim(2), other.claim(2)] == [True, True, False, False]
    other.add(-1)
    assert one.claim(2) and (one.total(), other.total()) == (2, 2)
    assert not GaugeCells(cells, 0, B).claim(0)


def test_of_processes_that_hammer_one_place_never_two_have_it():
    """Each holds the place while it writes its number down and looks whether it stands; so two would be seen."""
    cells = arena(rows=5)
    paper = Memory(8)
    told, tells = os.pipe()
    children = []
    for row in range(4):
        child = os.fork()
        children.append(child)
        if not child:
            code = 1
            try:
                code = hammer(GaugeCells(cells, row, A), row + 1, paper.map, tells)
            finally:
                os._exit(code)
    os.close(tells)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    assert len(os.read(told, 64)) == 4  # everybody got it now and then
    assert cells.total(A) == 0
    os.close(told)


class Slow:
    """Cells that take a while to read, so that others come in between if they can."""

    def __init__(self, cells):
        self.cells = cells

    def __iter__(self):
        numbers = list(self.cells)
        os.sched_yield()
        return iter(numbers)


def hammer(gauge, number, paper, tells):
    """Take the only place 1,000 times; gives how often somebody else was there too."""
    gauge.over_rows = Slow(gauge.over_rows)
    had = crowded = 0
    while had < 1_000:
        if not gauge.claim(1):
            os.sched_yield()
            continue
        crowded += paper[0] != 0
        paper[0] = number
        os.sched_yield()
        crowded += paper[0] != number
        paper[0] = 0
        gauge.add(-1)
        had += 1
    os.write(tells, b"1")
    return min(crowded, 100)


def test_a_process_killed_inside_a_claim_does_not_stop_the_others():
    cells = arena()
    gauge, dead = GaugeCells(cells, 0, A), GaugeCells(cells, 1, A)
    child = os.fork()
    if not child:
        dead.lock.acquire()
        dead.add(1)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not gauge.claim(1)
    cells.clear(1, suffix=A[-1])  # as the master does
    assert gauge.claim(1) and not gauge.claim(1)


def test_who_attaches_shares_the_locks():
    cells = arena()
    again = Arena(cells.memory, cells.rows, cells.layout)
    assert GaugeCells(cells, 0, A).claim(1) and not GaugeCells(again, 1, A).claim(1)


# --- who waits ------------------------------------------------------------------------------------------------------


def heads(rows=3):
    upstream = ("upstream", "app")
    shared = arena(rows, [(*upstream, "waits_since_us"), (*upstream, "looked_us")])
    return [HeadCells(shared, row, upstream) for row in range(rows)]


def test_the_oldest_of_all_is_first():
    one, two, _ = heads()
    assert one.oldest(100.0, 6.0) == -1
    two.set(98_000_000, 100.0)
    one.set(99_000_000, 100.0)
    assert one.oldest(100.0, 6.0) == two.oldest(100.0, 6.0) == two.row() == 1
    two.set(0, 100.0)
    assert one.oldest(100.0, 6.0) == 0


def test_a_worker_that_stands_still_keeps_nobody_waiting():
    one, two, _ = heads()
    two.set(98_000_000, 100.0)
    one.set(99_500_000, 101.0)
    assert one.oldest(101.0, 6.0) == 1
    assert one.oldest(101.1, 6.0) == 0  # the other has said nothing for more than a second
    assert two.oldest(101.1, 6.0) == 1  # to itself it is as old as ever
    two.set(98_000_000, 101.2)
    assert one.oldest(101.2, 6.0) == 1


def test_what_has_waited_for_too_long_is_looked_after_by_nobody():
    one, two, _ = heads()
    two.set(98_000_000, 104.1)
    assert one.oldest(104.1, 6.0) == -1 and one.oldest(103.9, 6.0) == 1 and two.oldest(104.1, 6.0) == 1
