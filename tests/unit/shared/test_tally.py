"""The tally, with real processes: exact between them, and after some of them were killed."""

from __future__ import annotations

import os
import random
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.shared import tally as module
from proxy.shared.memory import Memory
from proxy.shared.places import HEAD, SECRET, STRIPE_SIZE
from proxy.shared.tally import Tally, made, set_size, size_for

SMALLEST = HEAD + STRIPE_SIZE + 2 * set_size(4)  # one stripe of two sets


def tally(size=65536, rows=4):
    return Tally(made(size, rows), rows)


def reap(children):
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def forked(life):
    """A process that does `life` and ends; its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        life()
        code = 0
    finally:
        os._exit(code)


def killed_after(life):
    """Do `life(say)` in a process of its own, and kill -9 it as soon as it has said something."""
    told, tells = os.pipe()

    def whole():
        life(lambda: os.write(tells, b"1"))
        signal.pause()

    child = forked(whole)
    os.close(tells)
    heard = os.read(told, 1)
    os.kill(child, signal.SIGKILL)
    assert reap([child]) == [-signal.SIGKILL]
    assert heard == b"1"
    os.close(told)


def summed(one):
    """Whether sums, free places and counts of keys are what the rows say."""
    before = bytes(one.memory.map)
    for stripe in range(len(one.locks)):
        one.recount(stripe)
    return bytes(one.memory.map) == before


def test_no_more_than_most():
    one = tally()
    assert [one.take(b"a", 3, 0), one.take(b"a", 3, 1), one.take(b"a", 3, 2)] == [True] * 3
    assert not one.take(b"a", 3, 3)
    assert one.take(b"b", 3, 3)
    assert (one.count(b"a"), one.count(b"b"), one.count(b"c"), one.used()) == (3, 1, 0, 2)
    one.give_back(b"a", 1)
    assert one.take(b"a", 3, 3)
    assert not one.take(b"a", 2, 0)  # the limit has become smaller meanwhile
    assert not one.take(b"never", 0, 0)
    assert one.used() == 2
    assert one.full == 0


def test_a_place_is_free_when_nothing_of_its_key_is_in_use():
    one = tally(SMALLEST)
    for number in range(1_000):
        assert one.take(b"%d" % number, 1, number % 4)
        one.give_back(b"%d" % number, number % 4)
    assert all(one.is_idle(start) for start in one.starts(0))
    assert one.used() == 0


def test_what_was_not_taken_is_not_given_back():
    one = tally()
    one.give_back(b"a", 0)
    assert one.take(b"a", 2, 0)
    one.give_back(b"a", 1)  # another's row
    assert one.count(b"a") == 1
    one.give_back(b"a", 0)
    one.give_back(b"a", 0)
    assert (one.count(b"a"), one.used()) == (0, 0)


def test_a_row_that_is_not_there():
    one = tally()
    with pytest.raises(IndexError):
        one.take(b"a", 1, 4)
    assert one.take(b"a", 1, 3)  # and no lock is left behind
    assert summed(one)


def test_clearing_a_row_takes_its_share_and_nobody_elses():
    one = tally()
    for number in range(60):
        for row in range(4):
            for _ in range(1 + (number + row) % 3):
                assert one.take(b"%d" % number, 100, row)
    assert one.take(b"alone", 1, 2)
    one.clear(2)
    assert [one.count(b"%d" % number) for number in range(60)] == [
        sum(1 + (number + row) % 3 for row in (0, 1, 3)) for number in range(60)
    ]
    assert (one.count(b"alone"), one.used()) == (0, 60)
    assert summed(one)
    for row in (0, 1, 3):
        one.clear(row)
    assert one.used() == 0
    assert all(one.is_idle(start) for stripe in range(len(one.locks)) for start in one.starts(stripe))


def test_a_full_tally_refuses_new_keys_and_counts_the_known():
    one = tally(SMALLEST)
    assert one.capacity == 16
    assert all(one.take(b"%d" % number, 5, 0) for number in range(16))
    assert not one.take(b"new", 5, 0)
    assert (one.full, one.used()) == (1, 16)
    assert all(one.take(b"%d" % number, 5, 1) for number in range(16))
    one.give_back(b"new", 0)  # nothing happens to others
    one.give_back(b"7", 0)
    assert not one.take(b"new", 5, 0)
    one.give_back(b"7", 1)
    assert one.take(b"new", 5, 0)
    assert summed(one)


@pytest.mark.parametrize(("keys", "rows"), [(1, 1), (100, 9), (2_000, 9), (40_000, 3), (40_000, 8)])
def test_there_is_room_for_as_many_keys_as_were_asked_for(keys, rows):
    for seed in range(3):
        memory = Memory(size_for(keys, rows))
        memory.map[SECRET] = bytes([seed]) * 16  # the same luck in every run
        memory.map[24:32] = rows.to_bytes(8, "little")
        memory.map[: len(module.MARK)] = module.MARK
        one = Tally(memory, rows)
        assert one.capacity >= 2 * keys
        assert all(one.take(number.to_bytes(4, "big"), 1, number % rows) for number in range(keys))
        assert (one.used(), one.full) == (keys, 0)


KEYS = [b"%d" % number for number in range(12)]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "take", "give", "give", "clear"]), st.sampled_from(KEYS), st.integers(0, 3)
    ),
    max_size=120,
)


@given(steps=STEPS, most=st.integers(0, 6), rows=st.integers(4, 7))
def test_like_a_dictionary(steps, most, rows):
    one = tally(HEAD + STRIPE_SIZE + 2 * set_size(rows), rows)
    model = {}
    for what, key, row in steps:
        if what == "take":
            free = sum(model.get((key, other), 0) for other in range(4)) < most
            assert one.take(key, most, row) == free
            if free:
                model[key, row] = model.get((key, row), 0) + 1
        elif what == "give":
            one.give_back(key, row)
            model[key, row] = max(0, model.get((key, row), 0) - 1)
        else:
            one.clear(row)
            model = {place: number for place, number in model.items() if place[1] != row}
    counts = {key: sum(model.get((key, row), 0) for row in range(4)) for key in KEYS}
    assert {key: one.count(key) for key in KEYS} == counts
    assert one.used() == sum(number > 0 for number in counts.values())
    assert summed(one)


def test_exactly_so_many_of_four_racing_processes():
    one = tally()
    gate, opener = os.pipe()
    told, tells = os.pipe()

    def race(row):
        os.close(opener)
        os.read(gate, 1)
        os.write(tells, sum(one.take(b"10.0.0.1", 101, row) for _ in range(2_000)).to_bytes(2, "big"))

    children = [forked(lambda row=row: race(row)) for row in range(4)]
    os.close(opener)
    assert reap(children) == [0] * 4
    heard = os.read(told, 8)
    assert sum(int.from_bytes(heard[at : at + 2], "big") for at in range(0, 8, 2)) == one.count(b"10.0.0.1") == 101
    for end in (gate, told, tells):
        os.close(end)


def test_processes_that_take_and_give_back_leave_nothing():
    """Each holds at most 2 of a key; with a limit of 5 over 4 of them some are refused, and all count exactly."""
    one = tally(SMALLEST)
    keys = [b"%d" % number for number in range(10)]

    def life(row):
        rng = random.Random(row)
        held = []
        for _ in range(5_000):
            key = rng.choice(keys)
            if held.count(key) < 2 and one.take(key, 5, row):
                held.append(key)
                assert one.count(key) <= 5
            if len(held) > 8:
                one.give_back(held.pop(rng.randrange(len(held))), row)
        for key in held:
            one.give_back(key, row)

    children = [forked(lambda row=row: life(row)) for row in range(4)]
    assert reap(children) == [0] * 4
    assert one.used() == 0
    assert all(one.is_idle(start) for start in one.starts(0))


def test_a_killed_holders_share_is_gone_once_its_row_is_cleared():
    one = tally()
    assert one.take(b"a", 5, 0)

    def life(say):
        for _ in range(4):
            assert one.take(b"a", 5, 1)
        assert one.take(b"b", 5, 1)
        say()

    killed_after(life)
    assert (one.count(b"a"), one.count(b"b"), one.used()) == (5, 1, 2)
    assert not one.take(b"a", 5, 2)
    one.clear(1)
    assert (one.count(b"a"), one.count(b"b"), one.used()) == (1, 0, 1)
    assert [one.take(b"a", 5, 2) for _ in range(5)] == [True] * 4 + [False]


@pytest.mark.parametrize("first", ["take", "clear"])
def test_a_worker_killed_inside_the_lock_leaves_right_counts(first):
    """It dies after it has counted in its row and before the sum; whoever comes next finds and mends that."""
    one = tally(SMALLEST)
    assert one.take(b"a", 9, 0)

    def life(say):
        assert one.take(b"a", 9, 1)
        one.locks[0].acquire()
        cell = one.search(*one.place(b"a")[::3], one.place(b"a")[4]) >> 2
        one.counts[cell + one.rows[1]] += 1
        one.insert(one.place(b"b"))  # and a key with nothing in use yet
        say()

    killed_after(life)
    if first == "take":
        assert one.take(b"a", 9, 2)
        assert (one.count(b"a"), one.count(b"b"), one.used()) == (4, 0, 1)
        one.clear(1)
    else:
        one.clear(1)
        assert one.take(b"a", 9, 2)
    assert (one.count(b"a"), one.used()) == (2, 1)
    assert summed(one)


def test_workers_killed_at_any_moment_leave_nothing_behind():
    one = tally(SMALLEST)
    assert one.take(b"kept", 3, 0)
    for turn in range(20):

        def life(say, turn=turn):
            number = 0
            while True:
                number += 1
                key = b"%d" % (number % 11)
                if number % 3:
                    one.take(key, 2, 1)
                else:
                    one.give_back(key, 1)
                if number == 20 + turn:
                    say()

        killed_after(life)
        one.clear(1)
        assert (one.count(b"kept"), one.used()) == (1, 1)
        assert summed(one)


def test_who_attaches_finds_the_same_counts():
    one = tally()
    assert one.take(b"a", 1, 0)
    other = Tally(Memory(one.memory.size, os.dup(one.memory.fd)), 4)
    assert not other.take(b"a", 1, 1)
    other.clear(0)
    assert one.take(b"a", 1, 1)
    with pytest.raises(ValueError, match=r"made for 4 rows \(got 5\)"):
        Tally(one.memory, 5)


def test_a_hash_that_only_looks_like_one_across_two_is_passed_over():
    one = tally(SMALLEST)
    digest, _, _, first, _ = one.place(b"key")
    one.memory.map[first + 4 : first + 12] = digest
    assert one.count(b"key") == 0
    assert one.take(b"key", 1, 0)
    assert not one.take(b"key", 1, 0)
    assert one.count(b"key") == 1
    one.give_back(b"key", 0)
    assert one.count(b"key") == 0


def test_long_keys_are_counted_and_not_remembered():
    one = tally()
    assert one.take(b"k" * 5_000, 1, 0)
    assert not one.take(b"k" * 5_000, 1, 0)
    assert one.places == {}


def test_without_robust_locks_clearing_mends_what_a_killed_worker_left(monkeypatch):
    monkeypatch.setattr(module, "HAS_ROBUST", False)
    one = tally(SMALLEST)
    assert one.take(b"a", 9, 0)
    assert one.take(b"a", 9, 1)
    cell = one.search(*one.place(b"a")[::3], one.place(b"a")[4]) >> 2
    one.counts[cell + one.rows[1]] += 1
    one.clear(1)
    assert one.count(b"a") == 1
    assert summed(one)


def test_too_little_memory_and_no_rows_are_refused():
    with pytest.raises(ValueError, match="a tally of 4 rows needs at least"):
        made(HEAD + STRIPE_SIZE, 4)
    with pytest.raises(ValueError, match="at least 1 row"):
        made(65536, 0)
