"""Makes limits: those of the configuration by name, and the steps of a route that charge them.

Rules: a route that uses a limit as it stands shares it; one that changes something about it has one of its own over the
same zone and the same counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from proxy import engine
from proxy.build.parts import Parts, Spot
from proxy.build.place import Place
from proxy.config.limit import Limit as Table
from proxy.config.limit import UsedLimit
from proxy.config.model import Model
from proxy.config.site import Route, Scope, Site
from proxy.exchange import Step
from proxy.ledger import Ledger
from proxy.policy.limit import keys
from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.policy.template import Vocabulary
from proxy.shared.buckets import Buckets
from proxy.shared.in_flight import InFlight, OnceHeld, Together
from proxy.shared.limit import OUTCOMES, Limit, Limits, Once, OneLimit
from proxy.shared.offenders import Offenders


def limits(model: Model, place: Place, ledger: Ledger, vocabulary: Vocabulary) -> dict[str, Limit]:
    """Those with a rate, by name."""
    return {
        name: _limit(name, table, _key(table, vocabulary), model, place, ledger)
        for name, table in model.limit.items()
        if table.rate
    }


def charges(parts: Parts, spot: Spot) -> list[Step]:
    """The steps of a route: rates first, then requests in flight, as nginx has it."""
    again = entered_again(spot.table)
    steps: list[Step] = []
    rates = [_bound(used, parts, spot) for used in spot.route.limits if used.name in parts.limits]
    rest = (parts.place.clock, parts.place.parking, engine.resume)
    if rates:
        plain = OneLimit(rates[0], *rest) if len(rates) == 1 else Limits(rates, *rest)
        step: Step = parts.sharing.step(rates) or plain
        steps.append(Once(step) if again else step)
    flights = [_in_flight(used, parts, spot) for used in held(parts, spot.route)]
    if flights:
        step = flights[0] if len(flights) == 1 else Together(flights)
        steps.append(OnceHeld(step) if again else step)
    return steps


def held(parts: Parts, route: Route) -> list[UsedLimit]:
    """A route's limits of requests in flight."""
    return [used for used in route.limits if used.name not in parts.limits]


def holds(parts: Parts, site: Site) -> bool:
    """Whether any route of a site counts what is in flight: then it is given back on whatever route that ends."""
    return any(held(parts, route) for route in routes(site.route))


def notes(parts: Parts, site: Site) -> bool:
    """Whether the error log may be told of exchanges of a site."""
    scopes: tuple[Scope, ...] = (site, *routes(site.route))
    if any(scope.access or scope.auth_basic or scope.auth_request for scope in scopes):
        return True
    if any(route.url for route in routes(site.route)):
        return True
    used = [one for route in routes(site.route) for one in route.limits]
    return any(one.over(parts.model.limit[one.name]).log for one in used)


def entered_again(site: Site) -> bool:
    """Whether a request may be led from one route of a site to another, or asks another itself."""
    return any(_leads(scope) for scope in (site, *routes(site.route)))


def routes(tables: Sequence[Route]) -> Iterator[Route]:
    """All routes of a level and inside them."""
    for table in tables:
        yield table
        yield from routes(table.route)


def _leads(scope: Scope) -> bool:
    elsewhere = scope.script or scope.error_pages or scope.auth_request or scope.mirror
    return bool(elsewhere) or (isinstance(scope, Route) and scope.upstream is None and scope.reply is None)


def _key(table: Table, vocabulary: Vocabulary, spot: Spot | None = None) -> keys.Key:
    if "$" in table.key:
        return vocabulary.template(table.key)
    site, route = (spot.name, spot.route.path) if spot is not None else ("", "")
    return keys.named(table.key, ipv6_prefix=table.ipv6_prefix, site=site, route=route)


def _limit(name: str, table: Table, key: keys.Key, model: Model, place: Place, ledger: Ledger) -> Limit:
    leaky = Leaky(table.rate or 1, table.burst * REQUEST, None if table.nodelay else table.delay * REQUEST)
    return Limit(
        name,
        key,
        leaky,
        Buckets(place.zones[name], leaky),
        ledger.limits.setdefault(name, [0] * len(OUTCOMES)),
        status=table.status,
        dry_run=table.dry_run,
        headers=table.headers,
        alone=model.workers == 1,
        by_address=table.key == "address",
        log="warn" if table.log == "warning" else table.log,
        offenders=offenders(model, place),
    )


def offenders(model: Model, place: Place) -> Offenders | None:
    """Where keys that are rejected are written down: where there is a door to ask for them at."""
    return place.diary.offenders if place.diary is not None and model.admin.listen is not None else None


def _bound(used: UsedLimit, parts: Parts, spot: Spot) -> Limit:
    """A limit as a route uses it: its key may be made of the site's and route's names."""
    table = parts.model.limit[used.name]
    here = used.over(table)
    if here == table and table.key not in ("site", "route"):
        return parts.limits[used.name]
    return _limit(used.name, here, _key(here, parts.vocabulary, spot), parts.model, parts.place, parts.ledger)


def _in_flight(used: UsedLimit, parts: Parts, spot: Spot) -> InFlight:
    table, place = used.over(parts.model.limit[used.name]), parts.place
    counts = parts.ledger.limits.setdefault(used.name, [0] * len(OUTCOMES))
    return InFlight(
        used.name,
        _key(table, parts.vocabulary, spot),
        table.in_flight or 1,
        place.tally,
        place.row,
        counts,
        table.status,
        table.dry_run,
        log="warn" if table.log == "warning" else table.log,
        fields=table.headers != "none",
        offenders=offenders(parts.model, place),
    )
