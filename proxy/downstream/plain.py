"""A client connection that speaks plain HTTP where TLS is spoken: every request is told so, and it ends.

Rules: what is said is a step's affair (`policy.certified.plain`), so that error pages hold here too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.downstream.h1 import Http1
from proxy.exchange import Exchange
from proxy.http.message import RequestHead
from proxy.http.render import render_identity
from proxy.parties import Client
from proxy.policy.certified import plain

if TYPE_CHECKING:
    import asyncio


class PlainHttp1(Http1):
    """Such a connection."""

    __slots__ = ()

    def _exchange(self, head: RequestHead) -> Exchange:
        """A request, whose route is not asked."""
        exchange = super()._exchange(head)
        self._keep = False
        exchange.pending = iter((plain,))
        return exchange


def recognized(connection: Http1, transport: asyncio.Transport, client: Client) -> tuple[Http1, Client]:
    """Who carries on behind a handshake, and for whom: another when there was none."""
    wire = transport.get_extra_info("ssl_object")
    if not getattr(wire, "plain", False):
        return connection, client
    heir: Any = PlainHttp1(connection.listener)
    heir.proxied = connection.proxied
    transport.set_protocol(heir)
    identity = render_identity(client.address, b"http")
    return heir, Client(client.address, client.packed, b"http", identity, client.trusted)
