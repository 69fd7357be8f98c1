"""Turns a Model into a Runtime: listeners, sites, routes and their steps, limits, logs.

Rules: everything that can be known at load is settled here, so that an exchange only follows references. A Runtime is
built beside the previous one and adopts what lives: listeners by name, backends by upstream and address. Nothing of the
previous one is changed before all of the new one is there. Sites and routes are made in `sites`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from ipaddress import ip_network
from time import monotonic

from proxy.build import balance, http2, tls, upstreams
from proxy.build.declared import vocabulary_of
from proxy.build.heads import Readers, waiting
from proxy.build.limits import limits
from proxy.build.logs import Logs
from proxy.build.parts import Parts
from proxy.build.place import Place
from proxy.build.redis import Sharing
from proxy.build.sites import SiteMaker
from proxy.build.standing import Standing
from proxy.build.steering import Steering
from proxy.build.tracing import Traces
from proxy.build.watching import Watching
from proxy.config.model import Model
from proxy.downstream.capacity import Capacity
from proxy.downstream.listener import ANY, Listener, Trust
from proxy.downstream.porch import Porch
from proxy.downstream.spool import Spools
from proxy.ledger import Ledger, Living
from proxy.observe.log_files import LogFiles
from proxy.policy.routing import Sites
from proxy.upstream.dynamic import Kept
from proxy.upstream.group import Group


class Runtime:
    """Everything that a worker needs to serve a configuration."""

    def __init__(self, model: Model, place: Place, previous: Runtime | None = None) -> None:
        self.model = model
        self.place = place
        self.shutdown = model.timeouts.shutdown
        self.ledger: Ledger = previous.ledger if previous else Ledger(place.arena, place.row, place.clock)
        self.ledger.faults.client_level = logging.INFO if model.log.style == "nginx" else logging.DEBUG
        self.log_files: LogFiles = LogFiles(place.soon, previous.log_files if previous else None)
        words = vocabulary_of(model)
        self.certificates = tls.choices(model, words, place.clock)
        self.limits = limits(model, place, self.ledger, words)
        self.sharing: Sharing = Sharing(model, place, self.ledger, previous.sharing if previous else None)
        self.capacity: Capacity = previous.capacity if previous else Capacity(place.tally, place.row)
        self.capacity.configure(model.http.max_connections, model.http.max_connections_per_address)
        self.porch: Porch = previous.porch if previous else Porch()
        self.porch.most = model.http.max_handshakes
        living = _living(previous)
        buffer = model.buffer
        self.spools: Spools = previous.spools if previous else Spools(buffer.folder, buffer.memory, buffer.total)
        self.spools.configure(buffer.folder, buffer.memory, buffer.total)
        before: dict[str, Group] = {**previous.orphans, **previous.upstreams} if previous else {}
        made = upstreams.Upstreams(model, place, self.ledger, living, before)
        self.upstreams: dict[str, Group] = made.groups
        # Those that are gone from the configuration: exchanges of before may still come to them, and wait there.
        self.orphans: dict[str, Group] = {name: group for name, group in before.items() if name not in self.upstreams}
        adopted = made.backends
        # Those that are gone from the configuration with exchanges still in flight: settled, counted, or adopted again.
        self.leaving = {
            place: backend
            for place, backend in living.items()
            if backend not in adopted and (backend.taken != backend.settled or place[0] in self.orphans)
        }
        self._dropped = {place: backend for place, backend in living.items() if backend not in adopted}
        kept = Kept(place.clock, place.wheel, place.parking, model.http.bare_lf == "accept")
        self.standing = Standing(place, self.ledger)
        self._logs = Logs(model, place, words, self.log_files)
        self.traces: Traces = Traces(model, previous.traces if previous else None)
        shared = (self.ledger, self.limits, self.upstreams, self._logs, words, kept, self.standing, self.sharing)
        parts = Parts(model, place, *shared, self.traces)
        maker = SiteMaker(parts)
        sites = maker.sites()
        made.balance(parts.vocabulary)
        tables = {name: maker.of_listener(name, sites) for name in model.listen}
        self.listeners: dict[str, Listener] = self._listeners(
            tables, previous.listeners if previous is not None else {}
        )
        self.standing.listeners = self.listeners
        self.steering = Steering(place, self.upstreams, made.remakes)
        self._watching = Watching(place, place.diary.live, self.listeners) if place.diary is not None else None
        if place.diary is not None:
            place.diary.configure(model.explain.keep, model.explain.failed, model.explain.slowest)
        made.commit()

    def flush(self) -> None:
        """What is periodic: look at backends and queues, write the log lines there are, add counts to the arena."""
        now = self.place.clock.now
        groups = (*self.upstreams.values(), *self.orphans.values())
        self.steering.look(now)
        for group in groups:
            group.tick(now)
        self.sharing.tick()
        self.ledger.flush(groups, self.leaving)
        self.log_files.flush(now)
        self.traces.tick()
        self.ledger.traced(self.traces.spans)
        if self.place.diary is not None and self._watching is not None:
            self.place.diary.flush()
            self._watching.look(now)
        if self.standing.used or self.ledger.rarely:
            self.standing.publish()

    def reopen(self) -> None:
        """Open log files anew."""
        self.log_files.reopen()

    def rung(self) -> None:
        """Another worker has seen a backend free that somebody here waits for."""
        self.place.clock.now = monotonic()
        for group in (*self.upstreams.values(), *self.orphans.values()):
            if group.queue is not None:
                group.queue.look()

    async def warm(self) -> None:
        """Begin to reach what is shared with other hosts, in the running loop."""
        await self.sharing.warm()

    def close(self) -> None:
        """Let go of what the next Runtime has not adopted, or of everything at the end of the worker."""
        if self.place.diary is not None:
            self.place.diary.hurry()
        self.sharing.close()
        for group in self.upstreams.values():
            if group.members is not None:
                group.members.rest()
            for backend in group.backends:
                backend.pool.close()

    def retire(self, successor: Runtime) -> None:
        """After a reload: close what the successor has not adopted."""
        for group in successor.orphans.values():
            if group.members is not None:
                group.members.rest()
        self.sharing.retire(successor.sharing)
        successor.ledger.flush((), successor._dropped)  # for some this is the last time that they are counted
        for backend in successor._dropped.values():
            backend.pool.close()
            if backend.pool.resolver is not None:
                backend.pool.resolver.retire()
        self.log_files.retire(successor.log_files)
        self.traces.retire(successor.traces)

    # --- parts ------------------------------------------------------------------------------------------------------

    def _listeners(self, tables: Mapping[str, Sites], old: Mapping[str, Listener]) -> dict[str, Listener]:
        http, place = self.model.http, self.place
        readers = Readers(self.model)
        networks = tuple(ip_network(text) for text in http.trusted_proxies if text != "unix")
        trust = Trust(networks, "unix" in http.trusted_proxies)
        listeners: dict[str, Listener] = {}
        for name, sites in tables.items():
            scheme = b"https" if self.model.listen[name].tls else b"http"
            listener = old.get(name)
            if listener is None or listener.scheme != scheme:
                listener = Listener(name, scheme, place.clock, place.wheel, self.ledger.connected, self.capacity)
            table = self.model.site.get(sites.default.name)
            timeouts = waiting(self.model, table)
            reader = readers.of(sites.default.name)
            listener.configure(sites, reader, timeouts, trust, self.spools, self.model.buffer.answer)
            most = table.http.max_requests if table is not None else None
            listener.most_requests = (http.max_requests if most is None else most) or ANY
            listener.remembers = self._logs.asks
            listener.porch = self.porch
            listener.http2 = bool(self.model.listen[name].http2)
            listener.counts = self.ledger.http2
            listener.handshakes = self.ledger.handshakes
            listener.terms = http2.terms(self.model, name, sites.default.name)
            listeners[name] = listener
        return listeners


def runtime(model: Model, place: Place, previous: Runtime | None = None) -> Runtime:
    """A Runtime for a Model that has been checked, beside the previous one. ValueError with a sentence."""
    return Runtime(model, place, previous)


def zone_sizes(model: Model) -> dict[str, int]:
    """Bytes of shared memory for each limit, and for the sessions of upstreams."""
    sizes = {name: limit.memory for name, limit in model.limit.items()}
    return sizes | balance.zone_sizes(model.upstream)


def _living(previous: Runtime | None) -> Living:
    """The backends of before, by upstream and address."""
    if previous is None:
        return {}
    present = {
        (name, one.key): one
        for name, group in previous.upstreams.items()
        for one in group.backends
        if not one.shares  # a name's, which goes with it
    }
    return previous.leaving | present
