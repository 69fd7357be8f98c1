"""The Model of `frontgate run`: what its options say as tables, alone or beside those of a file.

Rules: it is made anew at each reload, from the same options and the file as it is then. Where the file says nothing of
a listener or of a site that leads to the app, there is one; what the file says is left as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from proxy.apps.control import free
from proxy.apps.gunicorn import look
from proxy.build import strategies
from proxy.cli.asking import Trouble
from proxy.config import app as apps
from proxy.config import check, toml
from proxy.config.model import Model
from proxy.config.source import ConfigError, Source
from proxy.process.child import drop_privileges

PRIVATE: Final = ("localhost", "local", "test", "example", "invalid", "internal", "lan", "home.arpa", "onion")
"""Endings of names that no authority certifies (RFC 6761, RFC 6762, RFC 8375, RFC 7686, ICANN's .internal)."""
HERE: Final = "127.0.0.1:8000"
NUMBER: Final = re.compile(r"^workers\s*=", re.MULTILINE)
MOST_NAMES: Final = 100  # apps of one import name on a host


def runtime_folder() -> str:
    """Where sockets are when nothing else is said: of root, of who has a folder of its own, or of anybody."""
    if os.geteuid() == 0:
        return apps.RUNTIME
    own = os.environ.get("XDG_RUNTIME_DIR")
    return f"{own}/frontgate" if own else f"{tempfile.gettempdir()}/frontgate-{os.getuid()}"


def state_folder() -> str:
    """Where accounts and certificates are kept when nothing else is said."""
    if os.geteuid() == 0:
        return "/var/lib/frontgate"
    return os.environ.get("XDG_STATE_HOME", os.path.expanduser("~/.local/state")) + "/frontgate"


def public(name: str) -> bool:
    """Whether an authority would certify a name."""
    try:
        return ipaddress.ip_address(name.strip("[]")).is_global
    except ValueError:
        pass
    plain = name.rstrip(".").lower()
    return "." in plain and not any(plain == end or plain.endswith("." + end) for end in PRIVATE)


def name_of(asked: argparse.Namespace) -> str:
    """What the app is called: as asked, or as its module, with a number behind it if that runs already. Trouble."""
    runtime = asked.runtime or runtime_folder()
    trust(runtime)
    if asked.name:
        if not free(apps.folder(runtime, asked.name)):
            raise Trouble(f"an app {asked.name} runs already in {runtime}: give another --name, or stop that")
        return str(asked.name)
    module = asked.app.partition(":")[0].rpartition(".")[2] or "app"
    names = [module, *(f"{module}-{number}" for number in range(2, MOST_NAMES))]
    return next((name for name in names if free(apps.folder(runtime, name))), module)


def model_of(asked: argparse.Namespace, name: str) -> Model:
    """The Model. ConfigError with everything that is wrong."""
    tables, source = written(asked.config)
    folder = os.path.abspath(os.path.dirname(asked.config) if asked.config else ".")
    tables.setdefault("runtime", os.path.abspath(asked.runtime or runtime_folder()))
    tables["app"] = {**tables.get("app", {}), name: app_table(asked)}
    if asked.door_workers:
        tables["workers"] = asked.door_workers
    place = apps.folder(tables["runtime"], name)
    own(tables["runtime"], place)
    tables.setdefault("pid", f"{tables['runtime']}/{name}.pid")
    tables.setdefault("admin", {}).setdefault("listen", asked.admin or f"unix:{place}/admin")
    if asked.access_log is not None:
        tables.setdefault("log", {})["access"] = asked.access_log
    listen(tables, asked, folder)
    site(tables, asked, name)
    model = toml.validate(tables, source)
    problems = [*check.problems(model, source), *strategies.problems(model, source, drop_privileges)]
    if problems:
        raise ConfigError(problems)
    return model


def trust(runtime: str) -> None:
    """Trouble when somebody else has made the folder, or a link in its place: then nothing in it is what it seems."""
    with contextlib.suppress(OSError):
        if os.lstat(runtime).st_uid not in (0, os.geteuid()):
            raise Trouble(f"the folder {runtime} belongs to another user: give one of your own with --runtime")


def own(runtime: str, place: str) -> None:
    """Have the folder of an app. Trouble when somebody else could put other sockets there."""
    try:
        if not os.path.isdir(runtime):
            os.makedirs(runtime, mode=0o755 if os.geteuid() == 0 else 0o700)
        trust(runtime)
        os.makedirs(place, mode=0o700, exist_ok=True)
    except OSError as error:
        raise Trouble(f"the folder {place} cannot be had: {error.strerror}: give another --runtime") from None


def written(path: str | None) -> tuple[dict[str, Any], Source]:
    """The tables of a file, and where its keys are. ConfigError."""
    if path is None:
        return {}, Source("frontgate run")
    return toml.tables(path)


def app_table(asked: argparse.Namespace) -> dict[str, Any]:
    """What [app.NAME] would say."""
    here = os.getcwd()
    table: dict[str, Any] = {"app": asked.app, "server": asked.server, "folder": here}
    files, variables = environment(asked.env)
    given = {
        "app_dir": os.path.abspath(asked.app_dir) if asked.app_dir else None,
        "workers": None if asked.reload else asked.workers or configured_workers(asked),  # one then, as Uvicorn has it
        "concurrency": asked.concurrency,
        "factory": asked.factory,
        "root_path": asked.root_path.rstrip("/") if asked.root_path else None,
        "env": variables,
        "env_files": files,
        "python": asked.python,
        "config": os.path.abspath(asked.gunicorn_config) if asked.gunicorn_config else None,
        "ready": asked.ready,
        "ready_within": asked.ready_within,
        "drain": asked.drain or ("1s" if asked.reload else None),  # who develops waits for no open WebSocket
        "stop": asked.stop,
        "max_requests": asked.max_requests,
        "max_requests_jitter": asked.max_requests_jitter,
        "max_age": asked.max_age,
        "max_memory": asked.max_memory,
        "reload": asked.reload,
        "reload_dirs": [os.path.abspath(path) for path in asked.reload_dir],
        "arguments": asked.server_arguments,
    }
    return table | {key: value for key, value in given.items() if value not in (None, False, [], {}, "")}


def configured_workers(asked: argparse.Namespace) -> int | None:
    """How many a gunicorn.conf.py says; None when it says nothing. ValueError when it cannot be read."""
    path = Path(asked.gunicorn_config or "gunicorn.conf.py")
    if asked.server == "uvicorn" or not path.is_file() or not NUMBER.search(path.read_text(errors="replace")):
        return None
    table = apps.App(app=asked.app, server=asked.server, config=str(path.absolute()), python=asked.python)
    return int(asyncio.run(look(table)).get("workers", 1))


def environment(given: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Of --env: files, and variables."""
    files, variables = [], {}
    for one in given:
        name, sign, value = one.partition("=")
        if sign and os.sep not in name:
            variables[name] = value
        else:
            files.append(os.path.abspath(one))
    return files, variables


def listen(tables: dict[str, Any], asked: argparse.Namespace, folder: str) -> None:
    """Have listeners, unless the file has and no other is asked for."""
    named = [name for name in asked.domain if public(name)]
    secure = bool(named or asked.certificate or asked.https)
    doors = tables.setdefault("listen", {})
    if doors and not asked.http and not asked.https:
        return
    if asked.http != "off":
        http = address(asked.http or (80 if secure else HERE))
        doors["http"] = {"address": http, **({"redirect": "https"} if secure else {})}
    if secure:
        doors["https"] = {"address": address(asked.https or 443), "tls": True}


def address(given: object) -> str:
    """Where to accept: a port means every address."""
    text = str(given)
    return f"0.0.0.0:{text}" if text.isdigit() else text


def site(tables: dict[str, Any], asked: argparse.Namespace, name: str) -> None:
    """Have a site that leads to the app, unless a route of the file does."""
    sites = tables.setdefault("site", {})
    if any(route.get("upstream") == name for route in routes(sites)):
        return
    table: dict[str, Any] = {"names": asked.domain} if asked.domain else {"default": True}
    if asked.certificate:
        table |= {
            "certificate": os.path.abspath(asked.certificate),
            "key": os.path.abspath(asked.key or asked.certificate),
        }
    elif any(public(one) for one in asked.domain):
        table["certificate"] = apps_certificate(tables, asked)
    table["route"] = [{"path": "/", "upstream": name}]
    if asked.root_path:  # whether somebody before us has stripped it or not
        root = asked.root_path.rstrip("/")
        table["route"].append({"path": f"{root}/", "upstream": name, "proxy": {"path": "/"}})
    sites[name] = table


def apps_certificate(tables: dict[str, Any], asked: argparse.Namespace) -> str:
    """Have certificates ordered."""
    acme = tables.setdefault("acme", {})
    acme.setdefault("agree", True)
    acme.setdefault("folder", f"{state_folder()}/acme")
    for key, value in (("email", asked.email), ("directory", asked.acme_directory), ("trusted_ca", asked.acme_ca)):
        if value:
            acme.setdefault(key, value)
    return "acme"


def routes(level: Any) -> Iterator[dict[str, Any]]:
    """All routes of a file's sites, as they are written."""
    found = level.values() if isinstance(level, dict) else level
    for one in found:
        if isinstance(one, dict):
            yield one
            inner = one.get("route", ())
            yield from routes(inner if isinstance(inner, list) else ())
