"""The table of breakers, with real processes."""

from __future__ import annotations

import os
import signal

import pytest

from proxy.policy.breaker import CLOSED, CONSECUTIVE, NO_TICKET, OPEN, PROBING, Breaker, Settings
from proxy.shared.breakers import HEAD, RECORD_SIZE, Breakers
from proxy.shared.lock import SIZE as LOCK_SIZE
from proxy.shared.memory import Memory

APP = "app 127.0.0.1:8001"


def table(capacity=8):
    return Breakers(Memory(Breakers.size(capacity)), capacity)


def breaker(breakers, name=APP, **words):
    return Breaker(Settings(**words), breakers.record(name))


def opened(breakers, **words):
    """A breaker that opened at 0.0."""
    one = breaker(breakers, failures=1, recovery=1.0, **words)
    one.failure(0.0, one.claim(0.0))
    assert one.state == OPEN
    return one


def reap(children):
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


class Pipe:
    """One end tells the other."""

    def __init__(self):
        self.told, self.tells = os.pipe()

    def tell(self, word):
        os.write(self.tells, word)

    def hear(self, number=1):
        return b"".join(os.read(self.told, 1) for _ in range(number))


@pytest.fixture
def pipe():
    made = Pipe()
    yield made
    os.close(made.told)
    os.close(made.tells)


def killed(doing, pipe):
    """A child that does something, says so, and is killed."""
    child = os.fork()
    if not child:
        doing()
        pipe.tell(b"1")
        signal.pause()
    pipe.hear()
    os.kill(child, signal.SIGKILL)
    assert reap([child]) == [-signal.SIGKILL]


# --- the table ------------------------------------------------------------------------------------------------------


def test_a_name_has_one_record():
    breakers = table()
    one, other = breakers.record(APP), breakers.record("app 127.0.0.1:8002")
    one.cells[CONSECUTIVE] = 5
    assert breakers.record(APP).cells[CONSECUTIVE] == 5
    assert other.cells[CONSECUTIVE] == 0
    assert breakers.used() == 2


def test_records_do_not_overlap():
    breakers = table(capacity=5)
    records = [breakers.record(f"app {number}") for number in range(5)]
    for number, record in enumerate(records):
        for cell in range(len(record.cells)):
            assert record.cells[cell] == 0
            record.cells[cell] = number + 1
    for record in records:
        with record:
            pass
    for number in range(5):
        assert set(breakers.record(f"app {number}").cells) == {number + 1}


def test_a_full_table_says_so_and_still_finds_the_known():
    breakers = table(capacity=3)
    for number in range(3):
        breakers.record(f"app {number}")
    with pytest.raises(ValueError, match="room for the breakers of 3 backends, and all have been used: restart"):
        breakers.record("app 3")
    assert len(breakers.record("app 0").cells)
    assert breakers.used() == 3


def test_too_little_memory_is_refused():
    with pytest.raises(ValueError, match=r"2 breakers need \d+ bytes of memory \(got \d+\)"):
        Breakers(Memory(Breakers.size(2) - 1), 2)


def test_who_attaches_finds_the_same_state():
    breakers = table()
    opened(breakers)
    memory = Memory(breakers.memory.size, os.dup(breakers.memory.fd))
    attached = Breakers(memory, breakers.capacity)
    assert breaker(attached).state == OPEN
    assert attached.used() == 1


def test_processes_that_ask_at_once_get_one_record_each_name(pipe):
    breakers = table(capacity=16)
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            for number in range(16):
                record = breakers.record(f"app {number}")
                with record:
                    record.cells[CONSECUTIVE] += 1
            os._exit(0)
        children.append(child)
    assert reap(children) == [0] * 4
    assert breakers.used() == 16
    assert [breakers.record(f"app {number}").cells[CONSECUTIVE] for number in range(16)] == [4] * 16


def test_a_process_killed_inside_the_table_does_not_stop_the_others(pipe):
    breakers = table()

    def die_inside():
        breakers.lock.acquire()

    killed(die_inside, pipe)
    assert breaker(breakers).state == CLOSED
    assert breakers.used() == 1


