"""frontgate: one worker, as its configuration contract says; as `pip install` builds it, and as plain Python.

What is measured as built is what `make bench` put into .venv/built; the plain one is the source of this checkout.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench.peers import nginx, web
from bench.peers.setup import BURST, IDLE_LINKS, MAX_BODY_MEGABYTES, RATE, Launch, Missing, Setup, write

NAME = "frontgate"
PLAIN_NAME = "frontgate-plain"
ENGINES = ("jh2", "h2")  # of HTTP/2, beside the one that is used where nothing is said
SOURCE = Path(__file__).resolve().parent.parent.parent
BUILT = SOURCE / ".venv" / "built"

CONFIGURATION = """workers = 1
[log]
access = "{access}"
format = "combined"
error = "{error}"
[timeouts]
client_header = "10s"
client_idle = "75s"
connect = "5s"
send = "60s"
read = "120s"
[http]
max_body = "{megabytes}m"
[listen.front]
address = "127.0.0.1:{port}"
tls = {tls}
{limit}
{http2}
[upstream.app]
balance = "round_robin"
servers = [{servers}]
keepalive = {links}
keepalive_timeout = "60s"
[site.bench]
names = ["localhost"]
listen = ["front"]
default = true
request_buffering = false
response_buffering = false
{certificate}
[[site.bench.route]]
path = "/"
upstream = "app"
limits = [{limits}]
"""

LIMIT = """[limit.per_ip]
key = "address"
rate = "{rate}r/s"
burst = {burst}
nodelay = true
memory = "10m\""""


def command(where: Path, *words: str) -> Launch:
    """A frontgate command with the package found in a folder, and nowhere else (-P: not in the current one either)."""
    if not (where / "proxy").is_dir():
        raise Missing(f"there is no frontgate in {where}: make bench builds one")
    return Launch((sys.executable, "-P", "-m", "proxy.cli", *words), {"PYTHONPATH": str(where)})


def described(where: Path) -> str:
    """Its version and whether it is compiled, and the versions of what its speed depends on."""
    said = command(where, "--version")
    environment = {**os.environ, **said.environment}
    done = subprocess.run(said.command, env=environment, capture_output=True, text=True, check=True)
    parts = [f"{name} {importlib.metadata.version(name)}" for name in ("uvloop", "httptools")]
    return f"{done.stdout.strip().removeprefix('frontgate ')}, Python {platform.python_version()}, {', '.join(parts)}"


def version() -> str:
    """Of what pip builds."""
    return described(BUILT)


def plain_version() -> str:
    """Of the source."""
    return described(SOURCE)


def launch(setup: Setup) -> Launch:
    """Start what pip builds."""
    return started(BUILT, setup)


def launch_plain(setup: Setup) -> Launch:
    """Start the source."""
    return started(SOURCE, setup)


def with_engine(engine: str) -> list[tuple[str, Callable[[], str], Callable[[Setup], Launch]]]:
    """The same two with another engine of HTTP/2: name, version and launch."""
    return [
        (f"{NAME}-{engine}", version, lambda setup: started(BUILT, setup, engine)),
        (f"{PLAIN_NAME}-{engine}", plain_version, lambda setup: started(SOURCE, setup, engine)),
    ]


def started(where: Path, setup: Setup, engine: str = "auto") -> Launch:
    """Serve frontgate.toml; where files are served, the very nginx.conf that nginx has."""
    if setup.files is None:
        return command(where, "serve", "-c", str(configure(setup, engine)))
    path = write(setup, "nginx.conf", nginx.frame(setup.folder, web.inside(setup)))
    return command(where, "nginx", "-c", str(path), "-e", str(setup.folder / "error.log"))


def configure(setup: Setup, engine: str) -> Path:
    """Write frontgate.toml."""
    text = CONFIGURATION.format(
        access=setup.access_log if setup.policies else "off",
        error=setup.folder / "error.log",
        megabytes=MAX_BODY_MEGABYTES,
        port=setup.port,
        tls="true" if setup.tls else "false",
        http2=f'[http2]\nengine = "{engine}"' if setup.http2 else "",
        limit=LIMIT.format(rate=RATE, burst=BURST) if setup.policies else "",
        servers=", ".join(f'"{address}"' for address in setup.backends),
        links=IDLE_LINKS,
        certificate=f'certificate = "{setup.certificate}"\nkey = "{setup.key}"' if setup.tls else "",
        limits='"per_ip"' if setup.policies else "",
    )
    return write(setup, "frontgate.toml", text)
