"""How tests speak with the API of a Door's admin door."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from door import Answer, Door

V1 = "/api/v1"
JSON = {"Content-Type": "application/json"}


def speak(
    door: Door, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, port: int = 0
) -> Answer:
    """One request at the admin door."""
    connection = http.client.HTTPConnection("127.0.0.1", port or door.admin, timeout=10)
    raw = None if body is None else json.dumps(body).encode()
    fields = {**(JSON if body is not None else {}), **(headers or {})}
    with contextlib.closing(connection):
        connection.request(method, path, raw, fields)
        return Answer(connection.getresponse())


def read(door: Door, path: str) -> Any:
    """What GET answers below /api/v1/."""
    answer = speak(door, "GET", f"{V1}/{path}")
    assert answer.status == 200, answer
    return answer.json


def change(door: Door, path: str, body: Any | None = None) -> Any:
    """What POST answers below /api/v1/."""
    answer = speak(door, "POST", f"{V1}/{path}", {} if body is None else body)
    assert answer.status in (200, 202), answer
    return answer.json


def backend_path(upstream: str, address: str) -> str:
    """Where deeds of a backend are."""
    return f"upstreams/{upstream}/backends/{quote(address, safe='')}"


def stand(door: Door, upstream: str, address: str) -> Any:
    """A backend as the API tells of it."""
    return next(one for one in read(door, f"upstreams/{upstream}")["backends"] if one["address"] == address)


def explained(door: Door, request_id: str) -> Any:
    """The explanation of an exchange, or None."""
    answer = speak(door, "GET", f"{V1}/exchanges/{request_id}")
    return answer.json if answer.status == 200 else None


@contextlib.contextmanager
def listening(door: Door) -> Iterator[list[tuple[str, Any]]]:
    """The events of the door, as they come, while one is inside."""
    connection = http.client.HTTPConnection("127.0.0.1", door.admin, timeout=10)
    connection.request("GET", "/api/events")
    answer = connection.getresponse()
    assert answer.status == 200
    heard: list[tuple[str, Any]] = []

    def listen() -> None:
        name = ""
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException, AttributeError):
            for line in answer:
                word, _, value = line.decode().rstrip("\n").partition(": ")
                if word == "event":
                    name = value
                elif word == "data":
                    heard.append((name, json.loads(value)))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        connection.close()
