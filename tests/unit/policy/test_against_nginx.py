"""Each strategy makes the choices of nginx's C code, whatever happens to the backends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.clock import Clock
from proxy.policy.backend import Backend
from proxy.policy.balance.hash import Hash
from proxy.policy.balance.ip_hash import IpHash, octets
from proxy.policy.balance.least_conn import LeastConn
from proxy.policy.balance.ring import Ring
from proxy.policy.balance.round_robin import RoundRobin
from tests.unit.policy.nginx_peers import Peer, Peers, Request
from tests.unit.policy.words import Asking

servers = st.lists(
    st.fixed_dictionaries(
        {
            "weight": st.integers(1, 7),
            "max_fails": st.integers(0, 3),
            "fail_timeout": st.sampled_from([1, 3, 10]),
            "max_conns": st.sampled_from([0, 0, 1, 2]),
            "down": st.sampled_from([False, False, False, True]),
            "backup": st.sampled_from([False, False, True]),
        }
    ),
    min_size=1,
    max_size=6,
).filter(lambda many: not all(one["backup"] for one in many))
packed = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16), st.just(b""))
outcomes = st.sampled_from(["well", "well", "failed", "failed and again", "failed and again", "open"])
life = st.lists(st.tuples(st.sampled_from([0, 0, 1, 2, 5, 11]), packed, st.lists(outcomes, max_size=4)), max_size=40)


def hashed(address):
    return octets(address) if address else bytes(3)


def by_address(exchange):
    return hashed(exchange.client.packed)


@pytest.mark.parametrize(
    ("strategy", "c"),
    [
        (RoundRobin, "round_robin"),
        (LeastConn, "least_conn"),
        (IpHash, "ip_hash"),
        (lambda *rest: Hash(*rest, by_address), "key_hash"),
        (lambda *rest: Ring(*rest, by_address), "ring"),
    ],
)
@settings(max_examples=150, deadline=None)
@given(servers=servers, life=life)
def test_same_choices_and_same_state(strategy, c, servers, life):
    clock = Clock(1000.0)
    backends = [Backend(str(i), **server) for i, server in enumerate(servers)]
    peers = []
    for i, server in enumerate(servers):
        options = {name: value for name, value in server.items() if name != "backup"}
        peers.append(Peer(str(i), **options))
    pairs = list(zip(peers, servers, strict=True))
    oracle = Peers([p for p, s in pairs if not s["backup"]], [p for p, s in pairs if s["backup"]])
    balancer = strategy(backends, clock, None)
    in_use = []
    for seconds, address, happens in life:
        clock.now += seconds
        exchange, request, tried = Asking(address), Request(hashed(address)), []
        for outcome in [*happens, "well"]:
            picked = balancer.pick(exchange, tried)
            expected = getattr(oracle, c)(request, clock.now)
            assert (picked and picked.address) == (expected and expected.name)
            if picked is None:
                break
            picked.take(clock.now)
            tried.append(picked)
            if outcome == "open":
                in_use.append((picked, expected))
                break
            picked.settle(clock.now, failed=outcome != "well", counts=True)
            oracle.free(expected, clock.now, failed=outcome != "well")
            if outcome != "failed and again":
                break
        if len(in_use) > 4:
            backend, peer = in_use.pop(0)
            backend.settle(clock.now, failed=False, counts=True)
            oracle.free(peer, clock.now, failed=False)
        if len(servers) > 1:
            assert [(b.current, b.effective, b.fails, b.checked) for b in backends] == [
                (p.current_weight, p.effective_weight, p.fails, p.checked) for p in peers
            ]
        assert [b.inflight.total() for b in backends] == [p.conns for p in peers]


def test_ip_hash_gives_up_after_as_many_misses_as_nginx():
    # One heavy primary that is down makes long walks: some networks need exactly 20 misses, some 21.
    backends = [Backend("heavy", weight=20, down=True), Backend("b"), Backend("c")]
    oracle = Peers(
        [Peer("heavy", 20, 1, 10, 0, True), Peer("b", 1, 1, 10, 0, False), Peer("c", 1, 1, 10, 0, False)], []
    )
    balancer = IpHash(backends, Clock(1000.0), None)
    lengths = set()
    for number in range(2000):
        address = bytes((10, number >> 8, number & 255, 1))
        request = Request(hashed(address))
        assert balancer.pick(Asking(address), ()).address == oracle.ip_hash(request, 1000).name
        lengths.add(request.tries)
    assert {20, 21} <= lengths
