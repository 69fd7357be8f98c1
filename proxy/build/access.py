"""Makes what decides who may come in, and the requests that routes make themselves.

Rules: one AccessMaker for all sites of a Runtime; what it was told of a route holds for its silent copy, too.
"""

from __future__ import annotations

from typing import cast

from proxy import engine
from proxy.build.declared import trusted
from proxy.build.parts import Parts, Spot
from proxy.config.access import AuthRequest, Basic, OtherMethods, RealIp, Rule, SecureLink
from proxy.config.access import Mirror as MirrorTable
from proxy.content.gate import ByPassword, ByRequest, ByRules, Check, Gate
from proxy.content.subrequest import Mirror, Ways
from proxy.content.user_file import UserFiles
from proxy.exchange import Exchange, Observer, Step
from proxy.exchange import Route as AnyRoute
from proxy.observe.metrics import RouteCounts
from proxy.observe.notes import Notes
from proxy.policy.access import Rules
from proxy.policy.realip import RealIp as RealIpStep
from proxy.policy.referers import Referers
from proxy.policy.routing import Route, Site
from proxy.policy.script import turned
from proxy.policy.secure_link import SecureLink as Signed
from proxy.policy.secure_link import SignedPath
from proxy.policy.template import Getter
from proxy.policy.variables.access import ByRoute
from proxy.shared.in_flight import GiveBack
from proxy.verdict import Verdict


class AccessMaker:
    """Makes them for the sites of a Runtime."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._files = UserFiles()
        self._loud: set[AnyRoute] = set()
        self._silent: dict[AnyRoute, AnyRoute] = {}

    # --- steps ------------------------------------------------------------------------------------------------------

    def identity(self, spot: Spot) -> list[Step]:
        """Who the client is: what the site believes, then what its route does."""
        said: list[RealIp] = [table for table in (spot.table.real_ip, spot.route.real_ip) if table is not None]
        tables = said[:1] if len(said) == 2 and said[0] == said[1] else said
        return [RealIpStep(trusted(one.trust), one.field.lower().encode(), one.recursive) for one in tables]

    def methods(self, spot: Spot) -> list[Step]:
        """Methods that another route is for."""
        table: OtherMethods | None = spot.route.other_methods
        if table is None:
            return []
        allowed = {method.encode() for method in table.than}
        return [ForOthers(allowed | ({b"HEAD"} if b"GET" in allowed else set()), spot.site, table.use)]

    def gate(self, spot: Spot) -> list[Step]:
        """Who may come in."""
        said: tuple[Rule, ...] = spot.said("access", ())
        rules = Rules([(one.allow is not None, one.allow or one.deny or "") for one in said]) if said else None
        checks: list[Check] = [] if rules is None else [ByRules(rules)]
        basic: Basic | None = spot.said("auth_basic", None)
        if basic is not None and basic.realm != "off":
            template = self._parts.template
            checks.append(ByPassword(template(basic.realm), template(basic.users), self._files))
        asked: AuthRequest | None = spot.said("auth_request", None)
        if asked is not None and asked.path != "off":
            texts = [(name.lower(), self._parts.template(text)) for name, text in asked.set.items()]
            checks.append(ByRequest(asked.path.encode(), self._ways(spot.site), texts))
        if rules is not None and len(checks) == 1:
            return [rules]
        either = spot.said("satisfy", "all") == "any"
        return [Gate(checks, either, spot.said("auth_delay", 0.0), self._parts.place.parking)] if checks else []

    def mirror(self, spot: Spot) -> list[Step]:
        """Copies of the request, with its body when that is whole."""
        table: MirrorTable | None = spot.said("mirror", None)
        paths = [path.encode() for path in (table.path, *table.paths) if path != "off"] if table is not None else []
        if table is None or not paths:
            return []
        step = Mirror(paths, table.body, self._ways(spot.site))
        return [engine.whole_body, step] if table.body else [step]

    # --- routes -----------------------------------------------------------------------------------------------------

    def made(self, route: Route, spot: Spot) -> None:
        """A route is there: what belongs to it, and not to its steps."""
        if spot.said("log_subrequests", False):
            self._loud.add(route)
        referers: tuple[str, ...] = spot.said("referers", ())
        if referers:
            own = "server_names" in referers
            words = [word for word in referers if word != "server_names"]
            site = spot.site
            self._put("invalid_referer", route, Referers(words, site.names * own, site.patterns * own))
        link: SecureLink | None = spot.said("secure_link", None)
        if link is not None and link.secret is not None:
            self._put("secure_link", route, SignedPath(link.secret.encode("utf-8", "surrogateescape")))
        elif link is not None:
            template = self._parts.template
            self._put("secure_link", route, Signed(template(link.link or ""), template(link.signed)))

    def _put(self, name: str, route: AnyRoute, getter: Getter) -> None:
        by_route = self._parts.vocabulary.getter(name)
        if isinstance(by_route, ByRoute):
            by_route.put(route, getter)

    def _ways(self, site: Site) -> Ways:
        return Ways(site.route, self._silenced)

    def _silenced(self, route: AnyRoute) -> AnyRoute:
        """A route without the observers that are not to hear of requests that we make ourselves: no counts, and no
        logs unless it is said; what was taken is given back by it all the same."""
        found = self._silent.get(route)
        if found is None:
            found = silent = cast(Route, route).twin()
            kept: list[Observer] = [one for one in route.observers if isinstance(one, GiveBack | Notes)]
            if route in self._loud:
                kept = [one for one in route.observers if not isinstance(one, RouteCounts)]
            silent.observers = tuple(kept)
            self._silent[route] = self._silent[silent] = silent
            for name in ("invalid_referer", "secure_link"):
                by_route = self._parts.vocabulary.getter(name)
                if isinstance(by_route, ByRoute):
                    by_route.like(silent, route)
        return found


class ForOthers:
    """A step: methods that are not meant here go to another route."""

    __slots__ = ("_allowed", "_name", "_site")

    def __init__(self, allowed: set[bytes], site: Site, name: str) -> None:
        self._allowed = frozenset(allowed)
        self._site = site
        self._name = name.removeprefix("@")

    def __call__(self, exchange: Exchange) -> Verdict:
        """Stay, or go there."""
        course = exchange.course
        method = (course.method if course is not None else b"") or exchange.line.method
        return None if method in self._allowed else turned(exchange, self._site.named[self._name])
