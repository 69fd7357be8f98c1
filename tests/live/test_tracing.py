"""Traces through a whole frontgate: what backends hear, and what a collector gets."""

from __future__ import annotations

import http.client
import json
import re
import signal
import threading

import pytest
from collector import Collector
from door import Door, backend, fetch, free_port, head_of, until

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CONFIG = """
workers = 1
[log]
access = "access.log"
format = "json"
[trace]
[trace.export]
endpoint = "http://127.0.0.1:{collector}/v1/traces"
headers = { X-Key = "k" }
service = "door"
[listen.web]
address = "127.0.0.1:{port}"
[upstream.app]
balance = "round_robin"
servers = [{ address = "127.0.0.1:{dead}", max_fails = 0 }, "127.0.0.1:{backend}"]
[site.s]
default = true
[[site.s.route]]
path = "/shop/"
upstream = "app"
[[site.s.route]]
path = "/quiet"
upstream = "app"
traced = false
"""


class Hearing:
    """A backend that remembers the traceparent of each request."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.lock = threading.Lock()

    def __call__(self, wire) -> None:
        raw = b""
        while True:
            raw = head_of(wire, raw)
            if b"\r\n\r\n" not in raw:
                return
            head, _, raw = raw.partition(b"\r\n\r\n")
            found = re.search(rb"(?im)^traceparent: (.*)\r$", head + b"\r\n")
            with self.lock:
                self.heard.append(found[1].decode() if found else "")
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.fixture
def hearing():
    return Hearing()


def ask(door, path, **fields):
    wire = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
    wire.request("GET", path, headers={"Host": "shop.example:81", **fields})
    answer = wire.getresponse()
    answer.read()
    wire.close()
    return answer.status


def test_a_request_is_a_span_and_each_attempt_a_child(hearing):
    with Collector() as collector, backend(hearing) as port:
        door = Door(CONFIG, backend=port, dead=free_port(), collector=collector.port)
        with door:
            for _ in range(2):  # in turns: one of them meets the dead one first
                assert ask(door, "/shop/x?y=1", traceparent=f"00-{TRACE}-{SPAN}-01") == 200
            assert ask(door, "/quiet", traceparent="as it came") == 200
            until(lambda: len(collector.spans) >= 5)
            sent = b'frontgate_traced_requests_total{outcome="exported"} 2.0'
            until(lambda: sent in door.get_admin("/metrics").body)
            log = door.folder / "access.log"
            until(lambda: log.exists() and log.read_text().count("\n") == 3)
            lines = [json.loads(line) for line in log.read_text().splitlines()]
            assert door.stop(signal.SIGTERM) == 0
    servers = [span for span in collector.spans if span.kind == "server"]
    clients = [span for span in collector.spans if span.kind == "client"]
    assert (len(servers), len(clients)) == (2, 3)
    assert {span.trace for span in collector.spans} == {TRACE}
    assert {span.parent for span in servers} == {SPAN}
    assert {span.parent for span in clients} == {span.id for span in servers}
    assert {span.service for span in collector.spans} == {"door"}
    assert {span.name for span in servers} == {"GET /shop/"}
    assert all(fields["x-key"] == "k" for fields in collector.fields)
    for client in clients:
        (server,) = [span for span in servers if span.id == client.parent]
        assert server.begin <= client.begin and client.end <= server.end + 0.001
    failed = [span for span in clients if span.failed]
    assert [(span.attributes["error.type"], span.attributes["server.port"]) for span in failed] == [
        ("connection", door.words["dead"])
    ]
    answered = {span.id for span in clients if not span.failed}
    assert hearing.heard[2] == "as it came"
    assert {text.split("-")[2] for text in hearing.heard[:2]} == answered  # whoever works on it is their child
    assert [line.get("trace_id") for line in lines] == [TRACE, TRACE, None]
    assert {line["span_id"] for line in lines[:2]} == {span.id for span in servers}


def test_a_worker_that_goes_sends_what_it_has(hearing):
    with Collector() as collector, backend(hearing) as port:
        with Door(CONFIG, backend=port, dead=free_port(), collector=collector.port) as door:
            assert fetch(door.port, "/shop/").status == 200
            assert door.stop(signal.SIGTERM) == 0
        assert [span.kind for span in collector.spans].count("server") == 1


def test_a_collector_that_is_gone_holds_nobody_up(hearing):
    with backend(hearing) as port, Door(CONFIG, backend=port, dead=free_port(), collector=free_port()) as door:
        for _ in range(20):
            assert door.get("/shop/").status == 200
        until(lambda: b'outcome="failed"} 0.0' not in door.get_admin("/metrics").body, 15.0)
        assert door.stderr.count("spans cannot be sent") == 1
        door.reload(CONFIG[: CONFIG.index("[trace]")] + CONFIG[CONFIG.index("[listen") :])
        assert door.get("/shop/").status == 200
        assert hearing.heard[-1] == ""  # nothing is said of traces any more
