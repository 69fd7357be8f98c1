"""The sample FastAPI application behind frontgate: every answer says which backend gave it.

Rules: the application answers the same under every prefix in `build`, because frontgate forwards the path unchanged
and the demo gives each balancing strategy a path of its own; bodies are streamed both ways, so that memory stays flat
whatever the size; nothing is remembered between two requests, so that any backend may answer any of them (only each
worker's opinion of the dependency of `/flaky`, and its count of requests where FRONTGATE_LIMIT asks for one).
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import random
import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import APIRouter, FastAPI, Path, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse

from backends.resilience import (
    CircuitBreaker,
    CircuitOpen,
    Limiter,
    MemoryLimiter,
    RateLimitMiddleware,
    Retry,
    TimeoutMiddleware,
)

Seconds = Annotated[float, Query(ge=0, le=300, description="seconds")]
Count = Annotated[int, Query(ge=1, le=100_000, description="how many pieces")]
Chance = Annotated[float, Query(ge=0, le=1, description="how often it fails: 0 never, 1 always")]

LONGEST = 310.0  # seconds until an answer begins or is a 504: a little more than /slow may be asked for
UPLOADS = ("/echo", "/upload")  # may take as long as the client needs


def answered_by(request: Request) -> dict[str, str | int]:
    """Name the backend that answers: its name, its process id and the address the request came in on.

    The name is FRONTGATE_BACKEND from the environment, or the address when that is not set.
    """
    host, port = request.scope.get("server") or (os.environ.get("FRONTGATE_BIND", "unknown"), None)
    address = host if port is None else f"{host}:{port}"
    return {"backend": os.environ.get("FRONTGATE_BACKEND", address), "pid": os.getpid(), "address": address}


async def who(request: Request) -> JSONResponse:
    """Say who answered, what the door told about the client, and what uvicorn made of it.

    `client` and `scheme` are the door's word only when Gunicorn's `forwarded_allow_ips` trusts the door.
    """
    told = {
        name: value
        for name, value in request.headers.items()
        if name in ("host", "x-real-ip", "x-request-id") or name.startswith("x-forwarded-")
    }
    return JSONResponse(
        {
            **answered_by(request),
            "method": request.method,
            "path": request.url.path,
            "scheme": request.url.scheme,
            "client": request.client.host if request.client else None,
            "headers": told,
        }
    )


async def healthz() -> dict[str, str]:
    """Say that this worker's event loop runs."""
    return {"status": "ok"}


async def slow(request: Request, seconds: Seconds = 1.0) -> JSONResponse:
    """Answer after `seconds`, as a slow query would; the worker serves others meanwhile."""
    await asyncio.sleep(seconds)
    return JSONResponse({**answered_by(request), "slept": seconds})


@Retry(on=ConnectionError, base=0.05, jitter="full")
@CircuitBreaker("dependency", on=ConnectionError, recovery=5.0)
async def dependency(fail: float) -> str:
    """Stand for a service that hangs up every now and then."""
    if random.random() < fail:
        raise ConnectionError("the dependency hung up")
    return "fine"


async def flaky(request: Request, fail: Chance = 0.5) -> JSONResponse:
    """Ask a dependency that fails in passing: tried three times, left in peace for 5 seconds when it keeps failing."""
    try:
        return JSONResponse({**answered_by(request), "dependency": await dependency(fail)})
    except CircuitOpen as refused:
        again = {"Retry-After": str(math.ceil(refused.retry_after))}
        return JSONResponse({**answered_by(request), "dependency": "known to be down"}, 503, again)
    except ConnectionError as error:
        return JSONResponse({**answered_by(request), "dependency": str(error)}, 502)


async def stream(request: Request, count: Count = 5, interval: Seconds = 0.2) -> StreamingResponse:
    """Send `count` lines, `interval` seconds apart, with chunked framing (no Content-Length)."""

    async def lines() -> AsyncIterator[str]:
        for number in range(1, count + 1):
            yield f"{number} of {count} from {answered_by(request)['backend']}\n"
            await asyncio.sleep(interval if number < count else 0)

    return StreamingResponse(lines(), media_type="text/plain")


