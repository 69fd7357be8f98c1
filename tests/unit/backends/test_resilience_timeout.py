"""The time limit in memory: what becomes of the application's task. tests/live has it under a real server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backends.resilience import TimeoutMiddleware

SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": []}


async def ask(app: Callable[..., Awaitable[None]], seconds: Any = 0.01, **more: Any) -> list[dict[str, Any]]:
    """One request; what was sent."""
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    await TimeoutMiddleware(app, seconds, **more)(dict(SCOPE), receive, send)
    return sent


def statuses(sent: list[dict[str, Any]]) -> list[int]:
    return [message["status"] for message in sent if message["type"] == "http.response.start"]


async def answer(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def test_who_cancels_us_cancels_the_application() -> None:
    notes: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        notes.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            notes.append("ended")

    async def run() -> None:
        task = asyncio.create_task(ask(app, 30.0))
        while not notes:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert notes == ["began", "ended"]
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def test_the_504_does_not_wait_for_a_slow_farewell_but_we_do() -> None:
    notes: list[str] = []
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await go.wait()
            notes.append("ended")

    async def run() -> None:
        answered = asyncio.Event()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                answered.set()

        task = asyncio.create_task(TimeoutMiddleware(app, 0.01)(dict(SCOPE), None, send))  # type: ignore[arg-type]
        await answered.wait()
        assert notes == []
        assert not task.done()
        go.set()
        await task
        assert notes == ["ended"]

    asyncio.run(run())


def test_an_application_that_fails_while_it_is_cancelled_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("on the way out") from None

    assert statuses(asyncio.run(ask(app))) == [504]
    assert "on the way out" in caplog.text


def test_an_application_that_answers_in_spite_of_all_is_not_heard() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await answer(send)

    assert statuses(asyncio.run(ask(app))) == [504]


@pytest.mark.parametrize("error", [TimeoutError("own"), ValueError("own")])
def test_errors_of_the_application_pass(error: Exception) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        asyncio.run(ask(app))
    assert raised.value is error


def test_in_time_nothing_is_changed(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send)
        await asyncio.sleep(0.05)  # longer than either limit, but behind the response

    with caplog.at_level(logging.DEBUG):
        sent = asyncio.run(ask(app, 0.02, total=0.03))
    assert [message.get("body") for message in sent] == [None, b"done"]
    assert "took too long" not in caplog.text


def test_the_smaller_limit_holds_until_the_response_begins() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    for seconds, total in ((0.01, None), (0.01, 30.0), (30.0, 0.01), (None, 0.01)):
        assert statuses(asyncio.run(ask(app, lambda scope, seconds=seconds: seconds, total=total))) == [504]


def test_a_response_that_has_begun_is_left_as_it_is() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await asyncio.Event().wait()

    sent = asyncio.run(ask(app, None, total=0.01))
    assert [message.get("body") for message in sent] == [None, b"half"]
