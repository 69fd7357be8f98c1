"""Every strategy says why, and saying it changes nothing."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace

import pytest

from proxy.clock import Clock
from proxy.policy.backend import Backend
from proxy.policy.balance.explained import MOST, NOBODY, SILENT, Candidate, Explained, candidates
from proxy.policy.balance.hash import Hash
from proxy.policy.balance.ip_hash import IpHash
from proxy.policy.balance.least_conn import LeastConn
from proxy.policy.balance.least_time import LeastTime, LeastTimeOfTwo
from proxy.policy.balance.peak_ewma import PeakEwma
from proxy.policy.balance.random_two import Random as ByLot
from proxy.policy.balance.random_two import RandomTwo
from proxy.policy.balance.ring import Ring
from proxy.policy.balance.round_robin import RoundRobin
from proxy.policy.balance.sticky import Sticky, sid_of
from proxy.policy.standing import ILL, Standing

KEY = SimpleNamespace(client=SimpleNamespace(packed=bytes((203, 0, 113, 9)), address=b"203.0.113.9"))


def key(exchange):
    return b"a-long-secret-key"


STRATEGIES = {
    "round_robin": lambda backends, clock: RoundRobin(backends, clock),
    "least_conn": lambda backends, clock: LeastConn(backends, clock),
    "ip_hash": lambda backends, clock: IpHash(backends, clock),
    "hash": lambda backends, clock: Hash(backends, clock, None, key),
    "ring": lambda backends, clock: Ring(backends, clock, None, key),
    "random": lambda backends, clock: ByLot(backends, clock, Random(1)),
    "random_two": lambda backends, clock: RandomTwo(backends, clock, Random(1)),
    "least_time": lambda backends, clock: LeastTime(backends, clock),
    "least_time_of_two": lambda backends, clock: LeastTimeOfTwo(backends, clock, Random(1)),
    "peak_ewma": lambda backends, clock: PeakEwma(backends, clock, Random(1)),
}


class House:
    """Backends under a strategy that is explained."""

    def __init__(self, make, number=3, **more):
        self.clock = Clock(100.0, 0.0)
        self.backends = [Backend(f"10.0.0.{one}:80", **more) for one in range(1, number + 1)]
        self.told = []
        base = make(self.backends, self.clock)
        self.strategy = Explained(base, self.backends, self.clock, "it", lambda exchange, pick: self.told.append(pick))

    def pick(self, *tried):
        return self.strategy.pick(KEY, tried)

    @property
    def last(self):
        return self.told[-1]

    @property
    def seen(self):
        return [Candidate(*one) for one in self.last.candidates]


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_has_a_reason_and_picks_as_without_being_asked(name):
    house, plain = House(STRATEGIES[name]), House(STRATEGIES[name])
    for _ in range(20):
        chosen, other = house.pick(), plain.strategy.base.pick(KEY, ())
        assert chosen.address == other.address == house.last.chosen
        assert house.last.why not in (SILENT, NOBODY, "") and house.last.strategy == "it"
        for backend in (chosen, other):
            backend.take(100.0)
    assert [one.in_flight for one in house.seen] != [0, 0, 0]


@pytest.mark.parametrize("name", STRATEGIES)
def test_one_backend_alone_and_nobody_at_all(name):
    house = House(STRATEGIES[name], number=1)
    house.pick()
    assert house.last.why.endswith("it is the only backend") or "falls on it" in house.last.why
    assert house.pick(house.backends[0]) is None
    assert (house.last.chosen, house.last.why) == ("", NOBODY)
    assert house.seen[0].tried


def test_round_robin_tells_its_arithmetic():
    house = House(STRATEGIES["round_robin"])
    house.backends[0].configure(weight=5, max_fails=1, fail_timeout=10.0, max_conns=0, backup=False, down=False)
    credits = []
    for _ in range(7):
        house.pick()
        credits.append(int(house.last.why.split("credit ")[1].split()[0]))
    assert credits == [5, 3, 3, 6, 5, 9, 7]  # of a a b a c a a
    assert "(weight 5 of 7)" in house.told[0].why and "the most of 3" in house.told[0].why


def test_least_conn_tells_the_load_and_who_has_as_little():
    house = House(STRATEGIES["least_conn"])
    for _ in range(2):
        house.backends[0].take(100.0)
    house.backends[1].take(100.0)
    house.pick()
    assert house.last.why == "0 in flight per weight 1 is the least of 3"
    house.backends[2].take(100.0)
    house.pick()
    assert house.last.why == "1 in flight per weight 1 is the least of 3; 1 more have as few, and it is its turn"
    assert [one.load for one in house.seen] == [2.0, 1.0, 1.0]


@pytest.mark.parametrize(("name", "words"), [("ip_hash", "203.0.113.9's network"), ("hash", '"a-long-secre..."')])
def test_hashes_say_where_they_fell_and_do_not_tell_the_whole_key(name, words):
    house = House(STRATEGIES[name])
    first = house.pick()
    assert house.last.why == f"the hash of {words} falls on it"
    second = house.pick(first)
    assert second is not first
    assert (
        house.last.why
        == f"the hash of {words} falls on {first.address}, which cannot be picked; hashed on it falls here"
    )


def test_the_ring_says_whose_point_it_was():
    house = House(STRATEGIES["ring"])
    first = house.pick()
    assert house.last.why == 'the point behind the hash of "a-long-secre..." on the ring is its own'
    house.pick(first)
    assert f"is {first.server}'s, which cannot be picked" in house.last.why


def test_sticky_says_that_a_client_is_bound_or_what_the_strategy_says():
    clock = Clock(100.0, 0.0)
    backends = [Backend(f"10.0.0.{one}:80") for one in (1, 2)]
    for backend in backends:
        backend.sid = sid_of(backend.address)
    bound = [backends[1].sid]
    sticky = Sticky(LeastConn(backends, clock), backends, clock, [lambda exchange: bound[0]])
    told = []
    strategy = Explained(sticky, backends, clock, "least_conn", lambda exchange, pick: told.append(pick))
    assert strategy.pick(KEY, ()) is backends[1] and told[-1].why == "the client is bound to it by its route"
    assert strategy.pick(KEY, (backends[1],)) is backends[0]
    assert told[-1].why.startswith("it is bound to one that cannot be picked; 0 in flight")
    bound[0] = b""
    strategy.pick(KEY, ())
    assert told[-1].why.startswith("the client is not bound; 0 in flight")


def state(backend, now=100.0, number=2):
    others = [Backend(f"10.9.9.{one}:80") for one in range(number - 1)]
    found = Candidate(*candidates([backend, *others], (), now)[0])
    return found.state, found.why


def test_candidates_say_how_they_stand():
    assert state(Backend("a:1")) == ("up", "") and state(Backend("a:1", backup=True)) == ("backup", "")
    assert state(Backend("a:1", down=True)) == ("down", "the configuration says down")
    draining = Backend("a:1", down=True)
    draining.draining = True
    assert state(draining)[0] == "draining"
    full = Backend("a:1", max_conns=1)
    full.take(100.0)
    assert state(full) == ("full", "1 of 1 in flight")
    failed = Backend("a:1", max_fails=1)
    failed.trouble = "it was rude"
    failed.settle(100.0, True, True)
    assert state(failed) == ("out", "left alone after 1 failures: it was rude")
    assert state(failed, 200.0) == ("up", "") and state(failed, number=1) == ("up", "")


@pytest.mark.parametrize(
    ("drained", "health", "shunned", "found"),
    [(True, 0, False, "draining"), (False, ILL, False, "down"), (False, 0, True, "out"), (False, 0, False, "held")],
)
def test_what_is_held_says_by_whom(drained, health, shunned, found):
    backend = Backend("a:1")
    signs = SimpleNamespace(drained=lambda: drained, health=lambda: health, shunned=lambda now: shunned)
    backend.upstream = SimpleNamespace(standing=Standing([backend], [signs], 0, 0.0))
    backend.held = True
    backend.guard()
    assert state(backend)[0] == found


def test_few_candidates_are_written_down_and_the_chosen_one_is_among_them():
    house = House(STRATEGIES["least_conn"], number=MOST + 9)
    for backend in house.backends[:-1]:
        backend.take(100.0)
    assert house.pick() is house.backends[-1]
    assert len(house.seen) == MOST and house.last.left_out == 9
    assert house.last.chosen in {one.address for one in house.seen}


def test_who_learns_from_ends_hears_of_them_and_who_is_silent_is_borne():
    heard = []
    base = SimpleNamespace(pick=lambda exchange, tried: backends[0], ended=heard.append)
    backends = [Backend("a:1")]
    told = []
    strategy = Explained(base, backends, Clock(), "own", lambda exchange, pick: told.append(pick))
    strategy.ended("exchange")
    strategy.answered("exchange")
    strategy.left("exchange")
    assert heard == ["exchange"]
    strategy.pick(KEY, ())
    assert told[0].why == SILENT