def test_a_lock_half_made_is_made_anew():
    breakers = table(capacity=1)
    breakers.memory.map[HEAD : HEAD + LOCK_SIZE - 8] = b"\xff" * (LOCK_SIZE - 8)
    record = breakers.record(APP)
    with record:
        record.cells[CONSECUTIVE] = 1
    assert RECORD_SIZE % 64 == 0
    assert breakers.record(APP).cells[CONSECUTIVE] == 1


# --- breakers of several processes ----------------------------------------------------------------------------------


def test_all_workers_see_it_open(pipe):
    breakers = table()
    one = breaker(breakers, failures=10)
    children = []
    for _ in range(2):
        child = os.fork()
        if not child:
            theirs = breaker(breakers, failures=10)
            for _ in range(5):
                theirs.failure(1.0, theirs.claim(1.0))
            pipe.tell(b"%d" % len(theirs.events))
            os._exit(0)
        children.append(child)
    assert reap(children) == [0, 0]
    assert (one.state, one.blocks(1.0), one.claim(1.0)) == (OPEN, True, NO_TICKET)
    assert sorted(pipe.hear(2)) == sorted(b"01")  # one of them has opened it, and says so


@pytest.mark.parametrize("probes", [1, 3])
def test_among_4_processes_exactly_so_many_probes(pipe, probes):
    breakers = table()
    one = opened(breakers, probes=probes)
    start = Pipe()
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            start.hear()
            got = sum(one.claim(2.0) != NO_TICKET for _ in range(500))
            pipe.tell(bytes((got,)))
            os._exit(0)
        children.append(child)
    start.tell(b"1234")
    assert reap(children) == [0] * 4
    assert sum(pipe.hear(4)) == probes
    assert (one.state, one.blocks(2.0)) == (PROBING, True)
    os.close(start.told)
    os.close(start.tells)


def test_nothing_that_workers_count_is_lost():
    breakers = table()
    one = breaker(breakers, failures=0)
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            for number in range(1_000):
                one.success(1.0, one.claim(1.0))
                if number % 10 == 0:
                    one.failure(1.0, one.claim(1.0))
            one.flush(1.0)
            os._exit(0)
        children.append(child)
    assert reap(children) == [0] * 4
    assert one.snapshot(1.0).requests == 4_400
    assert one.snapshot(1.0).ratio == pytest.approx(400 / 4_400)


def test_a_worker_killed_inside_a_record_does_not_stop_the_others(pipe):
    breakers = table()
    one = breaker(breakers, failures=2, recovery=1.0)

    def die_inside():
        record = breakers.record(APP)
        record.__enter__()
        record.cells[CONSECUTIVE] = 1  # it died while it counted

    killed(die_inside, pipe)
    one.failure(0.0, one.claim(0.0))
    assert one.state == OPEN
    one.success(1.0, one.claim(1.0))
    assert (one.state, one.snapshot(1.0).failures) == (CLOSED, 0)


def test_the_place_of_a_probing_worker_that_was_killed_is_free_again_after_its_lease(pipe):
    breakers = table()
    one = opened(breakers, lease=20.0)

    def die_probing():
        assert breaker(breakers, lease=20.0).claim(1.0) < NO_TICKET

    killed(die_probing, pipe)
    assert (one.state, one.blocks(20.9), one.claim(20.9)) == (PROBING, True, NO_TICKET)
    assert not one.blocks(21.0)
    one.success(21.0, one.claim(21.0))
    assert one.state == CLOSED


def test_workers_killed_at_any_moment_leave_a_breaker_that_works(pipe):
    breakers = table()
    one = breaker(breakers, failures=3, recovery=1.0, longest=1.0)
    now = 0.0
    for turn in range(20):
        child = os.fork()
        if not child:
            done = 0
            while True:  # opens, probes, fails, closes, as fast as it can, in a time of its own
                done += 1
                ticket = one.claim(now + done * 0.4)
                (one.success if done % 5 == 0 else one.failure)(now + done * 0.4, ticket)
                if done == 20 + turn:
                    pipe.tell(b"1")
        pipe.hear()
        os.kill(child, signal.SIGKILL)
        assert reap([child]) == [-signal.SIGKILL]
        now += 10.0**9  # later than the child can have come
        while one.state == CLOSED:
            one.failure(now, one.claim(now))
        now += 100.0
        while one.state != CLOSED:
            ticket = one.claim(now)
            assert ticket != NO_TICKET
            one.success(now, ticket)
        assert one.snapshot(now).failures == 0
