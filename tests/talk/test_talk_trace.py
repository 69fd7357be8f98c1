"""Traces of requests: what a backend hears of them, whoever asked."""

from __future__ import annotations

import json
import re
import sys

import pytest
from stage import APP, SOLO

from proxy.observe.access_log import JsonLog
from proxy.observe.log_line import LogLine
from proxy.policy.tracing import trace_of
from proxy.policy.variables import vocabulary

TRACE, SPAN = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"
CAME = b"traceparent: 00-" + TRACE + b"-" + SPAN + b"-01\r\n"
WRITTEN = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])")
TRACED = "[trace]\n" + SOLO


def asked(stage, more=b"", place="10.0.0.1:1"):
    """Ask with these fields; what the backend heard: trace, span, flags, and the state."""
    client = stage.client()
    client.get(more=more)
    _, fields, _ = stage.backends[place].request()
    stage.backends[place].answers()
    assert client.status() == 200
    match = WRITTEN.fullmatch(fields[b"traceparent"])
    assert match is not None, fields
    return *match.groups(), fields.get(b"tracestate")


def test_a_trace_begins_at_the_door(opened):
    stage = opened(TRACED)
    first, second = asked(stage), asked(stage)
    assert first[2:] == (b"01", None)
    assert first[0] != second[0] and first[1] != second[1]
    assert first[0] != b"0" * 32 and first[1] != b"0" * 16


def test_a_trace_goes_on_with_our_span_as_its_parent(opened):
    stage = opened(TRACED)
    trace, span, flags, state = asked(stage, CAME + b"TraceState: a=1, b=2\r\ntracestate: c=3\r\n")
    assert (trace, flags, state) == (TRACE, b"01", b"a=1,b=2,c=3")
    assert span != SPAN
    exchange = stage.finished[-1]
    assert trace_of(exchange).span == span and trace_of(exchange).parent.span == SPAN


def test_what_is_not_recorded_stays_so(opened):
    assert asked(opened(TRACED), CAME.replace(b"-01\r", b"-00\r"))[::2] == (TRACE, b"00")


@pytest.mark.parametrize(
    "came", [CAME + CAME, CAME.replace(b"00-", b"ff-"), CAME.replace(TRACE, b"0" * 32), b"traceparent: x\r\n", b""]
)
def test_what_is_invalid_is_taken_out_with_its_state(opened, came):
    trace, _, flags, state = asked(opened(TRACED), came + b"tracestate: a=1\r\n")
    assert trace != TRACE and (flags, state) == (b"01", None)


def test_a_state_that_is_invalid_is_taken_out_alone(opened):
    assert asked(opened(TRACED), CAME + b"tracestate: a=1,a=2\r\n")[::3] == (TRACE, None)


@pytest.mark.parametrize(("share", "flags"), [("0", {b"00"}), ("1.0", {b"01"}), ("0.5", {b"00", b"01"})])
def test_a_share_of_those_that_begin_here_is_recorded(opened, share, flags):
    stage = opened(f"[trace]\nshare = {share}\n" + SOLO)
    assert {asked(stage)[2] for _ in range(40)} == flags


def test_the_share_goes_by_the_id_so_that_others_decide_alike(opened):
    stage = opened("[trace]\nshare = 0.25\n" + SOLO)
    for _ in range(40):
        trace, _, flags, _ = asked(stage)
        assert (int(trace[16:], 16) < 1 << 62) is (flags == b"01")


@pytest.mark.parametrize(
    ("trusted", "goes_on"), [('["192.0.2.0/24"]', True), ('["10.0.0.0/8", "unix"]', False), ("[]", False)]
)
def test_only_traces_of_trusted_peers_go_on_when_there_are_such(opened, trusted, goes_on):
    stage = opened(f"[trace]\ntrusted = {trusted}\n" + SOLO)
    client = stage.client(peer=("192.0.2.7", 4711))
    client.get(more=CAME + b"tracestate: a=1\r\n")
    _, fields, _ = stage.backends["10.0.0.1:1"].request()
    stage.backends["10.0.0.1:1"].answers()
    assert (TRACE in fields[b"traceparent"]) is goes_on
    assert (fields.get(b"tracestate") == b"a=1") is goes_on


def test_without_the_table_the_fields_pass_as_they_came(opened):
    stage = opened(SOLO)
    client = stage.client()
    client.get(more=b"traceparent: anything\r\ntracestate: at all\r\n")
    _, fields, _ = stage.backends["10.0.0.1:1"].request()
    stage.backends["10.0.0.1:1"].answers()
    assert (fields[b"traceparent"], fields[b"tracestate"]) == (b"anything", b"at all")
    assert stage.finished[-1].course is None


def test_a_route_may_leave_it_out(opened):
    stage = opened(TRACED + "traced = false\n")
    client = stage.client()
    client.get(more=b"traceparent: anything\r\n")
    assert stage.backends["10.0.0.1:1"].request()[1][b"traceparent"] == b"anything"
    stage.backends["10.0.0.1:1"].answers()


