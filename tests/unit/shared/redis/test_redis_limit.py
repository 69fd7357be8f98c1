"""The step of shared limits: who is parked, resumed and answered, what is given back, and what holds without Redis."""

from __future__ import annotations

import pytest

from proxy.clock import Clock, Parking
from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.shared.buckets import Buckets
from proxy.shared.limit import OUTCOMES, Limit, Limits
from proxy.shared.memory import Memory
from proxy.shared.redis.counts import UNASKED, Counts
from proxy.shared.redis.limit import LOCAL, ON_FAILURE, OPEN, SHUT, OneShared, Shared, SharedLimits
from proxy.shared.redis.pipe import Refused
from proxy.shared.redis.script import CHARGING, REFUNDING
from proxy.verdict import PARKED


class Asking:
    """An exchange as far as limits know it."""

    def __init__(self, *keys):
        self.keys = keys or (b"k", b"o")
        self.limit_status = ""
        self.extra_fields = b""
        self.finished = 0.0


class Kept:
    """A store that keeps what it is asked; the test answers."""

    def __init__(self, clock, most=100):
        self.clock, self.most = clock, most
        self.asked = []
        self.joined = 0
        self.up = True
        self.counts = Counts()

    def full(self):
        return len(self.asked) + self.joined >= self.most

    def ask(self, command, since=0.0):
        if self.up and not self.full():
            self.asked.append(command)
            return True
        return False

    def answer(self, *heard):
        for one in heard:
            self.asked.pop(0).end(one)

    def scripts(self):
        return [command.script for command in self.asked]

    def wanted(self):
        """How many requests the last command asks for."""
        return int(self.asked[-1].words.rsplit(b"\r\n", 2)[-2])


class Scene:
    def __init__(self):
        self.clock = Clock(1000.0)
        self.parking = Parking(lambda at: None)
        self.store = Kept(self.clock)
        self.resumed, self.answered = [], []

    def limit(self, rate=1, burst=0, delay=None, key=0, **words):
        leaky = Leaky(rate * REQUEST, burst * REQUEST, None if delay is None else delay * REQUEST)
        buckets = Buckets(Memory(1 << 16), leaky)
        return Limit("l", lambda exchange: exchange.keys[key], leaky, buckets, [0] * len(OUTCOMES), **words)

    def shared(self, limit, on_failure=LOCAL, lease=1):
        counts = [0] * len(UNASKED)
        return Shared(limit, self.store, lambda key: b"n:{%b}" % key, counts, on_failure=on_failure, lease=lease)

    def step(self, *shared, own=()):
        limits = [*own, *(one.limit for one in shared)]
        judge = Limits(limits, self.clock, self.parking, self.resumed.append)
        told = lambda exchange, reply: self.answered.append((exchange, reply))  # noqa: E731
        step = SharedLimits(own, shared, self.clock, judge, self.resumed.append, told)
        return OneShared(shared[0], step, self.clock) if len(limits) == 1 else step


@pytest.fixture
def scene():
    return Scene()


def test_a_request_is_parked_and_goes_on_with_the_answer(scene):
    step = scene.step(scene.shared(scene.limit()))
    first, second = Asking(), Asking()
    assert step(first) is PARKED and step(second) is PARKED
    scene.store.answer(0)
    assert scene.resumed == [first] and first.limit_status == "passed"
    scene.store.answer(-1001)
    ((exchange, reply),) = scene.answered
    assert exchange is second and reply.status == 429 and second.limit_status == "rejected"


def test_an_empty_key_is_not_asked_for(scene):
    assert scene.step(scene.shared(scene.limit()))(Asking(b"", b"")) is None and not scene.store.asked


def test_a_client_that_has_gone_is_not_resumed(scene):
    step = scene.step(scene.shared(scene.limit()))
    gone, here = Asking(), Asking()
    step(gone), step(here)
    gone.finished = 1000.0
    scene.store.answer(0, 0)
    assert scene.resumed == [here]


def test_a_delay_parks_it_once_more(scene):
    step = scene.step(scene.shared(scene.limit(10, 5, 0)))
    asking = Asking()
    step(asking)
    scene.store.answer(2000)
    assert scene.resumed == [] and asking.limit_status == "delayed"
    scene.parking.ring(1000.2)
    assert scene.resumed == [asking]


def test_a_limit_of_this_host_rejects_before_redis_is_asked(scene):
    own = scene.limit()
    step = scene.step(scene.shared(scene.limit(key=1)), own=(own,))
    assert step(Asking()) is PARKED
    assert step(Asking()).status == 429 and len(scene.store.asked) == 1


def test_what_redis_rejects_is_given_back_here_and_there(scene):
    own = scene.limit(burst=5)
    step = scene.step(scene.shared(scene.limit()), scene.shared(scene.limit(key=1)), own=(own,))
    asking = Asking()
    assert step(asking) is PARKED and scene.store.scripts() == [CHARGING] * 2
    scene.store.answer(0, -1001)
    assert scene.answered[0][1].status == 429 and scene.store.scripts() == [REFUNDING]
    assert own.buckets.charge(b"k", 1_000_000) == 0  # nothing was charged in the end


