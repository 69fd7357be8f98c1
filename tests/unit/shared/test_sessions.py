"""Sessions in shared memory: found by all, forgotten in time, and bounded."""

from __future__ import annotations

import pytest

from proxy.shared.sessions import ID, Sessions, made


def test_a_session_leads_to_its_backend_in_every_worker():
    memory = made(64 << 10)
    one, other = Sessions(memory), Sessions(memory)
    one.learn(b"s", b"backend-1", 10.0, True)
    assert other.backend_of(b"s", 11.0) == b"backend-1"
    assert other.backend_of(b"t", 11.0) == b""
    other.learn(b"s", b"backend-2", 12.0, False)
    assert one.backend_of(b"s", 12.0) == b"backend-2"


def test_an_unknown_session_is_only_created_on_purpose():
    table = Sessions(made(64 << 10))
    table.learn(b"s", b"a", 10.0, False)
    assert table.backend_of(b"s", 10.0) == b""


def test_a_session_that_is_not_used_is_forgotten():
    table = Sessions(made(64 << 10), timeout=5.0)
    table.learn(b"s", b"a", 10.0, True)
    table.learn(b"s", b"a", 14.0, False)
    assert table.backend_of(b"s", 18.9) == b"a"
    assert table.backend_of(b"s", 19.0) == b""
    table.learn(b"s", b"b", 20.0, False)
    assert table.backend_of(b"s", 20.0) == b""


def test_ids_of_all_lengths_come_back():
    table = Sessions(made(64 << 10))
    for length in range(1, ID + 1):
        table.learn(b"s%d" % length, b"x" * length, 1.0, True)
    for length in range(1, ID + 1):
        assert table.backend_of(b"s%d" % length, 1.0) == b"x" * length


def test_a_full_table_keeps_the_newest():
    table = Sessions(made(8 << 10))
    for number in range(4 * table.capacity):
        table.learn(b"%d" % number, b"b%d" % (number % 3), float(number), True)
    last = 4 * table.capacity - 1
    assert table.backend_of(b"%d" % last, float(last)) == b"b%d" % (last % 3)
    known = sum(bool(table.backend_of(b"%d" % number, float(last))) for number in range(last + 1))
    assert table.capacity // 2 < known <= table.capacity


def test_too_little_memory_is_refused():
    with pytest.raises(ValueError, match="a table of sessions needs"):
        made(100)
