"""What the admin door says about numbers that are known."""

from __future__ import annotations

import json

import pytest
from place import standing
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from proxy.admin.metrics import render
from proxy.admin.standing import Standing
from proxy.admin.status import status
from proxy.admin.views import answer
from proxy.config.model import Model
from proxy.shared.arena import Arena, Layout
from proxy.shared.memory import Memory


def samples(text):
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.values()))
            assert key not in found
            found[key] = sample.value
    return found


def rendered(place, monotonic=0.0):
    return render(place, monotonic)[1]


def test_metrics_can_be_parsed_and_add_up_all_workers():
    found = samples(rendered(standing()))
    expected = {
        ("frontgate_requests_total", "/", "2xx", "GET", "api", "app"): 110,
        ("frontgate_requests_total", "/", "2xx", "POST", "api", "app"): 10,
        ("frontgate_requests_total", "/", "5xx", "GET", "api", "app"): 1,
        ("frontgate_request_bytes_total", "api"): 1001,
        ("frontgate_response_bytes_total", "api"): 2002,
        ("frontgate_connections_open",): 12,
        ("frontgate_connections_total",): 120,
        ("frontgate_backend_requests_total", "127.0.0.1:8001", "app"): 110,
        ("frontgate_backend_failures_total", "127.0.0.1:8001", "app"): 3,
        ("frontgate_backend_in_flight", "127.0.0.1:8001", "app"): 3,
        ("frontgate_limit_requests_total", "passed", "per_ip"): 42,
        ("frontgate_limit_requests_total", "per_ip", "rejected"): 9,
        ("frontgate_faults_total", "read_timeout"): 4,
        ("frontgate_workers",): 2,
        ("frontgate_worker_restarts_total",): 2,
        ("frontgate_config_last_reload_success",): 1,
        ("frontgate_config_last_reload_timestamp_seconds",): 1000,
        ("frontgate_info", "1.2.3"): 1,
    }
    assert {key: found.get(key) for key in expected} == expected


def test_the_histogram_is_cumulative_and_agrees_with_itself():
    found = samples(rendered(standing()))
    name = "frontgate_request_duration_seconds"
    bucket = {
        key[1] if key[2] == "api" else key[2]: value
        for key, value in found.items()
        if key[0] == f"{name}_bucket" and "api" in key
    }
    assert bucket["0.001"] == 0
    assert bucket["0.005"] == 70
    assert bucket["0.05"] == 70
    assert bucket["0.1"] == 120
    assert bucket["+Inf"] == 121 == found[f"{name}_count", "api"]
    assert found[f"{name}_sum", "api"] == 3.0


@pytest.mark.parametrize(("now", "last"), [(4.9, 0), (5.5, 0), (7.0, 1)])
def test_backends_that_are_kept_out_or_configured_down_are_not_up(now, last):
    found = samples(rendered(standing(), now))
    ports = (8001, 8002, 8003, 8004)
    assert [found["frontgate_backend_up", f"127.0.0.1:{port}", "app"] for port in ports] == [1, 1, 0, last]


def test_the_only_backend_is_never_kept_out():
    model = Model.model_validate({"upstream": {"app": {"servers": ["127.0.0.1:8004"]}}})
    assert samples(rendered(standing(model=model), 4.9))["frontgate_backend_up", "127.0.0.1:8004", "app"] == 1


def test_metrics_come_in_the_form_that_is_asked_for():
    plain = answer(standing(), "GET", "/metrics", "text/html, */*;q=0.1")
    assert plain.content_type == "text/plain; version=0.0.4; charset=utf-8"
    asked = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5"
    modern = answer(standing(), "GET", "/metrics", asked)
    assert modern.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert modern.body.endswith(b"# EOF\n")
    names = [family.name for family in open_metrics(modern.body.decode())]
    assert "frontgate_requests" in names and len(names) == len(set(names))


def test_a_refused_reload_is_seen():
    found = samples(rendered(standing(reload_good=False, reloaded=2000.0)))
    assert found["frontgate_config_last_reload_success",] == 0
    assert found["frontgate_config_last_reload_timestamp_seconds",] == 2000


def test_names_with_quotes_and_line_breaks_stay_valid():
    layout = Layout([("fault", 'a"b\\c\nd', "total")])
    odd = Standing(Model(), Arena(Memory(Arena.size(2)), 2, layout), "1", 0.0)
    assert samples(rendered(odd))["frontgate_faults_total", 'a"b\\c\nd'] == 0


def test_an_empty_arena_is_no_error():
    empty = Standing(Model(), Arena(Memory(Arena.size(2)), 2, Layout()), "1", 0.0)
    assert samples(rendered(empty))["frontgate_connections_open",] == 0
    assert status(empty, 0.0)["upstreams"] == {}
    assert status(standing(), 0.0)["version"] == "1.2.3"


def test_status_tells_of_workers_backends_limits_and_sites():
    found = json.loads(answer(standing(), "GET", "/status").body)
    assert [(w["slot"], w["pid"], w["connections"]) for w in found["workers"]] == [(0, 4711, 5), (1, 4712, 7)]
    app = found["upstreams"]["app"]
    assert app["balance"] == "least_conn"
    assert app["backends"][0] == {
        "address": "127.0.0.1:8001",
        "state": "up",
        "weight": 3,
        "in_flight": 3,
        "requests": 110,
        "failures": 3,
        "breaker": "closed",
        "breaker_opened": 0,
    }
    limit = found["limits"]["per_ip"]
    assert (limit["rate"], limit["burst"]) == (10, 20)
    assert (limit["passed"], limit["delayed"], limit["rejected"]) == (42, 0, 9)
    assert found["sites"]["api"]["requests"]["2xx"] == 120
    assert found["listeners"]["web"] == {"address": "0.0.0.0:8443", "tls": False, "redirect": None}


@pytest.mark.parametrize(("now", "last"), [(4.9, "down"), (5.5, "down"), (7.0, "up")])
def test_a_backend_is_down_while_a_worker_keeps_it_out(now, last):
    backends = status(standing(), now)["upstreams"]["app"]["backends"]
    assert [one["state"] for one in backends] == ["up", "backup", "down", last]


@pytest.mark.parametrize(
    ("method", "target", "code"),
    [
        ("GET", "/healthz", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/status?x=1", 200),
        ("GET", "/", 404),
        ("GET", "/healthz/", 404),
        ("POST", "/status", 405),
        ("DELETE", "/nowhere", 404),
    ],
)
def test_paths_and_methods(method, target, code):
    assert answer(standing(), method, target).status == code


def test_without_workers_nobody_is_healthy():
    assert answer(standing(), "GET", "/healthz").body == b"ok\n"
    assert answer(standing(pids={}), "GET", "/healthz").status == 503
