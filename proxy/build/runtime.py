"""The one place where parts meet: turns a Model into a Runtime.

Rules: everything that can be known at load is settled here, so that an exchange only follows references. A Runtime is
built beside the previous one and adopts what lives: listeners by name, backends by upstream and address. Nothing of the
previous one is changed before all of the new one is there. The order of a route's steps stands in `_steps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from ipaddress import ip_network
from random import Random

from proxy import catalog, engine
from proxy.clock import Clock, Parking, Wheel
from proxy.config import model as config
from proxy.config.model import Model
from proxy.content.redirect import FixedReply, Nowhere, Redirect
from proxy.downstream.listener import Listener, Trust
from proxy.downstream.reader import HeadReader
from proxy.exchange import Destination, Observer, Step
from proxy.http.response import HeaderEdits
from proxy.ledger import NOBODY, Ledger, Living
from proxy.observe.access_log import CombinedLog, FormattedLog, JsonLog
from proxy.observe.log_file import LogFile
from proxy.observe.metrics import SiteCounts
from proxy.policy.backend import Backend
from proxy.policy.limit import keys
from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.policy.routing import Route, Site, Sites
from proxy.shared.arena import Arena, GaugeCells
from proxy.shared.buckets import Buckets
from proxy.shared.limit import OUTCOMES, Limit, Limits, OneLimit
from proxy.shared.memory import Memory
from proxy.timeouts import Timeouts
from proxy.upstream.group import Group
from proxy.upstream.pool import Pool

NO_LIMIT = 1 << 62


class Place:
    """Where a Runtime lives: what this worker process has. `zones` is the shared memory of the limits, by name."""

    __slots__ = ("arena", "clock", "parking", "row", "wheel", "zones")

    def __init__(
        self, clock: Clock, wheel: Wheel, parking: Parking, arena: Arena, row: int, zones: Mapping[str, Memory]
    ) -> None:
        self.clock = clock
        self.wheel = wheel
        self.parking = parking
        self.arena = arena
        self.row = row
        self.zones = zones


class Runtime:
    """Everything that a worker needs to serve a configuration."""

    def __init__(self, model: Model, place: Place, previous: Runtime | None = None) -> None:
        self.model = model
        self.place = place
        self.shutdown = model.timeouts.shutdown
        self.ledger: Ledger = previous.ledger if previous else Ledger(place.arena, place.row, place.clock)
        self.log = _log_file(model, previous)
        self.observers = self._observers()
        self.limits = {name: self._limit(name, limit) for name, limit in model.limit.items()}
        living = _living(previous)
        self.upstreams: dict[str, Group] = {
            name: self._group(name, upstream, living) for name, upstream in model.upstream.items()
        }
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

    def flush(self) -> None:
        """Write log lines that have gathered and add counts to the arena."""
        self.ledger.flush(self.upstreams.values(), self.leaving)
        if self.log is not None:
            self.log.flush()

    def reopen(self) -> None:
        """Open log files anew."""
        if self.log is not None:
            self.log.reopen()

    def close(self) -> None:
        """Let go of what the next Runtime has not adopted, or of everything at the end of the worker."""
        for group in self.upstreams.values():
            for backend in group.backends:
                backend.pool.close()

    def retire(self, successor: Runtime) -> None:
        """After a reload: close what the successor has not adopted."""
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
        leaky = Leaky(limit.rate, limit.burst * REQUEST, delay)
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

    def _group(self, name: str, upstream: config.Upstream, living: Living) -> Group:
        backends = [self._backend(name, upstream, server, living) for server in upstream.servers]
        strategy = catalog.BALANCE[upstream.balance](backends, self.place.clock, Random())
        return Group(name, backends, strategy, upstream.tries)

    def _backend(self, name: str, upstream: config.Upstream, server: config.Server, living: Living) -> Backend:
        backend = living.get((name, server.address))
        if backend is None:
            gauge = GaugeCells(self.place.arena, self.place.row, ("backend", name, server.address, "inflight"))
            pool = Pool(server.address, self.place.clock, self.place.wheel)
            backend = Backend(server.address, inflight=gauge, pool=pool)
        backend.configure(
            weight=server.weight,
            max_fails=server.max_fails,
            fail_timeout=server.fail_timeout,
            max_conns=server.max_conns,
            backup=server.backup,
            down=server.down,
        )
        backend.counted = upstream.balance in catalog.LOAD_AWARE or server.max_conns > 0
        self.ledger.in_flight(name, backend)
        backend.pool.configure(
            upstream.keepalive,
            upstream.keepalive_timeout,
            upstream.keepalive_requests,
            self.model.http.bare_lf == "accept",
        )
        return backend

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
            observers=self._observed(name),
            timeouts=_timeouts(self.model.timeouts, site.timeouts, route.timeouts),
            max_body=(self.model.http.max_body if max_body is None else max_body) or NO_LIMIT,
            edits=_response_edits(site.response_headers, route.response_headers),
            request_edits=_request_edits(site.request_headers, route.request_headers),
            trailers=route.trailers,
        )

    def _nowhere(self, name: str, site: config.Site | None = None) -> Route:
        edits = _response_edits(site.response_headers) if site is not None else HeaderEdits()
        timeouts = _timeouts(self.model.timeouts)
        return Route(name, b"", Nowhere(), observers=self._observed(name), edits=edits, timeouts=timeouts)

    def _observed(self, name: str) -> tuple[Observer, ...]:
        counts = self.ledger.sites.setdefault(name, SiteCounts(self.ledger.faults))
        return (counts, *self.observers)

    def _steps(self, name: str, route: config.Route) -> tuple[Step, ...]:
        """What happens before the destination, in this order."""
        steps: list[Step] = []
        if route.limits:  # first, so that whoever asks too much costs as little as possible
            limits = [self._bound(self.limits[limit], name, route) for limit in route.limits]
            parts = (self.place.clock, self.place.parking, engine.resume)
            steps.append(OneLimit(limits[0], *parts) if len(limits) == 1 else Limits(limits, *parts))
        return tuple(steps)

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
                timeouts=_timeouts(self.model.timeouts),
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
        timeouts = _timeouts(self.model.timeouts)
        listeners: dict[str, Listener] = {}
        for name, sites in tables.items():
            scheme = b"https" if self.model.listen[name].tls else b"http"
            listener = old.get(name)
            if listener is None or listener.scheme != scheme:
                listener = Listener(name, scheme, place.clock, place.wheel, self.ledger.connected)
            listener.configure(sites, reader, timeouts, trust)
            listeners[name] = listener
        return listeners


def runtime(model: Model, place: Place, previous: Runtime | None = None) -> Runtime:
    """A Runtime for a Model that has been checked, beside the previous one. ValueError with a sentence."""
    return Runtime(model, place, previous)


def zone_sizes(model: Model) -> dict[str, int]:
    """Bytes of shared memory for each limit."""
    return {name: limit.memory for name, limit in model.limit.items()}


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


def _timeouts(general: config.Timeouts, *changes: config.TimeoutChanges) -> Timeouts:
    values = general.model_dump()
    for change in changes:
        values.update({key: value for key, value in change.model_dump().items() if value is not None})
    return Timeouts(**values)


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
