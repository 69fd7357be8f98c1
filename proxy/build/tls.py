"""Makes what TLS asks of requests, and who chooses the certificates that variables name.

Rules: a site that asks for no certificates has no step. A handshake has no request yet, so variables of a certificate's
name see one that is empty, on a connection of which the server's name alone is known.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from proxy.build.parts import Spot
from proxy.clock import Clock
from proxy.config.model import Model
from proxy.config.tls import DATA, named
from proxy.downstream.greeting import verified
from proxy.downstream.tls import shown, sites_of, spoken
from proxy.exchange import Exchange, Step
from proxy.http.message import NOTHING
from proxy.parties import Client, Connection
from proxy.policy.certified import Belonging, Certified, Introducing, only_http1
from proxy.policy.routing import Route
from proxy.policy.template import Template, Vocabulary

Choice = Callable[[str], Sequence[tuple[str, str]]]


def certified(spot: Spot) -> list[Step]:
    """The step that looks at certificates of clients."""
    table = spot.table.tls
    if table.verify == "off":
        return []
    return [Certified(verified(table), table.verify == "required", table.verify == "optional_any")]


def belonging(spot: Spot, model: Model) -> list[Step]:
    """The steps that refuse hosts for which a connection is not: where sites show different certificates, and where
    others on the same listener speak HTTP/2 and this one does not."""
    here = [name for name in model.listeners(spot.table) if name in model.listen]
    steps: list[Step] = []
    if spot.table.tls.http2 is False and any(_speaks_http2(model, name) for name in here):
        steps.append(only_http1)
    if not spot.table.tls.strict_host:
        return steps
    alike, others = {spot.name}, False
    for listener in here:
        if not model.listen[listener].tls:
            continue
        names, default = sites_of(listener, model)
        own = shown(spot.name, default, model) if spot.name in names else None
        for name in names:
            same = shown(name, default, model) == own
            others = others or not same
            alike |= {name} if same else set()
    return [*steps, Belonging(frozenset(alike))] if others else steps


def _speaks_http2(model: Model, listener: str) -> bool:
    table = model.listen[listener]
    return spoken(model, listener) if table.tls else bool(table.http2)


def introducing(spot: Spot) -> list[Step]:
    """The step that tells backends of clients' certificates."""
    told = spot.table.tls.client_cert
    return [Introducing(told == "chain")] if told != "off" else []


def choices(model: Model, vocabulary: Vocabulary, clock: Clock) -> Mapping[str, Choice]:
    """Who chooses for the sites whose certificates have variables in their names. ValueError with a sentence."""
    found: dict[str, Choice] = {}
    for name, site in model.site.items():
        pairs = site.pairs
        if site.tls.shared and not pairs:
            continue
        if any(not named(one) and not one.startswith(DATA) for pair in pairs for one in pair):
            made = [(vocabulary.template(chain), vocabulary.template(key)) for chain, key in pairs]
            found[name] = _choice(made, site.tls.folder or "", clock)
    return found


def _choice(pairs: Sequence[tuple[Template, Template]], folder: str, clock: Clock) -> Choice:
    def choose(name: str) -> Sequence[tuple[str, str]]:
        exchange = _greeting(name, clock)
        return [(_path(chain(exchange), folder), _path(key(exchange), folder)) for chain, key in pairs]

    return choose


def _path(text: bytes, folder: str) -> str:
    path = os.fsdecode(text)
    return path if path.startswith(DATA) else os.path.join(folder, path)


class _Greeting:
    """The handshake that has only begun, as far as variables ask (`http.handshake`)."""

    site = verified = ""
    remain = None
    presented = bearable = False
    trouble = 0

    def __init__(self, name: str) -> None:
        self._name = name

    def fact(self, name: str) -> bytes | None:
        """The server's name; nothing else is known yet."""
        return self._name.encode("latin-1", "replace") if name == "name" and self._name else None

    def covers(self, host: bytes) -> bool:
        """Nobody can tell yet."""
        return True

    def introduction(self, chain: bool) -> bytes:
        """Nobody has shown a certificate yet."""
        return b""


class _Nobody:
    """The downstream of a request that has not come."""

    def __init__(self, name: str) -> None:
        self.connection = Connection(b"", 0, b"", 0)
        self.connection.tls = _Greeting(name)


_ROUTE: Final = Route("", b"", None)  # type: ignore[arg-type]  # nobody goes there


def _greeting(name: str, clock: Clock) -> Exchange:
    nobody: Any = _Nobody(name)
    return Exchange(nobody, Client(b"", b"", b"https", b""), NOTHING.line, NOTHING.fields, clock, _ROUTE)
