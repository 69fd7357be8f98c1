"""Ends connections that have lived long enough, and tells clients how long an idle one lives.

Rules: the end is decided before the answer's head, so that it can say `Connection: close` (RFC 9112 section 9.6).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from proxy.exchange import Downstream, Exchange
from proxy.http.answer import Answer
from proxy.verdict import Verdict

# Internet Explorer up to 6 without its second service pack (ngx_http_process_user_agent).
MSIE6: Final = re.compile(rb"MSIE (?:[45]\.|6\.(?!.*SV1))", re.DOTALL)
OTHERS: Final = re.compile(rb"Opera|MSIE |Gecko/|Chrome/")  # which call themselves Safari too


class Parting:
    """A step: the connection ends with this exchange, if it has had `requests`, is `seconds` old, or none is kept."""

    __slots__ = ("_keep", "_requests", "_seconds")

    def __init__(self, requests: int, seconds: float, keep: bool) -> None:
        self._requests = requests
        self._seconds = seconds
        self._keep = keep

    def __call__(self, exchange: Exchange) -> Verdict:
        """Look at the connection."""
        connection = exchange.downstream.connection
        old = exchange.clock.now - connection.opened >= self._seconds
        if old or connection.requests >= self._requests or not self._keep:
            exchange.downstream.part()
        return None


class KeepAlive:
    """A filter: `Keep-Alive: timeout=N` (RFC 2068 section 19.7.1.1, still read by some)."""

    __slots__ = ("_value",)

    def __init__(self, seconds: int) -> None:
        self._value = b"timeout=%d" % seconds

    def __call__(self, exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
        """Add the field, unless the connection ends."""
        if below.connection.keeps:
            answer.fields.append((b"Keep-Alive", self._value))
        return below


class Unkept:
    """A step: the connection ends with this exchange, if its `browsers` are known to be confused by one that does not:
    "msie6" behind a POST, "safari" always."""

    __slots__ = ("_msie6", "_safari")

    def __init__(self, browsers: Collection[str]) -> None:
        self._msie6 = "msie6" in browsers
        self._safari = "safari" in browsers

    def __call__(self, exchange: Exchange) -> Verdict:
        """Look at who asks, where that matters."""
        if self._safari or exchange.line.method == b"POST":
            agent = exchange.fields.get(b"user-agent") or b""
            if (self._safari and is_safari(agent)) or (
                self._msie6 and exchange.line.method == b"POST" and MSIE6.search(agent) is not None
            ):
                exchange.downstream.part()
        return None


def is_safari(agent: bytes) -> bool:
    """Whether this User-Agent is that of Safari on a Mac."""
    return b"Safari/" in agent and b"Mac OS X" in agent and OTHERS.search(agent) is None
