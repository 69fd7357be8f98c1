"""An ASGI application under a real Uvicorn, in a thread of the test, and a client that asks it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from typing import Any

import uvicorn


class Served:
    """An application under Uvicorn, in a thread, on a free port. Use it as `with Served(app) as served`."""

    def __init__(self, app: Any, http: str = "httptools") -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        config = uvicorn.Config(app, http=http, log_level="warning", timeout_graceful_shutdown=5, proxy_headers=False)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]})

    def __enter__(self) -> Served:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.listener.close()
        assert not self.thread.is_alive()

    def ask(self, path: str = "/", method: str = "GET", body: Any = None, **fields: str) -> Asked:
        """One request on a connection of its own."""
        return Asked(self, path, method, body, fields)


class Asked:
    """A response, read as far as it came."""

    def __init__(self, served: Served, path: str, method: str, body: Any, fields: dict[str, str]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in fields.items()})
        response = connection.getresponse()
        self.status, self.headers, self.whole = response.status, response.headers, True
        try:
            self.body = response.read()
        except http.client.IncompleteRead as broken:
            self.body, self.whole = broken.partial, False
        connection.close()

    def problem(self) -> dict[str, Any]:
        """The body, which must be a problem (RFC 9457)."""
        assert self.headers["Content-Type"] == "application/problem+json"
        found: dict[str, Any] = json.loads(self.body)
        assert found["status"] == self.status
        return found
