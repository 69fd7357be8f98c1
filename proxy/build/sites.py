"""Makes sites and their routes of a Model's tables: the steps of each in their order, its destination, its observers.

Rules: everything that can be known at load is settled here. A Site is made before its routes, which may speak of each
other by it. The order of a route's steps stands in `_steps`, each with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proxy import engine
from proxy.build import files, limits, script, tls, upstreams
from proxy.build import proxy as proxied
from proxy.build.access import AccessMaker
from proxy.build.answers import answers
from proxy.build.parts import Parts, Spot
from proxy.build.tokens import PATH, Behind, answers_tokens
from proxy.config import model as config
from proxy.config.connection import Connection
from proxy.config.log import AccessLog
from proxy.config.model import Model
from proxy.content.keeping import Parting, Unkept
from proxy.content.redirect import FixedReply, Nowhere, Redirect, SlashAdded
from proxy.content.shelf import Shelf
from proxy.content.stub_status import StubStatus
from proxy.exchange import Destination, Observer, Step
from proxy.http.escape import unescaped
from proxy.http.response import HeaderEdits
from proxy.ledger import NOBODY, counted_as
from proxy.observe.notes import Notes
from proxy.policy.locations import EXACT, FIRST, REGEX, Location
from proxy.policy.pattern import Pattern, pattern
from proxy.policy.routing import NO_LIMIT, Captures, Located, Route, Site, Sites, only_internal
from proxy.policy.script import Script
from proxy.shared.in_flight import GiveBack
from proxy.timeouts import Timeouts
from proxy.upstream import hearing


class SiteMaker:
    """Makes the sites of a Runtime of its parts."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        proxied.declare(parts)
        self.model = parts.model
        self._shelf = Shelf(parts.place.clock)
        files.declare(parts)
        self.access = AccessMaker(parts)
        self._proofs = answers_tokens(parts.model)
        self._late = {name for name, site in parts.model.site.items() if site.script or _scripted(site.route)}

    def sites(self) -> dict[str, Site]:
        """All sites by name. ValueError with a sentence."""
        return {name: self._site(name, table) for name, table in self.model.site.items()}

    def of_listener(self, listener: str, sites: Mapping[str, Site]) -> Sites:
        """The sites of a listener; without a default one, the first answers unknown names, as in nginx."""
        listen = self.model.listen[listener]
        if listen.redirect is not None:
            everything = self._nowhere(NOBODY)
            everything.destination = Redirect(f"https://{{host}}{_https_port(self.model)}{{path}}", 301)
            return Sites((), self._proving(Site(NOBODY, (), (), everything)))
        here = [name for name, site in self.model.site.items() if listener in self.model.listeners(site)]
        default = listen.default or next((name for name in here if self.model.site[name].default), None)
        default = default or (here[0] if here else None)
        nobody = self._proving(Site(NOBODY, (), (), self._nowhere(NOBODY)))
        return Sites([sites[name] for name in here], nobody if default is None else sites[default])

    # --- sites ------------------------------------------------------------------------------------------------------

    def _site(self, name: str, table: config.Site) -> Site:
        names = [host.encode() if host.startswith("~") else host.lower().encode() for host in table.names]
        site = Site(name, names, (), self._nowhere(name, table))
        spot = Spot(name, table, site, _own(table))
        locations = self._locations(spot, table.route)
        if table.otherwise is not None:
            site.otherwise = site.named[table.otherwise.removeprefix("@")]
        else:
            site.otherwise.answers = answers(self.parts, spot)
            self.access.made(site.otherwise, spot)
        self._proving(site, locations)
        first = next((host for host in names if host), b"").removeprefix(b".")
        steps = self._entry(spot)
        if steps:
            site.entry = entry = site.otherwise.twin()
            entry.destination = Nowhere()
            entry.steps = (*self._traced(table), *steps, Located(site))
            entry.max_body = NO_LIMIT  # its route says
            entry.folder = files.folder(self.parts, spot)
            self.access.made(entry, spot)
        for route in site.routes():
            route.site_name = first
        return site

    def _proving(self, site: Site, locations: Sequence[Location[Route]] = ()) -> Site:
        """Place the locations of a site, and where certificates are ordered that of what proves its names."""
        places = list(locations)
        if self._proofs:
            route = site.otherwise.twin()
            route.path, route.destination, route.max_body = PATH, Nowhere(), NO_LIMIT  # the route behind it says
            route.steps = (*self._proofs, Behind(Site(site.name, (), locations, site.otherwise)))
            places.append(Location(FIRST, PATH, route))
        site.place(places)
        return site

    def _entry(self, spot: Spot) -> list[Step]:
        """What is done before a route is looked for."""
        steps: list[Step] = []
        named = [one for one in spot.site.patterns if one.groups]
        if named:
            steps.append(Captures(named, names=True))
        if steps or spot.table.script or spot.table.tls.verify != "off":
            steps += self._proofs  # an authority is no client: nothing that a site asks for is asked of it
        if steps or spot.table.script or spot.table.tls.verify != "off":
            steps += tls.belonging(spot, self.model)
        steps += tls.certified(spot)  # whoever may not come in does not make anything happen
        if spot.table.script:
            steps += self.access.identity(spot)  # scripts may ask who the client is
            steps.append(Script(script.operations(spot.table.script, self.parts, spot), None))
        return steps

    def _locations(self, spot: Spot, tables: Sequence[config.Route]) -> list[Location[Route]]:
        """The locations of a level; named routes go to the site."""
        locations: list[Location[Route]] = []
        slashes: list[Route] = []
        for table in tables:
            regex = pattern(table.path, table.match == "iregex") if table.match in ("regex", "iregex") else None
            route = self._route(Spot(spot.name, spot.table, spot.site, table), regex)
            if table.match == "named":
                spot.site.named[table.path] = route
                self._locations(spot, table.route)
                continue
            kind = REGEX if regex is not None else table.match
            locations.append(Location(kind, route.path, route, regex, self._locations(spot, table.route)))
            if table.slash and route.path.endswith(b"/"):
                slashes.append(route)
        exact = {one.path for one in locations if one.kind == EXACT}
        return locations + [_without_slash(route) for route in slashes if route.path[:-1] not in exact]

    # --- routes -----------------------------------------------------------------------------------------------------

    def _route(self, spot: Spot, regex: Pattern | None) -> Route:
        table, site = spot.route, spot.table
        composer = proxied.composer(self.parts, spot)
        request_edits = _request_edits(site.request_headers, table.request_headers)
        request_edits.any = request_edits.any or composer is not None or bool(self._traced(site, table))
        max_body = spot.said("max_body", self.model.http.max_body)
        route = Route(
            spot.name,
            table.path.encode() if table.match in ("regex", "iregex", "named") else unescaped(table.path.encode()),
            self._destination(spot),
            steps=self._steps(spot, regex),
            observers=self._observed(spot.name, spot.said("logs", None), table),
            timeouts=self._patience(spot),
            retry=upstreams.retry(self._retry_table(table)),
            response_buffering=spot.said("response_buffering", True),
            max_body=max_body or NO_LIMIT,
            edits=_response_edits(site.response_headers, table.response_headers),
            request_edits=request_edits,
            trailers=table.trailers,
            answers=answers(self.parts, spot),
            composer=composer,
            error_logs=spot.said("error_logs", None),
            folder=files.folder(self.parts, spot),
        )
        self.access.made(route, spot)
        return route

    def _steps(self, spot: Spot, regex: Pattern | None) -> tuple[Step, ...]:
        """What happens before the destination, in this order."""
        table = spot.route
        steps: list[Step] = [*self._traced(spot.table, table)]  # first: of what is turned away there is a trace, too
        steps += tls.belonging(spot, self.model)  # before anything that is only for this site
        if regex is not None and regex.groups:  # its captures may be spoken of by everything behind
            steps.append(Captures([regex]))
        connection = spot.said("connection", None)
        if connection is not None:
            steps += _parting(connection)
        steps += self.access.identity(spot)  # whoever is asked about is to be the client
        steps += tls.introducing(spot)
        if table.internal:  # before anything that a stranger could make happen
            steps.append(only_internal)
        steps += self.access.methods(spot)  # another route, with all that it says
        if table.script:  # may lead elsewhere, where other limits hold
            steps.append(Script(script.operations(table.script, self.parts, spot), spot.site.find))
        if spot.name in self._late:
            steps.append(engine.fits)  # the body was weighed on another route
        steps += limits.charges(self.parts, spot)  # so that whoever asks too much costs as little as possible
        steps += self.access.gate(spot)  # behind limits, against which passwords are guessed
        tried = files.tried(self.parts, spot)
        if tried is not None:  # behind all that could turn away, as in nginx
            steps.append(tried)
        steps += self.access.mirror(spot)  # only of what was let in
        if proxied.whole_first(spot):
            steps.append(engine.whole_body)  # late, so that nothing is kept for whoever is turned away
            steps += proxied.kept_body(self.parts, spot)  # when there is all of it
        if self._retry_table(table).deadline:
            steps.append(engine.timed)  # last, for it is the backends' time
        return tuple(steps)

    def _destination(self, spot: Spot) -> Destination:
        table = spot.route
        if table.upstream is not None:
            return self.parts.upstreams[table.upstream]
        if table.url is not None:
            return proxied.destination(self.parts, spot, table.url)
        if table.redirect is not None:
            return Redirect(table.redirect.to, table.redirect.status)
        if table.reply is not None:
            return FixedReply(table.reply.status, table.reply.body.encode(), table.reply.content_type.encode())
        if table.stub_status:
            self.parts.standing.used = True
            return StubStatus(self.parts.standing.numbers)
        found = files.destination(self.parts, spot, self._shelf)
        if found is not None:
            return found
        return Nowhere()

    def _retry_table(self, table: config.Route) -> config.Retry:
        if table.retry is not None or table.upstream is None:
            return table.retry or config.Retry()
        return self.model.upstream[table.upstream].retry

    def _patience(self, spot: Spot) -> Timeouts:
        times = timeouts(self.model, spot.table.timeouts, spot.route.timeouts)
        table = self._retry_table(spot.route)
        times.answer = table.per_try or times.read
        times.deadline = table.deadline or 0.0
        return times

    def _nowhere(self, name: str, table: config.Site | None = None) -> Route:
        edits = _response_edits(table.response_headers) if table is not None else HeaderEdits()
        observers = self._observed(name, table.logs if table is not None else None)
        return Route(
            name,
            b"",
            Nowhere(),
            steps=self._traced(table),
            observers=observers,
            edits=edits,
            timeouts=timeouts(self.model, *([table.timeouts] if table is not None else [])),
            error_logs=table.error_logs if table is not None else None,
        )

    def _traced(self, site: config.Site | None, table: config.Route | None = None) -> tuple[Step, ...]:
        return self.parts.traces.steps(_traced(site, table))

    def _observed(
        self, name: str, logs: Sequence[AccessLog] | None = None, table: config.Route | None = None
    ) -> tuple[Observer, ...]:
        parts = self.parts
        site = self.model.site.get(name)
        holds = site is not None and limits.holds(parts, site)  # an exchange may end on any route of its site
        counts = parts.ledger.route(counted_as(self.model, name, table))
        back = (GiveBack(parts.place.tally, parts.place.row),) if holds else ()
        told = (hearing.ended,) if parts.hears else ()  # strategies that learn from ends
        told_all = self.model.log.style == "nginx"
        noted = (Notes(),) if site is not None and (told_all or limits.notes(parts, site)) else ()
        spans = parts.traces.observers(_traced(site, table))
        return (*told, *noted, counts, *parts.logs.observers(logs), *spans, *self._written_down(), *back)

    def _written_down(self) -> tuple[Observer, ...]:
        """What keeps exchanges for whoever asks about them: all, those that are worth it where there is a door to ask
        at, or none."""
        diary, explain = self.parts.place.diary, self.model.explain
        if diary is None:
            return ()
        if explain.keep:
            return (diary.every,)
        wanted = self.model.admin.listen is not None and (explain.failed or explain.slowest)
        return (diary.notable,) if wanted else ()


