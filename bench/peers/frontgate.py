"""frontgate: one worker, as its configuration contract says."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

import proxy
from bench.peers.setup import BURST, IDLE_LINKS, MAX_BODY_MEGABYTES, RATE, Launch, Setup, write

NAME = "frontgate"

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
[upstream.app]
balance = "round_robin"
servers = [{servers}]
keepalive = {links}
keepalive_timeout = "60s"
[site.bench]
names = ["localhost"]
listen = ["front"]
default = true
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


def version() -> str:
    """Its own, and of what its speed depends on."""
    parts = [f"{name} {importlib.metadata.version(name)}" for name in ("uvloop", "httptools")]
    return f"{getattr(proxy, '__version__', 'unknown')} (Python {platform.python_version()}, {', '.join(parts)})"


def launch(setup: Setup) -> Launch:
    """Write frontgate.toml and say how to start."""
    text = CONFIGURATION.format(
        access=setup.access_log if setup.policies else "off",
        error=setup.folder / "error.log",
        megabytes=MAX_BODY_MEGABYTES,
        port=setup.port,
        tls="true" if setup.tls else "false",
        limit=LIMIT.format(rate=RATE, burst=BURST) if setup.policies else "",
        servers=", ".join(f'"{address}"' for address in setup.backends),
        links=IDLE_LINKS,
        certificate=f'certificate = "{setup.certificate}"\nkey = "{setup.key}"' if setup.tls else "",
        limits='"per_ip"' if setup.policies else "",
    )
    path = write(setup, "frontgate.toml", text)
    return Launch((sys.executable, "-m", "proxy.cli", "serve", "-c", str(path)))
