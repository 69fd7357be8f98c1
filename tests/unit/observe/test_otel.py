"""Spans of finished exchanges: what stands in them, and how they are handed over."""

from __future__ import annotations

import threading
from random import Random

import pytest
from lines import exchange
from opentelemetry.trace import SpanKind, StatusCode

from proxy import faults
from proxy.course import Course
from proxy.http.traceparent import Parent
from proxy.observe.otel import Otlp
from proxy.observe.spans import Finished, Spans
from proxy.policy import attempts
from proxy.policy.tracing import Trace

TRACE, SPAN = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"
PARENT = Parent(TRACE, SPAN, True, b"a=1,b=2")


def traced(one, parent=PARENT, sampled=True):
    one.course = Course(one.line.path, one.line.query)
    one.course.trace = Trace(TRACE, parent, sampled, parent is not None, True, Random(1))
    return one


@pytest.fixture
def otlp(monkeypatch):
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    return Otlp("http://127.0.0.1:1/v1/traces", {}, 0.1, "front")


def spans(otlp, one):
    return list(otlp.spans(Finished(one, one.course.trace)))


def test_an_exchange_and_its_attempt(otlp):
    one = traced(exchange())
    own = one.course.trace.span
    one.course.trace.attempts.append((1000.0, b"00000000000000aa"))
    server, client = spans(otlp, one)
    assert (server.name, server.kind, server.status.status_code) == ("GET /", SpanKind.SERVER, StatusCode.UNSET)
    assert server.context.trace_id == client.context.trace_id == int(TRACE, 16)
    assert server.context.span_id == int(own, 16) == client.parent.span_id
    assert server.parent.span_id == int(SPAN, 16) and server.parent.is_remote
    assert server.context.trace_state.to_header() == "a=1,b=2"
    assert dict(server.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/",
        "url.scheme": "https",
        "url.path": "/a",
        "url.query": "b=c",
        "server.address": "door",
        "server.port": 443,
        "client.address": "192.0.2.7",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "user_agent.original": "Mozilla/5.0 (X)",
        "frontgate.site": "shop",
        "frontgate.request_id": "id-1",
        "frontgate.attempts": 1,
    }
    assert (server.start_time, server.end_time) == (1_700_001_000_000_000_000, 1_700_001_001_500_000_000)
    assert (client.name, client.kind, client.context.span_id) == ("GET", SpanKind.CLIENT, 0xAA)
    assert dict(client.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.full": "http://10.0.0.1:1/a?b=c",
        "server.address": "10.0.0.1",
        "server.port": 1,
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
    }
    assert server.resource.attributes["service.name"] == "front"
    assert server.resource.attributes["deployment.environment.name"] == "test"


def test_a_trace_that_begins_here_has_no_parent(otlp):
    assert spans(otlp, traced(exchange(), parent=None))[0].parent is None


@pytest.mark.parametrize(
    ("status", "fault", "failed", "kind"),
    [
        (404, None, False, None),
        (500, None, True, "500"),
        (502, faults.CLOSED_EARLY, True, "closed_early"),
        (499, faults.CLIENT_LEFT, False, "client_left"),
    ],
)
def test_what_went_wrong(otlp, status, fault, failed, kind):
    server = spans(otlp, traced(exchange(status=status, fault=fault)))[0]
    assert (server.status.status_code is StatusCode.ERROR) is failed
    assert server.attributes.get("error.type") == kind


def test_attempts_that_failed_are_spans_too(otlp):
    one = traced(exchange(tried=("10.0.0.1:1",)))
    one.answered = one.connected = 0.0
    one.clock.now = 1000.5
    attempts.close(one, 504)
    later = exchange(tried=("10.0.0.1:1", "unix:/run/app.sock"))
    one.tried, one.attempted, one.connected, one.answered = later.tried, 1000.5, 1000.75, 1001.0
    _, first, second = spans(otlp, one)
    assert (first.attributes["error.type"], first.status.status_code) == ("timeout", StatusCode.ERROR)
    assert "http.response.status_code" not in first.attributes and "http.request.resend_count" not in first.attributes
    assert (first.start_time, first.end_time) == (1_700_001_000_000_000_000, 1_700_001_000_500_000_000)
    assert second.attributes["http.request.resend_count"] == 1
    assert (second.attributes["server.address"], second.attributes["network.transport"]) == ("/run/app.sock", "unix")
    assert first.context.span_id != second.context.span_id


def test_methods_that_nobody_knows_do_not_make_names(otlp):
    one = traced(exchange(head=b"BREW /a HTTP/1.1\r\nHost: [::1]:8080\r\n"))
    server = spans(otlp, one)[0]
    assert server.name == "HTTP /"
    assert (server.attributes["http.request.method"], server.attributes["http.request.method_original"]) == (
        "_OTHER",
        "BREW",
    )
    assert (server.attributes["server.address"], server.attributes["server.port"]) == ("::1", 8080)


def test_secrets_of_a_query_are_not_sent(otlp):
    head = b"GET /a?x=1&sig=abc&Signature=d&design=e HTTP/1.1\r\nHost: door\r\n"
    server, client = spans(otlp, traced(exchange(head=head)))
    assert server.attributes["url.query"] == "x=1&sig=REDACTED&Signature=REDACTED&design=e"
    assert client.attributes["url.full"].endswith("?x=1&sig=REDACTED&Signature=REDACTED&design=e")


def test_a_collector_that_is_not_there_is_no_error(otlp):
    assert otlp([Finished(traced(one), one.course.trace) for one in [traced(exchange())]]) is False


# --- the thread ---------------------------------------------------------------------------------------------------


class Place:
    """A collector that the test holds up."""

    def __init__(self):
        self.open = threading.Event()
        self.open.set()
        self.batches = []
        self.threads = set()
        self.good = True

    def __call__(self, batch):
        self.open.wait(10)
        self.threads.add(threading.current_thread())
        self.batches.append(len(batch))
        if self.good == "raise":
            raise OSError("no way")
        return self.good


def told(spans, number):
    for _ in range(number):
        spans(traced(exchange()))


def test_a_thread_sends_what_the_tick_hands_over():
    place = Place()
    spans = Spans(place, "there", 1000)
    told(spans, 3)
    assert place.batches == []  # the loop has only appended
    spans.tick()
    told(spans, 300)
    spans.close()
    assert place.batches == [3, 256, 44]
    assert (spans.exported, spans.dropped, spans.failed) == (303, 0, 0)
    assert threading.current_thread() not in place.threads


def test_what_is_not_recorded_is_not_sent():
    spans = Spans(Place(), "there", 10)
    spans(traced(exchange(), sampled=False))
    spans(exchange())
    spans.close()
    assert spans.handed == spans.exported == spans.dropped == 0


def test_what_comes_beyond_the_bound_is_dropped_and_counted():
    place = Place()
    place.open.clear()
    spans = Spans(place, "there", 5)
    told(spans, 4)
    spans.tick()
    told(spans, 4)
    assert spans.dropped == 3
    place.open.set()
    spans.close()
    assert (spans.exported, spans.dropped) == (5, 3)


@pytest.mark.parametrize("good", [False, "raise"])
def test_a_failure_is_counted_and_told_once(good, caplog):
    place = Place()
    place.good = good
    spans = Spans(place, "there", 1000)
    for _ in range(3):
        told(spans, 2)
        spans.tick()
    spans.close()
    assert (spans.exported, spans.failed) == (0, 6)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("spans cannot be sent to there: ")


def test_an_end_without_any_span_waits_for_nobody():
    Spans(Place(), "there", 1).close()
