"""The middlewares of the resilience library under a real Uvicorn, in front of raw ASGI and of FastAPI.

Rule: an application that is to take too long waits for what never happens, not for a number of seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from door import until
from fastapi import BackgroundTasks, FastAPI, Request
from served import Served
from starlette.middleware.base import BaseHTTPMiddleware
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from backends.app import build
from backends.resilience import MemoryLimiter, RateLimitMiddleware, TimeoutMiddleware, bearer

# --- timeout ----------------------------------------------------------------------------------------------------------


class Slow:
    """An ASGI application that does on each path one thing that takes long, and notes what became of it."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(receive, send)
            return
        try:
            await getattr(self, scope["path"].strip("/"))(receive, send)
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # it may still await while it cleans up, and is waited for
            self.notes.append("cancelled")
            raise
        self.notes.append("ended")

    async def lifespan(self, receive: Any, send: Any) -> None:
        for word in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{word}"
            self.notes.append(word)
            await send({"type": f"lifespan.{word}.complete"})

    async def begin(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async def silent(self, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async def stubborn(self, receive: Any, send: Any) -> None:
        """Answers though it was cancelled."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await self.begin(send)

    async def half(self, receive: Any, send: Any) -> None:
        await self.begin(send)
        await asyncio.Event().wait()

    async def stream(self, receive: Any, send: Any) -> None:
        """Goes on for longer than the limit, by the clock."""
        await self.begin(send)
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            await send({"type": "http.response.body", "body": b".", "more_body": True})
            await asyncio.sleep(0.02)
        await send({"type": "http.response.body", "body": b"whole"})

    async def own(self, receive: Any, send: Any) -> None:
        raise TimeoutError("my own")

    async def disconnect(self, receive: Any, send: Any) -> None:
        await receive()
        self.notes.append((await receive())["type"])

    async def after(self, receive: Any, send: Any) -> None:
        """Works on behind its response."""
        await self.begin(send)
        await send({"type": "http.response.body", "body": b""})
        await asyncio.sleep(0.4)

    async def websocket(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.sleep(0.4)
        await send({"type": "websocket.send", "text": "late"})
        await receive()


@contextlib.contextmanager
def limited(seconds: Any = 0.15, http: str = "httptools", **more: Any) -> Iterator[tuple[Slow, Served]]:
    """The slow application behind the middleware."""
    slow = Slow()
    with Served(TimeoutMiddleware(slow, seconds, **more), http) as served:
        yield slow, served


@pytest.mark.parametrize("http", ["httptools", "h11"])
@pytest.mark.parametrize("path", ["/silent", "/stubborn"])
def test_an_application_that_says_nothing_is_cancelled_and_answered_for(path: str, http: str) -> None:
    with limited(http=http) as (slow, served):
        began = time.monotonic()
        asked = served.ask(path)
        assert asked.status == 504
        assert asked.problem() == {
            "type": "about:blank",
            "title": "Gateway Timeout",
            "status": 504,
            "detail": "The application did not answer in time.",
        }
        assert 0.15 <= time.monotonic() - began < 5
        until(lambda: slow.notes == ["startup", "cancelled" if path == "/silent" else "ended"])


@pytest.mark.parametrize("http", ["httptools", "h11"])
def test_a_response_that_has_begun_is_broken_off(http: str, caplog: pytest.LogCaptureFixture) -> None:
    with limited(None, http, total=0.15) as (slow, served):
        asked = served.ask("/half")
        assert (asked.status, asked.body, asked.whole) == (200, b"half", False)
        until(lambda: "cancelled" in slow.notes)
    assert "GET /half took too long: broken off" in caplog.text


def test_a_stream_may_take_longer_than_its_head() -> None:
    with limited() as (slow, served):
        asked = served.ask("/stream")
        assert asked.whole
        assert asked.body.endswith(b".whole")
        until(lambda: "ended" in slow.notes)


def test_what_is_done_behind_the_response_is_free() -> None:
    with limited(total=0.15) as (slow, served):
        assert served.ask("/after").body == b"half"
        until(lambda: "ended" in slow.notes)
        assert "cancelled" not in slow.notes


def test_a_limit_for_each_path() -> None:
    with limited(lambda scope: None if scope["path"] == "/disconnect" else 0.05) as (slow, served):
        with socket.create_connection(("127.0.0.1", served.port)) as wire:
            wire.sendall(b"GET /disconnect HTTP/1.1\r\nHost: a\r\n\r\n")
            assert served.ask("/silent").status == 504  # longer ago than the limit of others
            assert "http.disconnect" not in slow.notes
        until(lambda: sorted(slow.notes[1:]) == ["cancelled", "ended", "http.disconnect"])


def test_a_disconnect_reaches_the_application() -> None:
    with limited(30.0) as (slow, served):
        with socket.create_connection(("127.0.0.1", served.port)) as wire:
            wire.sendall(b"GET /disconnect HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: slow.notes[1:] == ["http.disconnect", "ended"])


def test_the_applications_own_timeout_is_its_own_matter() -> None:
    with limited() as (_, served):
        assert served.ask("/own").status == 500


def test_websockets_and_lifespan_are_untouched() -> None:
    with limited() as (slow, served), connect(f"ws://127.0.0.1:{served.port}/websocket") as one:
        assert one.recv(10) == "late"
    assert slow.notes == ["startup", "ended", "shutdown"]


def test_two_requests_on_a_connection_have_a_time_each() -> None:
    with limited() as (_, served):
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
        for path, status in (("/silent", 504), ("/after", 200), ("/silent", 504)):
            connection.request("GET", path)
            response = connection.getresponse()
            assert (response.status, bool(response.read())) == (status, True)
        connection.close()


def test_fastapi_behind_it() -> None:
    """Coroutine endpoints, functions in threads, background tasks, and a BaseHTTPMiddleware of somebody else's."""
    app, go, notes = FastAPI(), threading.Event(), []

    @app.get("/thread")
    def in_a_thread() -> str:
        go.wait(20)
        notes.append("thread")
        return "late"

    @app.get("/coroutine")
    async def coroutine() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            notes.append("coroutine")

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(notes.append, "background")
        return "in time"

    async def pass_on(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    app.add_middleware(TimeoutMiddleware, seconds=0.3)
    with Served(app) as served:
        assert served.ask("/thread").status == 504
        assert served.ask("/coroutine").status == 504
        until(lambda: notes == ["coroutine"])
        assert served.ask("/background").body == b'"in time"'
        go.set()
        until(lambda: sorted(notes) == ["background", "coroutine", "thread"])


# --- rate limit -------------------------------------------------------------------------------------------------------

KEY = "a secret of at least thirty-two bytes"


def verify(token: str) -> dict[str, Any]:
    """What an application does with a token."""
    return jwt.decode(token, KEY, algorithms=["HS256"], audience="api")


def token(name: str, key: str = KEY, **more: Any) -> str:
    return jwt.encode({"sub": name, "aud": "api", "exp": time.time() + 60, **more}, key, algorithm="HS256")


@contextlib.contextmanager
def counted(limit: int = 3, window: float = 600.0, limiter: Any = None, **settings: Any) -> Iterator[Served]:
    """The sample application behind the middleware."""
    app = build([""])
    app.add_middleware(RateLimitMiddleware, limiter=limiter or MemoryLimiter(limit, window), **settings)
    with Served(app) as served:
        yield served


def test_too_many_requests_are_429_and_say_when_to_come_again() -> None:
    with counted(3, 600.0) as served:
        for remaining in (2, 1, 0):
            asked = served.ask("/healthz")
            assert asked.status == 200
            assert (asked.headers["X-RateLimit-Limit"], asked.headers["X-RateLimit-Remaining"]) == ("3", str(remaining))
            assert 600 <= int(asked.headers["X-RateLimit-Reset"]) <= 661
            assert asked.headers["Retry-After"] is None
        asked = served.ask("/healthz")
        assert asked.status == 429
        assert asked.problem()["title"] == "Too Many Requests"
        assert asked.headers["X-RateLimit-Remaining"] == "0"
        assert 590 <= int(asked.headers["Retry-After"]) <= 660


def test_a_client_that_comes_when_it_was_told_is_let_in() -> None:
    with counted(2, 0.5) as served:
        while served.ask("/healthz").status == 200:
            pass
        asked = served.ask("/healthz")
        assert asked.status == 429
        told = time.monotonic() + int(asked.headers["Retry-After"])
        until(lambda: time.monotonic() > told)
        assert served.ask("/healthz").status == 200


def test_users_are_counted_apart_and_nobody_can_be_somebody_else() -> None:
    with counted(2, user=bearer(verify)) as served:

        def allowed(times: int = 4, **fields: str) -> int:
            return sum(served.ask("/healthz", **fields).status == 200 for _ in range(times))

        assert allowed(Authorization=f"Bearer {token('alice')}") == 2
        assert allowed(Authorization=f"Bearer {token('alice', jti='another token, the same user')}") == 0
        assert allowed(Authorization=f"Bearer {token('bob')}") == 2
        # Whatever else a client writes, it is one address.
        forged = [
            {"Authorization": f"Bearer {token('carol', key='another secret of thirty-two bytes')}"},
            {"Authorization": f"Bearer {token('dave', exp=time.time() - 60)}"},
            {"Authorization": f"Bearer {token('erin', aud='another')}"},
            {"X_User_ID": "frank"},
            {"X_Forwarded_For": "203.0.113.1"},
            {},
        ]
        assert sum(allowed(1, **fields) for fields in forged) == 2


def test_a_websocket_that_is_too_many_is_refused_with_429() -> None:
    with counted(1) as served:
        url = f"ws://127.0.0.1:{served.port}/ws"
        with connect(url) as one:
            one.send("hello")
            assert one.recv(10) == "hello"
        with pytest.raises(InvalidStatus) as refused, connect(url):
            pass
        assert refused.value.response.status_code == 429
        assert int(refused.value.response.headers["Retry-After"]) > 1


def test_streams_pass_piece_by_piece() -> None:
    with counted(9) as served, socket.create_connection(("127.0.0.1", served.port), timeout=10) as wire:
        wire.sendall(b"GET /events?count=2&interval=300 HTTP/1.1\r\nHost: a\r\n\r\n")
        seen = b""
        while b"id: 1" not in seen:
            piece = wire.recv(65536)
            assert piece
            seen += piece
        assert b"id: 2" not in seen
        assert b"x-ratelimit-remaining: 8" in seen.lower()


def test_the_sample_application_uses_it_all() -> None:
    with Served(build([""], limiter=MemoryLimiter(12, 600.0))) as served:
        assert served.ask("/flaky?fail=0").status == 200
        asked = [served.ask("/flaky?fail=1") for _ in range(3)]
        assert [one.status for one in asked] == [502, 503, 503]
        assert 1 <= int(asked[-1].headers["Retry-After"]) <= 5
        assert served.ask("/flaky?fail=0").status == 503  # left in peace for a while
        assert [served.ask("/hello").status for _ in range(8)] == [200] * 7 + [429]
        assert served.ask("/healthz").status == 200
