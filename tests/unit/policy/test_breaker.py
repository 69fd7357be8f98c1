"""A breaker's transitions by a clock turned by hand, against a simple model, and killed between any two writes."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.policy.breaker import (
    CELLS,
    CLOSED,
    MOST_EVENTS,
    MOST_PROBES,
    NO_TICKET,
    OPEN,
    PROBING,
    WORDS,
    Breaker,
    LocalRecord,
    Settings,
)


def breaker(**words):
    return Breaker(Settings(**words), LocalRecord())


def opened(now=0.0, **words):
    """A breaker that has opened at `now`."""
    one = breaker(failures=1, **words)
    one.failure(now, one.claim(now))
    assert one.state == OPEN
    return one


def story(one):
    return [(event.at, WORDS[event.before], WORDS[event.after], event.reason) for event in one.events]


# --- closed ---------------------------------------------------------------------------------------------------------


def test_at_first_it_is_closed_and_gives_tickets():
    one = breaker()
    assert (one.state, one.blocks(0.0)) == (CLOSED, False)
    assert one.claim(0.0) == one.claim(0.0) > NO_TICKET


def test_failures_in_a_row_open_it():
    one = breaker(failures=3, recovery=30.0)
    for now in (1.0, 2.0):
        one.failure(now, one.claim(now))
        assert not one.blocks(now)
    one.failure(3.0, one.claim(3.0))
    assert (one.state, one.blocks(3.0), one.claim(3.0)) == (OPEN, True, NO_TICKET)
    assert story(one) == [(3.0, "closed", "open", "3 failures in a row; left alone for 30 s")]


def test_a_success_ends_the_row_whichever_worker_has_it():
    record = LocalRecord()
    ours, theirs = (Breaker(Settings(failures=2), record) for _ in range(2))
    ours.failure(1.0, ours.claim(1.0))
    theirs.success(1.0, theirs.claim(1.0))
    ours.failure(1.0, ours.claim(1.0))
    assert ours.state == CLOSED
    theirs.failure(1.0, theirs.claim(1.0))
    assert ours.state == theirs.state == OPEN


def test_without_failures_and_ratio_it_never_opens():
    one = breaker(failures=0, ratio=0.0)
    for _ in range(1_000):
        one.failure(1.0, one.claim(1.0))
    assert one.state == CLOSED


def test_a_share_of_failures_opens_it_from_the_least_number_on():
    one = breaker(failures=0, ratio=0.5, least=10, window=10.0)
    for _ in range(4):
        one.success(1.0, one.claim(1.0))
        one.failure(1.0, one.claim(1.0))
    one.failure(1.0, one.claim(1.0))
    assert one.state == CLOSED  # 5 of 9
    one.failure(1.0, one.claim(1.0))
    assert story(one)[0][3] == "6 of 10 requests failed within 10 s; left alone for 30 s"


def test_a_smaller_share_does_not():
    one = breaker(failures=0, ratio=0.5, least=10)
    for _ in range(10):
        one.success(1.0, one.claim(1.0))
    for _ in range(9):
        one.failure(1.0, one.claim(1.0))
    assert one.state == CLOSED
    one.failure(1.0, one.claim(1.0))
    assert one.state == OPEN


def test_the_window_forgets():
    one = breaker(failures=0, ratio=0.9, least=3, window=10.0)
    one.failure(0.5, one.claim(0.5))
    one.failure(9.9, one.claim(9.9))
    assert one.snapshot(9.9).requests == 2
    assert one.snapshot(10.0).requests == 1  # the slice of the first is over
    one.failure(10.1, one.claim(10.1))
    assert one.state == CLOSED
    one.failure(10.2, one.claim(10.2))
    assert one.state == OPEN
    assert one.snapshot(1_000.0).requests == 0


def test_successes_of_another_worker_count_when_it_has_flushed():
    record = LocalRecord()
    ours, theirs = (Breaker(Settings(failures=0, ratio=0.5, least=4), record) for _ in range(2))
    for _ in range(10):
        theirs.success(1.0, theirs.claim(1.0))
    assert ours.snapshot(1.0).requests == 0
    theirs.flush(1.0)
    assert ours.snapshot(1.0).requests == 10
    theirs.flush(1.0)
    for _ in range(9):
        ours.failure(1.0, ours.claim(1.0))
    assert (ours.state, ours.snapshot(1.0).requests) == (CLOSED, 19)
    ours.failure(1.0, ours.claim(1.0))
    assert ours.state == OPEN


def test_causes_decide_what_is_a_failure():
    one = breaker(failures=1, on=["connect", 503])
    for cause, counts in ((200, True), (502, True), ("closed", True), ("connect", False), (503, False)):
        one.settle(1.0, one.claim(1.0), cause, counts)
        assert one.state == CLOSED
    one.settle(1.0, one.claim(1.0), 503, True)
    assert one.state == OPEN


# --- open and probing -----------------------------------------------------------------------------------------------


def test_after_recovery_one_probe_and_no_more():
    one = opened(recovery=30.0)
    assert one.blocks(29.9)
    assert not one.blocks(30.0)
    assert one.state == OPEN  # until somebody tries
    probe = one.claim(30.0)
    assert probe < NO_TICKET
    assert (one.state, one.blocks(30.0), one.claim(30.0)) == (PROBING, True, NO_TICKET)
    one.success(31.0, probe)
    assert (one.state, one.blocks(31.0)) == (CLOSED, False)
    assert one.claim(31.0) > NO_TICKET
    assert story(one)[1:] == [
        (30.0, "open", "probing", "time to try again"),
        (31.0, "probing", "closed", "1 probe went well"),
    ]


def test_each_failed_probe_doubles_the_recovery_and_closing_resets_it():
    one = opened(recovery=30.0, longest=100.0)
    now = 0.0
    for recovery in (30.0, 60.0, 100.0, 100.0):
        assert one.snapshot(now).open_until == now + recovery
        now += recovery
        assert one.blocks(now - 0.1)
        one.failure(now, one.claim(now))
    assert (one.state, one.snapshot(now).opened) == (OPEN, 5)
    assert story(one)[-1][3] == "a probe failed; left alone for 100 s"
    now += 100.0
    one.success(now, one.claim(now))
    one.failure(now, one.claim(now))
    assert one.snapshot(now).open_until == now + 30.0


def test_recovery_is_spread_by_a_tenth():
    waits = set()
    rng = Random(1)
    for _ in range(200):
        one = Breaker(Settings(failures=1, recovery=100.0), LocalRecord(), rng)
        one.failure(0.0, one.claim(0.0))
        waits.add(one.snapshot(0.0).open_until)
    assert 90.0 <= min(waits) < 92.0
    assert 108.0 < max(waits) <= 110.0


def test_all_of_several_probes_must_go_well():
    one = opened(recovery=1.0, probes=2)
    first, second = one.claim(1.0), one.claim(1.0)
    assert first < 0 and second < 0 and first != second
    assert one.claim(1.0) == NO_TICKET
    one.success(1.0, first)
    assert one.state == PROBING
    one.success(1.0, second)
    assert story(one)[-1][3] == "2 probes went well"


def test_one_failure_of_several_probes_opens_it_and_the_others_are_late():
    one = opened(recovery=1.0, probes=2)
    first, second = one.claim(1.0), one.claim(1.0)
    one.failure(1.0, first)
    assert one.state == OPEN
    one.success(1.0, second)
    one.failure(1.0, second)
    assert (one.state, one.snapshot(1.0).open_until) == (OPEN, 3.0)
    one.claim(3.0)
    one.success(3.0, second)
    assert one.state == PROBING


def test_probes_of_the_round_before_have_no_places_in_the_next():
    one = opened(recovery=1.0, probes=2)
    first, old = one.claim(1.0), one.claim(1.0)
    one.failure(1.0, first)
    assert one.snapshot(1.0).failures == 2
    assert one.claim(3.0) < NO_TICKET
    assert one.claim(3.0) < NO_TICKET
    one.failure(3.0, old)
    assert one.state == PROBING


def test_a_probe_without_verdict_gives_its_place_back():
    one = opened(recovery=1.0)
    probe = one.claim(1.0)
    one.settle(2.0, probe, "", False)
    assert (one.state, one.blocks(2.0)) == (PROBING, False)
    again = one.claim(2.0)
    assert again < NO_TICKET
    one.success(2.0, probe)  # it was given back
    assert one.state == PROBING
    one.release(again)
    one.release(again)
    assert one.claim(2.0) < NO_TICKET


@pytest.mark.parametrize(("recovery", "lease"), [(30.0, 60.0), (90.0, 90.0)])
def test_a_probe_that_is_not_heard_of_loses_its_place(recovery, lease):
    one = opened(recovery=recovery)
    lost = one.claim(recovery)
    assert one.blocks(recovery + lease - 0.1)
    assert not one.blocks(recovery + lease)
    probe = one.claim(recovery + lease)
    assert probe < NO_TICKET
    one.success(recovery + lease, lost)
    one.failure(recovery + lease, lost)
    assert one.state == PROBING
    one.success(recovery + lease, probe)
    assert one.state == CLOSED


def test_a_probe_that_is_late_but_has_its_place_is_heard():
    one = opened(recovery=1.0, lease=5.0)
    probe = one.claim(1.0)
    one.success(9.0, probe)
    assert one.state == CLOSED


def test_what_began_before_it_opened_says_nothing():
    one = breaker(failures=1, recovery=1.0)
    old = one.claim(0.0)
    one.success(0.0, old)
    one.failure(0.0, old)
    for state, now in ((OPEN, 0.5), (PROBING, 1.0)):
        if state == PROBING:
            probe = one.claim(now)
        for outcome in (one.success, one.failure):
            outcome(now, old)
            assert (one.state, one.snapshot(now).opened) == (state, 1)
        one.release(old)
    one.success(1.0, probe)
    one.failure(1.0, old)
    one.success(1.0, old)
    one.flush(1.0)
    assert (one.state, one.snapshot(1.0).requests) == (CLOSED, 0)


def test_without_a_ticket_nothing_is_heard():
    one = breaker(failures=1)
    one.failure(1.0, NO_TICKET)
    one.success(1.0, NO_TICKET)
    one.release(NO_TICKET)
    one.flush(1.0)
    assert (one.state, one.snapshot(1.0).requests) == (CLOSED, 0)


def test_successes_of_before_it_opened_are_not_those_of_afterwards():
    record = LocalRecord()
    ours, theirs = (Breaker(Settings(failures=1, recovery=1.0), record) for _ in range(2))
    for _ in range(5):
        ours.success(0.0, ours.claim(0.0))
    theirs.failure(0.0, theirs.claim(0.0))
    theirs.success(1.0, theirs.claim(1.0))
    ours.success(1.0, ours.claim(1.0))
    ours.flush(1.0)
    assert (ours.state, ours.snapshot(1.0).requests) == (CLOSED, 1)


def test_a_late_success_does_not_cost_those_that_count():
    one = breaker(failures=1, recovery=1.0)
    old = one.claim(0.0)
    one.failure(0.0, old)
    one.success(1.0, one.claim(1.0))
    one.success(1.0, one.claim(1.0))
    one.success(1.0, old)
    one.flush(1.0)
    assert one.snapshot(1.0).requests == 1


# --- another worker is faster ---------------------------------------------------------------------------------------


class ContestedRecord(LocalRecord):
    """A record whose lock another worker has first, once."""

    __slots__ = ("rival",)

    def __init__(self):
        super().__init__()
        self.rival = None

    def __enter__(self):
        rival, self.rival = self.rival, None
        if rival is not None:
            rival()


def contested(**words):
    record = ContestedRecord()
    settings = Settings(failures=1, recovery=1.0, **words)
    return record, Breaker(settings, record), Breaker(settings, record)


def test_another_worker_takes_the_only_place():
    record, ours, theirs = contested()
    ours.failure(0.0, ours.claim(0.0))
    got = []
    record.rival = lambda: got.append(theirs.claim(1.0))
    assert ours.claim(1.0) == NO_TICKET
    assert got[0] < NO_TICKET


def test_another_worker_closes_it_before_the_claim():
    record, ours, theirs = contested(probes=2)
    ours.failure(0.0, ours.claim(0.0))
    ours.success(1.0, ours.claim(1.0))
    record.rival = lambda: theirs.success(1.0, theirs.claim(1.0))
    assert ours.claim(1.0) > NO_TICKET


def test_another_worker_opens_it_before_the_failure():
    record, ours, theirs = contested()
    record.rival = lambda: theirs.failure(0.0, theirs.claim(0.0))
    ours.failure(0.0, ours.claim(0.0))
    assert (ours.events, ours.snapshot(0.0).opened, ours.snapshot(0.0).failures) == ([], 1, 1)


def test_another_worker_opens_it_before_the_end_of_a_row():
    record, ours, theirs = contested()
    for worker in (ours, theirs):
        worker.configure(Settings(failures=2, recovery=1.0))
    ours.failure(0.0, ours.claim(0.0))
    record.rival = lambda: theirs.failure(0.0, theirs.claim(0.0))
    ours.success(0.0, ours.claim(0.0))
    assert (ours.state, ours.snapshot(0.0).failures) == (OPEN, 2)


# --- settings, events, numbers --------------------------------------------------------------------------------------


def test_other_settings_take_over_and_the_state_stays():
    one = opened(recovery=1.0, probes=3)
    one.success(1.0, one.claim(1.0))
    assert one.state == PROBING
    one.configure(Settings(probes=1, failures=7))
    one.success(2.0, one.claim(2.0))
    assert one.state == CLOSED
    for _ in range(7):
        assert one.state == CLOSED
        one.failure(3.0, one.claim(3.0))
    assert one.state == OPEN


@pytest.mark.parametrize("probes", [0, MOST_PROBES + 1])
def test_there_is_room_for_so_many_probes(probes):
    with pytest.raises(ValueError, match=f"probes must be 1 to {MOST_PROBES} \\(got {probes}\\)"):
        Settings(probes=probes)


def test_the_most_probes_have_places():
    one = opened(recovery=1.0, probes=MOST_PROBES)
    tickets = [one.claim(1.0) for _ in range(MOST_PROBES)]
    assert len(set(tickets)) == MOST_PROBES and one.claim(1.0) == NO_TICKET
    for ticket in tickets:
        assert one.state == PROBING
        one.success(1.0, ticket)
    assert one.state == CLOSED


def test_only_the_last_events_are_kept():
    one = opened(recovery=1.0, longest=1.0)
    for now in range(1, MOST_EVENTS + 10):
        one.failure(float(now), one.claim(float(now)))
    assert len(one.events) == MOST_EVENTS
    assert one.events[-1].at == MOST_EVENTS + 9


def test_snapshot():
    one = breaker(failures=2, recovery=30.0)
    for _ in range(2):
        one.success(5.0, one.claim(5.0))
    one.flush(5.0)
    for _ in range(2):
        one.failure(6.0, one.claim(6.0))
    assert one.snapshot(7.0) == ("open", 6.0, 2, 0.5, 4, 36.0, 1)


# --- killed between two writes --------------------------------------------------------------------------------------


class Killed(BaseException):
    """The worker is no more."""


class DeadlyCells(list):
    """Cells whose writer is killed before one more than `left` writes; None: never."""

    left = None

    def __setitem__(self, cell, value):
        if self.left is not None:
            if not self.left:
                raise Killed
            self.left -= 1
        super().__setitem__(cell, value)


@pytest.mark.parametrize("scene", ["fail", "count", "probe", "close", "reopen", "release"])
def test_a_worker_killed_between_any_two_writes_leaves_a_record_that_goes_on(scene):
    """Whatever was half done, the others can open it, are let in after a while, and close it by going well."""
    settings = Settings(failures=2, recovery=30.0, window=10.0)
    for writes in range(1_000):
        record = LocalRecord()
        record.cells = cells = DeadlyCells(record.cells)
        dying, living = Breaker(settings, record), Breaker(settings, record)
        now = 5.0
        ticket = dying.claim(now)
        dying.success(now, ticket)
        living.failure(now, living.claim(now))
        if scene in ("probe", "close", "reopen", "release"):
            living.failure(now, living.claim(now))
            now += 30.0
            if scene != "probe":
                ticket = dying.claim(now)
        cells.left = writes
        try:
            if scene == "probe":
                dying.claim(now)
            elif scene == "release":
                dying.release(ticket)
            elif scene == "count":
                dying.flush(now)
            elif scene == "close":
                dying.success(now, ticket)
            else:
                dying.failure(now, ticket)
            died = False
        except Killed:
            died = True
        cells.left = None
        assert living.state in (CLOSED, OPEN, PROBING)
        while living.state == CLOSED:
            assert living.snapshot(now).failures <= 2
            living.failure(now, living.claim(now))
        now += 120.0
        assert not living.blocks(now)
        probe = living.claim(now)
        assert probe < NO_TICKET and living.blocks(now)
        living.success(now, probe)
        assert (living.state, living.snapshot(now).requests) == (CLOSED, 0)
        if not died:
            break
    assert writes >= 2 and not died


def test_a_worker_killed_as_a_slice_begins_does_not_bring_an_old_one_back():
    for writes in range(10):
        record = LocalRecord()
        record.cells = cells = DeadlyCells(record.cells)
        one = Breaker(Settings(failures=0, window=10.0), record)
        for _ in range(7):
            one.success(1.0, one.claim(1.0))
            one.failure(1.0, one.claim(1.0))
        assert one.snapshot(1.0).requests == 14
        cells.left = writes
        try:
            one.failure(11.0, one.claim(11.0))
        except Killed:
            assert one.snapshot(11.0).requests <= 1
        else:
            break
    assert writes == 6


# --- against a model ------------------------------------------------------------------------------------------------


class Model:
    """The same in the plainest words: a list of what happened, and one world."""

    def __init__(self, words):
        self.words = words
        self.state, self.epoch, self.row, self.streak = CLOSED, 0, 0, 0
        self.heard = []  # (second, ok)
        self.places = [(0, 0)] * words.probes  # names of probes and when their leases end
        self.well = 0
        self.until = 0

    def admits(self, now):
        if self.state == CLOSED:
            return True
        return now >= self.until and (self.state == OPEN or any(end <= now for _, end in self.places))

    def begin(self, now, name):
        """The attempt's kind: an epoch, or the name of a probe."""
        if self.state == CLOSED:
            return self.epoch
        if self.state == OPEN:
            self.state, self.well, self.places = PROBING, 0, [(0, 0)] * self.words.probes
        free = next(place for place, (_, end) in enumerate(self.places) if end <= now)
        self.places[free] = (name, now + self.words.lease)
        return None

    def leave(self, name):
        """Whether the probe still had its place."""
        had = [one for one, _ in self.places].count(name)
        self.places = [(0, 0) if one == name else (one, end) for one, end in self.places]
        return bool(had)

    def end(self, now, kind, name, ok):
        if kind is not None:
            if self.state == CLOSED and kind == self.epoch:
                self.heard.append((now, ok))
                self.row = 0 if ok else self.row + 1
                if not ok and self.too_much(now):
                    self.open(now)
        elif self.leave(name) and self.state == PROBING:
            if not ok:
                self.open(now)
            else:
                self.well += 1
                if self.well == self.words.probes:
                    self.state, self.row, self.streak, self.heard = CLOSED, 0, 0, []
                    self.epoch += 1

    def too_much(self, now):
        recent = [ok for at, ok in self.heard if at > now - 10]
        failed = recent.count(False)
        share = len(recent) >= self.words.least and failed >= self.words.ratio * len(recent)
        return self.row >= self.words.failures or share

    def open(self, now):
        self.state = OPEN
        self.until = now + min(self.words.longest, self.words.recovery * 2**self.streak)
        self.streak += 1


