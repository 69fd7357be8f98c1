"""An admin door that says what a scene says and does what a test wants: it falls silent, refuses, asks for a token.

Rules: the files of the page come as the real door sends them, with its Content-Security-Policy. What the page has asked
to be changed is kept in `changes`, in order.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import scene

import proxy
from proxy.admin.static_files import POLICY, files

PAGE = files()
PACE = 0.2  # seconds of ours for one of the scene's: tests shall not wait
COOKIE = "frontgate_session=yes"
TOKEN = "open sesame"


class StandIn:
    """A door on 127.0.0.1; `with StandIn() as door`, then `door.url`."""

    def __init__(self, *, token: bool = False, rights: str = "write", history: int = 300, pace: float = PACE) -> None:
        self.token, self.rights, self.history, self.pace = token, rights, history, pace
        self.at = scene.START
        self.changes: list[tuple[str, Any]] = []
        self.refusal = ""  # a sentence: changes are refused with it
        self.silent = threading.Event()  # no event is sent while it is set
        self.gone = threading.Event()  # nobody is answered while it is set, and streams break
        self.more: list[tuple[str, Any]] = []  # events to send with the next tick
        self.over = threading.Event()
        self.upstreams = scene.upstreams
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Wire", (Wire,), {"door": self}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def __enter__(self) -> StandIn:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        threading.Thread(target=self.live, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    def live(self) -> None:
        """Let the scene's seconds pass."""
        while not self.over.wait(self.pace):
            self.at += 1

    def tick(self) -> dict[str, Any]:
        return {**scene.tick(self.at), "upstreams": self.upstreams()}

    def answer(self, path: str) -> Any:
        """What a question gets; None: there is nothing of that name."""
        at = self.at
        if path.startswith("/api/v1/exchanges/") and path.rpartition("/")[2] not in ("live", "slowest"):
            found = [
                one for one in scene.errors(at) + scene.slowest(at) if one["request_id"] == path.rpartition("/")[2]
            ]
            return scene.explanation(found[0]) if found else None
        return {
            "/api/v1/errors": lambda: {"errors": scene.errors(at)},
            "/api/v1/exchanges/slowest": lambda: {"on": True, "kept": 1000, "exchanges": scene.slowest(at)},
            "/api/v1/exchanges/live": lambda: {"exchanges": scene.live(at), "complete": True},
            "/api/v1/apps": lambda: {"apps": scene.apps(at)},
            "/api/v1/config": scene.config,
        }.get(path, lambda: None)()

    def changed(self, path: str, body: Any) -> dict[str, Any]:
        """What a change gets."""
        self.changes.append((path, body))
        words = path.split("/")
        if "backends" not in words:
            return {"asked": True, "sentence": f"{words[-1]} is asked for: see the error log"}
        upstream, address = unquote(words[4]), unquote(words[6])
        now = next(one for group in scene.upstreams() for one in group["backends"] if one["address"] == address)
        return {
            "upstream": upstream,
            "backend": address,
            "now": now,
            "holds": "until frontgate restarts",
            "sentence": f"upstream {upstream}: {address}: {words[-1]} is done",
        }


class Wire(BaseHTTPRequestHandler):
    """One connection."""

    door: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def say(self, status: int, body: Any, **fields: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **fields}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def refuse(self, status: int, reason: str) -> None:
        self.say(status, {"error": {"status": status, "reason": reason}})

    @property
    def let_in(self) -> bool:
        return not self.door.token or COOKIE in self.headers.get("Cookie", "")

    def session(self) -> dict[str, Any]:
        return {
            "required": self.door.token,
            "rights": self.door.rights if self.let_in else "none",
            "version": proxy.__version__,
        }

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if self.door.gone.is_set():
            self.close_connection = True  # not a word
        elif path in PAGE:
            self.say(200, PAGE[path].body, Content_Type=PAGE[path].content_type, Content_Security_Policy=POLICY)
        elif path == "/api/session":
            self.say(200, self.session())
        elif not self.let_in:
            self.refuse(401, "a token is needed here")
        elif path == "/api/events":
            self.events()
        else:
            found = self.door.answer(path)
            self.refuse(404, "that exchange is no longer kept") if found is None else self.say(200, found)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
        assert self.headers["Content-Type"] == "application/json"
        if self.path == "/api/session":
            if body.get("token") != TOKEN:
                self.refuse(401, "that is not the token")
            else:
                self.door.changes.append((self.path, body))
                self.say(
                    200,
                    {**self.session(), "rights": self.door.rights},
                    Set_Cookie=f"{COOKIE}; HttpOnly; SameSite=Strict",
                )
        elif self.door.refusal:
            self.refuse(409, self.door.refusal)
        else:
            self.say(200, self.door.changed(self.path, body))

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.say(200, {**self.session(), "rights": "none"}, Set_Cookie=f"{COOKIE}; Max-Age=0")

    def events(self) -> None:
        """The stream, for as long as anybody listens."""
        door = self.door
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        past = [scene.sample(door.at - ago) for ago in range(door.history, 0, -1)]
        while door.silent.is_set() and not door.over.wait(0.02):
            pass
        self.tell("hello", {"state": scene.state(door.at), "history": past})
        self.tell("certificates", {"certificates": scene.certificates()})
        told = 0.0
        with contextlib.suppress(OSError):  # it has left
            self.ticks(told)

    def ticks(self, told: float) -> None:
        door = self.door
        while not door.over.is_set() and not door.gone.is_set():
            if door.at != told and not door.silent.is_set():
                told = door.at
                self.tell("tick", door.tick())
                while door.more:
                    self.tell(*door.more.pop(0))
            time.sleep(0.02)

    def tell(self, name: str, body: Any) -> None:
        self.wfile.write(f"event: {name}\ndata: {json.dumps(body)}\n\n".encode())
        self.wfile.flush()
