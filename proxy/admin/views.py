"""What the admin door answers: a request becomes a status, a type and a body.

Rules: who may is asked first (`rights`), then what. /healthz and the page's own files are open to whoever reaches the
door, since they tell nothing. Everything under /api speaks JSON, refusals too.
"""

from __future__ import annotations

import inspect
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qs

from proxy.admin import endpoints, metrics, shapes, static_files
from proxy.admin.asked import JSON, TEXT, Answer, Asked, Refused, as_json, refusal
from proxy.admin.desk import Desk
from proxy.admin.metrics.app import AppMetrics
from proxy.admin.openapi import description
from proxy.admin.rights import Admission, own
from proxy.admin.standing import Standing
from proxy.admin.static_files import File
from proxy.admin.status import status

__all__ = ["JSON", "TEXT", "Answer", "Door", "answer"]

EVENTS: Final = "/api/events"
SESSION: Final = "/api/session"
OPENAPI: Final = "/api/openapi.json"
HEALTH: Final = "/healthz"
APP_METRICS: Final = "/metrics/app"

log = logging.getLogger("frontgate")


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


PATHS: dict[str, Callable[[Standing, str], Answer]] = {HEALTH: health, "/metrics": prometheus, "/status": state}


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
    """The answer to a request outside the API; `accept` is its Accept field."""
    path, _, query = target.partition("?")
    if path == "/drain":
        return drain(standing, method, query)
    view = PATHS.get(path)
    if view is None:
        return Answer(404, TEXT, f"there is nothing here: try {', '.join((*PATHS, '/drain'))}\n".encode())
    if method not in ("GET", "HEAD"):
        return Answer(405, TEXT, b"only GET and HEAD\n", "GET, HEAD")
    return view(standing, accept)


class Door:
    """All that is behind the admin door. `files` are those of the page, by path."""

    def __init__(self, desk: Desk, admission: Admission, files: Mapping[str, File]) -> None:
        self.desk = desk
        self.admission = admission
        self.files = files
        self.app_metrics = AppMetrics(desk.standing)

    async def answer(self, asked: Asked) -> Answer:
        """The answer to a request; a fault of ours is logged, and no more is told of it."""
        try:
            return await self.decide(asked)
        except Refused as refused:
            return refusal(refused, asked.api)
        except Exception:
            log.exception("the admin door cannot answer %s", asked.path)
            return refusal(Refused(500, "a fault of frontgate: see the error log"), asked.api)

    async def decide(self, asked: Asked) -> Answer:
        """The same; raises Refused."""
        own(asked)
        file = self.files.get(asked.path)
        if file is not None and not asked.unsafe:
            return static_files.answer(file, asked)
        if asked.path == SESSION:
            return self.session(asked)
        if not asked.api:
            if asked.path != HEALTH:
                self.admission.check(asked, "write" if asked.unsafe else "read")
            if asked.path == APP_METRICS:
                _only(asked, "GET", "HEAD")
                return Answer(200, metrics.PLAIN, await self.app_metrics.text())
            return answer(self.desk.standing, asked.method, asked.target, asked.fields.get("accept", ""))
        if asked.path == OPENAPI:
            self.admission.check(asked, "read")
            _only(asked, "GET", "HEAD")
            return as_json(200, description(self.desk.standing.version))
        self.admission.check(asked, "write" if asked.unsafe else "read")
        endpoint, parts = endpoints.found(asked)
        found = endpoint.do(self.desk, endpoints.call(endpoint, parts, asked))
        return as_json(endpoint.status, await found if inspect.isawaitable(found) else found)

    def session(self, asked: Asked) -> Answer:
        """Log in, log out, or tell what the one who asks may do."""
        _only(asked, "GET", "HEAD", "POST", "DELETE")
        rights = self.admission.rights(asked)
        fields: tuple[tuple[str, str], ...] = ()
        if asked.method == "POST":
            login = endpoints.said(shapes.Login, asked.body)
            assert isinstance(login, shapes.Login)
            cookie, rights = self.admission.login(login.token, asked.tls)
            fields = (("Set-Cookie", cookie),)
        elif asked.method == "DELETE":
            fields = (("Set-Cookie", self.admission.logout(asked)),)
            rights = "none" if self.admission.required else rights
        required, version = self.admission.required, self.desk.standing.version
        return as_json(200, shapes.Session(required=required, rights=rights, version=version), fields)


def _only(asked: Asked, *methods: str) -> None:
    if asked.method not in methods:
        raise Refused(405, f"this path takes {', '.join(methods)} alone", ", ".join(methods))
