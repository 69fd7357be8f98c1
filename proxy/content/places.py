"""A filter over answers of ours, for redirects to a path of the same site: with scheme, host and port.

Rules: nginx's absolute_redirect, port_in_redirect and server_name_in_redirect. What a backend answers stays as it is.
"""

from __future__ import annotations

from typing import Final

from proxy.exchange import Downstream, Exchange
from proxy.http.answer import Answer
from proxy.http.target import host_name

PORTS: Final = {b"http": 80, b"https": 443}


class AbsolutePlaces:
    """Writes where a path is in front of it; `port` unless it is the scheme's own, `site` the site's first name."""

    __slots__ = ("_port", "_site")

    def __init__(self, port: bool, site: bool) -> None:
        self._port = port
        self._site = site

    def __call__(self, exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
        """Change Location."""
        place = answer.get(b"location")
        if place is None or not place.startswith(b"/"):
            return below
        connection, asked = exchange.downstream.connection, exchange.fields.host
        scheme = b"http" if connection.tls is None else b"https"
        host = exchange.route.site_name if self._site else host_name(asked) if asked else b""
        host = host or connection.server_address
        port = connection.server_port if self._port else 0
        end = b":%d" % port if port and port != PORTS[scheme] else b""
        answer.set(b"Location", b"%b://%b%b%b" % (scheme, host, end, place))
        return below
