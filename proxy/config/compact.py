"""Says in few words what the tables of a converted nginx.conf say in many, without changing what they mean.

Rules: pure; tables are changed in place. What all routes of a site say alike is said once by the site, what all sites
say alike by [timeouts] and [http], and what holds anyway is left out (`effective` knows). A word that would then hold
where nothing was said stays where it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from proxy.config import effective
from proxy.config.effective import BUDGET, OFF, SLOTS, USES, Slot, default, live, meant, said
from proxy.config.heads import HeadChanges
from proxy.config.model import Model, Route, Site, TimeoutChanges
from proxy.config.shorten import shorten

Tables = dict[str, Any]
Value = TypeVar("Value")

_TOP: Final[tuple[Slot, ...]] = (
    ("", "max_body"),
    *(("timeouts", key) for key in TimeoutChanges.model_fields if key != "send"),  # which listeners read there, too
)
_TOGETHER: Final = {
    ("", "real_ip"),
    *(("proxy", key) for key in ("tls", "bind", "bind_transparent", "tcp_keepalive", "accel")),
}
"""Slots of which a route cannot take back altogether what its site says: said once only where all routes agree."""
_WAITS: Final = ("client_header", "client_idle")
"""Timeouts that hold for connections, before any route."""
_OF_FILES: Final = {("", "root"), ("", "log_missing")}
"""Slots that a site says for its routes only."""
_OF_ROUTES: Final = {("proxy", "name"), ("proxy", "replaces"), ("proxy", "path")}
"""Slots that say nothing without the route around them."""


def compact(tables: Tables) -> None:
    """Make valid tables short. The routes that take what no other takes get a common name, "rest"."""
    _once_for_limits(tables, Model.model_validate(tables))
    _once_for_upstreams(tables, Model.model_validate(tables))
    _once_at_the_top(tables, Model.model_validate(tables))
    model = Model.model_validate(tables)
    spoken = effective.spoken(model)
    for name, site in model.site.items():
        _once_by_the_site(tables["site"][name], model, site, spoken)
    _leave_out(tables, Model.model_validate(tables))
    shorten(tables, Model.model_validate(tables))


# --- what is said once ----------------------------------------------------------------------------------------------


def _once_at_the_top(tables: Tables, model: Model) -> None:
    spoken = effective.spoken(model)
    for key in HeadChanges.model_fields:
        values = [getattr(site.http, key) for site in model.site.values()]
        if values and None not in values:
            tables.setdefault("http", {})[key] = usual = _usual(values)[0]
            for name, site in model.site.items():
                if getattr(site.http, key) == usual:
                    del tables["site"][name]["http"][key]
    for slot in _TOP:
        heard = [said(site, slot) for site in model.site.values() if slot[1] in _WAITS]
        for site in model.site.values():
            lives = [one for one in effective.routes(site.route) if live(site, one, slot, spoken)]
            heard += [said(one, slot) if said(one, slot) is not None else said(site, slot) for one in lives]
        if heard and None not in heard:
            tables.setdefault(slot[0] or "http", {})[slot[1]] = _usual(heard)[0]


def _once_by_the_site(table: Tables, model: Model, site: Site, spoken: Collection[str]) -> None:
    routes = list(_pairs(site.route, table.get("route", ())))
    for slot in SLOTS:
        lives = [(route, one) for route, one in routes if live(site, route, slot, spoken)]
        values = [meant(model, site, route, slot) for route, _ in lives]
        own, otherwise = said(site, slot), default(model, None, slot)
        if own is None and slot not in _OF_ROUTES and all(said(route, slot) is not None for route, _ in lives):
            own = _shared(values, slot, otherwise)
            if own is not None:
                first = next(one for (_, one), value in zip(lives, values, strict=True) if value == own)
                _put(table, slot, _get(first, slot))
        elif own is not None and (own == otherwise or (slot in _OF_FILES and not lives)):
            own = None
            _drop(table, slot)
        for (route, one), value in zip(lives, values, strict=True):
            if value == (default(model, route, slot) if own is None else own):
                _drop(one, slot)
            elif slot == ("", "compress") and value == OFF:
                _put(one, slot, False)
        for route, one in routes:
            if not live(site, route, slot, spoken):
                _drop(one, slot)


def _shared(values: Sequence[Any], slot: Slot, otherwise: Any) -> Any:
    """What a site is to say for its routes; None: nothing."""
    if len(values) < 2:
        return None
    usual, count = _usual(values)
    enough = count == len(values) if slot in _TOGETHER else count > 1
    return usual if enough and usual != otherwise else None


def _once_for_limits(tables: Tables, model: Model) -> None:
    """What all uses of a limit say alike, the limit says itself."""
    uses = [use for route, table in _everywhere(tables, model)
            for use in zip(route.limits, table.get("limits", ()), strict=True)]  # fmt: skip
    for name in model.limit:
        here = [(effective.used(model, one), raw) for one, raw in uses if one.name == name]
        for key in USES if here else ():
            usual = _usual([one[key] for one, _ in here])[0]
            if usual is None:
                continue
            tables["limit"][name][key] = usual
            for one, raw in here:
                if one[key] == usual:
                    raw.pop(key, None)
        for one, raw in here:
            for key in ("burst", "nodelay", "delay", "in_flight"):
                if key in raw and one[key] == getattr(model.limit[name], key):
                    del raw[key]


def _once_for_upstreams(tables: Tables, model: Model) -> None:
    """What all routes to an upstream try once more, it says itself."""
    pairs = list(_everywhere(tables, model))
    for name in model.upstream:
        here = [(route.retry, table) for route, table in pairs if route.upstream == name]
        if here and here[0][0] is not None and all(retry == here[0][0] for retry, _ in here):
            own = tables["upstream"][name].get("retry", {})
            said = {key: value for key, value in here[0][1]["retry"].items() if key not in BUDGET}
            tables["upstream"][name]["retry"] = said | {key: own[key] for key in BUDGET if key in own}
            for _, table in here:
                del table["retry"]


# --- what is left out -----------------------------------------------------------------------------------------------


def _leave_out(tables: Tables, model: Model) -> None:
    for upstream in tables.get("upstream", {}).values():
        for server in upstream["servers"]:
            if isinstance(server, dict) and server.get("name") == server["address"]:
                del server["name"]
    for name, site in model.site.items():
        table = tables["site"][name]
        if not effective.shown(model, site):
            table.pop("tls", None)
        elif not effective.foldered(site):
            table["tls"].pop("folder", None)
        for key in ("certificate", "key"):
            if len(table.get(key, "  ")) == 1:
                table[key] = table[key][0]
        for route, one in _pairs(site.route, table.get("route", ())):
            if route.alias_for == route.path and route.match not in ("regex", "iregex"):
                one.pop("alias_for", None)
        _rename(table, site)


def _rename(table: Tables, site: Site) -> None:
    """Call the route that takes what no other takes "rest", unless a route is called so or its name is spoken of."""
    old = f"@{(site.otherwise or '').removeprefix('@')}"
    taken = any(route.match == "named" and route.path == "rest" for route in site.route)
    if taken or list(_texts(table)).count(old) != 1:
        return
    for route in table["route"]:
        if route.get("match") == "named" and route["path"] == old[1:]:
            route["path"] = "rest"
            table["otherwise"] = "@rest"


# --- tables ---------------------------------------------------------------------------------------------------------


def _usual(values: Iterable[Value]) -> tuple[Value, int]:
    """The value that is there most often, and how often."""
    found = list(values)
    text, count = Counter([repr(one) for one in found]).most_common(1)[0]
    return next(one for one in found if repr(one) == text), count


def _everywhere(tables: Tables, model: Model) -> Iterator[tuple[Route, Tables]]:
    """All routes of all sites, each with its table."""
    for name, site in model.site.items():
        yield from _pairs(site.route, tables["site"][name].get("route", ()))


def _pairs(routes: Sequence[Route], tables: Sequence[Tables]) -> Iterator[tuple[Route, Tables]]:
    """All routes of a level and inside them, each with its table."""
    for route, table in zip(routes, tables, strict=True):
        yield route, table
        yield from _pairs(route.route, table.get("route", ()))


def _get(table: Tables, slot: Slot) -> Any:
    return (table[slot[0]] if slot[0] else table)[slot[1]]


def _put(table: Tables, slot: Slot, value: Any) -> None:
    (table.setdefault(slot[0], {}) if slot[0] else table)[slot[1]] = value


def _drop(table: Tables, slot: Slot) -> None:
    (table.get(slot[0], {}) if slot[0] else table).pop(slot[1], None)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from _texts(inner)
