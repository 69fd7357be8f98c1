"""The servers that are compared, each with a name, version() and launch(setup); the first is the reference."""

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
    only: str = ""
    """The one kind of load it is there for; "" for all."""


PEERS = (
    Peer(nginx.NAME, nginx.version, nginx.launch),
    Peer(frontgate.NAME, frontgate.version, frontgate.launch),
    Peer(frontgate.PLAIN_NAME, frontgate.plain_version, frontgate.launch_plain),
    *(
        Peer(name, version, launch, "h2load")
        for engine in frontgate.ENGINES
        for name, version, launch in frontgate.with_engine(engine)
    ),
    *(Peer(module.NAME, module.version, module.launch) for module in (haproxy, caddy, usual)),
)
REFERENCE = nginx.NAME
