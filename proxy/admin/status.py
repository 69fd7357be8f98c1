"""The state of the door as one JSON object, for people and programs; what is configured now, with its numbers."""

from __future__ import annotations

import time
from typing import Any

from proxy.admin.standing import Standing
from proxy.apps.standing import vacant
from proxy.config.acme import MARK
from proxy.config.upstream import Server
from proxy.policy.breaker import WORDS
from proxy.policy.standing import KEPT_OUT


def status(standing: Standing, monotonic: float) -> dict[str, Any]:
    """Everything. `monotonic` is the host's monotonic clock in seconds, which the workers count time out by."""
    return {
        "version": standing.version,
        "uptime": round(max(0.0, time.time() - standing.started), 1),
        "reload": {"good": standing.reload_good, "at": round(standing.reloaded or standing.started, 3)},
        "restarts": standing.restarts,
        "workers": workers(standing),
        "listeners": listeners(standing),
        "sites": sites(standing),
        "upstreams": upstreams(standing, monotonic),
        "apps": list(standing.apps()),
        "limits": limits(standing),
        "certificates": certificates(standing),
    }


def certificates(standing: Standing) -> list[dict[str, Any]]:
    """The certificates that sites show; the end of one that is still to come is None."""
    return [
        {"site": site, "certificate": name, "ends": round(ends) or None, "ordered": name.startswith(MARK)}
        for site, name, ends in standing.certificates
    ]


def workers(standing: Standing) -> list[dict[str, int]]:
    """Slot, process id and open connections of each worker."""
    return [
        {
            "slot": slot,
            "pid": pid,
            "connections": standing.cell(slot, "worker", "connections"),
            "accepted": standing.cell(slot, "worker", "accepted"),
            "started": standing.cell(slot, "worker", "started"),
        }
        for slot, pid in sorted(standing.pids.items())
    ]


def listeners(standing: Standing) -> dict[str, Any]:
    """Address of each listener, and what is special there."""
    return {
        name: {"address": listen.address, "tls": listen.tls, "redirect": listen.redirect}
        for name, listen in standing.model.listen.items()
    }


def sites(standing: Standing) -> dict[str, Any]:
    """Requests of each site by class of status, and bytes."""
    layout = standing.arena.layout
    return {
        name: {
            "requests": dict(standing.totals(layout.under("site", name, "requests"))),
            "bytes_in": standing.total("site", name, "bytes_in"),
            "bytes_out": standing.total("site", name, "bytes_out"),
        }
        for name in standing.model.site
    }


def upstreams(standing: Standing, monotonic: float) -> dict[str, Any]:
    """Each upstream and its backends, in the order of the configuration."""
    return {
        name: {
            "balance": upstream.balance,
            **{word: standing.total("upstream", name, word) for word in ("waiting", "queued", "retries")},
            "backends": [
                backend(standing, name, server, monotonic)
                for server in upstream.servers
                if not vacant(standing.arena, standing.model, name, server.key)
            ],
        }
        for name, upstream in standing.model.upstream.items()
    }


def backend(standing: Standing, upstream: str, server: Server, monotonic: float) -> dict[str, Any]:
    """One backend."""
    place = ("backend", upstream, server.key)
    return {
        "address": server.key,
        "state": state(standing, upstream, server, monotonic),
        "weight": server.weight,
        "in_flight": standing.total(*place, "inflight"),
        "requests": standing.total(*place, "taken"),
        "failures": standing.total(*place, "failures"),
        "breaker": WORDS[max((standing.cell(slot, *place, "breaker") for slot in standing.pids), default=0)],
        "breaker_opened": standing.total(*place, "breaker_opened"),
    }


def state(standing: Standing, upstream: str, server: Server, monotonic: float) -> str:
    """ "draining" while the operator drains it, "down" when configured so, ill by its checks, or while a worker keeps
    it out for its failures; else "backup" or "up". The only backend of an upstream is never kept out for failures.
    """
    place = ("backend", upstream, server.key)
    if standing.total(*place, "drain"):
        return "draining"
    if standing.total(*place, "health") in KEPT_OUT:
        return "down"
    name = ("backend", upstream, server.key, "down_until_ms")
    out = False
    if name in standing.arena.layout and len(standing.model.upstream[upstream].servers) > 1:
        out = any(standing.cell(slot, *name) > monotonic * 1000 for slot in standing.pids)
    if server.down or out:
        return "down"
    return "backup" if server.backup else "up"


def limits(standing: Standing) -> dict[str, Any]:
    """What each limit has decided, by outcome."""
    layout = standing.arena.layout
    return {
        name: {
            "rate": (limit.rate or 0) / 1000,
            "burst": limit.burst,
            **{word: standing.total("limit", name, word) for word in ("passed", "delayed", "rejected")},
            **dict(standing.totals(layout.under("limit", name))),
        }
        for name, limit in standing.model.limit.items()
    }
