"""What runs inside an application's worker before its server does: `python -P inside.py SERVER SETTINGS ARGUMENTS...`.

Rules: a script of its own that imports nothing of ours, for the application's interpreter may be another one. It tells
the supervisor over a pipe when the server has come up (the lifespan's startup is over, connections are accepted), and
ends the process when the master is gone: that alone holds the other end of the lifeline. What the server is, how it
loads the application and what it logs are its own affair; the hooks are its methods that begin and end its start.
SETTINGS is JSON: Gunicorn's settings that are ours to say, whatever a gunicorn.conf.py says.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

READY = "FRONTGATE_READY"  # descriptor of the pipe
LIFELINE = "FRONTGATE_LIFELINE"  # descriptor; its end is ours
PATH = "FRONTGATE_PATH"  # folder that modules are imported from first
GRACE = 30.0  # seconds to go by ourselves when the master is gone
SAID = ("workers", "max_requests", "max_requests_jitter", "worker_class", "keepalive", "timeout")
"""What of a gunicorn.conf.py is for us to do."""
NEEDS = {"uvicorn": ("uvicorn",), "gunicorn": ("gunicorn", "uvicorn", "uvicorn_worker"), "asgi": ("gunicorn",)}
INSTALLED_BY = {"uvicorn": '"frontgate[run]"', "gunicorn": '"gunicorn>=23"', "uvicorn_worker": "uvicorn-worker"}
"""What pip is to install for a module."""


def watch(lifeline: int) -> None:
    """Wait for the end of the master, and go."""
    with contextlib.suppress(OSError):
        while os.read(lifeline, 1):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE)
    os._exit(1)


def teller(descriptor: int) -> Callable[[], None]:
    """What tells the supervisor that we are ready, the first time that it is called."""
    told = False

    def tell() -> None:
        nonlocal told
        if not told:
            told = True
            with contextlib.suppress(OSError):  # the supervisor is gone, or has heard it of a worker before this one
                os.write(descriptor, b"ready\n")

    return tell


def with_uvicorn(tell: Callable[[], None]) -> None:
    """Have Uvicorn's server tell when it has started."""
    server: Any = import_module("uvicorn.server").Server
    startup = server.startup

    async def started(self: Any, *given: Any, **named: Any) -> None:
        await startup(self, *given, **named)
        if self.started:
            tell()

    server.startup = started


def with_gunicorns_own(tell: Callable[[], None]) -> None:
    """Have Gunicorn's ASGI worker tell when it has started: it says that it lives as soon as its servers accept."""
    worker: Any = import_module("gunicorn.workers.gasgi").ASGIWorker
    notify = worker.notify

    def alive(self: Any) -> None:
        notify(self)
        if self.servers:
            tell()

    worker.notify = alive


def gunicorn(settings: dict[str, Any], arguments: list[str]) -> Any:
    """Gunicorn with these arguments, and settings that go before all others; not running yet."""
    application: Any = import_module("gunicorn.app.wsgiapp").WSGIApplication

    class Behind(application):  # type: ignore[misc]
        """Gunicorn's own, but for what we know better."""

        def load_config(self) -> None:
            """Load it as ever, and change a little."""
            super().load_config()
            for name, value in settings.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

    sys.argv = ["gunicorn", *arguments]
    return Behind("%(prog)s [OPTIONS] [APP_MODULE]", prog="gunicorn")


def lacking(server: str) -> str:
    """What a server needs and this interpreter does not have, as a sentence; "" when all is there."""
    for name in NEEDS.get(server, NEEDS["asgi"]):
        if find_spec(name) is None:
            return f"{name} is not installed for {sys.executable}: pip install {INSTALLED_BY[name]}"
    if server == "asgi" and find_spec("gunicorn.workers.gasgi") is None:
        return f'Gunicorn is too old for --server asgi ({sys.executable}): pip install "gunicorn>=25"'
    return ""


def run(server: str, settings: dict[str, Any], arguments: list[str], tell: Callable[[], None]) -> None:
    """Be the server."""
    if server == "uvicorn":
        with_uvicorn(tell)
        import_module("uvicorn.main").main(arguments, prog_name="uvicorn")
        return
    if server == "asgi":
        with_gunicorns_own(tell)
    else:
        with_uvicorn(tell)
        worker: Any = import_module("uvicorn_worker").UvicornWorker
        # Read by the worker alone; Gunicorn's own setting of this name does not reach it.
        worker.CONFIG_KWARGS = {**worker.CONFIG_KWARGS, "root_path": settings["root_path"]}
    gunicorn(settings, arguments).run()


def look(arguments: list[str]) -> None:
    """Print what Gunicorn would go by, as JSON."""
    with contextlib.redirect_stdout(sys.stderr):  # a gunicorn.conf.py may print
        said = gunicorn({}, arguments).cfg.settings
    print(json.dumps({name: said[name].get() for name in SAID if isinstance(said[name].get(), int | str)}))


def hear_signals() -> None:
    """Take signals as any program does: the supervisor is deaf to some, and that is inherited."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> None:
    """Go by what the environment says, which the application does not see."""
    hear_signals()
    path = os.environ.pop(PATH, "")
    if path:
        sys.path.insert(0, path)
    server, settings, arguments = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]
    if problem := lacking(server):
        sys.exit(problem)
    if server == "look":
        look(arguments)
        return
    ready, lifeline = int(os.environ.pop(READY)), int(os.environ.pop(LIFELINE))
    threading.Thread(target=watch, args=(lifeline,), daemon=True, name="frontgate-lifeline").start()
    run(server, settings, arguments, teller(ready))


if __name__ == "__main__":
    main()
