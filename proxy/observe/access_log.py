"""The access log: a line for every finished exchange, in nginx's combined format, as JSON, or as a format string says.

Rules: the words are nginx's (`$remote_addr`, `$upstream_addr` ...), and so is the escaping. "combined" is nginx's line
with what a proxy has to add behind it: seconds in all, seconds of the last attempt, backends in the order they were
tried, the request's id, and the fault if there was one.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any, Final

from proxy.clock import Clock
from proxy.exchange import Exchange
from proxy.http.message import quoted
from proxy.observe.log_file import LogFile

Word = Callable[[Exchange], str]
VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


# Rendered numbers, with the space behind them: a look-up instead of formatting a float (0.3 us) or an integer (0.1).
SECONDS: Final = [b"%d.%03d " % divmod(milliseconds, 1000) for milliseconds in range(1000)]
STATUSES: Final = [b" %d " % status for status in range(1000)]
SIZES: Final = [b"%d " % size for size in range(4096)]


class CombinedLog:
    """nginx's combined format, and the proxy's own facts behind it. The fast one (about 0.5 us a line)."""

    __slots__ = ("_clock", "_write")

    def __init__(self, file: LogFile, clock: Clock) -> None:
        self._write = file.write
        self._clock = clock

    def __call__(self, exchange: Exchange) -> None:
        """Log a finished exchange."""
        finished, started, connected = exchange.finished, exchange.started, exchange.connected
        whole = attempt = int((finished - started) * 1000)
        if connected != started:
            attempt = int((finished - (connected or finished)) * 1000)
        tried, fault, size = exchange.tried, exchange.fault, exchange.body_out
        self._write(
            b"".join(
                (
                    exchange.client.address,
                    b" - - [",
                    self._clock.local,
                    b"] ",
                    exchange.line.log,
                    STATUSES[exchange.status],
                    SIZES[size] if size < 4096 else b"%d " % size,
                    exchange.fields.log,
                    b" ",
                    SECONDS[whole] if whole < 1000 else b"%d.%03d " % divmod(whole, 1000),
                    SECONDS[attempt] if attempt < 1000 else b"%d.%03d " % divmod(attempt, 1000),
                    tried[0].label if len(tried) == 1 else backends(exchange),
                    b" ",
                    exchange.request_id or b"-",
                    b"\n" if fault is None else b" %b\n" % fault.name.encode(),
                )
            )
        )


class FormattedLog:
    """A format string with nginx's variables, or all facts as one JSON object a line."""

    __slots__ = ("_clock", "_file", "_parts")

    def __init__(self, file: LogFile, clock: Clock, form: str) -> None:
        """KeyError for a variable that does not exist; the Model lets none through."""
        self._file = file
        self._clock = clock
        self._parts: list[str | Word] = []
        at = 0
        for match in VARIABLE.finditer(form):
            self._parts += [form[at : match.start()], self._word(match[1] or match[2])]
            at = match.end()
        self._parts.append(form[at:])

    def __call__(self, exchange: Exchange) -> None:
        """Log a finished exchange."""
        line = "".join([part if isinstance(part, str) else part(exchange) for part in self._parts])
        self._file.write(line.encode("latin-1", "replace") + b"\n")

    def _word(self, name: str) -> Word:
        if name == "time_local":
            return lambda exchange: self._clock.local.decode()
        if name == "time_iso8601":
            return lambda exchange: time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(self._clock.wall))
        if name == "msec":
            return lambda exchange: f"{self._clock.wall:.3f}"
        if name.startswith("http_"):
            field = name[5:].replace("_", "-").encode()
            return lambda exchange: quoted(exchange.fields.get(field) or b"-").decode("latin-1")
        if name.startswith("cookie_"):
            cookie = name[7:].encode()
            return lambda exchange: quoted(exchange.fields.cookie(cookie) or b"-").decode("latin-1")
        return WORDS[name]


class JsonLog:
    """One JSON object a line."""

    __slots__ = ("_clock", "_file")

    def __init__(self, file: LogFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock

    def __call__(self, exchange: Exchange) -> None:
        """Log a finished exchange."""
        self._file.write(json.dumps(facts(exchange, self._clock), separators=(",", ":")).encode() + b"\n")


def backends(exchange: Exchange) -> bytes:
    """The backends that were tried, in order, as `$upstream_addr` has them; "-" for none."""
    return b",".join([backend.label for backend in exchange.tried]) or b"-"


def facts(exchange: Exchange, clock: Clock) -> dict[str, Any]:
    """Everything known about a finished exchange, times in seconds."""
    fields, line = exchange.fields, exchange.line
    connected, answered = exchange.connected, exchange.answered
    return {
        "time": round(clock.wall, 3),
        "remote_addr": exchange.client.address.decode(),
        "request_id": exchange.request_id.decode("latin-1"),
        "method": line.method.decode("latin-1"),
        "target": line.target.decode("latin-1"),
        "protocol": f"HTTP/1.{line.minor}",
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
        "queue_time": round(exchange.queued, 6) if exchange.queued else None,
        "backend": exchange.tried[-1].address if exchange.tried else None,
        "attempts": [backend.address for backend in exchange.tried],
        "limit": exchange.limit_status or None,
        "fault": exchange.fault.name if exchange.fault is not None else None,
    }


def _text(field: bytes) -> Word:
    return lambda exchange: quoted(exchange.fields.get(field) or b"-").decode("latin-1")


WORDS: Final[dict[str, Word]] = {
    "remote_addr": lambda exchange: exchange.client.address.decode(),
    "remote_user": lambda exchange: "-",
    "request": lambda exchange: exchange.line.log[1:-1].decode("latin-1"),
    "request_method": lambda exchange: quoted(exchange.line.method).decode("latin-1"),
    "request_uri": lambda exchange: quoted(exchange.line.target).decode("latin-1"),
    "uri": lambda exchange: quoted(exchange.line.path).decode("latin-1"),
    "args": lambda exchange: quoted(exchange.line.query).decode("latin-1"),
    "server_protocol": lambda exchange: f"HTTP/1.{exchange.line.minor}",
    "host": _text(b"host"),
    "scheme": lambda exchange: exchange.client.scheme.decode(),
    "status": lambda exchange: str(exchange.status),
    "body_bytes_sent": lambda exchange: str(exchange.body_out),
    "request_length": lambda exchange: str(exchange.line.size + exchange.fields.size + 2 + exchange.body_in),
    "request_time": lambda exchange: f"{exchange.finished - exchange.started:.3f}",
    "request_id": lambda exchange: exchange.request_id.decode("latin-1") or "-",
    "site": lambda exchange: exchange.route.site,
    "upstream_addr": lambda exchange: backends(exchange).decode().replace(",", ", "),
    "upstream_status": lambda exchange: str(exchange.status) if exchange.answered else "-",
    "upstream_connect_time": lambda exchange: _seconds(exchange.attempted, exchange.connected),
    "upstream_header_time": lambda exchange: _seconds(exchange.connected, exchange.answered),
    "upstream_response_time": lambda exchange: _seconds(exchange.connected, exchange.ended or exchange.finished),
    "upstream_queue_time": lambda exchange: f"{exchange.queued:.3f}" if exchange.queued else "-",
    "limit_req_status": lambda exchange: exchange.limit_status.upper() or "-",
    "fault": lambda exchange: exchange.fault.name if exchange.fault is not None else "-",
}


def _seconds(since: float, until: float) -> str:
    return f"{until - since:.3f}" if since and until else "-"
