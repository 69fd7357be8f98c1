"""An upstream and its queue, with pools that only write down what they are lent."""

from __future__ import annotations

import pytest

from proxy import faults
from proxy.clock import Clock, Parking
from proxy.policy.backend import Backend, LocalGauge
from proxy.policy.balance.least_conn import LeastConn
from proxy.policy.balance.round_robin import RoundRobin
from proxy.policy.breaker import OPEN, Breaker, LocalRecord, Settings
from proxy.policy.retry import Retry
from proxy.upstream import group as group_module
from proxy.upstream.group import Group
from proxy.upstream.queue import Queue


class Asking:
    """An exchange, as far as an upstream knows it."""

    def __init__(self, scene, attempts=0):
        self.clock = scene.clock
        self.tried = ()
        self.backend = self.queue = None
        self.ticket = 0
        self.queued = self.attempted = self.deadline = 0.0
        self.finished = self.fresh = False
        self.route = self
        self.retry = Retry(attempts=attempts)


class Heads:
    """The cells of the queues' heads, of this worker (row 0) and another."""

    def __init__(self):
        self.since = [0, 0]

    def set(self, since, now):
        self.since[0] = since

    def oldest(self, now, longest):
        waits = [(since, row) for row, since in enumerate(self.since) if since]
        return min(waits)[1] if waits else -1

    def row(self):
        return 0


