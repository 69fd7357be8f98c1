"""What the admin door answers: a path becomes a status, a type and a body."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import NamedTuple

from proxy.admin import metrics
from proxy.admin.standing import Standing
from proxy.admin.status import status

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


class Answer(NamedTuple):
    """A response without its head; `allow` is sent with 405."""

    status: int
    content_type: str
    body: bytes
    allow: str = ""


def health(standing: Standing, accept: str) -> Answer:
    """Whether anybody works."""
    if not standing.pids:
        return Answer(503, TEXT, b"no worker is up\n")
    return Answer(200, TEXT, b"ok\n")


def prometheus(standing: Standing, accept: str) -> Answer:
    """The metrics."""
    return Answer(200, *metrics.render(standing, time.monotonic(), accept))


def state(standing: Standing, accept: str) -> Answer:
    """The state as JSON."""
    found = status(standing, time.monotonic())
    return Answer(200, JSON, json.dumps(found, indent=2, ensure_ascii=False).encode() + b"\n")


PATHS: dict[str, Callable[[Standing, str], Answer]] = {"/healthz": health, "/metrics": prometheus, "/status": state}


def answer(standing: Standing, method: str, target: str, accept: str = "") -> Answer:
    """The answer to a request; `accept` is its Accept field."""
    view = PATHS.get(target.partition("?")[0])
    if view is None:
        return Answer(404, TEXT, f"there is nothing here: try {', '.join(PATHS)}\n".encode())
    if method not in ("GET", "HEAD"):
        return Answer(405, TEXT, b"only GET and HEAD\n", "GET, HEAD")
    return view(standing, accept)
