"""What a line of the error log looks like, frontgate's own or nginx's, and the levels it may have.

Rules: a record that speaks of an exchange has it as its `exchange` attribute; nginx's form then tells, behind the
sentence, who the client is and what it asked for (ngx_http_log_error).
"""

from __future__ import annotations

import logging
import os
import time
from typing import Final

from proxy.config.source import Problem
from proxy.exchange import Exchange
from proxy.http.message import quoted

NOTICE: Final = 25
ALERT: Final = 60
EMERGENCY: Final = 70

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "notice": NOTICE,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "alert": ALERT,
    "emergency": EMERGENCY,
}
NAMES: Final = {number: name for name, number in LEVELS.items()}
NGINX: Final = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    NOTICE: "notice",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "crit",
    ALERT: "alert",
    EMERGENCY: "emerg",
}


# What nginx says of a fault, for those who look for it.
WORDS: Final = {
    "body_too_large": "client intended to send too large body",
    "body_timeout": "client timed out (110: Connection timed out)",
    "header_timeout": "client timed out (110: Connection timed out) while reading client request headers",
    "client_left": "client closed connection while waiting for request",
    "client_stalled": "client timed out (110: Connection timed out) while sending to client",
    "bad_request": "client sent invalid request",
    "head_oversized": "client sent too large header",
    "target_too_long": "client sent too long URI",
    "connect_refused": "connect() failed (111: Connection refused) while connecting to upstream",
    "connect_timeout": "upstream timed out (110: Connection timed out) while connecting to upstream",
    "closed_early": "upstream prematurely closed connection while reading response header from upstream",
    "send_timeout": "upstream timed out (110: Connection timed out) while sending request to upstream",
    "read_timeout": "upstream timed out (110: Connection timed out) while reading response header from upstream",
    "bad_response": "upstream sent invalid header while reading response header from upstream",
    "truncated": "upstream prematurely closed connection while reading upstream",
    "no_backend": "no live upstreams while connecting to upstream",
}


class Line(logging.Formatter):
    """`2026-11-23 10:00:00.123 [warning] 4711: sentence`, in local time."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d [%(level)s] %(process)d: %(message)s", "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as a line."""
        record.level = NAMES.get(record.levelno) or record.levelname.lower()
        text = super().format(record)
        exchange: Exchange | None = getattr(record, "exchange", None)
        return text if exchange is None else f"{text} ({facts(exchange)})"


class NginxLine(logging.Formatter):
    """`2026/11/23 10:00:00 [error] 4711#4711: *1 sentence, client: 127.0.0.1, server: ..., request: "..."`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as a line."""
        when = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(record.created))
        pid = os.getpid()
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        exchange: Exchange | None = getattr(record, "exchange", None)
        if exchange is not None:
            fault = exchange.fault
            if fault is not None and text.startswith(f"{fault.name}:"):
                text = WORDS.get(fault.name, text)
            text = f"*{exchange.downstream.connection.serial} {text}{circumstances(exchange)}"
        return f"{when} [{NGINX.get(record.levelno, 'error')}] {pid}#{pid}: {text}"


def facts(exchange: Exchange) -> str:
    """What frontgate's own form says behind a sentence about an exchange."""
    tried = ", ".join(backend.address for backend in exchange.tried) or "none"
    request = exchange.line.log.decode("latin-1")
    return f"client {exchange.client.address.decode()}, site {exchange.route.site}, request {request}, tried {tried}"


def circumstances(exchange: Exchange) -> str:
    """What nginx writes behind a sentence about an exchange."""
    line, fields = exchange.line, exchange.fields
    words = f", client: {exchange.client.address.decode()}, server: {exchange.route.site_name.decode('latin-1')}"
    if line.method != b"-":
        words += f", request: {line.log.decode('latin-1')}"
    if exchange.tried:
        target = line.origin.decode("latin-1")
        words += f', upstream: "http://{exchange.tried[-1].address}{target}"'
    if fields.host:
        words += f', host: "{printable(fields.host)}"'
    referrer = fields.get(b"referer")
    if referrer:
        words += f', referrer: "{printable(referrer)}"'
    return words


def printable(value: bytes) -> str:
    """A value that can neither end its quotes nor its line."""
    return quoted(value).decode("ascii")


def placed(problem: Problem) -> str:
    """A sentence and its place, as nginx writes them."""
    if not problem.line:
        return problem.sentence if problem.file != "command line" else f"{problem.sentence} in command line"
    return f"{problem.sentence} in {problem.file}:{problem.line}"
