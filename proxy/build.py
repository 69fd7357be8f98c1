"""The one place where parts meet: turns a Model into a Runtime.

Rules: everything that can be known at load is settled here, so that an exchange only follows references. A Runtime is
built beside the previous one and adopts what lives: listeners by name, backends by upstream and address. Nothing of the
previous one is changed before all of the new one is there. The order of a route's steps stands in `_steps`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from proxy.observe.access_log import CombinedLog, FormattedLog, JsonLog
from proxy.observe.log_file import LogFile
from proxy.observe.metrics import BUCKET_NAMES, CLASSES, FaultCounts, SiteCounts
from proxy.policy.backend import Backend
from proxy.policy.limit import keys
from proxy.policy.limit.leaky import REQUEST, Leaky
from proxy.policy.routing import Route, Site, Sites
from proxy.shared.arena import Arena, GaugeCells, Name
from proxy.shared.buckets import Buckets
from proxy.shared.limit import OUTCOMES, Limit, Limits, OneLimit
from proxy.shared.memory import Memory
from proxy.timeouts import Timeouts
from proxy.upstream.group import Group
from proxy.upstream.pool import Pool

NO_LIMIT = 1 << 62
BACKEND_WORDS = ("inflight", "taken", "failures", "down_until_ms")
NOBODY = "-"  # the site of what belongs to no site: redirects of a listener, requests that cannot be read


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


class Counts:
    """What this worker has counted since the last flush, by site and limit, and the cells it goes to."""

    def __init__(self, place: Place) -> None:
        self._cells = place.arena.cells(place.row)
        self._columns = place.arena.layout.columns
        self._clock = place.clock
        self.sites: dict[str, SiteCounts] = {}
        self.limits: dict[str, list[int]] = {}
        self.faults = FaultCounts()
        self.connections = 0

    def connected(self, change: int) -> None:
        """A connection more (1) or fewer (-1)."""
        self._cells[self._columns["worker", "connections"]] += change
        if change > 0:
            self._cells[self._columns["worker", "accepted"]] += change

    def flush(self, backends: Iterable[tuple[str, Backend]]) -> None:
        """Add everything to the arena."""
        for site, counts in self.sites.items():
            self._move(("site", site, "requests"), CLASSES, counts.classes)
            self._move(("site", site, "duration"), BUCKET_NAMES, counts.durations)
            self._add(("site", site, "duration_us"), int(counts.seconds * 1e6))
            self._add(("site", site, "bytes_in"), counts.bytes_in)
            self._add(("site", site, "bytes_out"), counts.bytes_out)
            counts.seconds, counts.bytes_in, counts.bytes_out = 0.0, 0, 0
        for limit, outcomes in self.limits.items():
            self._move(("limit", limit), OUTCOMES, outcomes)
        for fault, number in self.faults.counts.items():
            if number:
                self._add(("fault", fault.name, "total"), number)
                self.faults.counts[fault] = 0
        for upstream, backend in backends:
            self._add(("backend", upstream, backend.address, "taken"), backend.taken - backend.reported[0])
            self._add(("backend", upstream, backend.address, "failures"), backend.failures - backend.reported[1])
            backend.reported = (backend.taken, backend.failures)
            if not backend.counted:
                self.in_flight(upstream, backend)
            if backend.fails:
                until = int((backend.checked + backend.fail_timeout) * 1000) if backend.out(self._clock.now) else 0
                self._cells[self._columns["backend", upstream, backend.address, "down_until_ms"]] = until

    def in_flight(self, upstream: str, backend: Backend) -> None:
        """Set the cell that the backend's gauge would keep."""
        self._cells[self._columns["backend", upstream, backend.address, "inflight"]] = backend.taken - backend.settled

    def _move(self, prefix: Name, names: Iterable[str], numbers: list[int]) -> None:
        for place, name in enumerate(names):
            if numbers[place]:
                self._add((*prefix, name), numbers[place])
                numbers[place] = 0

    def _add(self, name: Name, number: int) -> None:
        if number:
            self._cells[self._columns[name]] += number


class Runtime:
    """Everything that a worker needs to serve a configuration."""

    def __init__(self, model: Model, place: Place, previous: Runtime | None = None) -> None:
        self.model = model
        self.place = place
        self.shutdown = model.timeouts.shutdown
        self.counts: Counts = previous.counts if previous is not None else Counts(place)
        self.log = _log_file(model, previous)
        self.observers = self._observers()
        self.limits = {name: self._limit(name, limit) for name, limit in model.limit.items()}
        old = previous.upstreams if previous is not None else {}
        self.upstreams: dict[str, Group] = {
            name: self._group(name, upstream, old.get(name)) for name, upstream in model.upstream.items()
        }
        self._dropped = [
            backend
            for name, group in old.items()
            for backend in group.backends
            if name not in self.upstreams or backend not in self.upstreams[name].backends
        ]
        sites = {name: self._site(name, site) for name, site in model.site.items()}
        tables = {name: self._sites(name, sites) for name in model.listen}
        self.listeners: dict[str, Listener] = self._listeners(
            tables, previous.listeners if previous is not None else {}
        )

    def flush(self) -> None:
        """Write log lines that have gathered and add counts to the arena."""
        self.counts.flush([(name, backend) for name, group in self.upstreams.items() for backend in group.backends])
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
            self.log.close()

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
            self.counts.limits.setdefault(name, [0] * len(OUTCOMES)),
            status=limit.status,
            dry_run=limit.dry_run,
            headers=limit.headers,
            alone=self.model.workers == 1,
            by_address=limit.key == "address",
        )

    def _group(self, name: str, upstream: config.Upstream, old: Group | None) -> Group:
        living = {backend.address: backend for backend in old.backends} if old is not None else {}
        backends = [self._backend(name, upstream, server, living) for server in upstream.servers]
        strategy = catalog.BALANCE[upstream.balance](backends, self.place.clock, Random())
        return Group(name, backends, strategy, upstream.tries)

    def _backend(
        self, name: str, upstream: config.Upstream, server: config.Server, living: Mapping[str, Backend]
    ) -> Backend:
        backend = living.get(server.address)
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
        self.counts.in_flight(name, backend)
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
        counts = self.counts.sites.setdefault(name, SiteCounts(self.counts.faults))
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
                listener = Listener(name, scheme, place.clock, place.wheel, self.counts.connected)
            listener.configure(sites, reader, timeouts, trust)
            listeners[name] = listener
        return listeners


def runtime(model: Model, place: Place, previous: Runtime | None = None) -> Runtime:
    """A Runtime for a Model that has been checked, beside the previous one. ValueError with a sentence."""
    return Runtime(model, place, previous)


def counters(model: Model) -> list[Name]:
    """Every name that this Model counts under."""
    names: list[Name] = [("worker", "connections"), ("worker", "accepted"), ("worker", "started")]
    names += [("fault", fault.name, "total") for fault in FaultCounts().counts]
    for site in (NOBODY, *model.site):
        names += [("site", site, "requests", name) for name in CLASSES]
        names += [("site", site, "duration", name) for name in BUCKET_NAMES]
        names += [("site", site, name) for name in ("duration_us", "bytes_in", "bytes_out")]
    for name, upstream in model.upstream.items():
        for server in upstream.servers:
            names += [("backend", name, server.address, word) for word in BACKEND_WORDS]
    for limit in model.limit:
        names += [("limit", limit, outcome) for outcome in OUTCOMES]
    return names


def zone_sizes(model: Model) -> dict[str, int]:
    """Bytes of shared memory for each limit."""
    return {name: limit.memory for name, limit in model.limit.items()}


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
