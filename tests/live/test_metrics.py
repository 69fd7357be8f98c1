"""The metrics of a whole frontgate: what Prometheus reads, and that dashboard and alerts speak of what is there."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from certificates import certify
from door import Door, backend, free_port, kill, saying, until
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families
from running import app_text

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
workers = 2
runtime = "r"
[trace]
share = 0.5
export = "http://127.0.0.1:{dead}/v1/traces"
[redis]
url = "redis://127.0.0.1:{dead}/0"
[limit.few]
rate = "1r/m"
[limit.shared]
rate = "100r/s"
burst = 20
nodelay = true
shared = "redis"
[listen.web]
address = "127.0.0.1:{port}"
[listen.secret]
address = "127.0.0.1:0"
tls = true
[app.main]
app = "main:app"
workers = 1
[upstream.main]
metrics = "/metrics"
[upstream.app]
servers = [{ address = "127.0.0.1:{backend}", max_conns = 9 }]
breaker = {}
metrics = "/metrics"
[upstream.gone]
servers = ["127.0.0.1:{dead}"]
[site.s]
default = true
certificate = "tls.pem"
key = "tls.key"
[[site.s.route]]
path = "/"
upstream = "app"
limits = ["shared"]
[[site.s.route]]
path = "/limited"
upstream = "app"
limits = ["few"]
[[site.s.route]]
path = "/main"
upstream = "main"
[[site.s.route]]
path = "/gone"
match = "exact"
upstream = "gone"
"""
METRIC = re.compile(r"\b(frontgate_[a-z0-9_]+)\b(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
BY = re.compile(r"\b(?:by|without|on|ignoring) \(([^)]*)\)")
LEGEND = re.compile(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}")


def samples(text):
    """Labels of all samples by name."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def value(door, name, **labels):
    """One number, added up over the labels that are not given."""
    found = samples(door.get_admin("/metrics").body.decode()).get(name, [])
    return sum(number for own, number in found if labels.items() <= own.items())


def promtool(*words, text=None):
    """What promtool says; the test is skipped without it."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    ran = subprocess.run(["promtool", *words], input=text, capture_output=True, text=True, timeout=30, check=False)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def scraped():
    """A door where everything has happened, and what it tells: its own metrics, and the applications'."""
    with backend(saying(b"# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total 7\n")) as port:
        door = Door(CONFIG, backend=port, dead=free_port())
        (door.folder / "main.py").write_text(app_text())
        certify(door.folder)
        with door:
            assert [door.get(path).status for path in ("/", "/limited", "/limited", "/gone")] == [200, 200, 429, 502]
            assert door.get("/any", method="HEAD").status == 200
            until(lambda: door.get("/main").status == 200)
            until(lambda: value(door, "frontgate_requests_total", site="s") >= 6)
            until(lambda: value(door, "frontgate_event_loop_lag_seconds_count", worker="1") > 3)
            until(lambda: value(door, "frontgate_app_worker_resident_memory_bytes") > 0)
            yield door, door.get_admin("/metrics").body.decode(), door.get_admin("/metrics/app").body.decode()


def test_requests_by_everything_that_is_promised(scraped):
    found = samples(scraped[1])
    requests = {tuple(sorted(labels.items())): number for labels, number in found["frontgate_requests_total"]}

    def asked(route, upstream, method, status):
        labels = {"site": "s", "route": route, "upstream": upstream, "method": method, "status": status}
        return requests[tuple(sorted(labels.items()))]

    assert asked("/", "app", "GET", "2xx") == asked("/", "app", "HEAD", "2xx") == 1
    assert asked("/limited", "app", "GET", "2xx") == asked("/limited", "app", "GET", "4xx") == 1
    assert asked("= /gone", "gone", "GET", "5xx") == 1
    assert asked("/main", "main", "GET", "2xx") >= 1


def test_times_are_counted_where_they_are_spent(scraped):
    door, text, _ = scraped
    found = samples(text)
    place = {"upstream": "app", "backend": f"127.0.0.1:{door.words['backend']}"}
    for name in ("frontgate_backend_header_seconds", "frontgate_backend_duration_seconds"):
        assert [number for labels, number in found[f"{name}_count"] if labels == place] == [3.0]
    connects = [number for labels, number in found["frontgate_backend_connect_seconds_count"] if labels == place]
    assert 1.0 <= connects[0] <= 3.0
    answers = [
        number for labels, number in found["frontgate_backend_responses_total"] if place.items() <= labels.items()
    ]
    assert sum(answers) == 3.0
    gone = [number for labels, number in found["frontgate_backend_responses_total"] if labels["upstream"] == "gone"]
    assert sum(gone) == 0.0


def test_every_process_has_memory_and_time(scraped):
    found = samples(scraped[1])
    wanted = [("keeper", ""), ("master", ""), ("worker", "0"), ("worker", "1")]
    for name in ("resident_memory_bytes", "cpu_seconds_total", "open_fds", "max_fds", "start_time_seconds"):
        of = {
            (labels["process"], labels.get("worker", "")): number
            for labels, number in found[f"frontgate_process_{name}"]
        }
        assert sorted(of) == wanted
        assert all(number > 0 for number in of.values())


@pytest.mark.debian
def test_promtool_has_nothing_to_say(scraped):
    for text in scraped[1:]:
        assert promtool("check", "metrics", text=text) == (0, "")


def test_open_metrics_say_the_same(scraped):
    door, text, _ = scraped
    wire = http.client.HTTPConnection("127.0.0.1", door.admin, timeout=10)
    wire.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    answer = wire.getresponse()
    families = {family.name for family in open_metrics(answer.read().decode())}
    wire.close()
    plain = {family.name.removesuffix("_total") for family in text_string_to_metric_families(text)}
    assert families == plain


def speaks_of(expression, words=""):
    """The metrics of a query with their matchers, and the labels that it speaks of besides."""
    metrics = [(name, MATCHER.findall(inner)) for name, inner in METRIC.findall(expression)]
    labels = {label.strip() for inner in BY.findall(expression) for label in inner.split(",")} | set(
        LEGEND.findall(words)
    )
    return metrics, labels - {"le"}


def missing(expression, words, found):
    """What a query speaks of that no sample has."""
    metrics, labels = speaks_of(expression, words)
    own = set()
    for name, matchers in metrics:
        if name not in found:
            yield name
            continue
        own |= {label for labels, _ in found[name] for label in labels}
        for label, sign, wanted in matchers:
            values = {labels.get(label) for labels, _ in found[name]}
            parts = set() if "$" in wanted else set(wanted.split("|")) if sign == "=~" else {wanted}
            yield from (f"{name}{{{label}={part}}}" for part in parts - values)
            if label not in own:
                yield f"{name}{{{label}}}"
    yield from (f"{expression}: {label}" for label in labels - own)


def queries_of_the_dashboard():
    dashboard = json.loads((ROOT / "config" / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"], target["legendFormat"]
    for one in dashboard["annotations"]["list"]:
        yield one["expr"], ""
    for one in dashboard["templating"]["list"]:
        if one["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", one["query"]["query"]).groups()
            yield f"sum by ({label}) ({metric})", ""


def queries_of_the_alerts():
    """Without a reader of YAML: an expression goes up to the next key."""
    text = (ROOT / "config" / "prometheus-alerts.yml").read_text()
    rules = re.split(r"^      - alert: ", text, flags=re.M)[1:]
    assert len(rules) > 15
    for rule in rules:
        yield (
            re.search(r"expr: \|?(.*?)^        (?:for|labels):", rule, re.M | re.S)[1],
            rule.partition("annotations:")[2],
        )


@pytest.mark.parametrize("queries", [queries_of_the_dashboard, queries_of_the_alerts])
def test_dashboard_and_alerts_speak_of_what_is_there(scraped, queries):
    found = {**samples(scraped[1]), **samples(scraped[2])}
    asked = list(queries())
    assert len(asked) > 15
    absent = [what for expression, words in asked for what in missing(expression, words, found)]
    assert sorted(set(absent)) == []


def test_a_query_about_nothing_is_found():
    found = samples('frontgate_requests_total{site="s",status="2xx"} 1\n')
    assert list(missing("rate(frontgate_request_total[5m])", "", found)) == ["frontgate_request_total"]
    assert list(missing('frontgate_requests_total{status="5xx"}', "", found)) == [
        "frontgate_requests_total{status=5xx}"
    ]
    assert list(missing('frontgate_requests_total{state=~"$x"}', "", found)) == ["frontgate_requests_total{state}"]
    assert len(list(missing("sum by (route) (frontgate_requests_total)", "{{route}}", found))) == 1
    assert list(missing('sum by (site) (frontgate_requests_total{status=~"2xx"})', "{{ $labels.site }}", found)) == []


@pytest.mark.debian
def test_the_alerts_do_what_they_say():
    for words in (("check", "rules", "prometheus-alerts.yml"), ("test", "rules", "prometheus-alerts-test.yml")):
        code, said = promtool(*words[:2], str(ROOT / "config" / words[2]))
        assert code == 0, said


def test_the_applications_own_metrics_are_shown_with_their_backends(scraped):
    door, _, text = scraped
    where = f'upstream="app",backend="127.0.0.1:{door.words["backend"]}"'
    assert f"jobs_total{{{where}}} 7" in text.splitlines()
    assert f"frontgate_app_metrics_up{{{where}}} 1" in text.splitlines()
    (seat,) = [line for line in text.splitlines() if line.startswith("# upstream main:")]
    assert seat.endswith("sent no metrics: line 1 is no sample")  # it answers everything with JSON


def test_deaths_are_counted_by_kind():
    with backend(saying(b"ok")) as port, Door(CONFIG_SMALL, backend=port) as door:
        assert door.get("/").status == 200
        before = value(door, "frontgate_requests_total")
        kill(door.workers()[0])
        until(lambda: value(door, "frontgate_worker_restarts_total") == 1)
        until(lambda: len(door.workers()) == 1)
        assert value(door, "frontgate_keeper_restarts_total") == 0
        keeper = next(pid for pid in door.children() if pid not in door.workers())
        kill(keeper)
        until(lambda: value(door, "frontgate_keeper_restarts_total") == 1)
        assert value(door, "frontgate_worker_restarts_total") == 1
        assert value(door, "frontgate_requests_total") >= before  # what was counted stays
        assert value(door, "frontgate_backend_in_flight") == value(door, "frontgate_requests_in_flight") == 0


CONFIG_SMALL = """
workers = 1
[metrics]
routes = false
backends = false
[listen.web]
address = "127.0.0.1:{port}"
[upstream.app]
servers = ["127.0.0.1:{backend}"]
[site.s]
default = true
[[site.s.route]]
path = "/"
upstream = "app"
"""


def test_what_costs_can_be_left_out():
    with backend(saying(b"ok")) as port, Door(CONFIG_SMALL, backend=port) as door:
        assert door.get("/").status == 200
        until(lambda: value(door, "frontgate_requests_total", site="s", method="GET", status="2xx") == 1)
        text = door.get_admin("/metrics").body.decode()
        assert 'route="/"' not in text
        assert "frontgate_backend_duration_seconds_bucket" not in text
        assert value(door, "frontgate_request_duration_seconds_count", site="s") == 1
        door.reload(CONFIG_SMALL.replace("routes = false", "").replace("backends = false", ""))
        assert door.get("/").status == 200
        until(lambda: value(door, "frontgate_route_duration_seconds_count", route="/") == 1)
        until(lambda: value(door, "frontgate_backend_duration_seconds_count", upstream="app") == 1)
        assert door.stop(signal.SIGTERM) == 0
