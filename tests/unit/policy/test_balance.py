"""The strategies on known vectors, and their rules one by one."""

from __future__ import annotations

import pytest

from proxy.clock import Clock
from proxy.policy.backend import Backend
from proxy.policy.balance.ip_hash import START, IpHash, octets, rehash
from proxy.policy.balance.least_conn import LeastConn
from proxy.policy.balance.round_robin import RoundRobin
from tests.unit.policy.words import Asking, backends

STRATEGIES = [RoundRobin, LeastConn, IpHash]


def sequence(balancer, count):
    return "".join(balancer.pick(Asking(), ()).address for _ in range(count))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [((5, 1, 1), "aabacaa"), ((3, 1), "aaba"), ((4, 2, 1), "abacaba"), ((1, 1, 1), "abc")],
)
def test_smooth_weighted_round_robin(weights, expected):
    balancer = RoundRobin(backends(*weights), Clock(), None)
    assert sequence(balancer, 3 * len(expected)) == 3 * expected


@pytest.mark.parametrize(
    ("network", "value", "two", "three", "weighted"),
    [
        ((192, 168, 1), 154, 0, 1, 0),
        ((10, 0, 0), 2565, 1, 0, 0),
        ((127, 0, 0), 4040, 0, 2, 0),
        ((203, 0, 113), 2592, 0, 0, 0),
        ((8, 8, 8), 3023, 1, 2, 1),
        ((1, 1, 1), 636, 0, 0, 0),
    ],
)
def test_ip_hash_vectors(network, value, two, three, weighted):
    assert rehash(START, bytes(network)) == value
    for weights, index in (((1, 1), two), ((1, 1, 1), three), ((3, 1), weighted)):
        group = backends(*weights)
        balancer = IpHash(group, Clock(), None)
        for last in (0, 1, 255):
            assert balancer.pick(Asking(bytes((*network, last))), ()) is group[index]


def test_ip_hash_of_ipv6_is_over_all_octets_and_of_unix_a_constant():
    assert octets(bytes(15) + b"\x01") == bytes(15) + b"\x01"
    assert octets(b"") == bytes(3)
    group = backends(1, 1, 1, 1, 1, 1, 1)
    balancer = IpHash(group, Clock(), None)
    assert len({balancer.pick(Asking(bytes(15) + bytes((i,))), ()).address for i in range(50)}) > 3


def test_ip_hash_spreads_all_networks_evenly():
    group = backends(1, 1, 1)
    balancer = IpHash(group, Clock(), None)
    share = dict.fromkeys("abc", 0)
    asking = Asking()
    for number in range(0, 1 << 24, 257):
        asking.client.packed = (number << 8).to_bytes(4, "big")
        share[balancer.pick(asking, ()).address] += 1
    ideal = sum(share.values()) / 3
    assert all(abs(count - ideal) < 0.01 * ideal for count in share.values())


def test_ip_hash_keeps_the_others_clients_while_one_is_down():
    group = backends(1, 1, 1)
    balancer = IpHash(group, Clock(), None)
    clients = [Asking(bytes((10, i, 7, 1))) for i in range(60)]
    before = [balancer.pick(client, ()) for client in clients]
    group[1].down = True
    for client, old in zip(clients, before, strict=True):
        now = balancer.pick(client, ())
        assert now is old if old is not group[1] else now in (group[0], group[2])


def test_least_conn_compares_by_weight():
    a, b = backends(3, 1)
    balancer = LeastConn([a, b], Clock(), None)
    for _ in range(3):
        a.take(0.0)
    b.take(0.0)
    a.settle(0.0, failed=False, counts=True)
    assert balancer.pick(Asking(), ()) is a  # 2/3 against 1/1
    a.take(0.0)
    a.take(0.0)
    assert balancer.pick(Asking(), ()) is b  # 4/3 against 1/1


def test_least_conn_decides_ties_in_turn():
    assert sequence(LeastConn(backends(5, 1, 1), Clock(), None), 7) == "aabacaa"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_backups_only_when_no_primary_is_left(strategy):
    a, b, spare = Backend("a"), Backend("b"), Backend("spare", backup=True)
    balancer = strategy([spare, a, b], Clock(100.0), None)
    assert {balancer.pick(Asking(bytes((i, 1, 1, 1))), ()) for i in range(20)} <= {a, b}
    assert balancer.pick(Asking(), [a, b]) is spare
    assert balancer.pick(Asking(), [a, b, spare]) is None
    a.down = b.down = True
    assert balancer.pick(Asking(), ()) is spare


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_backends_at_all(strategy):
    assert strategy([], Clock(), None).pick(Asking(), ()) is None


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_only_backend_is_never_out_for_its_failures(strategy):
    (only,) = backends(1)
    balancer = strategy([only], Clock(50.0), None)
    for _ in range(5):
        only.take(50.0)
        only.settle(50.0, failed=True, counts=True)
    assert balancer.pick(Asking(), ()) is only
    assert balancer.pick(Asking(), [only]) is None
    only.down = True
    assert balancer.pick(Asking(), ()) is None


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_max_conns_holds_over_all_workers(strategy):
    class Elsewhere:
        def add(self, n):
            pass

        def total(self):
            return 4

    full, free = Backend("full", max_conns=4, inflight=Elsewhere()), Backend("free", weight=1)
    for _ in range(9):
        free.take(0.0)
    balancer = strategy([full, free], Clock(), None)
    assert {balancer.pick(Asking(bytes((i, 1, 1, 1))), ()) for i in range(9)} == {free}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_probe_after_the_failed_backend_has_waited(strategy):
    clock = Clock(100.0)
    bad, good = Backend("bad", fail_timeout=10.0), Backend("good")
    balancer = strategy([bad, good], clock, None)
    bad.take(clock.now)
    bad.settle(clock.now, failed=True, counts=True)
    clients = [Asking(bytes((i, 1, 1, 1))) for i in range(20)]

    def picked():
        return {balancer.pick(client, ()) for client in clients}

    assert picked() == {good}
    clock.now = 110.0
    assert picked() == {good}  # not before more than fail_timeout has passed
    clock.now = 110.5
    assert bad in picked()
    bad.take(clock.now)
    assert picked() == {good}  # the others wait for the probe
    bad.settle(clock.now, failed=False, counts=True)
    assert bad.fails == 0
    assert bad in picked()


def test_lowered_weight_recovers_by_one_each_time():
    a, b = backends(4, 4, max_fails=2)
    balancer = RoundRobin([a, b], Clock(5.0), None)
    a.take(5.0)
    a.settle(5.0, failed=True, counts=True)
    assert a.effective == 2
    seen = []
    for _ in range(3):
        balancer.pick(Asking(), ())
        seen.append(a.effective)
    assert seen == [3, 4, 4]


def test_ip_hash_goes_by_the_weights_as_they_are_written_whatever_parts_they_are_counted_in():
    """With slow start they count in hundredths, and a hash below 6271 would not reach all of them."""
    plain, fine = backends(50, 50), backends(50, 50)
    for backend in fine:
        backend.configure(weight=50, max_fails=1, fail_timeout=10.0, max_conns=0, backup=False, down=False, fine=100)
    one, other = IpHash(plain, Clock(), None), IpHash(fine, Clock(), None)
    for number in range(2000):
        asking = Asking(bytes((number % 250, number // 250, 7, 1)))
        assert plain.index(one.pick(asking, ())) == fine.index(other.pick(asking, ()))
