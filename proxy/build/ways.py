"""Makes how the links to backends are made, where that is not simply by connecting to an address: in TLS, from an
address of our own, behind a PROXY header.

Rules: a route's word counts before its upstream's. An upstream has keyed pools when it, or a route that leads to it,
says anything of the kind; all others have plain ones.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from proxy.build import backend_tls
from proxy.config import model as config
from proxy.config.model import Model
from proxy.config.tls import BackendTls
from proxy.exchange import Exchange
from proxy.policy.backend import Backend
from proxy.policy.introduced import VERSIONS
from proxy.policy.template import Vocabulary
from proxy.upstream.keyed import Way, Ways


class Links(Protocol):
    """What a table may say of links."""

    @property
    def bind(self) -> str | None: ...

    @property
    def bind_transparent(self) -> bool | None: ...

    @property
    def tcp_keepalive(self) -> bool | None: ...

    @property
    def tls(self) -> BackendTls | None: ...


def said(*tables: Links) -> bool:
    """Whether any of them says that links are out of the ordinary."""
    return any(table.bind or table.tcp_keepalive or table.tls is not None for table in tables)


def keyed(model: Model, name: str) -> bool:
    """Whether the links of an upstream are not all alike."""
    if said(model.upstream[name]) or model.upstream[name].proxy_protocol is not None:
        return True
    return any(
        route.upstream == name and said(route.proxy, site.proxy)
        for site in model.site.values()
        for route in _routes(site.route)
    )


def ways(vocabulary: Vocabulary, *tables: Links) -> Ways:
    """How links are made; of several tables the first that says something counts. ValueError with a sentence."""
    bind = next((table.bind for table in tables if table.bind is not None), "")
    transparent = any(table.bind_transparent for table in tables)
    alive = any(table.tcp_keepalive for table in tables)
    tls = next((table.tls for table in tables if table.tls is not None), None)
    address = vocabulary.template(bind)
    speak = backend_tls.speech(tls, vocabulary) if tls is not None else None
    if speak is None and address.constant is not None:
        host, port = bound(address.constant)
        fixed = Way(bind=host, port=port, transparent=transparent, alive=alive)
        return lambda exchange: fixed

    def way(exchange: Exchange) -> Way | None:
        host, port = bound(address(exchange))
        made = Way(bind=host, port=port, transparent=transparent, alive=alive)
        if speak is None:
            return made
        words = speak(exchange)
        return None if words is None else made._replace(context=words[0], name=words[1])

    return way


def give(model: Model, name: str, backends: Iterable[Backend], vocabulary: Vocabulary) -> None:
    """Tell the backends of an upstream how their links are made when a route does not say."""
    if keyed(model, name):
        table = model.upstream[name]
        made = ways(vocabulary, table)
        for backend in backends:
            backend.pool.ways = made
            backend.pool.introduce = None if table.proxy_protocol is None else VERSIONS[table.proxy_protocol]


def bound(text: bytes) -> tuple[str, int]:
    """Address and port of "address", "address:port", "[v6]:port"; ("", 0) for none and for what is none."""
    host, port = text.decode("latin-1"), "0"
    if host.startswith("[") or host.count(":") == 1:
        host, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "0")
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "", 0
    return host, int(port) if port.isdigit() and int(port) < 65536 else 0


def _routes(tables: Sequence[config.Route]) -> Iterator[config.Route]:
    for table in tables:
        yield table
        yield from _routes(table.route)
