"""What the operator can do to a running host: drain, disable, weigh and pardon backends.

Rules: a deed is a number in the keeper's own row of the arena, which every worker reads at its next tick; so it holds
for workers that are born later, outlives the keeper, and takes a tenth of a second. Weights hold until the next reload,
so that the configuration has the last word; the rest until it is undone. Nothing outlives a restart of frontgate.
"""

from __future__ import annotations

import logging
import time
from typing import Final, NamedTuple

from proxy.admin import facts
from proxy.admin.asked import Refused
from proxy.admin.flow import Flow
from proxy.admin.shapes import Changed
from proxy.admin.standing import Standing
from proxy.config.model import Model
from proxy.config.upstream import Server

UNTIL_UNDONE: Final = "until it is undone, or frontgate is restarted; a reload leaves it"
UNTIL_RELOAD: Final = "until the next reload or restart of frontgate"
UNTIL_FAILURES: Final = "until it fails again"

log = logging.getLogger("frontgate")


class Deed(NamedTuple):
    """A number for a cell of a backend, what that means for it, and how long it holds."""

    cell: str
    number: int
    words: str
    holds: str


DRAIN: Final = Deed("drain", 1, "is drained: it gets no new requests", UNTIL_UNDONE)
UNDRAIN: Final = Deed("drain", 0, "gets requests again", UNTIL_UNDONE)
DISABLE: Final = Deed(
    "disabled", 1, "is disabled: it gets no requests, and its idle connections are closed", UNTIL_UNDONE
)
ENABLE: Final = Deed("disabled", 0, "is enabled: it gets requests again", UNTIL_UNDONE)


def weighed(weight: int | None) -> Deed:
    """A weight, or the configured one."""
    if weight is None:
        return Deed("weight", 0, "has its configured weight again", UNTIL_RELOAD)
    return Deed("weight", weight, f"weighs {weight}", UNTIL_RELOAD)


def done(standing: Standing, flow: Flow, upstream: str, backend: str, deed: Deed) -> Changed:
    """Do it. Refused when there is no such backend."""
    server = known(standing.model, upstream, backend)
    standing.say(deed.number, "backend", upstream, backend, deed.cell)
    _told(standing)
    return _changed(standing, flow, upstream, server, deed)


def pardoned(standing: Standing, flow: Flow, upstream: str, backend: str) -> Changed:
    """Forget the failures of a backend: its breaker closes, and what kept it out for them ends."""
    server = known(standing.model, upstream, backend)
    place = ("backend", upstream, backend, "pardons")
    standing.say(standing.said(*place) + 1, *place)
    _told(standing)
    deed = Deed("pardons", 0, "is pardoned: its breaker closes and its failures are forgotten", UNTIL_FAILURES)
    return _changed(standing, flow, upstream, server, deed)


def known(model: Model, upstream: str, backend: str) -> Server:
    """A configured backend, or Refused with those that there are."""
    for server in model.upstream[upstream].servers if upstream in model.upstream else ():
        if server.key == backend:
            return server
    known = {name: [server.key for server in one.servers] for name, one in model.upstream.items()}
    words = "; ".join(f"{name}: {', '.join(addresses)}" for name, addresses in known.items()) or "none"
    raise Refused(404, f"upstream {upstream!r} has no backend {backend!r}; there are {words}")


def reloaded(standing: Standing) -> None:
    """A reload: weights are the configured ones again."""
    for name in standing.under("backend"):
        if len(name) == 4 and name[-1] == "weight":
            standing.say(0, *name)
    _told(standing)


def _told(standing: Standing) -> None:
    """Have the workers look at their next tick."""
    standing.say(standing.said("worker", "deeds") + 1, "worker", "deeds")


def _changed(standing: Standing, flow: Flow, upstream: str, server: Server, deed: Deed) -> Changed:
    sentence = f"upstream {upstream}: {server.key} {deed.words}"
    log.warning("%s", sentence)
    whole = facts.upstream(standing, flow, upstream, time.monotonic())
    now = next(one for one in whole.backends if one.address == server.key)
    return Changed(upstream=upstream, backend=server.key, sentence=sentence, holds=deed.holds, now=now)
