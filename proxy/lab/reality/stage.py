"""The real door and real backends behind it, in processes of their own, for as long as a `with` lasts.

Rules: the door is `frontgate serve` with the same [upstream] table, in a folder of its own that is gone afterwards.
Both processes are in sessions of their own, so that Ctrl-C reaches whoever runs the study alone, and he ends them:
the backends end with their standard input, the door with SIGTERM. Where he is killed himself, Linux sends that.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import tomli_w

import proxy
from proxy.lab.scenario import Scenario

GOES_IN: Final = 10.0  # seconds that a process may take to end
LOCAL: Final = "127.0.0.1"
PR_SET_PDEATHSIG: Final = 1  # prctl(2)
PRCTL: Final[Any] = getattr(ctypes.CDLL(None), "prctl", None)
ELSEWHERE: Final = ("tls", "proxy_protocol", "bind", "bind_transparent", "resolver", "resolve", "metrics")
"""Keys of an [upstream] table that are about reaching servers, or others."""
NOT_HERE: Final = ("resolve", "service", "address")
"""The same of a server."""


@contextlib.contextmanager
def hurried() -> Iterator[None]:
    """Run before others, with all processes that are begun meanwhile, where one may (root): what else this machine does
    is not to be measured."""
    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    policy, usual = os.sched_getscheduler(0), os.sched_getparam(0)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, policy, usual)


@contextlib.contextmanager
def backends(scenario: Scenario) -> Iterator[list[int]]:
    """The backends of a scenario; gives their ports."""
    told = scenario.model_dump(mode="json", include={"seed", "requests", "service", "backends"}, exclude_unset=True)
    with _started("proxy.lab.reality.backends") as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(told).encode() + b"\n")
        process.stdin.flush()
        ports: list[int] = json.loads(process.stdout.readline() or b"[]")
        if len(ports) != len(scenario.backends):
            raise ValueError("the backends did not start: see above")
        try:
            yield ports
        finally:
            process.stdin.close()


@contextlib.contextmanager
def door(tables: Mapping[str, Any]) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A door with this configuration, and the file that its errors go to."""
    folder = Path(tempfile.mkdtemp(prefix="frontgate-lab-"))
    try:
        path, errors = folder / "frontgate.toml", folder / "errors"
        path.write_bytes(tomli_w.dumps(tables).encode())
        with open(errors, "wb") as log, _started("proxy.cli", "serve", "-c", str(path), log=log) as process:
            yield process, errors
            process.terminate()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _started(module: str, *words: str, log: Any = None) -> Iterator[subprocess.Popen[bytes]]:
    """A module of ours that runs in a process; killed if it does not end."""
    command = [sys.executable, "-P", "-m", module, *words]
    paths = [str(Path(proxy.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    pipe = subprocess.PIPE if log is None else subprocess.DEVNULL
    process = subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=log, env=environment, start_new_session=True,
        preexec_fn=None if PRCTL is None else partial(_leashed, os.getpid()),
    )  # fmt: skip
    try:
        yield process
    except BaseException:
        process.terminate()
        raise
    finally:
        with process:
            try:
                process.wait(GOES_IN)
            except subprocess.TimeoutExpired:
                process.kill()


def _leashed(parent: int) -> None:
    """The child's part: have it end when whoever started it is gone, however he went."""
    PRCTL(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def free_port() -> int:
    """A port that nobody has at this instant."""
    with socket.socket() as one:
        one.bind((LOCAL, 0))
        return int(one.getsockname()[1])


def upstream(scenario: Scenario, strategy: str, ports: Sequence[int]) -> dict[str, Any]:
    """The [upstream] table of a scenario, with real addresses."""
    said = {key: value for key, value in scenario.upstream.items() if key not in ELSEWHERE and value is not None}
    place = said.pop("balance_from", None) or "."
    if ":" in strategy:
        said["balance_from"] = os.path.abspath(place)
    servers = scenario.table(strategy).servers
    told = [server.model_dump(mode="json", exclude_unset=True) for server in servers]
    said["servers"] = [
        {"address": f"{LOCAL}:{port}", **{key: value for key, value in one.items() if key not in NOT_HERE}}
        for one, port in zip(told, ports, strict=True)
    ]
    return {**said, "balance": strategy}


def configuration(scenario: Scenario, table: Mapping[str, Any], port: int) -> dict[str, Any]:
    """What the door serves: all goes to the scenario's upstream, but /idle to the same backends beside it.

    Whatever a hash goes by, here it is the client, as in the simulation.
    """
    addresses = [server["address"] for server in table["servers"]]
    if table["balance"] == "hash":
        table = {**table, "hash": "$remote_addr"}
    tables = {
        "workers": scenario.workers,
        "log": {"access": "off"},
        "http": {"trusted_proxies": [LOCAL]},
        "listen": {"web": {"address": f"{LOCAL}:{port}"}},
        "upstream": {"lab": table, "idle": {"servers": addresses}},
        "site": {
            "lab": {
                "default": True,
                "route": [{"path": "/", "upstream": "lab"}, {"path": "/idle", "upstream": "idle"}],
            }
        },
    }
    if scenario.timeout is not None:
        tables["timeouts"] = {"read": scenario.timeout}
    return tables
