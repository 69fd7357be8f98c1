"""The access log: a line for every finished exchange, in nginx's combined format, as JSON, or as a format string says.

Rules: the words are nginx's (`$remote_addr`, `$upstream_addr` ...), and so is the escaping. "combined" is nginx's line
with what a proxy has to add behind it: seconds in all, seconds of the last attempt, backends in the order they were
tried, the request's id, and the fault if there was one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from proxy.clock import Clock
from proxy.exchange import Exchange
from proxy.policy.tracing import trace_of

# Rendered numbers of the common kinds: a look-up instead of formatting a float (0.3 us) or an integer (0.1).
SMALL: Final = [b" 200 %d " % size for size in range(4096)]
AT_ONCE: Final = [b" 0.%03d 0.%03d " % (milliseconds, milliseconds) for milliseconds in range(1000)]


class CombinedLog:
    """nginx's combined format, and the proxy's own facts behind it. The fast one (about 0.4 us a line).

    A line is joined of ten parts, since CPython joins no more than ten without asking for memory (0.2 us for fifteen).
    """

    __slots__ = ("_clock", "_local", "_stamp", "_write")

    def __init__(self, write: Callable[[bytes], object], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._local = self._stamp = b""

    def __call__(self, exchange: Exchange) -> None:
        """Log a finished exchange."""
        finished, started, connected = exchange.finished, exchange.started, exchange.connected
        if self._local is not self._clock.local:
            self._local = self._clock.local
            self._stamp = b" - - [%b] " % self._local
        whole = int((finished - started) * 1000)
        if connected == started and whole < 1000:  # on an idle link: the attempt took all the time
            seconds = AT_ONCE[whole]
        else:
            attempt = int((finished - (connected or finished)) * 1000)
            seconds = b" %d.%03d %d.%03d " % (*divmod(whole, 1000), *divmod(attempt, 1000))
        status, size, tried, fault = exchange.status, exchange.body_out, exchange.tried, exchange.fault
        self._write(
            b"".join(
                (
                    exchange.client.address,
                    self._stamp,
                    exchange.line.log,
                    SMALL[size] if status == 200 and size < 4096 else b" %d %d " % (status, size),
                    exchange.fields.log,
                    seconds,
                    tried[0].label if len(tried) == 1 else backends(exchange),
                    b" ",
                    exchange.request_id or b"-",
                    b"\n" if fault is None else b" %b\n" % fault.name.encode(),
                )
            )
        )


class WrittenLog:
    """Lines as a format has them (`log_line`)."""

    __slots__ = ("_line", "_write")

    def __init__(self, write: Callable[[bytes], object], line: Callable[[Exchange], bytes]) -> None:
        self._write = write
        self._line = line

    def __call__(self, exchange: Exchange) -> None:
        """Log a finished exchange."""
        self._write(self._line(exchange))


class JsonLog:
    """One JSON object a line."""

    __slots__ = ("_clock", "_write")

    def __init__(self, write: Callable[[bytes], object], clock: Clock) -> None:
        self._write = write
        self._clock = clock

    def __call__(self, exchange: Exchange) -> None:
        """Log a finished exchange."""
        self._write(json.dumps(facts(exchange, self._clock), separators=(",", ":")).encode() + b"\n")


def backends(exchange: Exchange) -> bytes:
    """The backends that were tried, in order, as `$upstream_addr` has them; "-" for none."""
    return b",".join([backend.label for backend in exchange.tried]) or b"-"


def facts(exchange: Exchange, clock: Clock) -> dict[str, Any]:
    """Everything known about a finished exchange, times in seconds."""
    fields, line, trace = exchange.fields, exchange.line, trace_of(exchange)
    connected, answered = exchange.connected, exchange.answered
    return {
        "time": round(clock.wall, 3),
        "remote_addr": exchange.client.address.decode(),
        "request_id": exchange.request_id.decode("latin-1"),
        "method": line.method.decode("latin-1"),
        "target": line.target.decode("latin-1"),
        "protocol": line.version.decode(),
        "host": (fields.host or b"").decode("latin-1"),
        "scheme": exchange.client.scheme.decode(),
        "site": exchange.route.site,
        "status": exchange.status,
        "bytes_in": exchange.body_in,
        "bytes_out": exchange.body_out,
        "referer": (fields.get(b"referer") or b"").decode("latin-1"),
        "user_agent": (fields.get(b"user-agent") or b"").decode("latin-1"),
        "request_time": round(exchange.finished - exchange.started, 6),
        "connect_time": round(connected - exchange.attempted, 6) if connected else None,
        "header_time": round(answered - connected, 6) if answered and connected else None,
        "attempt_time": round(exchange.finished - connected, 6) if connected else None,
        "queue_time": round(exchange.queued, 6) if exchange.queued else None,
        "backend": exchange.tried[-1].address if exchange.tried else None,
        "attempts": [backend.address for backend in exchange.tried],
        "limit": exchange.limit_status or None,
        "fault": exchange.fault.name if exchange.fault is not None else None,
        **({} if trace is None else {"trace_id": trace.trace.decode(), "span_id": trace.span.decode()}),
    }
