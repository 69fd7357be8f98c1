"""The state of the host as the API tells it: each function makes one shape of what the keeper knows.

Rules: only reads. What is configured now is told, with its numbers; what a reload has removed is not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from proxy.admin import status
from proxy.admin.flow import Flow
from proxy.admin.keys import limited
from proxy.admin.shapes import (
    App,
    Backend,
    Certificate,
    Explaining,
    Limit,
    Listener,
    Reloaded,
    Route,
    Site,
    State,
    Upstream,
    Worker,
)
from proxy.admin.standing import Standing
from proxy.config import site as config
from proxy.config.acme import MARK
from proxy.config.upstream import Server
from proxy.policy.breaker import WORDS
from proxy.policy.standing import KEPT_OUT

DAY = 86400.0


def state(standing: Standing) -> State:
    """The host in a few numbers."""
    now = time.time()
    model = standing.model
    return State(
        version=standing.version,
        at=round(now, 3),
        started=standing.started,
        uptime=round(max(0.0, now - standing.started), 1),
        pid=standing.pid,
        reload=Reloaded(good=standing.reload_good, at=round(standing.reloaded or standing.started, 3)),
        restarts=standing.restarts,
        workers=len(standing.pids),
        connections=standing.total("worker", "connections"),
        listeners=[
            Listener(name=name, address=one.address, tls=one.tls, http2=bool(one.http2), redirect=one.redirect)
            for name, one in model.listen.items()
        ],
        explain=Explaining(keep=model.explain.keep, failed=model.explain.failed),
        configuration=model.origin.file or None,
    )


def workers(standing: Standing) -> list[Worker]:
    """All workers, by slot."""
    now = time.time()
    found = []
    for slot, pid in sorted(standing.pids.items()):
        started = standing.cell(slot, "worker", "started")
        found.append(
            Worker(
                slot=slot,
                pid=pid,
                started=started,
                uptime=round(max(0.0, now - started), 1) if started else 0.0,
                connections=standing.cell(slot, "worker", "connections"),
                accepted=standing.cell(slot, "worker", "accepted"),
            )
        )
    return found


# --- sites ----------------------------------------------------------------------------------------------------------


def sites(standing: Standing, flow: Flow, with_routes: bool = True) -> list[Site]:
    """All sites, in the order of the configuration."""
    found = []
    for name, table in standing.model.site.items():
        rate, latency = flow.site(name)
        found.append(
            Site(
                name=name,
                names=list(table.names),
                listen=list(standing.model.listeners(table)),
                requests=dict(standing.totals(standing.under("site", name, "requests"))),
                bytes_in=standing.total("site", name, "bytes_in"),
                bytes_out=standing.total("site", name, "bytes_out"),
                rate=rate,
                latency=latency,
                routes=list(routes(table.route)) if with_routes else [],
            )
        )
    return found


def routes(tables: tuple[config.Route, ...]) -> Iterator[Route]:
    """All routes of a level and inside them."""
    for table in tables:
        limits = [one.name for one in table.limits]
        yield Route(path=table.path, match=table.match, to=destination(table), limits=limits)
        yield from routes(table.route)


def destination(table: config.Route) -> str:
    """Who answers a route, in words."""
    if table.redirect is not None:
        return f"redirect {table.redirect.status} {table.redirect.to}"
    if table.reply is not None:
        return f"reply {table.reply.status}"
    for word in ("upstream", "url", "files", "alias"):
        value = getattr(table, word)
        if value is not None:
            return f"{word} {value}"
    return "status counts" if table.stub_status else "nothing"


# --- upstreams ------------------------------------------------------------------------------------------------------


def upstreams(standing: Standing, flow: Flow, monotonic: float) -> list[Upstream]:
    """All upstreams, in the order of the configuration."""
    return [upstream(standing, flow, name, monotonic) for name in standing.model.upstream]


def upstream(standing: Standing, flow: Flow, name: str, monotonic: float) -> Upstream:
    """One upstream. KeyError when there is none."""
    table = standing.model.upstream[name]
    rates = {server.key: flow.backend(name, server.key)[0] for server in table.servers}
    whole = sum(rates.values())
    return Upstream(
        name=name,
        balance=table.balance,
        waiting=standing.total("upstream", name, "waiting"),
        queued=standing.total("upstream", name, "queued"),
        retries=standing.total("upstream", name, "retries"),
        backends=[backend(standing, flow, name, server, whole, monotonic) for server in table.servers],
    )


def backend(standing: Standing, flow: Flow, upstream: str, server: Server, whole: float, monotonic: float) -> Backend:
    """One backend; `whole` is the rate of attempts at all of its upstream."""
    place = ("backend", upstream, server.key)
    rate, latency = flow.backend(upstream, server.key)
    word, why = standing_of(standing, upstream, server, monotonic)
    in_flight = max(0, standing.total(*place, "inflight"))
    return Backend(
        address=server.key,
        state=word,  # type: ignore[arg-type]  # one of them
        why=why,
        weight=standing.said(*place, "weight") or server.weight,
        configured_weight=server.weight,
        drained=bool(standing.said(*place, "drain")),
        disabled=bool(standing.said(*place, "disabled")),
        backup=server.backup,
        in_flight=in_flight,
        max_conns=server.max_conns,
        load=round(in_flight / server.max_conns, 3) if server.max_conns else None,
        requests=standing.total(*place, "taken"),
        failures=standing.total(*place, "failures"),
        rate=rate,
        share=round(rate / whole, 4) if whole else None,
        latency=latency,
        breaker=WORDS[_breaker(standing, upstream, server)],
        breaker_opened=standing.total(*place, "breaker_opened"),
    )


def standing_of(standing: Standing, upstream: str, server: Server, monotonic: float) -> tuple[str, str]:
    """How a backend stands, and why it is not up."""
    place = ("backend", upstream, server.key)
    if standing.said(*place, "disabled"):
        return "disabled", "the operator has disabled it"
    if standing.said(*place, "drain"):
        return "draining", "the operator drains it"
    if standing.total(*place, "drain"):
        return "draining", "it is being replaced: its application's supervisor drains it"
    if server.down or server.drain:
        return ("down", "the configuration says down") if server.down else ("draining", "the configuration drains it")
    health = standing.total(*place, "health")  # one row alone holds anything
    if health in KEPT_OUT:
        return "down", KEPT_OUT[health]
    breaker = WORDS[_breaker(standing, upstream, server)]
    if breaker == "open":
        return "down", "its breaker is open"
    if breaker == "probing":
        return "probing", "its breaker lets attempts through to see"
    if status.state(standing, upstream, server, monotonic) == "down":
        return "down", f"a worker leaves it alone for {server.fail_timeout:g} s after {server.max_fails} failures"
    return ("backup", "") if server.backup else ("up", "")


def _breaker(standing: Standing, upstream: str, server: Server) -> int:
    name = ("backend", upstream, server.key, "breaker")
    return max((standing.cell(slot, *name) for slot in standing.pids), default=0)


# --- the rest -------------------------------------------------------------------------------------------------------


def limits(standing: Standing) -> list[Limit]:
    """All limits, with those whom they reject most."""
    rejected = limited(standing)
    return [
        Limit(
            name=name,
            key=table.key,
            rate=None if table.rate is None else table.rate / 1000,
            in_flight=table.in_flight,
            burst=table.burst,
            passed=standing.total("limit", name, "passed"),
            delayed=standing.total("limit", name, "delayed"),
            rejected=standing.total("limit", name, "rejected"),
            keys=rejected.get(name, []),
        )
        for name, table in standing.model.limit.items()
    ]


def certificates(standing: Standing) -> list[Certificate]:
    """All certificates that are shown."""
    now = time.time()
    return [
        Certificate(
            site=site,
            certificate=name if len(name) < 1000 and not name.startswith("data:") else "(in the configuration)",
            ends=round(ends) or None,
            days=round((ends - now) / DAY, 1) if ends else None,
            ordered=name.startswith(MARK),
        )
        for site, name, ends in standing.certificates
    ]


def apps(standing: Standing) -> list[App]:
    """All applications that are supervised."""
    return [App.model_validate(one) for one in standing.apps()]