class Rival(LocalGauge):
    """A gauge at which another worker gets the last place, between a look and a claim, so many times."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    def claim(self, most):
        if self.times:
            self.times -= 1
            self.count += 1
        return super().claim(most)


class Busy:
    """A breaker whose probes are all out by the time that one asks for one."""

    def blocks(self, now):
        return False

    def claim(self, now):
        return 0


class Scene:
    """A group of backends called a, b, ... in front of which exchanges wait."""

    def __init__(self, monkeypatch, *gauges, balance=RoundRobin, max_conns=1, queue=True, breaker=False, size=10):
        self.clock = Clock(100.0)
        self.lent, self.failed, self.called = [], [], []
        monkeypatch.setattr(group_module.engine, "failed", self.fail)
        self.backends = [
            Backend(chr(ord("a") + number), max_conns=max_conns, inflight=gauge, pool=self)
            for number, gauge in enumerate(gauges)
        ]
        for backend in self.backends if breaker else ():
            backend.breaker = Breaker(Settings(failures=1, recovery=50.0), LocalRecord())
            backend.guard()
        balancer = balance(self.backends, self.clock, None)
        self.group = Group("app", self.backends, balancer, Parking(lambda at: None))
        if queue:
            parts = (self.clock, Heads(), (0, 0), self.group, self.called.append)
            self.group.queue = Queue(size, 5.0, *parts)
        self.group.join()

    def fail(self, exchange, fault):
        exchange.finished = True
        self.failed.append((exchange, fault))

    def lend(self, exchange):
        assert exchange.queue is None  # bookkeeping is over: lending may come back here
        self.lent.append((exchange, exchange.backend.address))

    def send(self, **words):
        exchange = Asking(self, **words)
        self.group.send(exchange)
        return exchange

    def settle(self, exchange, failed=False):
        backend, exchange.backend = exchange.backend, None
        backend.settle(self.clock.now, failed, True, exchange.ticket, "connect" if failed else 200)

    def turn(self):
        """What the loop does next."""
        while self.called:
            self.called.pop()()


@pytest.fixture
def scene(monkeypatch):
    return lambda *gauges, **words: Scene(monkeypatch, *(gauges or (None, None)), **words)


def test_attempts_are_taken_and_lent(scene):
    stage = scene(max_conns=0)
    first, second = stage.send(), stage.send()
    assert stage.lent == [(first, "a"), (second, "b")]
    assert [one.taken for one in stage.backends] == [1, 1] and first.tried == (stage.backends[0],)
    assert first.attempted == 100.0


@pytest.mark.parametrize("balance", [RoundRobin, LeastConn])
def test_who_loses_the_last_place_goes_elsewhere(scene, balance):
    stage = scene(Rival(1), None, balance=balance)
    exchange = stage.send()
    assert stage.lent == [(exchange, "b")] and exchange.tried == (stage.backends[1],)
    assert [(one.taken, one.inflight.total()) for one in stage.backends] == [(0, 1), (1, 1)]


def test_who_loses_the_last_place_of_all_waits(scene):
    stage = scene(Rival(1))
    exchange = stage.send()
    assert not stage.lent and not stage.failed and exchange.queue is stage.group.queue
    stage.backends[0].inflight.add(-1)  # the other worker's is over
    stage.clock.now += 1.0
    stage.group.tick(stage.clock.now)
    assert stage.lent == [(exchange, "a")] and exchange.queued == 1.0


def test_who_loses_the_last_place_gives_the_breaker_its_probe_back(scene):
    stage = scene(Rival(0), breaker=True)
    stage.settle(stage.send(), failed=True)
    stage.clock.now += 60.0
    stage.backends[0].inflight.times = 1
    lost = stage.send()
    assert lost.queue is not None and lost.ticket == 0
    stage.backends[0].inflight.add(-1)
    stage.group.tick(stage.clock.now)  # it would not get the only probe if that were still out
    assert stage.lent[-1] == (lost, "a") and lost.ticket != 0


def test_a_place_that_becomes_free_goes_to_the_first(scene):
    stage = scene(None)
    first, second, third = stage.send(), stage.send(), stage.send()
    stage.clock.now += 2.0
    stage.settle(first)
    stage.turn()
    assert stage.lent == [(first, "a"), (second, "a")] and len(stage.group.queue) == 1
    assert (sum(stage.group.queue.waits.cells), stage.group.queue.waits.seconds, second.queued) == (1, 2.0, 2.0)
    stage.settle(second)
    stage.turn()
    assert stage.lent[2] == (third, "a") and not stage.group.queue.busy()


def test_an_exchange_that_comes_back_while_it_is_served_is_not_lost(scene):
    """A link that turns out to be dead sends it again from inside `lend`, into the line that it has just left."""
    stage = scene(None)
    first, second, third = stage.send(), stage.send(), stage.send()
    real = stage.lend

    def dead(exchange):
        stage.lend = real
        stage.settle(exchange)
        exchange.tried = ()
        stage.group.send(exchange)

    stage.lend = dead
    stage.settle(first)
    stage.turn()
    assert stage.lent[-1] == (third, "a") and second.queue is stage.group.queue
    stage.settle(third)
    stage.turn()
    assert stage.lent[-1] == (second, "a")


@pytest.mark.parametrize("fallback", [False, True])
def test_when_all_go_out_nobody_waits_any_more(scene, fallback):
    stage = scene()
    answered = []
    if fallback:
        stage.group.fallback = type("Page", (), {"send": lambda self, exchange: answered.append(exchange)})()
    stage.send()
    stage.send()
    waiting = [stage.send(), stage.send()]
    stage.backends[0].held = True
    stage.group.tick(stage.clock.now)
    assert [one.queue for one in waiting] == [stage.group.queue] * 2  # b may still become free
    stage.backends[1].held = True
    stage.group.tick(stage.clock.now)
    assert not stage.group.queue.busy() and [one.queue for one in waiting] == [None, None]
    assert (answered if fallback else stage.failed) == (
        waiting if fallback else [(one, faults.NO_BACKEND) for one in waiting]
    )
    assert len(stage.lent) == 2


def test_when_all_breakers_open_nobody_waits_any_more(scene):
    stage = scene(breaker=True)
    busy = [stage.send(), stage.send()]
    waiting = stage.send()
    for number, one in enumerate(busy):
        assert waiting.queue is not None and not stage.failed, number
        stage.settle(one, failed=True)
        stage.turn()
    assert [backend.breaker.state for backend in stage.backends] == [OPEN, OPEN]
    assert stage.failed == [(waiting, faults.NO_BACKEND)]


def test_whoever_waits_asks_every_breaker(scene):
    """The backend that is picked first may not have it: the other one does."""
    stage = scene(breaker=True)
    first, second = stage.send(), stage.send()
    waiting = stage.send()
    stage.settle(first)
    stage.settle(second)
    stage.backends[0].breaker = Busy()
    stage.turn()
    assert stage.lent[-1] == (waiting, "b") and waiting.ticket != 0


def test_another_attempt_does_not_wait_for_whom_it_has_tried(scene):
    stage = scene()
    stage.send()
    retried = Asking(stage)
    retried.tried = tuple(stage.backends)
    stage.send()
    stage.group.send(retried)
    assert stage.failed == [(retried, faults.NO_BACKEND)]
    wanted = Asking(stage, attempts=5)
    wanted.tried = tuple(stage.backends)
    stage.group.send(wanted)
    assert wanted.queue is stage.group.queue


def test_the_only_backend_is_waited_for_although_it_has_failed(scene):
    stage = scene(None)
    stage.settle(stage.send(), failed=True)
    busy, waiting = stage.send(), stage.send()
    assert stage.backends[0].fails and waiting.queue is stage.group.queue
    stage.settle(busy)
    stage.turn()
    assert stage.lent[-1] == (waiting, "a")


def test_when_failures_keep_all_out_whoever_waits_is_tried_where_a_place_is_free(scene):
    stage = scene()
    first, second = stage.send(), stage.send()
    waiting = stage.send()
    stage.settle(first, failed=True)
    stage.settle(second, failed=True)
    stage.turn()
    assert stage.lent[-1] == (waiting, "a")


@pytest.mark.parametrize("queue", [True, False])
def test_who_rests_is_not_tried_while_somebody_is_well_and_merely_full(scene, queue):
    stage = scene(queue=queue)
    dead, well = stage.backends
    first = stage.send()
    stage.settle(first, failed=True)
    assert dead.resting(stage.clock.now)
    second = stage.send()
    third = stage.send()
    assert stage.lent[1:] == [(second, well.address)], "the dead one was asked, though one could wait for the other"
    if queue:
        stage.settle(second)
        stage.group.tick(stage.clock.now)
        assert stage.lent[2:] == [(third, well.address)] and not stage.failed
    else:
        assert [fault for _, fault in stage.failed] == [faults.NO_BACKEND]


def test_too_many_and_too_long(scene):
    stage = scene(None, size=1)
    stage.send()
    waiting, refused = stage.send(), stage.send()
    assert stage.failed == [(refused, faults.QUEUE_FULL)]
    stage.group.tick(104.9)
    assert waiting.queue is not None
    stage.group.tick(105.0)
    assert stage.failed[-1] == (waiting, faults.QUEUE_TIMEOUT) and waiting.queue is None


def test_without_a_queue_the_answer_comes_at_once(scene):
    stage = scene(None, queue=False)
    stage.send()
    assert stage.failed == [(stage.send(), faults.NO_BACKEND)]


# --- workers of our own, which come again -----------------------------------------------------------------------------


def awaited(stage):
    """All workers are dead, and come again."""
    stage.group.seats = len(stage.backends)
    for backend in stage.backends:
        backend.held = backend.awaited = True
        backend.guard()


def come(backend):
    """One is there again."""
    backend.held = backend.awaited = False
    backend.guard()


def test_workers_that_come_again_are_waited_for(scene):
    stage = scene()
    awaited(stage)
    waiting, other = stage.send(), stage.send()
    assert waiting.queue is other.queue is stage.group.queue and not stage.failed
    come(stage.backends[1])
    stage.group.tick(101.0)
    assert stage.lent == [(waiting, "b")] and other.queue is not None
    come(stage.backends[0])
    stage.group.tick(101.1)
    assert stage.lent[-1] == (other, "a")


def test_workers_that_do_not_come_again_are_not_waited_for_any_more(scene):
    stage = scene()
    awaited(stage)
    waiting = stage.send()
    for backend in stage.backends:
        backend.awaited = False
    stage.group.tick(101.0)
    assert stage.failed == [(waiting, faults.NO_BACKEND)]


def test_they_are_waited_for_as_long_as_the_queue_says_and_where_there_is_one(scene):
    stage = scene()
    awaited(stage)
    waiting = stage.send()
    stage.group.tick(105.0)
    assert stage.failed == [(waiting, faults.QUEUE_TIMEOUT)]
    stage = scene(queue=False)
    awaited(stage)
    assert stage.failed == [(stage.send(), faults.NO_BACKEND)]


def test_who_sat_in_a_seat_may_be_another_one_by_now(scene):
    stage = scene()
    awaited(stage)
    again = Asking(stage)
    again.tried = (stage.backends[0],)
    stage.backends[1].awaited = False  # the seat that is free
    assert stage.group.has_another(again)
    stage.group.send_again(again, 0.0)
    come(stage.backends[0])
    stage.group.tick(101.0)
    assert stage.lent == [(again, "a")] and again.tried == (stage.backends[0],) * 2
    assert not stage.group.has_another(again)  # it has had as many attempts as there are seats


def test_a_worker_that_cannot_be_reached_is_left_alone_until_the_next_look(scene):
    stage = scene()
    asking = stage.send()
    assert not stage.group.awaits(asking, stage.backends[0])  # it is none of ours
    stage.group.seats = 2
    assert stage.group.awaits(asking, stage.backends[0])
    assert stage.backends[0].awaited and stage.backends[0].out(100.0) and stage.backends[0].guarded
    asking.queued = 5.0
    assert not stage.group.awaits(asking, stage.backends[1])
