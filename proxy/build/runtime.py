"""Turns a Model into a Runtime: listeners, sites, routes and their steps, limits, logs.

Rules: everything that can be known at load is settled here, so that an exchange only follows references. A Runtime is
built beside the previous one and adopts what lives: listeners by name, backends by upstream and address. Nothing of the
previous one is changed before all of the new one is there. The order of a route's steps stands in `_steps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from ipaddress import ip_network
from time import monotonic

from proxy import engine
from proxy.build import upstreams
from proxy.build.place import Place
from proxy.config import model as config
from proxy.config.model import Model
from proxy.content.redirect import FixedReply, Nowhere, Redirect
from proxy.downstream.capacity import Capacity
from proxy.downstream.listener import Listener, Trust
from proxy.downstream.reader import HeadReader
from proxy.downstream.spool import Spools
from proxy.exchange import Destination, Observer, Step
from proxy.http.response import HeaderEdits
from proxy.ledger import NOBODY, Ledger, Living
from proxy.observe.access_log import CombinedLog, FormattedLog, JsonLog
from proxy.observe.log_file import LogFile
from proxy.observe.metrics import SiteCounts
from proxy.policy.limit import keys
from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.policy.retry import Retry
from proxy.policy.routing import Route, Site, Sites
from proxy.shared import tally
from proxy.shared.buckets import Buckets
from proxy.shared.in_flight import GiveBack, InFlight
from proxy.shared.limit import OUTCOMES, Limit, Limits, OneLimit
from proxy.shared.tally import Tally
from proxy.timeouts import Timeouts

NO_LIMIT = 1 << 62


class Runtime:
    """Everything that a worker needs to serve a configuration."""

    def __init__(self, model: Model, place: Place, previous: Runtime | None = None) -> None:
        self.model = model
        self.place = place
        self.shutdown = model.timeouts.shutdown
        self.ledger: Ledger = previous.ledger if previous else Ledger(place.arena, place.row, place.clock)
        self.log = _log_file(model, previous)
        self.observers = self._observers()
        self.limits = {name: self._limit(name, limit) for name, limit in model.limit.items() if limit.rate}
        self.alone: Tally = previous.alone if previous else alone(place)
        self.capacity: Capacity = previous.capacity if previous else Capacity(place.tally or self.alone, place.row)
        self.capacity.configure(model.http.max_connections, model.http.max_connections_per_address)
        living = _living(previous)
        self.spools = Spools(model.buffer.folder, model.buffer.memory, model.buffer.total)
        self.upstreams = upstreams.groups(model, place, self.ledger, living)
        adopted = {backend for group in self.upstreams.values() for backend in group.backends}
        # Those that are gone from the configuration with exchanges still in flight: settled, counted, or adopted again.
        self.leaving = {
            place: backend
            for place, backend in living.items()
            if backend not in adopted and backend.taken != backend.settled
        }
        self._dropped = [backend for backend in living.values() if backend not in adopted]
        sites = {name: self._site(name, site) for name, site in model.site.items()}
        tables = {name: self._sites(name, sites) for name in model.listen}
        self.listeners: dict[str, Listener] = self._listeners(
            tables, previous.listeners if previous is not None else {}
        )
        for group in self.upstreams.values():
            group.join()

    def flush(self) -> None:
        """What is periodic: look at backends and queues, write the log lines there are, add counts to the arena."""
        now = self.place.clock.now
        for group in self.upstreams.values():
            group.tick(now)
        self.ledger.flush(self.upstreams.values(), self.leaving)
        if self.log is not None:
            self.log.flush()

    def reopen(self) -> None:
        """Open log files anew."""
        if self.log is not None:
            self.log.reopen()

    def rung(self) -> None:
        """Another worker has seen a backend free that somebody here waits for."""
        self.place.clock.now = monotonic()
        for group in self.upstreams.values():
            if group.queue is not None:
                group.queue.look()

    def close(self) -> None:
        """Let go of what the next Runtime has not adopted, or of everything at the end of the worker."""
        for group in self.upstreams.values():
            for backend in group.backends:
                backend.pool.close()

    def retire(self, successor: Runtime) -> None:
        """After a reload: move what waits, close what the successor has not adopted."""
        for name, group in self.upstreams.items():
            if group.queue is not None:
                heir = successor.upstreams.get(name)
                group.queue.move(None if heir is None else heir.queue)
        for backend in successor._dropped:
            backend.pool.close()
        if self.log is not None and self.log is not successor.log:
            if successor.log is None:
                self.log.close()
            else:
                successor.log.succeed(self.log)

    # --- parts ------------------------------------------------------------------------------------------------------

    def _observers(self) -> tuple[Observer, ...]:
        form = self.model.log.format
        clock = self.place.clock
        if self.log is None:
            return ()
        if form == "combined":
            return (CombinedLog(self.log, clock),)
        if form == "json":
            return (JsonLog(self.log, clock),)
        return (FormattedLog(self.log, clock, form),)

    def _limit(self, name: str, limit: config.Limit) -> Limit:
        delay = None if limit.nodelay else limit.delay * REQUEST
        leaky = Leaky(limit.rate or 1, limit.burst * REQUEST, delay)
        return Limit(
            name,
            keys.named(limit.key, ipv6_prefix=limit.ipv6_prefix),
            leaky,
            Buckets(self.place.zones[name], leaky),
            self.ledger.limits.setdefault(name, [0] * len(OUTCOMES)),
            status=limit.status,
            dry_run=limit.dry_run,
            headers=limit.headers,
            alone=self.model.workers == 1,
            by_address=limit.key == "address",
        )

    def _site(self, name: str, site: config.Site) -> Site:
        routes = [self._route(name, site, route) for route in site.route]
        return Site(name, [host.lower().encode() for host in site.names], routes, self._nowhere(name, site))

    def _route(self, name: str, site: config.Site, route: config.Route) -> Route:
        max_body = route.max_body if route.max_body is not None else site.max_body
        return Route(
            name,
            route.path.encode(),
            self._destination(route),
            steps=self._steps(name, route),
            observers=self._observed(name, bool(self._held(route))),
            timeouts=self._patience(site, route),
            retry=self._retry(route),
            response_buffering=_first(route.response_buffering, site.response_buffering),
            max_body=(self.model.http.max_body if max_body is None else max_body) or NO_LIMIT,
            edits=_response_edits(site.response_headers, route.response_headers),
            request_edits=_request_edits(site.request_headers, route.request_headers),
            trailers=route.trailers,
        )

    def _retry(self, route: config.Route) -> Retry:
        return upstreams.retry(self._retry_table(route))

    def _retry_table(self, route: config.Route) -> config.Retry:
        if route.retry is not None or route.upstream is None:
            return route.retry or config.Retry()
        return self.model.upstream[route.upstream].retry

    def _patience(self, site: config.Site, route: config.Route) -> Timeouts:
        timeouts = _timeouts(self.model, site.timeouts, route.timeouts)
        table = self._retry_table(route)
        timeouts.answer = table.per_try or timeouts.read
        timeouts.deadline = table.deadline or 0.0
        return timeouts

    def _nowhere(self, name: str, site: config.Site | None = None) -> Route:
        edits = _response_edits(site.response_headers) if site is not None else HeaderEdits()
        timeouts = _timeouts(self.model)
        return Route(name, b"", Nowhere(), observers=self._observed(name), edits=edits, timeouts=timeouts)

    def _observed(self, name: str, holds: bool = False) -> tuple[Observer, ...]:
        counts = self.ledger.sites.setdefault(name, SiteCounts(self.ledger.faults))
        back = (GiveBack(self.place.tally or self.alone, self.place.row),) if holds else ()
        return (*back, counts, *self.observers)

    def _steps(self, name: str, route: config.Route) -> tuple[Step, ...]:
        """What happens before the destination, in this order."""
        steps: list[Step] = [self._in_flight(limit, name, route) for limit in self._held(route)]
        if len(steps) < len(route.limits):  # first, so that whoever asks too much costs as little as possible
            limits = [self._bound(self.limits[limit], name, route) for limit in route.limits if limit in self.limits]
            parts = (self.place.clock, self.place.parking, engine.resume)
            steps.append(OneLimit(limits[0], *parts) if len(limits) == 1 else Limits(limits, *parts))
        if route.upstream is not None and _first(route.request_buffering, self.model.site[name].request_buffering):
            steps.append(engine.whole_body)  # last, so that nothing is kept for whoever is turned away
        return tuple(steps)

    def _held(self, route: config.Route) -> list[str]:
        """Its limits of requests in flight."""
        return [limit for limit in route.limits if limit not in self.limits]

    def _in_flight(self, limit: str, site: str, route: config.Route) -> InFlight:
        settings, place = self.model.limit[limit], self.place
        key = keys.named(settings.key, ipv6_prefix=settings.ipv6_prefix, site=site, route=route.path)
        counts = self.ledger.limits.setdefault(limit, [0] * len(OUTCOMES))
        most = settings.in_flight or 1
        tally = place.tally or self.alone
        return InFlight(limit, key, most, tally, place.row, counts, settings.status, settings.dry_run)

    def _bound(self, limit: Limit, site: str, route: config.Route) -> Limit:
        """A limit as a route uses it: its key may be made of the site's and route's names."""
        settings = self.model.limit[limit.name]
        if settings.key not in ("site", "route"):
            return limit
        key = keys.named(settings.key, site=site, route=route.path)
        bound = copy(limit)
        bound.key = key
        return bound

    def _destination(self, route: config.Route) -> Destination:
        if route.upstream is not None:
            return self.upstreams[route.upstream]
        if route.redirect is not None:
            return Redirect(route.redirect.to, route.redirect.status)
        if route.reply is not None:
            return FixedReply(route.reply.status, route.reply.body.encode(), route.reply.content_type.encode())
        return Nowhere()

    def _sites(self, listener: str, sites: Mapping[str, Site]) -> Sites:
        """The sites of a listener; without a default one, the first answers unknown names, as in nginx."""
        listen = self.model.listen[listener]
        if listen.redirect is not None:
            everything = Route(
                NOBODY,
                b"",
                Redirect(f"https://{{host}}{_https_port(self.model)}{{path}}", 301),
                observers=self._observed(NOBODY),
                timeouts=_timeouts(self.model),
            )
            return Sites((), Site(NOBODY, (), (), everything))
        here = [name for name, site in self.model.site.items() if listener in self.model.listeners(site)]
        default = next((name for name in here if self.model.site[name].default), here[0] if here else None)
        nobody = Site(NOBODY, (), (), self._nowhere(NOBODY))
        return Sites([sites[name] for name in here], nobody if default is None else sites[default])

    def _listeners(self, tables: Mapping[str, Sites], old: Mapping[str, Listener]) -> dict[str, Listener]:
        http, place = self.model.http, self.place
        reader = HeadReader(http.max_head, http.max_fields, http.max_target, http.bare_lf == "accept")
        networks = tuple(ip_network(text) for text in http.trusted_proxies if text != "unix")
        trust = Trust(networks, "unix" in http.trusted_proxies)
        timeouts = _timeouts(self.model)
        listeners: dict[str, Listener] = {}
        for name, sites in tables.items():
            scheme = b"https" if self.model.listen[name].tls else b"http"
            listener = old.get(name)
            if listener is None or listener.scheme != scheme:
                listener = Listener(name, scheme, place.clock, place.wheel, self.ledger.connected, self.capacity)
            listener.configure(sites, reader, timeouts, trust, self.spools, self.model.buffer.answer)
            listeners[name] = listener
        return listeners


def runtime(model: Model, place: Place, previous: Runtime | None = None) -> Runtime:
    """A Runtime for a Model that has been checked, beside the previous one. ValueError with a sentence."""
    return Runtime(model, place, previous)


def zone_sizes(model: Model) -> dict[str, int]:
    """Bytes of shared memory for each limit."""
    return {name: limit.memory for name, limit in model.limit.items()}


def alone(place: Place) -> Tally:
    """What is in use, of a Runtime that shares it with nobody."""
    rows = place.arena.rows
    return place.tally or Tally(tally.made(tally.size_for(4096, rows), rows), rows)


def _living(previous: Runtime | None) -> Living:
    """The backends of before, by upstream and address."""
    if previous is None:
        return {}
    present = {(name, one.address): one for name, group in previous.upstreams.items() for one in group.backends}
    return previous.leaving | present


def _log_file(model: Model, previous: Runtime | None) -> LogFile | None:
    path = model.log.access
    if path == "off":
        return None
    if previous is not None and previous.log is not None and previous.log.path == path:
        return previous.log
    return LogFile(path)


def _first(*settings: bool | None) -> bool:
    """The first that says something; yes if none does."""
    return next((setting for setting in settings if setting is not None), True)


def _timeouts(model: Model, *changes: config.TimeoutChanges) -> Timeouts:
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
