"""Rings and sheets that workers write and the keeper reads."""

from __future__ import annotations

import marshal
import os
import struct

import pytest

from proxy.shared import journal
from proxy.shared.journal import FAILED, HEAD, KEYS, LIVE, MOST, OFFSETS, RECENT, ROW, SLOT, Journals
from proxy.shared.memory import Memory


@pytest.fixture
def journals():
    return Journals(Memory(Journals.size(2)), 2)


def test_the_last_records_are_read_newest_first(journals):
    ring = journals.ring(1, RECENT, 3)
    for number in range(5):
        assert ring.write((number, b"x"))
    assert list(journals.records(1, RECENT)) == [(4, b"x"), (3, b"x"), (2, b"x")]
    assert list(journals.records(0, RECENT)) == [] == list(journals.records(1, FAILED))
    assert journals.last(1, RECENT) == 5 and journals.slots(1, RECENT) == 3


def test_records_are_found_by_what_they_contain(journals):
    ring = journals.ring(0, FAILED, 10)
    for name in (b"one", b"two", b"three"):
        ring.write((name,))
    assert list(journals.records(0, FAILED, b"two")) == [(b"two",)]


def test_a_successor_goes_on_behind_a_dead_writer(journals):
    journals.ring(0, RECENT, 4).write(("before",))
    journals.ring(0, RECENT, 4).write(("after",))
    assert list(journals.records(0, RECENT)) == [("after",), ("before",)]


def test_another_number_of_slots_never_gives_one_record_for_another(journals):
    for slots in (4, 7, 3, 9):
        ring = journals.ring(0, RECENT, slots)
        for number in range(6):
            ring.write((slots, number))
        found = list(journals.records(0, RECENT))
        assert found[: min(6, slots)] == [(slots, 5 - one) for one in range(min(6, slots))]


def test_no_slots_means_nothing_is_kept(journals):
    ring = journals.ring(0, RECENT, 0)
    assert not ring.write((1,)) and list(journals.records(0, RECENT)) == []
    with pytest.raises(ValueError, match="room for 5000"):
        journals.ring(0, RECENT, 5001)


def test_what_is_too_large_is_not_written(journals):
    ring = journals.ring(0, RECENT, 2)
    ring.write((1,))
    assert not ring.write((b"x" * MOST,))
    assert list(journals.records(0, RECENT)) == [(1,)]
    sheet = journals.sheet(0, KEYS)
    assert sheet.write(("old",)) and not sheet.write((b"x" * sheet.most,))
    assert journals.read(0, KEYS) == ("old",)


def test_a_sheet_is_written_anew_whole(journals):
    assert journals.read(1, LIVE) is None
    for number in range(3):
        journals.sheet(1, LIVE).write((number, ("long",) * (3 - number)))
    assert journals.read(1, LIVE) == (2, ("long",))


@pytest.mark.parametrize("part", ["head", "payload", "tail"])
def test_a_record_that_is_being_written_is_passed_over(journals, part):
    ring = journals.ring(0, RECENT, 2)
    ring.write((b"first",))
    ring.write((b"second",))
    at = OFFSETS[RECENT]  # of the second, whose number is 2
    payload = marshal.dumps((b"third.",))
    if part == "head":  # the writer has begun: the number in front is another already
        HEAD.pack_into(journals.map, at, 4, len(payload), 0)
    elif part == "payload":
        journals.map[at + journal.FRAME : at + journal.FRAME + 3] = b"\xff\xff\xff"
    else:
        struct.pack_into("<Q", journals.map, at + HEAD.size, 1)
    assert list(journals.records(0, RECENT)) == [(b"first",)]


def test_a_writer_that_died_in_the_middle_does_not_stop_the_next(journals):
    ring = journals.ring(0, RECENT, 1)
    ring.write((1,))
    HEAD.pack_into(journals.map, OFFSETS[RECENT], 2, 100, 0)
    assert list(journals.records(0, RECENT)) == []
    journals.ring(0, RECENT, 1).write((3,))
    assert list(journals.records(0, RECENT)) == [(3,)]


def test_readers_never_see_half_a_record_while_another_process_writes():
    journals = Journals(Memory(Journals.size(1)), 1)
    journals.ring(0, FAILED, 2)
    ready, go = os.pipe()
    child = os.fork()
    if not child:
        ring = journals.ring(0, FAILED, 2)
        os.write(go, b"x")
        for number in range(20_000):
            ring.write((number, b"%d" % number * (number % 50)))
        os._exit(0)
    os.read(ready, 1)
    seen = 0
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        for number, text in journals.records(0, FAILED):
            assert text == b"%d" % number * (number % 50)
            seen += 1
    assert seen or list(journals.records(0, FAILED))
    os.close(ready)
    os.close(go)


def test_a_row_has_no_part_twice():
    spans = sorted((OFFSETS[name], name) for name in OFFSETS)
    ends = [start for start, _ in spans[1:]] + [ROW]
    for (start, name), end in zip(spans, ends, strict=True):
        size = journal.RINGS[name] * SLOT if name in journal.RINGS else journal.SHEETS[name]
        assert start + size == end
    with pytest.raises(ValueError, match="journals need"):
        Journals(Memory(ROW), 2)