@pytest.mark.parametrize("up", [True, False])
def test_without_redis_each_does_as_it_is_told(scene, up):
    """Whether it is asked and refuses, or cannot be asked."""
    kept = {kind: scene.shared(scene.limit(), number) for kind, number in ON_FAILURE.items()}

    scene.store.up = up
    step = scene.step(kept["open"])
    if up:
        step(Asking())
        scene.store.answer(Refused("gone"))
        assert len(scene.resumed) == 1
        scene.step(kept["shut"])(Asking())
        scene.store.answer(Refused("gone"))
        assert scene.answered.pop()[1].status == 503
        for _ in range(2):
            scene.step(kept["local"])(Asking())
        scene.store.answer(Refused("gone"), Refused("gone"))
        assert len(scene.resumed) == 2 and scene.answered.pop()[1].status == 429
    else:
        assert step(Asking()) is None
        reply = scene.step(kept["shut"])(Asking())
        assert reply.status == 503 and reply.fields == b"Retry-After: 1\r\n"
        assert [getattr(scene.step(kept["local"])(Asking()), "status", 200) for _ in range(2)] == [200, 429]
    assert [kept[kind].counts[number] for kind, number in ON_FAILURE.items()] == [1, 1, 2]


def test_a_shut_one_gives_back_what_others_charged(scene):
    own = scene.limit(burst=5)
    shut, other = scene.shared(scene.limit(), SHUT), scene.shared(scene.limit(key=1))
    asking = Asking()
    scene.step(shut, other, own=(own,))(asking)
    scene.store.answer(Refused("gone"), 0)
    assert scene.answered[0][1].status == 503 and scene.store.scripts() == [REFUNDING]
    assert own.buckets.charge(b"k", 1_000_000) == 0


def test_a_dry_run_lets_pass_whatever_happens(scene):
    for shared in (scene.shared(scene.limit(dry_run=True)), scene.shared(scene.limit(dry_run=True), SHUT)):
        for heard in (-1001, Refused("gone")):
            asking = Asking()
            scene.step(shared)(asking)
            scene.store.answer(heard)
            assert scene.resumed.pop() is asking


# --- batches --------------------------------------------------------------------------------------------------------


def test_a_batch_is_spent_without_asking(scene):
    shared = scene.shared(scene.limit(1, 100), lease=8)
    step = scene.step(shared)
    sizes = []
    for n in range(15):
        if step(Asking()) is PARKED:
            sizes.append(scene.store.wanted())
            scene.store.answer(n * 1000)
    assert sizes == [1, 2, 4, 8] and len(scene.resumed) == 4


def test_those_who_come_meanwhile_wait_for_the_same_batch(scene):
    shared = scene.shared(scene.limit(1, 100), lease=8)
    step = scene.step(shared)
    asking = [Asking() for _ in range(12)]
    assert [step(one) for one in asking] == [PARKED] * 12
    assert len(scene.store.asked) == 1 and scene.store.joined == 12
    scene.store.answer(0)
    assert scene.resumed == asking[:1] and scene.store.wanted() == 8 and scene.store.joined == 11
    scene.store.answer(1000)
    assert scene.resumed == asking[:9]
    scene.store.answer(9000)
    assert scene.resumed == asking and scene.store.joined == 0 and not scene.store.asked


def test_a_full_bucket_rejects_all_who_wait_and_is_not_asked_again_until_there_is_room(scene):
    shared = scene.shared(scene.limit(1, 1), lease=8)
    step = scene.step(shared)
    for _ in range(5):
        step(Asking())
    scene.store.answer(0)
    scene.store.answer(1000)
    assert len(scene.resumed) == 2 and not scene.store.asked  # four were wanted and one was got: there is no more
    assert [reply.status for _, reply in scene.answered] == [429] * 3
    assert step(Asking()).status == 429 and not scene.store.asked
    scene.clock.now += 1.0
    assert step(Asking()) is PARKED


def test_what_is_left_goes_back_and_the_key_is_forgotten(scene):
    shared = scene.shared(scene.limit(1, 100), lease=8)
    step = scene.step(shared)
    for n in range(4):
        step(Asking())
        if scene.store.asked:
            scene.store.answer(n * 1000)
    assert len(shared.leases) == 1
    shared.tick(1_000_500)
    assert len(shared.leases) == 1
    scene.clock.now += 3.0
    shared.tick(1_003_000)
    assert shared.leases == {}
    shared.tick(1_009_000)


def test_a_reload_gives_all_back(scene):
    shared = scene.shared(scene.limit(1, 100), lease=8)
    for n in (0, 1000):
        scene.step(shared)(Asking())
        scene.store.answer(n)
    shared.retire(1_000_000)
    assert shared.leases == {} and scene.store.scripts() in ([], [REFUNDING])


def test_without_redis_those_who_wait_for_a_batch_do_as_told(scene):
    shared = scene.shared(scene.limit(1, 100), OPEN, lease=8)
    step = scene.step(shared)
    for _ in range(5):
        step(Asking())
    scene.store.answer(Refused("gone"))
    assert len(scene.resumed) == 5 and scene.store.joined == 0 and shared.counts[OPEN] == 5


def test_how_many_join_is_bounded(scene):
    scene.store.most = 3
    shared = scene.shared(scene.limit(1, 100), OPEN, lease=8)
    verdicts = [scene.step(shared)(Asking()) for _ in range(5)]
    assert verdicts == [PARKED] * 2 + [None] * 3


def test_what_another_limit_rejects_goes_back_into_the_batch(scene):
    lent, single = scene.shared(scene.limit(1, 100), lease=8), scene.shared(scene.limit(key=1))
    step = scene.step(lent, single)
    step(Asking())
    scene.store.answer(0, -1001)
    assert scene.answered[0][1].status == 429
    assert lent.leases[b"k"].left == 1 and not scene.store.asked
