"""What a Model means, whoever says it: every key of every route as `build` finds it, and what holds unsaid.

Rules: pure. A slot is a key of a Scope, or of its tables `timeouts` and `proxy`, whose keys are inherited one by one.
Two Models with equal `effective` are served alike; `compact` relies on it and is tested by it. Names of sites and of
the routes that take what no other takes do not count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from proxy.config.compress import Compress, Redirects
from proxy.config.connection import Connection
from proxy.config.files import INDEX
from proxy.config.heads import HeadChanges
from proxy.config.limit import UsedLimit
from proxy.config.model import Model, Route, Scope, Site, TimeoutChanges
from proxy.config.proxy import Proxy
from proxy.config.tls import each
from proxy.config.upstream import Retry

Slot = tuple[str, str]
"""A table of a Scope ("" for itself), and a key in it."""

OFF: Final = Compress(on=False)
BUDGET: Final = ("budget", "floor")
"""Keys of a retry table that count only where an upstream says them."""
USES: Final = ("status", "log", "dry_run")
"""What every use of a limit may say, so that the limit's own word counts only where one is silent."""

_TABLES: Final = ("timeouts", "proxy")
_WHOLE: Final = ("script", "request_headers", "response_headers")  # not inherited, or in another way
SLOTS: Final[tuple[Slot, ...]] = (
    *(("", key) for key in Scope.model_fields if key not in (*_TABLES, *_WHOLE)),
    *(("timeouts", key) for key in TimeoutChanges.model_fields),
    *(("proxy", key) for key in Proxy.model_fields),
)

_DEFAULTS: Final[dict[Slot, Any]] = {
    **{("", key): True for key in ("request_buffering", "response_buffering", "etag", "chunked")},
    **{("", key): False for key in ("decompress", "intercept", "recursive_errors", "log_missing", "log_subrequests")},
    **{("", key): False for key in ("precompressed", "force_ranges")},
    **{("", key): () for key in ("access", "referers", "error_pages", "add_headers", "add_trailers")},
    **{("proxy", key): () for key in ("set_headers", "ignore", "redirects", "cookie_domains", "cookie_paths")},
    **{("proxy", key): True for key in ("identity", "pass_headers", "pass_body")},
    **{("proxy", key): False for key in ("bind_transparent", "tcp_keepalive", "accel")},
    ("", "errors"): "text",
    ("", "satisfy"): "all",
    ("", "auth_delay"): 0.0,
    ("", "if_modified_since"): "exact",
    ("", "index"): INDEX,
    ("", "expires"): "off",
    ("", "connection"): Connection(),
    ("", "redirects"): Redirects(),
    ("", "compress"): OFF,
    ("proxy", "version"): "1.1",
    ("proxy", "body_file"): "off",
    ("proxy", "body_memory"): 65536,
    ("proxy", "cookie_flags"): (),
}  # as `build` has them

_BACKENDS: Final = ("connect", "read", "tunnel")
_FILES: Final = (
    *("types", "known_types", "default_type", "etag", "if_modified_since", "index", "autoindex", "max_ranges"),
    *("precompressed", "log_missing"),
)
_NAMED: Final = {("proxy", "port"): "proxy_port", ("proxy", "body_memory"): "request_body_file"}
"""Slots of which only a variable can tell."""
_MOVED: Final = (301, 302, 303, 307, 308)
_REQUEST: Final = (
    *("path", "version", "method", "identity", "host", "set_headers", "pass_headers", "pass_body", "body", "bind"),
    *("tcp_keepalive", "tls", "body_memory", "body_file"),
)  # of which any makes a request another than it came


def said(scope: Scope, slot: Slot) -> Any:
    """What a site or route says itself; None: nothing."""
    table, key = slot
    return getattr(getattr(scope, table) if table else scope, key)


def default(model: Model, route: Route | None, slot: Slot) -> Any:
    """What holds when neither a route nor its site says anything."""
    table, key = slot
    if table == "timeouts":
        return getattr(model.timeouts, key)
    if slot == ("", "max_body"):
        return model.http.max_body
    if slot == ("proxy", "underscores"):
        return model.http.dialect == "nginx"
    if route is not None and slot == ("proxy", "name"):
        return route.upstream
    if route is not None and slot == ("proxy", "replaces"):
        return "" if route.match in ("regex", "iregex", "named") else route.path
    return _DEFAULTS.get(slot)


def live(site: Site, route: Route, slot: Slot, spoken: Collection[str]) -> bool:
    """Whether it matters to a route what a slot says; `spoken` are the variables that the configuration speaks of."""
    table, key = slot
    if table == "proxy" or (table == "timeouts" and key in _BACKENDS):
        if slot in _NAMED and _NAMED[slot] not in spoken:
            return False
        return route.upstream is not None or route.url is not None
    if table == "" and key in _FILES:
        return not moved(site)
    return slot != ("", "root") or (route.files is None and route.alias is None)


def moved(site: Site) -> bool:
    """Whether a site sends everybody elsewhere, so that no route of it ever answers."""
    if not site.script or any(one.error_pages for one in (site, *routes(site.route))):
        return False
    first = site.script[0]
    return first.return_ in _MOVED and first.to is not None