def _without_slash(route: Route) -> Location[Route]:
    """Where a route's path is asked for without the slash at its end: the client is sent there (nginx does it too)."""
    other = route.twin()
    other.path, other.steps, other.destination = route.path[:-1], (), SlashAdded()
    return Location(EXACT, other.path, other)


def _traced(*tables: config.Scope | None) -> bool:
    """Whether [trace] holds: the last that says so decides."""
    said = [one.traced for one in tables if one is not None and one.traced is not None]
    return said[-1] if said else True


def _parting(table: Connection) -> list[Step]:
    """The steps that end connections."""
    steps: list[Step] = []
    if table.requests is not None or table.seconds is not None or not table.keep:
        seconds = NO_LIMIT if table.seconds is None else table.seconds
        steps.append(Parting(table.requests or NO_LIMIT, seconds, table.keep))
    return [*steps, Unkept(table.unkept)] if table.unkept else steps


def _own(table: config.Site) -> config.Route:
    """The table of the route that a site itself is like."""
    name = (table.otherwise or "").removeprefix("@")
    found = [one for one in table.route if one.match == "named" and one.path == name]
    return found[0] if found else config.Route(path="/")


def _scripted(tables: Sequence[config.Route]) -> bool:
    """Whether any of these routes can lead to another."""
    return any(table.script or _scripted(table.route) for table in tables)


