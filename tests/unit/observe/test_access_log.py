"""Access logs: nginx's combined format, JSON, format strings, and nothing that could end a line or a quotation."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lines import clock, exchange

from proxy import faults
from proxy.observe.access_log import CombinedLog, JsonLog, WrittenLog
from proxy.observe.log_line import NGINX, LogLine
from proxy.policy.variables import KNOWN, vocabulary

# What log analysers use for nginx's combined format (goaccess, grok's COMBINEDAPACHELOG).
COMBINED = re.compile(
    rb"(?P<addr>\S+) - (?P<user>\S+) \[(?P<time>\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "
    rb'"(?P<request>(?:[^"\\]|\\x[0-9A-F]{2})*)" (?P<status>\d{3}) (?P<bytes>\d+) '
    rb'"(?P<referer>[^"]*)" "(?P<agent>[^"]*)"(?P<rest>.*)\n'
)


class Lines:
    def __init__(self):
        self.lines = []
        self.write = self.lines.append


def logged(make, one):
    file = Lines()
    make(file)(one)
    assert len(file.lines) == 1 and file.lines[0].count(b"\n") == 1
    return file.lines[0]


def formatted(form, one, escape="default"):
    return logged(lambda file: WrittenLog(file.write, LogLine(form, vocabulary().getter, escape)), one)


def combined(one):
    return logged(lambda file: CombinedLog(file.write, clock()), one)


def test_combined():
    match = COMBINED.fullmatch(combined(exchange()))
    assert match["addr"] == b"192.0.2.7" and match["request"] == b"GET /a?b=c HTTP/1.1" and match["status"] == b"200"
    assert match["bytes"] == b"5" and match["referer"] == b"http://x/" and match["agent"] == b"Mozilla/5.0 (X)"
    assert match["rest"] == b" 1.500 1.250 10.0.0.1:1 id-1"


def test_combined_with_everything_odd():
    one = exchange(b"GET / HTTP/1.0\r\n", tried=("a:1", "b:2"), status=502, fault=faults.CONNECT_REFUSED)
    match = COMBINED.fullmatch(combined(one))
    assert match["rest"] == b" 1.500 1.250 a:1,b:2 id-1 connect_refused" and match["agent"] == b"-"
    match = COMBINED.fullmatch(combined(exchange(tried=(), status=404)))
    assert match["rest"] == b" 1.500 0.000 - id-1"


@pytest.mark.parametrize("status", [0, 101, 200, 499, 599, 999])
def test_combined_with_any_status(status):
    assert b" %d 5 " % status in combined(exchange(status=status))


@pytest.mark.parametrize(
    "head",
    [
        b'GET /"x\\ HTTP/1.1\r\nHost: a\r\nUser-Agent: "quoted" \\ \xe4\r\n',
        b'GE"T / HTTP/1.1\r\nHost: a\r\n',
        b"\x16\x03\x01 \x00\x1b[31m\r\nHost: a\r\n",
        b'" 200 0 "-" "-\r\nHost: a\r\n',
        b"GET /a\x7f HTTP/1.1\r\nHost: a\r\n",
    ],
)
def test_nothing_ends_a_quotation(head):
    one = exchange(head)
    line = combined(one)
    assert COMBINED.fullmatch(line), line
    assert all(32 <= byte < 127 for byte in line[:-1])
    plain = formatted('"$request" "$http_user_agent" $request_uri', one)
    assert all(32 <= byte < 127 for byte in plain[:-1]) and plain.count(b'"') == 4
    json.loads(logged(lambda file: JsonLog(file.write, clock()), one))


@given(st.binary(max_size=80))
def test_no_request_line_breaks_a_log_line(line):
    line = line.replace(b"\r\n", b"")
    assert COMBINED.fullmatch(combined(exchange(line + b"\r\nHost: a\r\n")))


def test_json():
    one = exchange(fault=faults.TRUNCATED)
    found = json.loads(logged(lambda file: JsonLog(file.write, clock()), one))
    assert found["remote_addr"] == "192.0.2.7" and found["target"] == "/a?b=c" and found["site"] == "shop"
    assert found["request_time"] == 1.5 and found["connect_time"] == 0.25 and found["header_time"] == 0.25
    assert found["attempt_time"] == 1.25
    assert found["backend"] == "10.0.0.1:1" and found["attempts"] == ["10.0.0.1:1"] and found["fault"] == "truncated"
    assert found["bytes_in"] == 3 and found["bytes_out"] == 5 and found["scheme"] == "https"


def test_a_format():
    form = (
        '$remote_addr "$request" ${status}x $body_bytes_sent $http_referer $cookie_s $upstream_addr $time_local $fault'
    )
    assert formatted(form, exchange()) == (
        b'192.0.2.7 "GET /a?b=c HTTP/1.1" 200x 5 http://x/ 1 10.0.0.1:1 14/Nov/2023:22:13:20 +0000 -\n'
    )


def test_nginx_own_combined_format():
    line = formatted(NGINX, exchange())
    match = COMBINED.fullmatch(line)
    assert match["rest"] == b"" and match["agent"] == b"Mozilla/5.0 (X)" and match["status"] == b"200"


ODD = b'GET / HTTP/1.1\r\nHost: a\r\nX: "q\\\xe4\t\r\n'


@pytest.mark.parametrize(
    ("escape", "value"),
    [("default", b"\\x22q\\x5C\\xE4"), ("json", b'\\"q\\\\\xe4'), ("none", b'"q\\\xe4')],
)
def test_what_is_unsafe_is_written_as_the_format_says(escape, value):
    assert formatted("[$http_x]", exchange(ODD), escape) == b"[" + value + b"]\n"


@pytest.mark.parametrize(("escape", "value"), [("default", b"-"), ("json", b""), ("none", b"")])
def test_what_is_not_there(escape, value):
    assert formatted("[$http_nothing]", exchange(), escape) == b"[" + value + b"]\n"


@pytest.mark.parametrize("word", ["uri", "status", "request", "time_local", "upstream_addr", "fault", "host", "msec"])
def test_words_for_every_kind_of_exchange(word):
    assert word in KNOWN
    for one in (exchange(), exchange(tried=()), exchange(b"nonsense\r\n", tried=())):
        assert formatted(f"${word}", one).endswith(b"\n")


def test_an_unknown_word():
    """The Model lets none through."""
    with pytest.raises(ValueError, match="nonsense"):
        LogLine("$status $nonsense", vocabulary().getter)
