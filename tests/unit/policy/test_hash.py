"""Hashes of keys: vectors that nginx gave for the same configuration, and who takes over for whom."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from proxy.clock import Clock
from proxy.policy.backend import Backend
from proxy.policy.balance.hash import Hash
from proxy.policy.balance.ring import POINTS, Ring, parts, points
from proxy.policy.balance.round_robin import RoundRobin

# Keys "key0" to "key39" over ports 19001, 19002 (weight 3), 19003 and 19004 (down), as nginx 1.22 answered.
PLAIN = "2323223212323121212321233212222113211223"
RINGED = "2322321222221223332232212222211322223223"


def four():
    servers = [(19001, 1, False), (19002, 3, False), (19003, 1, False), (19004, 1, True)]
    return [Backend(f"127.0.0.1:{port}", weight=weight, down=down) for port, weight, down in servers]


def asking(key):
    return SimpleNamespace(key=key)


def made(kind, backends):
    return kind(backends, Clock(1000.0), None, lambda exchange: exchange.key)


@pytest.mark.parametrize(("kind", "expected"), [(Hash, PLAIN), (Ring, RINGED)])
def test_the_same_servers_as_nginx(kind, expected):
    balancer = made(kind, four())
    assert "".join(balancer.pick(asking(b"key%d" % number), ()).address[-1] for number in range(40)) == expected


@pytest.mark.parametrize("kind", [Hash, Ring])
def test_a_retry_goes_elsewhere_and_to_all_before_none(kind):
    backends = four()
    balancer = made(kind, backends)
    tried = []
    for _ in range(3):
        tried.append(balancer.pick(asking(b"key"), tried))
    assert len(set(tried)) == 3 and not any(backend.down for backend in tried)
    assert balancer.pick(asking(b"key"), tried) is None


@pytest.mark.parametrize("kind", [Hash, Ring])
def test_without_a_key_round_robin_decides(kind):
    balancer, turns = made(kind, four()), RoundRobin(four(), Clock(1000.0))
    keyless = [balancer.pick(asking(b""), ()).address for _ in range(10)]
    assert keyless == [turns.pick(asking(b""), ()).address for _ in range(10)]


@pytest.mark.parametrize("kind", [Hash, Ring])
def test_a_single_one_is_picked_also_after_failures(kind):
    only = Backend("10.0.0.1:1", max_fails=1)
    only.fails, only.checked = 5, 1000.0
    assert made(kind, [only]).pick(asking(b"key"), ()) is only


def test_a_ring_leaves_the_keys_of_the_others_alone():
    few = [Backend(f"10.0.0.{number}:80") for number in range(1, 5)]
    before, after = made(Ring, few), made(Ring, few[:3])
    moved = 0
    for number in range(400):
        old = before.pick(asking(b"%d" % number), ())
        new = after.pick(asking(b"%d" % number), ())
        assert new is old or old is few[3]
        moved += new is not old
    assert 50 < moved < 150


def test_addresses_of_one_name_share_its_points_and_take_turns():
    pair = [Backend(f"10.0.0.{number}:80") for number in (1, 2)]
    for backend in pair:
        backend.server = "app.test"
    balancer = made(Ring, [*pair, Backend("10.0.0.3:80")])
    picked = [balancer.pick(asking(b"a"), ()) for _ in range(4)]
    if picked[0] in pair:
        assert picked[0] is picked[2] and picked[1] is picked[3] and picked[0] is not picked[1]
    assert len(balancer.places) == 2 * POINTS


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("10.0.0.1:80", b"10.0.0.1\x0080"),
        ("app.test", b"app.test\0"),
        ("[::1]:80", b"[::1]\x0080"),
        ("[::1]", b"[::1]\0"),
        ("unix:/run/app.sock", b"/run/app.sock\0"),
    ],
)
def test_what_points_are_made_of(server, expected):
    assert parts(server) == expected


def test_points_are_a_chain_and_160_a_weight():
    assert len(points("a:1", 3)) == 3 * POINTS
    assert points("a:1", 3)[:POINTS] == points("a:1", 1)
