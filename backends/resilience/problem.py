"""Refusals as JSON that programs understand: problem details (RFC 9457), sent by pure ASGI."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Fields: TypeAlias = Iterable[tuple[bytes, bytes]]


async def send_problem(scope: Scope, send: Send, status: int, detail: str, headers: Fields = ()) -> None:
    """Answer a request, or refuse a WebSocket's handshake, with a problem; nothing may have been sent before.

    A server without the ASGI extension for refusals (`websocket.http.response`) answers a handshake with 403.
    """
    prefix = ""
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": detail})
            return
        prefix = "websocket."
    # "about:blank": the problem is no more than its status says; then the title is the status's name.
    body = json.dumps(
        {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    ).encode()
    fields = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *headers,
    ]
    await send({"type": f"{prefix}http.response.start", "status": status, "headers": fields})
    await send({"type": f"{prefix}http.response.body", "body": body})
