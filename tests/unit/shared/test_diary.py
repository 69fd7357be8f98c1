"""What a worker remembers of exchanges, and what of it reaches its journal."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from proxy import faults
from proxy.clock import Clock
from proxy.exchange import Exchange
from proxy.http.message import RequestFields, RequestLine
from proxy.parties import Client
from proxy.policy.backend import Backend
from proxy.policy.balance.explained import Pick
from proxy.shared.diary import LATELY, LONG, RARELY, Diary
from proxy.shared.journal import FAILED, KEYS, RECENT, SLOW, Journals
from proxy.shared.memory import Memory
from proxy.shared.records import FEW, PICKS, Candidate, Record

ROUTE = SimpleNamespace(composer=None, steps=(), site="s", path=b"/", destination=SimpleNamespace(name="app"))
CLIENT = Client(b"10.0.0.1", bytes((10, 0, 0, 1)), b"http", b"")


class House:
    def __init__(self, keep=3, failed=2, slowest=2):
        self.clock = Clock(1000.0, 1e9)
        self.journals = Journals(Memory(Journals.size(1)), 1)
        self.diary = Diary(self.journals, 0, self.clock)
        self.diary.configure(keep, failed, slowest)
        self.backend = Backend("10.9.9.9:80")
        self.backend.upstream = SimpleNamespace(name="app")

    def exchange(self, name, seconds=0.01, status=200, fault=None, tried=True, target=b"/"):
        line = RequestLine(b"GET", target, 1, b"/", b"/", b"")
        found = Exchange(None, CLIENT, line, RequestFields(()), self.clock, ROUTE)
        found.request_id, found.status, found.fault = name.encode(), status, fault
        found.started = self.clock.now - seconds
        found.attempted = found.connected = found.started
        found.finished = self.clock.now
        if tried:
            found.tried = (self.backend,)
            found.answered = self.clock.now
        return found

    def finish(self, name, **more):
        found = self.exchange(name, **more)
        self.diary.every(found)
        return found

    def ring(self, name):
        return [Record(*fields).request_id.decode() for fields in self.journals.records(0, name)]

    def slowest(self):
        return [Record(*fields).request_id.decode() for fields in self.journals.read(0, SLOW) or ()]

    def rarely(self):
        for _ in range(RARELY):
            self.diary.flush()


def test_the_last_of_many_between_two_ticks_are_written():
    house = House(keep=3)
    for number in range(10):
        house.finish(f"n{number}")
    assert house.ring(RECENT) == []
    house.diary.flush()
    assert house.ring(RECENT) == ["n9", "n8", "n7"]
    house.finish("n10")
    house.diary.flush()
    assert house.ring(RECENT) == ["n10", "n9", "n8"]


def test_a_long_line_that_is_full_is_written_once_a_second_and_loses_nothing_that_is_kept():
    house = House(keep=LONG + 1, failed=2)

    def burst(number, word):
        for one in range(number):
            found = house.exchange(f"{word}{one}")
            house.diary.picked(found, pick())
            house.diary.every(found)

    burst(500, "a")
    house.diary.flush()  # nothing was written for a while
    assert house.ring(RECENT)[0] == "a499"
    burst(LONG, "b")  # a line that is not full
    house.diary.flush()
    assert house.ring(RECENT)[0] == f"b{LONG - 1}"
    burst(500, "c")
    failed = house.exchange("failed", status=502)
    house.diary.picked(failed, pick())
    house.diary.every(failed)
    house.diary.flush()
    assert house.ring(RECENT)[0] == f"b{LONG - 1}" and house.ring(FAILED) == ["failed"]
    assert len(house.diary._picks) == LONG + 1
    burst(500, "d")
    house.rarely()
    assert house.ring(RECENT)[0] == "d499" and len(house.ring(RECENT)) == LONG + 1
    assert house.diary._picks == {}
    assert all(Record(*fields).picks for fields in house.journals.records(0, RECENT))
    burst(500, "e")
    house.diary.hurry()
    house.diary.flush()
    assert house.ring(RECENT)[0] == "e499" and house.diary._picks == {}


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({"status": 500}, True),
        ({"status": 200}, False),
        ({"status": 429, "tried": False}, False),
        ({"status": 502, "fault": faults.CONNECT_REFUSED}, True),
        ({"status": 503, "fault": faults.NO_BACKEND, "tried": False}, True),
        ({"status": 404, "fault": faults.NO_ROUTE, "tried": False}, False),
        ({"status": 400, "fault": faults.BAD_REQUEST, "tried": False}, False),
        ({"status": 499, "fault": faults.CLIENT_LEFT, "tried": True}, True),
        ({"status": 499, "fault": faults.CLIENT_LEFT, "tried": False}, False),
    ],
)
def test_failed_is_what_somebody_could_do_something_about(more, kept):
    house = House(slowest=0)
    house.diary.notable(house.exchange("one", **more))
    house.diary.flush()
    assert house.ring(FAILED) == (["one"] if kept else [])


def test_the_slowest_of_late_are_kept_and_forgotten():
    house = House(keep=0, slowest=2)
    for name, seconds in (("a", 0.5), ("b", 0.1), ("c", 0.9), ("d", 0.2), ("e", 0.7)):
        house.diary.notable(house.exchange(name, seconds=seconds))
    house.diary.notable(house.exchange("tunnel", seconds=99.0, status=101))
    house.rarely()
    assert house.slowest() == ["c", "e"]
    house.clock.now += LATELY - 1
    house.diary.notable(house.exchange("f", seconds=0.8))
    house.rarely()
    assert house.slowest() == ["c", "f"]
    house.clock.now += 2
    house.rarely()
    assert house.slowest() == ["f"]
    house.diary.configure(0, 0, 0)
    assert house.diary._least == float("inf")
    house.diary.notable(house.exchange("g", seconds=100.0))
    house.rarely()
    assert house.slowest() == []


def pick(number=1, candidates=3, why="why"):
    seen = [(f"10.0.0.{one}:80", "up", "", 0, 0, 1, 0, 0.0, False) for one in range(candidates)]
    return Pick(1000.0, "least_conn", f"10.0.0.{number}:80", why, seen, 0)


def test_picks_are_written_with_their_exchange_and_forgotten_with_it():
    house = House()
    one = house.exchange("one")
    other = house.exchange("other")
    for found in (one, other):
        house.diary.picked(found, pick())
    other.finished = 0.0  # it goes on
    house.diary.every(one)
    house.diary.flush()
    record = Record(*next(iter(house.journals.records(0, RECENT))))
    assert record.picks[0][2] == "10.0.0.1:80" and Candidate(*record.picks[0][4][0]).state == "up"
    other.finished = house.clock.now
    house.diary.every(other)
    house.diary.flush()
    assert Record(*next(iter(house.journals.records(0, RECENT)))).picks
    assert house.diary._picks == {}


def test_picks_of_what_is_not_written_do_not_pile_up_but_those_of_failures_stay():
    house = House(keep=3)
    for number in range(20):
        found = house.exchange(f"n{number}", status=500 if number == 1 else 200)
        house.diary.picked(found, pick())
        house.diary.every(found)
    assert len(house.diary._picks) == 4
    house.diary.flush()
    assert Record(*next(iter(house.journals.records(0, FAILED)))).picks and house.diary._picks == {}


def test_an_exchange_of_before_a_reload_that_ended_explaining_is_borne():
    house = House(keep=3)
    found = house.exchange("late", status=502, fault=faults.CONNECT_REFUSED)
    house.diary.picked(found, pick())
    house.diary.configure(0, 2, 0)
    house.diary.every(found)
    house.diary.flush()
    assert house.ring(RECENT) == [] and house.ring(FAILED) == ["late"]


def test_of_many_picks_the_first_and_the_last_are_kept():
    house = House()
    found = house.exchange("one")
    for number in range(50):
        house.diary.picked(found, pick(number))
    house.diary.every(found)
    house.diary.flush()
    record = Record(*next(iter(house.journals.records(0, RECENT))))
    chosen = [one[2] for one in record.picks]
    assert len(chosen) == PICKS and chosen[0] == "10.0.0.0:80" and chosen[-1] == "10.0.0.49:80"


def test_what_is_too_large_loses_candidates_before_picks():
    house = House()
    found = house.exchange("one", target=b"/" + b"x" * 10_000)
    for number in range(PICKS):
        house.diary.picked(found, pick(number, candidates=16, why="w" * 200))
    house.diary.every(found)
    house.diary.flush()
    record = Record(*next(iter(house.journals.records(0, RECENT))))
    assert len(record.target) == 512 and len(record.picks) == PICKS
    assert {len(one[4]) for one in record.picks} <= {FEW, 0} and record.picks[0][5] >= 12


def test_offenders_are_written_now_and_then():
    house = House()
    found = house.exchange("one")
    house.diary.offenders.offended(found, "per_ip", b"somebody")
    house.diary.flush()
    assert house.journals.read(0, KEYS) is None
    house.rarely()
    assert house.journals.read(0, KEYS)[0][0] == "per_ip"
    house.diary.every(found)
    house.diary.flush()
    assert Record(*next(iter(house.journals.records(0, RECENT)))).limit == "per_ip"