def timeouts(model: Model, *changes: config.TimeoutChanges) -> Timeouts:
    """The door's timeouts with what a site and a route change."""
    values = model.timeouts.model_dump()
    for change in changes:
        values.update({key: value for key, value in change.model_dump().items() if value is not None})
    return Timeouts(**values, min_rate=model.http.min_rate)


def _response_edits(*parts: config.ResponseHeaders) -> HeaderEdits:
    remove = [name.encode() for part in parts for name in part.remove]
    replace = {name: value for part in parts for name, value in part.set.items()}
    append = [(name.encode(), value.encode("latin-1")) for part in parts for name, value in part.add.items()]
    return HeaderEdits(remove, [(name.encode(), value.encode("latin-1")) for name, value in replace.items()], append)


def _request_edits(*parts: config.RequestHeaders) -> HeaderEdits:
    remove = [name.encode() for part in parts for name in part.remove]
    replace = {name: value for part in parts for name, value in part.set.items()}
    return HeaderEdits(remove, [(name.encode(), value.encode("latin-1")) for name, value in replace.items()])


def _https_port(model: Model) -> str:
    """ ":PORT" of the first TLS listener, or "" when that is 443 or a unix socket."""
    for listen in model.listen.values():
        if listen.tls and not listen.address.startswith("unix:"):
            port = listen.address.rpartition(":")[2]
            return "" if port == "443" else f":{port}"
    return ""