def spoken(model: Model) -> frozenset[str]:
    """Which of the variables that alone tell of a slot some text of a configuration may speak of."""
    text = repr(model)
    return frozenset(name for name in _NAMED.values() if re.search(rf"\$\{{?{name}", text, re.IGNORECASE))


def routes(tables: Sequence[Route]) -> Iterator[Route]:
    """All routes of a level and inside them."""
    for table in tables:
        yield table
        yield from routes(table.route)


def meant(model: Model, site: Site, route: Route, slot: Slot) -> Any:
    """What holds for a route: its own word, or the site's, or the default."""
    found = next((one for one in (said(route, slot), said(site, slot)) if one is not None), None)
    if found is None:
        return default(model, route, slot)
    if slot == ("", "compress"):
        return _compression(model, site, route, found)
    return found


def _compression(model: Model, site: Site, route: Route, found: Compress | bool) -> Compress:
    """What is off has no parameters, but for those of ready-made and of unpacked answers."""
    table = found if isinstance(found, Compress) else Compress(on=found)
    if table.on:
        return table
    ready = not moved(site) and meant(model, site, route, ("", "precompressed"))
    if not ready and not meant(model, site, route, ("", "decompress")):
        return OFF
    return OFF.model_copy(update={key: getattr(table, key) for key in ("http", "proxied", "unless", "vary")})


def used(model: Model, limit: UsedLimit) -> dict[str, Any]:
    """A limit as a route uses it."""
    return {"name": limit.name, **limit.over(model.limit[limit.name]).model_dump()}


def retried(model: Model, route: Route) -> dict[str, Any] | None:
    """What is tried once more for a route; None: it asks no backend."""
    if route.upstream is None and route.url is None:
        return None
    table = route.retry or (model.upstream[route.upstream].retry if route.upstream is not None else Retry())
    return table.model_dump(exclude=set(BUDGET))


def effective(model: Model) -> dict[str, Any]:
    """What a Model means, to be compared."""
    sites = list(model.site)
    whole = model.model_dump(exclude={"site", "timeouts"})
    whole["http"] = {key: value for key, value in whole["http"].items() if key not in (*_heads(), "max_body")}
    for listen in whole["listen"].values():
        listen["default"] = sites.index(listen["default"]) if listen["default"] is not None else None
    for limit in whole["limit"].values():
        for key in USES:
            del limit[key]
    for upstream in whole["upstream"].values():
        upstream["retry"] = {key: upstream["retry"][key] for key in BUDGET}
        for server in upstream["servers"]:
            server["name"] = server["name"] or server["address"]
    names = spoken(model)
    found = [_site(model, one, names) for one in model.site.values()]
    return {**whole, "shutdown": model.timeouts.shutdown, "send": model.timeouts.send, "site": found}


def _heads() -> tuple[str, ...]:
    return tuple(HeadChanges.model_fields)


def _site(model: Model, site: Site, names: Collection[str]) -> dict[str, Any]:
    found = site.model_dump(exclude={*(key for table, key in SLOTS if not table), *_TABLES, "route", "http"})
    found |= {"otherwise": site.otherwise is not None, "certificate": each(site.certificate), "key": each(site.key)}
    if not shown(model, site):
        del found["tls"]
    elif not foldered(site):
        del found["tls"]["folder"]
    waits = {key: said(site, ("timeouts", key)) or getattr(model.timeouts, key) for key in TimeoutChanges.model_fields}
    heads = {**model.http.model_dump(include=set(_heads())), **site.http.model_dump(exclude_none=True)}
    idle = (waits["client_header"], waits["client_idle"])
    return {**found, "idle": idle, "heads": heads, "route": [_route(model, site, one, names) for one in site.route]}


def _route(model: Model, site: Site, route: Route, names: Collection[str]) -> dict[str, Any]:
    found = route.model_dump(exclude={*(key for table, key in SLOTS if not table), *_TABLES, "route", "limits"})
    if route.match == "named" and site.otherwise == f"@{route.path}":
        found["path"] = "@"
    if route.alias_for is not None and route.match not in ("regex", "iregex") and route.alias_for == route.path:
        found["alias_for"] = None
    for slot in SLOTS:
        if live(site, route, slot, names):
            found[".".join(slot)] = meant(model, site, route, slot)
    real = [one for one in (site.real_ip, route.real_ip) if one is not None]  # of both, unless they are one
    found[".real_ip"] = real[:1] if len(real) == 2 and real[0] == real[1] else real
    asked = any(said(one, ("proxy", key)) is not None for one in (site, route) for key in _REQUEST)
    found["asked"] = asked and (route.upstream is not None or route.url is not None)
    found["limits"] = [used(model, one) for one in route.limits]
    found["retry"] = retried(model, route)
    found["route"] = [_route(model, site, one, names) for one in route.route]
    return found


def foldered(site: Site) -> bool:
    """Whether variables make the names of a site's certificates."""
    return any("$" in one for pair in site.pairs for one in pair)


def shown(model: Model, site: Site) -> bool:
    """Whether a site speaks TLS, or is to when it is given a listener for it."""
    table = site.tls
    files = (site.certificate, table.client_ca, table.trusted_ca, table.crl, table.passwords)
    says = table.verify != "off" or table.reject or table.ticket_keys or table.commands
    return bool(says) or any(files) or any(model.listen[name].tls for name in model.listeners(site))
