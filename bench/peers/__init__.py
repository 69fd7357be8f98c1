"""The servers that are compared, each a module with NAME, version() and launch(setup); the first is the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bench.peers import caddy, frontgate, haproxy, nginx, usual
from bench.peers.setup import Launch, Setup


class Peer(NamedTuple):
    """One server: how it is named, which version is here, how it is started (both may raise setup.Missing)."""

    name: str
    version: Callable[[], str]
    launch: Callable[[Setup], Launch]


PEERS = tuple(Peer(module.NAME, module.version, module.launch) for module in (nginx, frontgate, haproxy, caddy, usual))
REFERENCE = nginx.NAME
