"""A strategy of one's own, kept to what every strategy promises."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from proxy import catalog
from proxy.clock import Clock
from proxy.config.upstream import Upstream
from proxy.policy.backend import Backend
from proxy.policy.balance.explained import SILENT
from proxy.policy.balance.own import Own


class Stubborn:
    """Wants one backend, whatever becomes of it."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.learned = 0

    def pick(self, exchange, tried):
        if isinstance(self.wanted, BaseException):
            raise self.wanted
        return self.wanted


class Learner(Stubborn):
    """Says why, hears of ends, and goes on with what another knew."""

    def why(self, exchange, tried, chosen):
        return "it is mine"

    def ended(self, exchange):
        self.learned += 1

    def adopt(self, before):
        self.learned = before.learned


class Bench:
    """Three backends and what was wrong."""

    def __init__(self):
        self.clock = Clock(1000.0)
        self.backends = [Backend(f"b{number}", max_fails=1) for number in range(3)]
        self.wrong = []

    def own(self, base):
        return Own("own:Base", base, self.backends, self.clock, self.wrong.append)

    def picked(self, wanted, tried=()):
        return self.own(Stubborn(wanted)).pick(None, tried)


def test_what_it_picks_is_picked():
    bench = Bench()
    assert [bench.picked(bench.backends[2]) for _ in range(3)] == [bench.backends[2]] * 3
    assert bench.picked(None) is None and bench.wrong == []


def test_what_cannot_take_it_is_never_picked():
    first, second, third = (bench := Bench()).backends
    first.configure(weight=1, max_fails=1, fail_timeout=10.0, max_conns=1, backup=False, down=False)
    assert first.take(1000.0)
    second.settle(1000.0, failed=True, counts=True)
    third.down = True
    for one in bench.backends:
        assert bench.picked(one) is None
    third.down = False
    assert [bench.picked(one) for one in bench.backends] == [third] * 3
    assert bench.picked(third, [third]) is None and bench.wrong == []


def test_faults_are_told_and_round_robin_picks():
    bench = Bench()
    fault = RuntimeError("it was tired")
    assert bench.picked(fault) in bench.backends and bench.wrong == [fault]
    leaving = SystemExit(1)
    assert bench.picked(leaving) in bench.backends and bench.wrong.pop() is leaving
    for stranger in (Backend("b0"), "b0", []):
        assert bench.picked(stranger) in bench.backends
    assert isinstance(bench.wrong[1], ValueError) and len(bench.wrong) == 4


class Failing(Stubborn):
    """Fails whatever it is told or asked."""

    def fail(self, *_):
        raise KeyError("mine")

    why = answered = ended = left = adopt = fail


def test_what_fails_beside_a_pick_is_told_and_no_more():
    """Else an exchange would never end, for all that comes behind its observers."""
    bench = Bench()
    one = bench.own(Failing(bench.backends[1]))
    assert one.pick(None, ()) is bench.backends[1] and one.why(None, (), bench.backends[1]) == SILENT
    for tell in (one.answered, one.ended, one.left):
        tell(None)
    one.adopt(bench.own(Failing(None)))
    assert [type(error) for error in bench.wrong] == [KeyError] * 5


def test_it_says_why_hears_and_goes_on():
    bench = Bench()
    chosen = bench.backends[0]
    own, silent = bench.own(Learner(chosen)), bench.own(Stubborn(chosen))
    for one, why in ((own, "it is mine"), (silent, SILENT)):
        assert one.why(None, (), one.pick(None, ())) == why
    chosen.down = True
    assert own.why(None, (), own.pick(None, ())).startswith("own:Base picked none that can take it; its turn")
    assert not hasattr(silent, "ended") and not hasattr(silent, "answered")
    own.ended(SimpleNamespace())
    after = bench.own(Learner(chosen))
    after.adopt(own)
    assert after.learned == 1


def table(balance, folder):
    return Upstream(balance=balance, balance_from=str(folder), servers=["a:1", "b:1"])


def test_the_catalog_makes_it(tmp_path):
    (tmp_path / "catalogued.py").write_text(
        "class Good:\n    def __init__(self, backends, clock, rng):\n        self.given = (backends, clock, rng)\n"
        "    def pick(self, exchange, tried): return None\n"
        "class Pickless:\n    def __init__(self, backends, clock, rng): pass\n"
        "class Narrow:\n    def __init__(self, backends): pass\n"
    )
    wanted = catalog.Wanted([], Clock(1.0), None, table("catalogued:Good", tmp_path), None)
    found = catalog.made(wanted)
    assert isinstance(found, Own) and found.given == wanted[:3] and catalog.counts_in_flight(wanted.table)
    assert catalog.hears(wanted.table)
    for name, sentence in (
        ("Pickless", '"catalogued:Pickless" makes no strategy: Pickless has no pick(exchange, tried)'),
        ("Narrow", "takes 2 positional arguments but 4 were given; it is given (backends, clock, rng)"),
    ):
        with pytest.raises(ValueError) as caught:
            catalog.made(wanted._replace(table=table(f"catalogued:{name}", tmp_path)))
        assert sentence in str(caught.value)
