"""The script in Redis decides as the Python does, request by request; on a real server, whose clock the test turns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from valkeys import BOTH, Valkey

from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.shared.buckets import Buckets
from proxy.shared.memory import Memory
from proxy.shared.redis.script import CHARGE, REFUND, SCRIPTS, naming

redis = pytest.importorskip("redis", reason="redis is not installed")

START = 1_700_000_000_000  # milliseconds
names = map("frontgate:l:{{{}}}".format, itertools.count())


@pytest.fixture(scope="module", params=BOTH)
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    with Valkey(kind=request.param) as running, redis.Redis(port=running.port) as client:
        yield client


LIFE = b"string.format('%.0f', life)"  # in the script: how long a key lives


class Turned:
    """The scripts on a server whose clock is an argument. Keys do not expire; with `living` it says when they would."""

    def __init__(self, client: Any, leaky: Leaky, *, living: bool = False) -> None:
        self.client, self.leaky = client, leaky
        text = CHARGE.replace(b"redis.call('TIME')", b"{ARGV[4], ARGV[5]}")
        assert text.count(LIFE) == 1 and text.count(b"return excess\n") == 1
        text = text.replace(LIFE, b"'99999999'")
        text = text.replace(b"return excess\n", b"return " + LIFE) if living else text
        self.script = client.register_script(text)
        self.refunding = client.register_script(REFUND)
        self.key = next(names)

    def charge(self, now_ms: int, wanted: int = 1) -> int:
        seconds, ms = divmod(now_ms, 1000)
        return int(self.script([self.key], [self.leaky.rate, self.leaky.burst, wanted, seconds, ms * 1000]))

    def refund(self) -> None:
        self.refunding([self.key], [1])


LEAKIES = st.builds(
    Leaky, st.sampled_from([1, 16, 1000, 16_666, 10**6, 10**9]) | st.integers(1, 10**7), st.integers(0, 10**6)
)
PAUSES = st.lists(st.integers(0, 3) | st.integers(0, 5000) | st.integers(-70_000, 10_000_000), min_size=1, max_size=25)


@settings(max_examples=60)
@given(leaky=LEAKIES, pauses=PAUSES)
@example(leaky=Leaky(10_000, 5000), pauses=[0] * 8 + [99, 1, 100, 50, 50])
@example(leaky=Leaky(1000), pauses=[1000, 999, 1, 1000, 1001])
@example(leaky=Leaky(1000, 2000), pauses=[0, 0, 0, -10, -60_000, -60_001, -1, 1])
def test_the_script_decides_as_the_buckets_of_a_host_do(server: Any, leaky: Leaky, pauses: list[int]) -> None:
    memory = Memory(1 << 16)
    buckets, turned, now = Buckets(memory, leaky), Turned(server, leaky), START
    for pause in pauses:
        now = max(START - 10**9, now + pause)
        assert turned.charge(now) == buckets.charge_alone(b"k", now)
    memory.close()


@settings(max_examples=40)
@given(leaky=LEAKIES, steps=st.lists(st.tuples(st.booleans(), st.integers(0, 3000)), min_size=1, max_size=25))
def test_refunds_too(server: Any, leaky: Leaky, steps: list[tuple[bool, int]]) -> None:
    memory = Memory(1 << 16)
    buckets, turned, now = Buckets(memory, leaky), Turned(server, leaky), START
    for refunded, pause in steps:
        now += pause
        assert turned.charge(now) == buckets.charge_alone(b"k", now)
        if refunded:
            turned.refund()
            buckets.refund(b"k")
    memory.close()


@settings(max_examples=40)
@given(leaky=LEAKIES, batches=st.lists(st.tuples(st.integers(1, 50), st.integers(0, 3000)), min_size=1, max_size=12))
def test_a_batch_is_as_many_requests_at_once(server: Any, leaky: Leaky, batches: list[tuple[int, int]]) -> None:
    turned, single, now = Turned(server, leaky), Turned(server, leaky), START
    for wanted, pause in batches:
        now += pause
        first = turned.charge(now, wanted)
        if first < 0:
            assert single.charge(now) == first
            continue
        granted = min(wanted, (leaky.burst - first) // REQUEST + 1)
        assert [single.charge(now) for _ in range(granted)] == [first + REQUEST * n for n in range(granted)]
        if granted < wanted:
            assert single.charge(now) < 0
        assert server.get(turned.key) == server.get(single.key)


@settings(max_examples=60)
@given(leaky=LEAKIES, pauses=st.lists(st.integers(-100, 5000), min_size=1, max_size=10), wanted=st.integers(1, 5))
def test_a_key_lives_as_long_as_it_matters_and_no_longer(
    server: Any, leaky: Leaky, pauses: list[int], wanted: int
) -> None:
    """When it expires it would decide as no key does, and two milliseconds before that it would not."""
    turned, living, now = Turned(server, leaky), Turned(server, leaky, living=True), START
    for pause in pauses:
        now += pause
        living.key = turned.key
        before = server.get(turned.key)
        if turned.charge(now, wanted) < 0:
            continue
        if before is None:
            server.delete(turned.key)
        else:
            server.set(turned.key, before)
        expires = now + living.charge(now, wanted)
        excess, last = map(int, server.get(turned.key).split())
        assert leaky.charge(excess, last, max(last + 1, expires)) == (True, 0, max(last + 1, expires))
        assert expires - 2 <= last or excess + REQUEST - leaky.rate * (expires - 2 - last) // 1000 > 0


def test_what_is_no_bucket_is_written_over(server: Any) -> None:
    turned = Turned(server, Leaky(1000))
    server.set(turned.key, "something else")
    assert turned.charge(START) == 0 and turned.charge(START) == -1001
    turned.refund()
    assert turned.charge(START) == 0


def test_a_refund_of_what_is_gone_makes_no_key(server: Any) -> None:
    turned = Turned(server, Leaky(1000))
    turned.refund()
    assert server.exists(turned.key) == 0


def test_the_scripts_load(server: Any) -> None:
    for script, text in zip(SCRIPTS, (CHARGE, REFUND), strict=True):
        assert server.script_load(text).encode() == script.digest


def test_names_hold_nothing_of_a_client() -> None:
    name = naming("frontgate", "per_ip", None)
    found = {name(key) for key in (b"\xc0\0\2\7", b"*\r\nFLUSHALL\r\n", b"x" * 100_000, b"{a}{b}", b"")}
    assert len(found) == 5
    for one in found:
        assert len(one) == len(b"frontgate:per_ip:{}") + 32 and one[18:-1].isalnum() and one.isascii()
    assert name(b"a") != naming("frontgate", "per_ip", "a secret of ours")(b"a")
    assert name(b"a") == naming("frontgate", "per_ip", None)(b"a")
