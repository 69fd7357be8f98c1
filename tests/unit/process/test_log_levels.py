"""Where sentences go, by level and by route, and nginx's form of them."""

from __future__ import annotations

import logging
import re

import pytest

from proxy import faults
from proxy.clock import Clock
from proxy.config.model import Model
from proxy.downstream.reader import HeadReader
from proxy.exchange import Exchange
from proxy.parties import Client, Connection
from proxy.policy.backend import Backend
from proxy.policy.routing import Route
from proxy.process.log import ErrorLog
from proxy.process.log_lines import ALERT, EMERGENCY, NOTICE

NGINX = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(\w+)\] (\d+)#\2: (.*)")


class Down:
    connection = Connection(b"1.2.3.4", 1, b"127.0.0.1", 80)


def exchange(route, tried=(), fault=None, head=b'GET /a?"b HTTP/1.1\r\nHost: door\r\nReferer: http://x/"\r\n'):
    read = HeadReader().read(head + b"\r\n")
    made = Exchange(Down(), Client(b"1.2.3.4", b"", b"http", b""), read.line, read.fields, Clock(), route)
    made.tried = tuple(Backend(address) for address in tried)
    made.fault = fault
    return made


def record(level, words, about=None):
    made = logging.LogRecord("frontgate", level, __file__, 1, words, (), None)
    if about is not None:
        made.exchange = about
    return made


@pytest.fixture
def log(tmp_path):
    """An ErrorLog after [log], and the lines of its files."""
    made = ErrorLog("off")

    def adopted(**table):
        table = {"error": str(tmp_path / "error"), "style": "nginx", **table}
        model = Model.model_validate({"log": table, **MORE})
        made.adopt(model)
        return made

    yield adopted
    made.move("-")


MORE: dict = {}


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def test_levels(log, tmp_path):
    one = log(level="notice", errors=[{"path": str(tmp_path / "crit"), "level": "critical"}])
    for level in (
        logging.DEBUG,
        logging.INFO,
        NOTICE,
        logging.WARNING,
        logging.ERROR,
        logging.CRITICAL,
        ALERT,
        EMERGENCY,
    ):
        one.emit(record(level, "said"))
    words = ["notice", "warn", "error", "crit", "alert", "emerg"]
    assert [NGINX.fullmatch(line)[1] for line in lines(tmp_path / "error")] == words
    assert [NGINX.fullmatch(line)[1] for line in lines(tmp_path / "crit")] == words[3:]


def test_a_route_s_own_logs_take_the_place_of_the_door_s(log, tmp_path):
    table = {"path": str(tmp_path / "own"), "level": "error"}
    site = {"names": ["x"], "route": [{"path": "/", "reply": {}, "error_logs": [table]}]}
    MORE.update(listen={"web": {"address": "127.0.0.1:1"}}, site={"s": site})
    try:
        one = log()
        own = Model.model_validate(MORE).site["s"].route[0].error_logs
    finally:
        MORE.clear()
    about = exchange(Route("s", b"/", None, error_logs=own))
    one.emit(record(logging.ERROR, "of the route", about))
    one.emit(record(logging.INFO, "too small", about))
    one.emit(record(logging.ERROR, "of the door"))
    one.emit(record(logging.ERROR, "of another route", exchange(Route("s", b"/", None))))
    assert [line.split(": ", 1)[1] for line in lines(tmp_path / "own")] == [
        '*0 of the route, client: 1.2.3.4, server: , request: "GET /a?\\x22b HTTP/1.1", host: "door", '
        'referrer: "http://x/\\x22"'
    ]
    assert [line.split(": ")[1].split(",")[0] for line in lines(tmp_path / "error")] == [
        "of the door",
        "*0 of another route",
    ]


def test_faults_in_nginx_s_words(log, tmp_path):
    one = log()
    about = exchange(Route("s", b"/", None), ("10.0.0.1:1",), faults.READ_TIMEOUT)
    one.emit(record(logging.ERROR, "read_timeout: backend did not answer in time", about))
    [line] = lines(tmp_path / "error")
    assert "upstream timed out (110: Connection timed out) while reading response header from upstream, client" in line
    assert 'upstream: "http://10.0.0.1:1/a' in line


def test_the_same_in_frontgate_s_form(log, tmp_path):
    one = log(style="frontgate")
    about = exchange(Route("shop", b"/", None), ("10.0.0.1:1",), faults.READ_TIMEOUT)
    one.emit(record(logging.ERROR, "read_timeout: backend did not answer in time", about))
    [line] = lines(tmp_path / "error")
    assert line.endswith(
        'read_timeout: backend did not answer in time (client 1.2.3.4, site shop, request "GET /a?\\x22b HTTP/1.1", '
        "tried 10.0.0.1:1)"
    )


def test_a_log_that_cannot_be_opened_changes_nothing(log, tmp_path):
    one = log()
    with pytest.raises(OSError, match="nowhere"):
        log(error=str(tmp_path / "nowhere" / "error"))
    one.emit(record(logging.ERROR, "still here"))
    assert lines(tmp_path / "error")[-1].endswith("still here")
