"""The field lines of a request as a backend gets them, when they are not simply those that the client sent."""

from __future__ import annotations

import re
from typing import Final

from proxy.exchange import Exchange
from proxy.http.chunked import LAST
from proxy.http.request import UPGRADE, hops_left, upgrades
from proxy.http.traceparent import without
from proxy.policy.tracing import trace_of

HOPS: Final = re.compile(rb"^(Max-Forwards): [0-9]+\r$", re.IGNORECASE | re.MULTILINE)


def edited_lines(exchange: Exchange, host: bytes) -> bytes:
    """The lines with Host, Upgrade, a hop less and the route's edits; `host`: the backend's, for clients without."""
    fields, client = exchange.fields, exchange.client
    lines = fields.forward
    if fields.host is None:  # HTTP/1.0; a backend that speaks 1.1 must be told one
        lines = b"Host: %b\r\n%b" % (host, lines)
    elif client.host_line:
        lines = lines.replace(fields.host_line, client.host_line, 1)
    if upgrades(exchange.line, fields):
        lines += UPGRADE
    left = hops_left(exchange.line, fields)
    if left > 0:
        lines = HOPS.sub(rb"\1: %d\r" % (left - 1), lines)
    lines = exchange.route.request_edits.edit(lines)
    trace = trace_of(exchange)
    if trace is None:
        return lines
    return (without(lines) if trace.came else lines) + trace.lines(exchange)


def last_chunk(exchange: Exchange) -> bytes:
    """The end of a chunked request body, with its trailers if the route wants them."""
    if exchange.trailers and exchange.route.trailers:
        return b"0\r\n%b\r\n" % exchange.trailers
    return LAST
