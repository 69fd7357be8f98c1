"""The limiter's window against a list of all moments, and who counts as whom in the middleware."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.resilience import Decision, LimiterDown, MemoryLimiter, RateLimitMiddleware, bearer, client_address

steps = st.lists(st.floats(0, 15, allow_nan=False), max_size=150)


@given(st.integers(1, 12), steps)
def test_never_more_than_the_limit_in_any_window(limit: int, pauses: list[float]) -> None:
    limiter = MemoryLimiter(limit, 10.0)
    now, passed = 1e6, []
    for pause in pauses:
        now += pause / 10
        decision = limiter.decide("a", now)
        if decision.allowed:
            passed.append(now)
            assert sum(moment > now - 10.0 for moment in passed) <= limit
            assert decision.retry_after == 0
        else:
            # And not much less: with those of one slice more, the window is full.
            assert sum(moment > now - 11.0 for moment in passed) >= limit
            assert decision.remaining == 0
            assert 0 < decision.retry_after <= 11.0
        assert 0 <= decision.remaining < limit
        assert decision.retry_after <= decision.reset <= 11.0


@given(st.integers(1, 12), steps)
def test_retry_after_and_reset_are_kept(limit: int, pauses: list[float]) -> None:
    limiter = MemoryLimiter(limit, 8.0)
    now = 1e6
    for pause in pauses:
        now += pause / 10
        decision = limiter.decide("a", now)
        if not decision.allowed:
            assert not limiter.decide("a", now + decision.retry_after * 0.99).allowed
            now += decision.retry_after + 1e-6
            assert limiter.decide("a", now).allowed
    decision = limiter.decide("a", now)
    now += decision.reset + 1e-6
    assert [limiter.decide("a", now).remaining for _ in range(limit)] == list(range(limit - 1, -1, -1))


def test_no_double_burst_at_the_edge_of_a_window() -> None:
    """The fault of fixed windows: 100 at 59.9 s and 100 more at 60.1 s."""
    limiter = MemoryLimiter(100, 60.0)
    assert sum(limiter.decide("a", 59.9).allowed for _ in range(150)) == 100
    assert not any(limiter.decide("a", 60.1).allowed for _ in range(150))
    assert not limiter.decide("a", 119.8).allowed


def test_who_keeps_knocking_is_let_in_again() -> None:
    """The fault of INCR and EXPIRE at each request: the window never ends."""
    limiter = MemoryLimiter(5, 10.0)
    passed = [now for now in range(100) if limiter.decide("a", float(now)).allowed]
    assert len(passed) >= 5 * 9
    assert max(later - earlier for earlier, later in itertools.pairwise(passed)) <= 11


def test_keys_do_not_share() -> None:
    limiter = MemoryLimiter(1, 10.0)
    assert limiter.decide("a", 0.0).allowed
    assert limiter.decide("b", 0.0).allowed
    assert not limiter.decide("a", 0.0).allowed


def test_the_number_of_keys_is_bounded_and_the_longest_silent_goes_first() -> None:
    limiter = MemoryLimiter(1, 10.0, keys=100)
    limiter.decide("busy", 0.0)
    for number in range(1000):
        limiter.decide(f"key {number}", 0.0)
        assert not limiter.decide("busy", 0.0).allowed
        assert len(limiter) <= 100


def test_keys_that_are_silent_for_a_window_are_forgotten() -> None:
    limiter = MemoryLimiter(1, 10.0)
    for number in range(1000):
        limiter.decide(f"key {number}", 0.0)
    for number in range(600):
        limiter.decide("a", 20.0 + number)
    assert len(limiter) == 1


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"window": 0.0}, {"keys": 0}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        MemoryLimiter(**wrong)


# --- who is who -------------------------------------------------------------------------------------------------------


def scope_of(client: str | None = "192.0.2.7", **headers: str | list[str]) -> dict[str, Any]:
    """A request's scope, as a server makes it."""
    fields = [
        (name.replace("_", "-").encode(), value.encode())
        for name, some in headers.items()
        for value in ([some] if isinstance(some, str) else some)
    ]
    return {
        "type": "http",
        "method": "GET",
        "path": "/",
        "client": (client, 4711) if client is not None else None,
        "headers": fields,
    }


def test_headers_are_not_believed_unless_told() -> None:
    address = client_address()
    assert address(scope_of(x_forwarded_for="203.0.113.1", x_real_ip="203.0.113.2", x_user_id="root")) == "192.0.2.7"


def test_a_header_is_believed_from_the_proxies_only() -> None:
    address = client_address("X-Forwarded-For", ["192.0.2.0/24", "2001:db8::/32"])
    assert address(scope_of(x_forwarded_for="203.0.113.1")) == "203.0.113.1"
    assert address(scope_of("2001:db8::1", x_forwarded_for="203.0.113.1")) == "203.0.113.1"
    assert address(scope_of("198.51.100.1", x_forwarded_for="203.0.113.1")) == "198.51.100.1"
    assert address(scope_of(None, x_forwarded_for="203.0.113.1")) == "unix"
    assert client_address("x-real-ip", ["unix"])(scope_of(None, x_real_ip="203.0.113.1")) == "203.0.113.1"


