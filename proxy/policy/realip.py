"""The step that takes another client for the peer: the one that a trusted proxy names (nginx's realip module).

Rules: those of ngx_http_realip_module. It happens once per request: behind a site's step that of a route finds it done.
What the client is then called goes to backends as `render_identity` writes it.
"""

from __future__ import annotations

from typing import Final

from proxy.exchange import Exchange
from proxy.http.render import render_identity
from proxy.parties import Client
from proxy.policy.forwarded import Trusted, behind
from proxy.policy.intervals import written
from proxy.verdict import Verdict

PROXY_PROTOCOL: Final = b"proxy_protocol"  # instead of a field: what the connection's PROXY header said


class RealIp:
    """Believes what trusted peers write into a field; for X-Forwarded-For all lines count as one."""

    __slots__ = ("_field", "_recursive", "_trusted")

    def __init__(self, trusted: Trusted, field: bytes, recursive: bool) -> None:
        self._trusted = trusted
        self._field = field
        self._recursive = recursive

    def __call__(self, exchange: Exchange) -> Verdict:
        """Put the client that was named in the place of the peer."""
        peer = exchange.client
        if peer.told:
            return None
        said = self._said(exchange)
        found = behind(peer.packed, said, self._trusted, self._recursive) if said else None
        if found is not None:
            exchange.client = self._client(exchange, *found)
        return None

    def _said(self, exchange: Exchange) -> bytes:
        if self._field == PROXY_PROTOCOL:
            proxied = exchange.downstream.connection.proxied
            return getattr(proxied, "address", b"") or b""
        found = [value for name, value in exchange.fields.fields if name == self._field]
        if not found:
            return b""
        return b", ".join(found) if self._field == b"x-forwarded-for" else found[0]

    def _client(self, exchange: Exchange, packed: bytes, port: int) -> Client:
        peer = exchange.client
        if self._field == PROXY_PROTOCOL:
            port = getattr(exchange.downstream.connection.proxied, "port", 0)
        text = written(packed)
        chain = b", ".join([value for name, value in exchange.fields.fields if name == b"x-forwarded-for"])
        identity = render_identity(text, peer.scheme, b"%b, %b" % (chain, peer.address) if chain else peer.address)
        return Client(text, packed, peer.scheme, identity, peer.trusted, peer.host_line, port, True)
