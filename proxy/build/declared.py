"""Makes the vocabulary of a configuration: the house's variables, and those that it declares itself.

Rules: all names are declared before any text is taken apart, since variables speak of each other and of what scripts
set, wherever those stand.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import ip_network
from socket import gethostname

from proxy.build import script
from proxy.config import model as config
from proxy.config.declared import Geo, Map, Split
from proxy.config.model import Model
from proxy.policy.declared import ByAddress, Cases, Declared, bounds
from proxy.policy.declared import Split as Parts
from proxy.policy.forwarded import Trusted
from proxy.policy.intervals import interval, nearest
from proxy.policy.pattern import pattern
from proxy.policy.template import Vocabulary
from proxy.policy.variables import vocabulary
from proxy.policy.variables.access import ByRoute

BY_ROUTE = ("invalid_referer", "secure_link")


def vocabulary_of(model: Model) -> Vocabulary:
    """All variables that a configuration may use. ValueError with a sentence."""
    words = vocabulary()
    machine = gethostname().lower().encode()
    words.declare("hostname", lambda exchange: machine)
    words.declare("pid", lambda exchange: b"%d" % os.getpid())
    for name in BY_ROUTE:
        words.declare(name, ByRoute())
    for site in model.site.values():
        _of_scope(site, site.route, words)
        for host in site.names:
            script.groups(host[1:] if host.startswith("~") else None, words)
    found: list[tuple[Declared, Map | Geo | Split]] = []
    for tables in (model.map, model.geo, model.split):
        for name, table in tables.items():
            variable = Declared(name.lower(), getattr(table, "volatile", False))
            words.declare(name.lower(), variable)
            found.append((variable, table))
    for table in model.map.values():
        for case in table.cases:
            script.groups(case.lstrip("~*") if case.startswith("~") else None, words)
    for variable, table in found:
        if isinstance(table, Map):
            variable.find = _cases(table, words)
        elif isinstance(table, Geo):
            variable.find = _by_address(table, words)
        else:
            variable.find = _split(table, words)
    return words


def trusted(networks: Sequence[str]) -> Trusted:
    """Peers that are believed, as configurations name them."""
    return Trusted(tuple([interval(str(ip_network(one))) for one in networks if one != "unix"]), "unix" in networks)


def _of_scope(scope: config.Scope, routes: Sequence[config.Route], words: Vocabulary) -> None:
    """What scripts set, expressions capture and other services' answers are asked for."""
    script.declare(scope.script, words)
    if scope.auth_request is not None:
        for name in scope.auth_request.set:
            if name.lower() != "args":
                words.set_by_steps(name.lower())
    for route in routes:
        script.groups(route.path if route.match in ("regex", "iregex") else None, words)
        _of_scope(route, route.route, words)


def _cases(table: Map, words: Vocabulary) -> Cases:
    texts, patterns = {}, []
    for case, value in table.cases.items():
        text = words.template(value)
        if case.startswith("~"):
            expression = case[1:].removeprefix("*")
            patterns.append((pattern(expression, case.startswith("~*")), text))
        else:
            texts[case.removeprefix("\\").encode("utf-8", "surrogateescape")] = text
    return Cases(words.template(table.from_), texts, patterns, words.template(table.default), table.hostnames)


def _by_address(table: Geo, words: Vocabulary) -> ByAddress:
    networks = nearest([(interval(place), _plain(value)) for place, value in table.networks.items()])
    source = words.template(table.from_) if table.from_ is not None else None
    proxies = trusted(table.proxies) if table.proxies else None
    return ByAddress(networks, _plain(table.default), source, proxies, table.recursive)


def _split(table: Split, words: Vocabulary) -> Parts:
    values = [_plain(part.value) for part in table.parts]
    parts = list(zip(bounds(table.hundredths), values, strict=True))
    return Parts(words.template(table.from_), [*parts, (0, _plain(table.default))])


def _plain(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
