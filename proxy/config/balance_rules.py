"""What is wrong in an upstream only beside something else: balancers and what they need, and what binds clients.

Rules: pure; each finding is the key below the upstream's table that shows the place, and the sentence.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from proxy.config.source import Where

if TYPE_CHECKING:
    from proxy.config.balance import Sticky
    from proxy.config.upstream import Server, Upstream

NO_BACKUPS: Final = ("ip_hash", "hash", "random", "random_two")

Found = tuple[Where, str]


def findings(upstream: Upstream) -> Iterator[Found]:
    """Everything of this kind that is wrong with an upstream."""
    if upstream.balance == "hash" and not upstream.hash:
        yield ("balance",), 'a hash needs something to go by: add hash = "$request_uri"'
    if upstream.balance != "hash" and (upstream.hash or upstream.consistent):
        yield ("hash",) if upstream.hash else ("consistent",), 'hash and consistent go with balance = "hash" only'
    if upstream.balance_from is not None and ":" not in upstream.balance:
        yield ("balance_from",), 'balance_from goes with a balance of one\'s own only, "package.module:factory"'
    if upstream.inflight and upstream.balance != "least_time":
        yield ("inflight",), 'inflight goes with balance = "least_time" only'
    if upstream.sticky is not None:
        yield from _sticky(upstream.sticky)
    for index, server in enumerate(upstream.servers):
        for key, sentence in _server(server, upstream):
            yield ("servers", index, key), sentence


def _sticky(sticky: Sticky) -> Iterator[Found]:
    said = [key for key in ("cookie", "route", "learn") if getattr(sticky, key)]
    if len(said) != 1:
        yield ("sticky",), "sticky needs exactly one of cookie, route and learn"
    elif said != ["cookie"] and sticky.model_fields_set - set(said):
        yield ("sticky",), f"only a cookie has attributes: leave out {', '.join(sticky.model_fields_set - set(said))}"
    if sticky.samesite and "$" not in sticky.samesite and sticky.samesite.lower() not in ("strict", "lax", "none"):
        yield ("sticky", "samesite"), f'samesite must be "strict", "lax" or "none" (got "{sticky.samesite}")'


def _server(server: Server, upstream: Upstream) -> Iterator[tuple[str, str]]:
    if server.backup and upstream.balance in NO_BACKUPS:
        yield "backup", f"{upstream.balance} knows no backup servers: leave out backup, or choose another balance"
    if server.service and not server.resolve:
        yield "service", "a service is looked up while running only: add resolve = true"
    if server.service and upstream.resolver is None:
        yield "service", "a service is looked up by name servers of its own: add a resolver to the upstream"
    if server.resolve and (server.address.startswith("unix:") or _literal(server.address)):
        yield "resolve", f"{server.address} is no name: leave out resolve"


def _literal(address: str) -> bool:
    try:
        ipaddress.ip_address(address.rpartition(":")[0].strip("[]"))
    except ValueError:
        return False
    return True
