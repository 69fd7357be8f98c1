"""How the usual aiohttp proxy (bench/peers/aiohttp_proxy.py) is started."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys

from bench.peers import web
from bench.peers.setup import BURST, RATE, Launch, Missing, Setup

NAME = "aiohttp"


def version() -> str:
    """Of aiohttp and its event loop."""
    if importlib.util.find_spec("aiohttp") is None:
        raise Missing("aiohttp is not installed: pip install aiohttp")
    return f"{importlib.metadata.version('aiohttp')} (uvloop {importlib.metadata.version('uvloop')})"


def launch(setup: Setup) -> Launch:
    """Everything is on its command line."""
    web.refuse(setup)
    command = [sys.executable, "-m", "bench.peers.aiohttp_proxy"]
    command += ["--port", str(setup.port), "--backends", ",".join(setup.backends)]
    if setup.policies:
        command += ["--rate", str(RATE), "--burst", str(BURST), "--access-log", str(setup.access_log)]
    if setup.tls:
        command += ["--certificate", str(setup.certificate), "--key", str(setup.key)]
    return Launch(tuple(command))