def test_the_last_entry_counts_for_the_first_is_the_clients_word() -> None:
    address = client_address("X-Forwarded-For", ["192.0.2.0/24"])
    assert address(scope_of(x_forwarded_for="10.0.0.1, 203.0.113.1")) == "203.0.113.1"
    assert address(scope_of(x_forwarded_for=["10.0.0.1", "203.0.113.1"])) == "203.0.113.1"
    for nonsense in ("", "unknown", "203.0.113.1:80", "203.0.113.1,"):
        assert address(scope_of(x_forwarded_for=nonsense)) == "192.0.2.7"


def test_an_ipv6_client_is_its_64_and_ipv4_in_ipv6_is_ipv4() -> None:
    address = client_address()
    assert address(scope_of("2001:db8:1:2:3::4")) == address(scope_of("2001:db8:1:2::9")) == "2001:db8:1:2::/64"
    assert address(scope_of("::ffff:192.0.2.7")) == "192.0.2.7"
    assert address(scope_of("::ffff:192.0.2.8")) == "192.0.2.8"
    assert address(scope_of("fe80::1%eth0")).startswith("fe80::")
    assert address(scope_of("testclient")) == "testclient"
    assert address(scope_of(None)) == "unix"


def key(scope: dict[str, Any], **settings: Any) -> str:
    async def nothing(*_: Any) -> None:
        raise AssertionError

    return asyncio.run(RateLimitMiddleware(nothing, MemoryLimiter(), **settings).key(scope))


def verify(token: str) -> Mapping[str, Any]:
    """Stands for a library that knows one token."""
    if token != "good":
        raise ValueError("bad signature")
    return {"sub": "alice", "tenant": "acme", "number": 7}


async def verify_later(token: str) -> Mapping[str, Any]:
    await asyncio.sleep(0)
    return verify(token)


@pytest.mark.parametrize("function", [verify, verify_later])
def test_a_verified_token_names_the_user_and_any_other_the_address(function: Any) -> None:
    user = bearer(function)
    assert key(scope_of(authorization="Bearer good"), user=user) == "user:alice"
    assert key(scope_of(authorization="bearer  good"), user=user) == "user:alice"
    for wrong in ("Bearer bad", "Bearer", "", "Basic good", "good"):
        assert key(scope_of(authorization=wrong), user=user) == "address:192.0.2.7"
    assert key(scope_of(authorization=["Bearer good", "Bearer bad"]), user=user) == "address:192.0.2.7"
    assert key(scope_of(), user=user) == "address:192.0.2.7"
    assert key(scope_of(authorization="Bearer good"), user=bearer(function, "tenant")) == "user:acme"
    assert key(scope_of(authorization="Bearer good"), user=bearer(function, "number")) == "address:192.0.2.7"


def test_a_user_named_like_an_address_is_not_that_address() -> None:
    assert key(scope_of(), user=lambda scope: "192.0.2.7") != key(scope_of())


def test_a_user_of_your_own() -> None:
    assert key(scope_of(), user=lambda scope: None) == "address:192.0.2.7"
    assert key(scope_of(), user=lambda scope: "") == "address:192.0.2.7"
    assert key(scope_of(), address=lambda scope: "everybody") == "address:everybody"


# --- what is sent -----------------------------------------------------------------------------------------------------


class Stub:
    """A limiter that has made up its mind."""

    def __init__(self, decision: Decision | None) -> None:
        self.decision = decision
        self.taken: list[str] = []

    async def take(self, key: str) -> Decision:
        self.taken.append(key)
        if self.decision is None:
            raise LimiterDown
        return self.decision


def sent(stub: Stub, scope: dict[str, Any], **settings: Any) -> list[dict[str, Any]]:
    """What the middleware sends for a request of this scope."""
    messages: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        raise AssertionError

    asyncio.run(RateLimitMiddleware(application, stub, **settings)(scope, receive, send))
    return messages


def test_times_are_rounded_up() -> None:
    start = sent(Stub(Decision(False, 10, 0, 5.1, 0.2)), scope_of())[0]
    fields = dict(start["headers"])
    assert start["status"] == 429
    assert (fields[b"retry-after"], fields[b"x-ratelimit-reset"]) == (b"1", b"6")
    start = sent(Stub(Decision(True, 10, 3, 5.0, 0.0)), scope_of())[0]
    assert start["headers"] == [
        (b"a", b"b"),
        (b"x-ratelimit-limit", b"10"),
        (b"x-ratelimit-remaining", b"3"),
        (b"x-ratelimit-reset", b"5"),
    ]


def test_a_limiter_that_is_down_and_closed_is_503_and_not_the_clients_fault() -> None:
    start = sent(Stub(None), scope_of())[0]
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"1"


def test_lifespan_and_what_is_exempt_are_not_counted() -> None:
    stub = Stub(Decision(False, 1, 0, 1.0, 1.0))
    assert sent(stub, {"type": "lifespan"})[0]["status"] == 200
    assert sent(stub, scope_of(), exempt=lambda scope: scope["path"] == "/")[0]["status"] == 200
    assert stub.taken == []


@pytest.mark.parametrize("extension", [True, False])
def test_a_handshake_is_refused(extension: bool) -> None:
    scope = {**scope_of(), "type": "websocket", "extensions": {"websocket.http.response": {}} if extension else {}}
    messages = sent(Stub(Decision(False, 1, 0, 1.0, 1.0)), scope)
    if extension:
        assert [message["type"] for message in messages] == [
            "websocket.http.response.start",
            "websocket.http.response.body",
        ]
        assert messages[0]["status"] == 429
    else:
        assert [message["type"] for message in messages] == ["websocket.close"]
