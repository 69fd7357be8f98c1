"""The table of an application whose workers frontgate runs itself, and the upstream that it stands for.

Rules: an app is an upstream of the same name: each worker listens on a unix socket of its own, which is one of its
servers. There is one socket more than there are workers, its seats: a worker's replacement comes up in the empty seat
before the old one is asked to go. What [upstream.NAME] says beside [app.NAME] holds for the app's workers too; it says
no `servers`. The number of workers that is not given is this machine's; all else is pure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from proxy.config import words
from proxy.config.table import ShortTable, Table

RUNTIME: Final = "/run/frontgate"
SIDE: Final = "FRONTGATE_SIDE"  # of the environment: tells the sockets of two programs apart that take turns (USR2)
KEPT: Final = (
    75  # seconds a worker keeps an idle connection: longer than we do, so that it never closes one in our hand
)
IDLE: Final = 60.0  # seconds we keep one
AT_A_TIME: Final[Mapping[str, int]] = {"async": 1000, "threads": 40, "blocking": 1}
MOST: Final = 1024  # workers of an app
_IMPORT: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.\w+)*(?:\(\))?")
_VARIABLE: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)

# What the upstream of an app is like, unless [upstream.NAME] says otherwise. Whether a worker is well is known: it is a
# child. So its failures do not count against it, as they would against a stranger. A request whose worker died is not
# given to the next at once: whatever has killed one may be about to kill all, and who comes again is waited for.
_UPSTREAM: Final[Mapping[str, Any]] = {
    "balance": "least_conn",
    "max_fails": 0,
    "keepalive_timeout": IDLE,
    "retry": {"base": 0.2, "jitter": 0.0, "floor": 100},
    "queue": {"size": 1000, "timeout": 30.0},
}


def _imported(value: str) -> str:
    if not _IMPORT.fullmatch(value):
        raise ValueError('must be MODULE:NAME, as for uvicorn, such as "main:app"')
    return value


def _variables(value: Mapping[str, str]) -> Mapping[str, str]:
    for name, text in value.items():
        if not _VARIABLE.fullmatch(name) or "\0" in text:
            raise ValueError(f'must have names of variables, such as LOG_LEVEL (got "{name}")')
    return value


Imported = Annotated[str, AfterValidator(_imported)]
Variables = Annotated[Mapping[str, str], AfterValidator(_variables)]
Server = Literal["uvicorn", "gunicorn", "asgi"]


class Readiness(ShortTable):
    """What a worker must answer before it gets requests; a string stands for `path`."""

    path: words.AskedPath = Field(description="path that is asked for", examples=["/healthz"])
    host: words.HeaderValue = Field(default="localhost", description="Host header of the question")
    status: tuple[words.StatusRange, ...] = Field(default=("200-399",), description="statuses that say: ready")
    timeout: words.Period = Field(default=5.0, description="seconds for one answer")


class App(Table):
    """An application whose workers are run here; an upstream of the same name leads to them."""

    app: Imported = Field(description="what is imported, MODULE:NAME", examples=["main:app"])
    server: Server = Field(
        default="uvicorn",
        description='what runs it: "uvicorn"; "gunicorn", each worker a Gunicorn with uvicorn_worker.UvicornWorker;'
        ' "asgi", the same with Gunicorn\'s own worker (25 or later)',
    )
    workers: Annotated[int, Field(strict=True, ge=1, le=MOST)] | Literal["2x+1"] | None = Field(
        default=None, description='worker processes; "2x+1": two per core and one; one per core and one when left out'
    )
    concurrency: words.Positive | Literal["async", "threads", "blocking"] = Field(
        default="async",
        description='requests at a time in one worker, others wait at the door: "async" for handlers that await (1000),'
        ' "threads" for `def` handlers in the thread pool (40), "blocking" for those that keep the loop busy (1)',
    )
    folder: words.Path = Field(default=".", description="folder that workers start in (default: that of this file)")
    app_dir: words.Path | None = Field(default=None, description="folder that is imported from (default: `folder`)")
    factory: words.Flag = Field(default=False, description="NAME is a function that makes the app")
    root_path: str = Field(
        default="", pattern=r"^(/[^/?#\s]+)*$", description="path that routes strip before the app's"
    )
    env: Variables = Field(default={}, description="variables of its environment")
    env_files: tuple[words.Path, ...] = Field(default=(), description="files of them, KEY=VALUE lines, read at a start")
    python: words.Path | None = Field(default=None, description="interpreter of its own; none: the one we run on")
    config: words.Path | None = Field(
        default=None, description="gunicorn.conf.py; none: the one in `folder`, if there is one"
    )
    arguments: tuple[str, ...] = Field(default=(), description="further arguments of its server's command")
    ready: Readiness | None = Field(default=None, description="what a worker must answer before it gets requests")
    ready_within: words.Period = Field(default=60.0, description="seconds a worker may take to come up")
    drain: words.Period = Field(default=30.0, description="seconds its requests may take to end before it goes")
    stop: words.Period = Field(default=10.0, description="seconds it may take to go")
    max_requests: words.Count = Field(default=0, description="requests after which a worker is replaced; 0: never")
    max_requests_jitter: words.Count | None = Field(
        default=None, description="so many more at most, by chance (default: a tenth of max_requests)"
    )
    max_age: words.Duration = Field(default=0.0, description="seconds after which a worker is replaced; 0: never")
    max_memory: words.Size = Field(default=0, description="bytes of memory beyond which it is replaced; 0: any")
    reload: words.Flag = Field(default=False, description="for development: replace workers when a file changes")
    reload_dirs: tuple[words.Path, ...] = Field(default=(), description="folders of these files; none: app_dir")

    @property
    def at_a_time(self) -> int:
        """Requests in one worker at a time."""
        return self.concurrency if isinstance(self.concurrency, int) else AT_A_TIME[self.concurrency]

    @property
    def crew(self) -> int:
        """How many workers there are."""
        return crew(self.workers, self.reload)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def crew(workers: object, reload: object = False) -> int:
    """The number of workers that a value means; one is the default for development."""
    if isinstance(workers, int) and not isinstance(workers, bool):
        return min(max(workers, 1), MOST)
    if workers is None and reload:
        return 1
    return 2 * cores() + 1 if workers == "2x+1" else cores() + 1


def folder(runtime: str, name: str) -> str:
    """Where the sockets of an app are."""
    side = os.environ.get(SIDE, "")
    return f"{runtime}/{name}{side}"


def seat(runtime: str, name: str, number: int) -> str:
    """The address of a seat."""
    return f"unix:{folder(runtime, name)}/{number}.sock"


def other_side() -> str:
    """What SIDE is to be for a program that starts while this one still serves."""
    return "" if os.environ.get(SIDE) else "~"


def declare(tables: Any) -> Any:
    """The same tables, with an upstream for each app. What is wrong in them is left for the Model to say."""
    apps = tables.get("app") if isinstance(tables, Mapping) else None
    if not isinstance(apps, Mapping) or not apps:
        return tables
    given = tables.get("upstream", {})
    if not isinstance(given, Mapping):
        return tables
    runtime = tables.get("runtime", RUNTIME)
    upstreams = dict(given)
    for name, app in apps.items():
        said = given.get(name, {})
        if isinstance(app, Mapping) and isinstance(said, Mapping):
            upstreams[name] = {**_UPSTREAM, "servers": _servers(runtime, name, app), **said}
        elif isinstance(app, App) and isinstance(said, Mapping):
            upstreams[name] = {**_UPSTREAM, "servers": _servers(runtime, name, app.model_dump()), **said}
    return {**tables, "upstream": upstreams}


def _servers(runtime: object, name: str, app: Mapping[str, Any]) -> list[dict[str, Any]]:
    at_a_time = app.get("concurrency", "async")
    most = at_a_time if isinstance(at_a_time, int) else AT_A_TIME.get(str(at_a_time), 1)
    number = crew(app.get("workers"), app.get("reload")) + 1
    return [{"address": seat(str(runtime), name, one), "max_conns": most} for one in range(number)]