def test_a_second_attempt_is_of_the_same_trace(opened):
    stage = opened("[trace]\n" + APP)
    client = stage.client()
    client.get(more=CAME)
    first = stage.backends["10.0.0.1:1"]
    heard = [first.request()[1][b"traceparent"]]
    first.resets()
    second = next(one for name, one in stage.backends.items() if name != "10.0.0.1:1" and one.wires)
    heard.append(second.request()[1][b"traceparent"])
    second.answers()
    assert client.status() == 200
    assert len(set(heard)) == 1 and TRACE in heard[0]  # one span of ours, as nobody looks at spans


def test_requests_that_are_composed_say_it_too(opened):
    for more in ('proxy = { path = "/x" }\n', 'proxy = { identity = false, host = "h" }\n'):
        trace, span, _, state = asked(opened(TRACED + more), CAME + b"tracestate: a=1\r\n")
        assert (trace, state) == (TRACE, b"a=1") and span != SPAN


def test_who_sets_the_field_itself_has_the_last_word(opened):
    stage = opened(TRACED + 'proxy = { set_headers = [{ name = "traceparent", value = "mine" }] }\n')
    client = stage.client()
    client.get(more=CAME)
    assert stage.backends["10.0.0.1:1"].request()[1][b"traceparent"] == b"mine"
    stage.backends["10.0.0.1:1"].answers()


def test_the_log_knows_it(opened):
    form = "$trace_id $span_id $parent_span_id $trace_sampled"
    stage = opened(TRACED)
    trace, span, _, _ = asked(stage, CAME)
    line = LogLine(form, vocabulary().getter)
    assert line(stage.finished[-1]).split() == [trace, span, SPAN, b"1"]
    asked(stage)
    assert line(stage.finished[-1]).split()[2] == b"-"


def test_json_has_both_ids(opened):
    stage = opened(TRACED)
    trace, span, _, _ = asked(stage, CAME)
    lines = []
    JsonLog(lines.append, stage.clock)(stage.finished[-1])
    found = json.loads(lines[0])
    assert (found["trace_id"], found["span_id"]) == (trace.decode(), span.decode())


def test_what_is_answered_without_a_backend_has_a_trace(opened):
    stage = opened(TRACED + '[[site.all.route]]\npath = "/here"\nreply = { status = 204 }\n')
    client = stage.client()
    client.get(b"/here", more=CAME)
    assert client.status() == 204
    assert trace_of(stage.finished[-1]).trace == TRACE


EXPORT = '[trace]\nexport = "http://127.0.0.1:9/v1/traces"\n' + SOLO


def test_without_the_extra_the_configuration_is_refused(opened, monkeypatch):
    monkeypatch.setitem(sys.modules, "proxy.observe.otel", None)
    with pytest.raises(ValueError, match=r'not installed: pip install "frontgate\[otel\]" first'):
        opened(EXPORT)


def test_spans_outlive_a_reload_that_leaves_their_place(opened):
    stage = opened(EXPORT)
    spans = stage.runtime.traces.spans
    stage.reload(EXPORT + "# the same\n")
    assert stage.runtime.traces.spans is spans
    stage.reload(EXPORT.replace(":9/", ":10/"))
    assert stage.runtime.traces.spans is not spans
    stage.reload(SOLO)
    assert stage.runtime.traces.spans is None


def test_each_attempt_that_is_followed_has_a_span_of_its_own(opened):
    stage = opened(EXPORT.replace(SOLO, APP))
    client = stage.client()
    client.get(more=CAME)
    first = stage.backends["10.0.0.1:1"]
    heard = [first.request()[1][b"traceparent"]]
    first.resets()
    second = next(one for name, one in stage.backends.items() if name != "10.0.0.1:1" and one.wires)
    heard.append(second.request()[1][b"traceparent"])
    second.answers()
    assert client.status() == 200
    trace = trace_of(stage.finished[-1])
    assert [text.split(b"-")[2] for text in heard] == [span for _, span in trace.attempts]
    assert len({trace.span, *(span for _, span in trace.attempts)}) == 3
    assert stage.runtime.traces.spans._gathered[-1].trace is trace


def test_what_is_not_recorded_is_not_followed(opened):
    stage = opened(EXPORT)
    _, span, _, _ = asked(stage, CAME.replace(b"-01\r", b"-00\r"))
    assert trace_of(stage.finished[-1]).span == span
    assert stage.runtime.traces.spans._gathered == []


def test_what_we_ask_ourselves_is_of_the_same_trace(opened):
    stage = opened(TRACED + 'auth_request = { path = "/auth" }\n[[site.all.route]]\npath = "/auth"\nupstream = "app"\n')
    client = stage.client()
    client.get(b"/x", more=CAME)
    line, fields, _ = stage.backend().request()
    assert line.startswith(b"GET /auth ") and fields[b"traceparent"].count(TRACE) == 1
    stage.backend().answers(status=b"204 No Content", body=b"")
    _, later, _ = stage.backend().request()
    assert later[b"traceparent"] == fields[b"traceparent"]
    stage.backend().answers()
    assert client.status() == 200
