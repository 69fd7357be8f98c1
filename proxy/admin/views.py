"""What the admin door answers: a path becomes a status, a type and a body."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qs

from proxy.admin import metrics
from proxy.admin.standing import Standing
from proxy.admin.status import status

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

log = logging.getLogger("frontgate")


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


def drain(standing: Standing, method: str, query: str) -> Answer:
    """PUT drains a backend, DELETE gives it work again: `upstream` and `backend` of the query name it.

    Neither is a method that a page of another site can have a browser send here without asking first.
    """
    if method not in ("PUT", "DELETE"):
        return Answer(405, TEXT, b"PUT drains, DELETE ends it\n", "PUT, DELETE")
    asked = parse_qs(query)
    upstream, backend = asked.get("upstream", [""])[0], asked.get("backend", [""])[0]
    known = {name: [server.key for server in one.servers] for name, one in standing.model.upstream.items()}
    if backend not in known.get(upstream, ()):
        words = "; ".join(f"{name}: {', '.join(addresses)}" for name, addresses in known.items()) or "none"
        return Answer(404, TEXT, f"upstream {upstream!r} has no backend {backend!r}; there are {words}\n".encode())
    name = ("backend", upstream, backend, "drain")
    standing.arena.cells(standing.arena.keeper)[standing.arena.column(name)] = int(method == "PUT")
    words = "is drained: it gets no new requests" if method == "PUT" else "gets requests again"
    log.warning("upstream %s: %s %s", upstream, backend, words)
    return Answer(200, TEXT, f"upstream {upstream}: {backend} {words}\n".encode())


def answer(standing: Standing, method: str, target: str, accept: str = "") -> Answer:
    """The answer to a request; `accept` is its Accept field."""
    path, _, query = target.partition("?")
    if path == "/drain":
        return drain(standing, method, query)
    view = PATHS.get(path)
    if view is None:
        return Answer(404, TEXT, f"there is nothing here: try {', '.join((*PATHS, '/drain'))}\n".encode())
    if method not in ("GET", "HEAD"):
        return Answer(405, TEXT, b"only GET and HEAD\n", "GET, HEAD")
    return view(standing, accept)