async def events(request: Request, count: Count = 10, interval: Seconds = 1.0) -> StreamingResponse:
    """Send `count` server-sent events, `interval` seconds apart; a door that buffers shows them all at once."""

    async def ticks() -> AsyncIterator[str]:
        for number in range(1, count + 1):
            yield f"id: {number}\nevent: tick\ndata: {answered_by(request)['backend']} {time.time():.3f}\n\n"
            await asyncio.sleep(interval if number < count else 0)

    return StreamingResponse(ticks(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def echo(request: Request) -> JSONResponse:
    """Give the length and the SHA-256 of the body, read piece by piece: what arrived is what was sent."""
    length, digest = 0, hashlib.sha256()
    async for piece in request.stream():
        length += len(piece)
        digest.update(piece)
    return JSONResponse({**answered_by(request), "length": length, "sha256": digest.hexdigest()})


async def upload(request: Request, pause: Seconds = 0.0) -> JSONResponse:
    """Take a body of any size and forget it; `pause` seconds after each piece make this a slow reader.

    With a pause the door must hold the client back, not its body in memory.
    """
    began, length, pieces = time.monotonic(), 0, 0
    async for piece in request.stream():
        length += len(piece)
        pieces += 1
        await asyncio.sleep(pause)
    took = round(time.monotonic() - began, 3)
    return JSONResponse({**answered_by(request), "length": length, "pieces": pieces, "seconds": took}, 201)


async def numbered_bytes(request: Request, n: Annotated[int, Path(ge=0, le=2**40)]) -> Response:
    """Send `n` bytes of zeros with a Content-Length, 64 KiB at a time."""
    headers = {"Content-Length": str(n)}
    if request.method == "HEAD":
        return Response(headers=headers, media_type="application/octet-stream")

    async def pieces() -> AsyncIterator[bytes]:
        piece, left = bytes(65_536), n
        while left > 0:
            yield piece[:left]
            left -= len(piece)

    return StreamingResponse(pieces(), media_type="application/octet-stream", headers=headers)


async def status(request: Request, code: Annotated[int, Path(ge=200, le=599)]) -> Response:
    """Answer with the status asked for; 204, 205 and 304 have no body."""
    if code in (204, 205, 304):
        return Response(status_code=code)
    return JSONResponse({**answered_by(request), "status": code}, code)


async def hello(request: Request) -> HTMLResponse:
    """Show a page for people, with links to try."""
    by = answered_by(request)
    links = "".join(
        f'<li><a href="{link}">{link}</a></li>'
        for link in ("./", "healthz", "slow?seconds=2", "stream", "events", "bytes/1000", "status/503")
    )
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Hello from behind frontgate</title>'
        "<style>body{font:1.1rem/1.6 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}</style>"
        f"<h1>Hello from {by['backend']}</h1><p>Process {by['pid']} at {by['address']} answered "
        f"{request.url.path} over {request.url.scheme}. Reload the page: another may answer.</p><ul>{links}</ul>"
    )


async def websocket_echo(websocket: WebSocket) -> None:
    """Send every message back, text as text and bytes as bytes, until the client closes."""
    await websocket.accept()
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        return


def routes() -> APIRouter:
    """List what the application answers, once; `build` mounts it under each prefix."""
    router = APIRouter()
    router.add_api_route("/healthz", healthz, methods=["GET"])
    router.add_api_route("/slow", slow, methods=["GET"])
    router.add_api_route("/flaky", flaky, methods=["GET"])
    router.add_api_route("/stream", stream, methods=["GET"])
    router.add_api_route("/events", events, methods=["GET"])
    router.add_api_route("/echo", echo, methods=["POST"])
    router.add_api_route("/upload", upload, methods=["POST"])
    router.add_api_route("/status/{code}", status, methods=["GET"])
    router.add_api_websocket_route("/ws", websocket_echo)
    for path, endpoint in (("/", who), ("/hello", hello), ("/bytes/{n}", numbered_bytes)):
        router.add_api_route(path, endpoint, methods=["GET"])
        router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
    return router


def build(
    prefixes: Sequence[str] = ("", "/round-robin", "/weighted", "/least-conn", "/ip-hash", "/limited"),
    limiter: Limiter | None = None,
) -> FastAPI:
    """Make the application: the same routes under every prefix; only those under the first are in the OpenAPI page.

    It counts requests only when it is given a limiter, for the door in front of it does so before Python has work.
    """
    application = FastAPI(title="Behind frontgate", version="1")
    for prefix in prefixes:
        application.include_router(routes(), prefix=prefix, include_in_schema=prefix == prefixes[0])
    application.add_middleware(
        TimeoutMiddleware, seconds=lambda scope: None if scope["path"].endswith(UPLOADS) else LONGEST
    )
    if limiter is not None:  # added last, so asked first
        application.add_middleware(
            RateLimitMiddleware, limiter=limiter, exempt=lambda scope: scope["path"].endswith("/healthz")
        )
    return application


def limiter_asked_for() -> Limiter | None:
    """Give the limiter that FRONTGATE_LIMIT asks for: requests a minute and address, in each worker; None without."""
    limit = os.environ.get("FRONTGATE_LIMIT")
    return MemoryLimiter(int(limit), 60.0) if limit else None


app = build(limiter=limiter_asked_for())
