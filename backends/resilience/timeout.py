"""Time limit for requests as pure ASGI middleware: 504 when the application has not begun to answer in time.

Rules: the time runs from the head of the request until the head of the response, so that a stream or a download may
take as long as it likes; `total` limits the whole response too. When the time is over and nothing was sent, the client
gets a problem with 504, at once; a response that has begun is broken off: the server closes the connection without the
end of the body, so nobody takes half for the whole. Then the application is cancelled, where it awaits, and waited for:
nothing goes on unseen, and what it still sends is dropped. WebSockets and lifespan pass untouched. Messages pass one by
one and nothing is collected (no BaseHTTPMiddleware); a disconnect reaches the application as ever.

A thread cannot be cancelled: the work of a `def` endpoint goes on behind the 504 until it ends by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeAlias

from .problem import Application, Message, Receive, Scope, Send, send_problem

Seconds: TypeAlias = float | None  # None: no limit

log = logging.getLogger(__name__)


class TimeoutMiddleware:
    """Answer 504 for an application that takes longer than `seconds` to begin its response.

    seconds  until the response begins, reading the request's body included; or a function of the scope that says it
             for each request, None for no limit: `lambda scope: None if scope["path"] == "/import" else 30.0`
    total    until the response has ended; what the application does behind its response (background tasks) is free
    """

    def __init__(
        self,
        app: Application,
        seconds: float | Callable[[Scope], Seconds] = 30.0,
        *,
        total: Seconds = None,
    ) -> None:
        self.app = app
        self.seconds = seconds
        self.total = total

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        allowed = self.seconds(scope) if callable(self.seconds) else self.seconds
        end = None if self.total is None else asyncio.get_running_loop().time() + self.total
        limit = asyncio.timeout(earlier(allowed, self.total))
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            if limit.expired():
                return  # last words of an application that is being cancelled
            if message["type"] == "http.response.start":
                begun = True
                limit.reschedule(end)
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body") and not limit.expired():
                limit.reschedule(None)

        running = asyncio.ensure_future(self.app(scope, receive, watched))
        try:
            async with limit:
                await asyncio.wait((running,))  # which raises nothing of the application's
        except TimeoutError:
            log.warning("%s %s took too long%s", scope["method"], scope["path"], ": broken off" if begun else "")
            if not begun:
                await send_problem(scope, send, 504, "The application did not answer in time.")
        finally:  # also when we are cancelled ourselves
            if not running.done():
                running.cancel()
                await asyncio.wait((running,))
        if not limit.expired():
            running.result()  # raises what the application raised
        elif not running.cancelled() and (error := running.exception()):
            log.error("the application failed while it was cancelled", exc_info=error)
        # Expired after it began: to return without the end of the body tells the server to close the connection.


def earlier(one: Seconds, other: Seconds) -> Seconds:
    """Give the smaller of two limits."""
    return min((seconds for seconds in (one, other) if seconds is not None), default=None)
