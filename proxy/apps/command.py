"""The command and the environment of an application's worker.

Rules: nothing is started here. What decides whether requests are lost is ours, whatever a gunicorn.conf.py says: where
it listens, how many processes, how long idle connections are kept (longer than we keep them, so that the worker never
closes one that a request is just put on), and that it does not end by itself after so many requests.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from proxy.apps import inside
from proxy.config.app import KEPT, SIDE, App

SCRIPT: Final = inside.__file__
EVERYBODY: Final = "*"  # whose X-Forwarded-* are believed: who may open the socket is the door
OURS: Final = frozenset(
    [SIDE, "FRONTGATE_SOCKETS", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"]
)
"""Variables that speak to us, and that an application must not take for its own."""
OLD_CLASSES: Final = frozenset(["sync", "uvicorn.workers.UvicornWorker", "uvicorn.workers.UvicornH11Worker"])


def command(app: App, address: str, said: Mapping[str, Any]) -> list[str]:
    """What is executed for a worker at an address ("unix:/path"); `said` is what a gunicorn.conf.py says."""
    python = [app.python or sys.executable, "-P", SCRIPT, app.server]
    if app.server == "uvicorn":
        return [*python, "{}", *uvicorn(app, address)]
    settings = {
        "bind": [address],
        "workers": 1,
        "worker_class": worker_class(app, said),
        "keepalive": KEPT,
        "max_requests": 0,
        "max_requests_jitter": 0,
        "forwarded_allow_ips": EVERYBODY,
        "root_path": app.root_path,
        "graceful_timeout": max(1, int(app.stop / 2)),
        "pidfile": None,
        "daemon": False,
        "reload": False,
        "control_socket_disable": True,
    }
    return [*python, json.dumps(settings), *gunicorn(app)]


def uvicorn(app: App, address: str) -> list[str]:
    """Uvicorn's arguments. The door writes the access log."""
    words = ["--uds", address.removeprefix("unix:"), "--workers", "1", "--timeout-keep-alive", str(KEPT)]
    words += ["--timeout-graceful-shutdown", str(max(1, int(app.stop / 2))), "--no-access-log"]
    words += ["--proxy-headers", "--forwarded-allow-ips", EVERYBODY]
    words += ["--root-path", app.root_path] if app.root_path else []
    words += ["--factory"] if app.factory else []
    return [*words, *app.arguments, app.app]


def gunicorn(app: App) -> list[str]:
    """Gunicorn's arguments, for a worker or to look what it goes by."""
    words = ["--config", app.config] if app.config is not None else []
    name = f"{app.app}()" if app.factory and not app.app.endswith(")") else app.app
    return [*words, *app.arguments, name]


def looking(app: App) -> list[str]:
    """What is executed to see what Gunicorn goes by."""
    return [app.python or sys.executable, "-P", SCRIPT, "look", "{}", *gunicorn(app)]


def worker_class(app: App, said: Mapping[str, Any]) -> str:
    """Gunicorn's worker: its own one, or Uvicorn's, which a gunicorn.conf.py may have made another one of."""
    if app.server == "asgi":
        return "asgi"
    own = str(said.get("worker_class", "sync"))
    return "uvicorn_worker.UvicornWorker" if own in OLD_CLASSES else own


def environment(app: App, worker: str, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of a worker, which is called so. OSError or ValueError when a file of them cannot be read."""
    found = {name: value for name, value in given.items() if name not in OURS}
    for path in app.env_files:
        found |= variables(Path(path).read_text(encoding="utf-8"), path)
    found |= app.env
    path = app.app_dir if app.app_dir is not None else app.folder
    own = {"FRONTGATE_WORKER": worker, "PYTHONUNBUFFERED": "1", inside.PATH: os.path.abspath(path)}
    return found | own


def variables(text: str, path: str) -> dict[str, str]:
    """KEY=VALUE lines, with quotes, comments and `export` as a shell takes them. ValueError for any other line."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip().removeprefix("export ").lstrip()
        if not stripped or stripped.startswith("#"):
            continue
        name, sign, value = stripped.partition("=")
        if not sign or not name.strip().isidentifier():
            raise ValueError(f"{path}:{number}: must be KEY=VALUE (got {line.strip()!r})")
        found[name.strip()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"'):
        try:
            return " ".join(shlex.split(value, comments=True))
        except ValueError:
            return value
    return value.partition(" #")[0].rstrip()