class AgainstTheModel(RuleBasedStateMachine):
    """Three workers, flushed before each failure so that the model need not know who has what. Whole seconds."""

    def __init__(self):
        super().__init__()
        self.words = Settings(
            failures=4, ratio=0.5, least=6, window=10.0, recovery=5.0, longest=20.0, probes=2, lease=15.0
        )
        record = LocalRecord()
        self.workers = [Breaker(self.words, record) for _ in range(3)]
        self.model = Model(self.words)
        self.now = 1_000
        self.under_way = []
        self.names = 0

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds):
        self.flush()
        self.now += seconds

    @rule(worker=st.integers(0, 2), number=st.integers(1, 4))
    def begin(self, worker, number):
        for _ in range(number):
            admits = self.model.admits(self.now)
            assert self.workers[worker].blocks(self.now) is not admits
            ticket = self.workers[worker].claim(self.now)
            assert (ticket != NO_TICKET) is admits
            if not admits:
                return
            self.names += 1
            kind = self.model.begin(self.now, self.names)
            assert (ticket < 0) is (kind is None)
            self.under_way.append((worker, ticket, kind, self.names))

    @precondition(lambda self: self.under_way)
    @rule(choice=st.randoms(use_true_random=False), ok=st.booleans())
    def end(self, choice, ok):
        worker, ticket, kind, name = self.under_way.pop(choice.randrange(len(self.under_way)))
        if not ok:
            self.flush()
        self.workers[worker].settle(self.now, ticket, 200 if ok else "closed", True)
        self.model.end(self.now, kind, name, ok)

    @precondition(lambda self: self.under_way)
    @rule(choice=st.randoms(use_true_random=False))
    def leave(self, choice):
        worker, ticket, _, name = self.under_way.pop(choice.randrange(len(self.under_way)))
        self.workers[worker].settle(self.now, ticket, "", False)
        self.model.leave(name)

    @rule()
    def flush(self):
        for worker in self.workers:
            worker.flush(self.now)

    @invariant()
    def they_agree(self):
        assert {worker.state for worker in self.workers} == {self.model.state}


TestAgainstTheModel = AgainstTheModel.TestCase
TestAgainstTheModel.settings = hypothesis_settings(max_examples=300, stateful_step_count=60)


def test_a_record_has_the_cells_that_it_says():
    assert len(LocalRecord().cells) == CELLS
