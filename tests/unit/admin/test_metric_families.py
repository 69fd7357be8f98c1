"""Families of metrics over numbers that are known: what is shown, and what is left out."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from place import MODEL, standing
from prometheus_client.parser import text_string_to_metric_families

from proxy import ledger
from proxy.admin.metrics import processes, render
from proxy.admin.metrics.sums import Sums
from proxy.admin.standing import Standing
from proxy.config.model import Model
from proxy.downstream.h2.counts import COUNTED
from proxy.downstream.shaken import COUNTED as HANDSHAKES
from proxy.policy.breaker import OPEN
from proxy.policy.counts import BUCKET_NAMES
from proxy.policy.seats import BROKEN, OF_ALL, SERVING, WORDS
from proxy.shared.arena import Arena, Layout
from proxy.shared.memory import Memory
from proxy.shared.redis.counts import WORDS as REDIS_WORDS


def filled(names, model=MODEL):
    """A Standing that counts these names too, with numbers in the first worker's row."""
    layout = Layout([*ledger.counters(model), *names])
    arena = Arena(Memory(Arena.size(4, layout.capacity)), 4, layout)
    return standing(model=model, arena=arena), arena


def put(arena, number, *name, row=0):
    arena.cells(row)[arena.column(name)] = number


def samples(place):
    text = render(place, 0.0)[1].decode()
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_sums_are_of_all_rows_and_of_one_instant():
    arena = filled([])[1]
    for row in range(4):
        put(arena, 10**row, "site", "api", "bytes_in", row=row)
    sums = Sums(arena)
    put(arena, 9, "site", "api", "bytes_in")
    assert sums.of("site", "api", "bytes_in") == 1111
    assert sums.of("nobody", "counts", "this") == 0 and not sums.has("nobody")
    assert sums.places("backend", 2)[0] == ("app", "127.0.0.1:8001")
    assert sums.places("nothing", 1) == []


def test_a_histogram_of_a_backend_in_canonical_bounds():
    place, arena = filled([])
    where = ("backend", "app", "127.0.0.1:8001", "header")
    for number, bound in enumerate(BUCKET_NAMES):
        put(arena, number, *where, bound)
    put(arena, 1_500_000, *where[:-1], "header_us")
    found = samples(place)
    labels = ("backend=127.0.0.1:8001", "upstream=app")
    name = "frontgate_backend_header_seconds"
    assert found[f"{name}_bucket", labels[0], "le=1.0", labels[1]] == sum(range(10))
    assert found[f"{name}_bucket", labels[0], "le=+Inf", labels[1]] == sum(range(14))
    assert (found[f"{name}_count", *labels], found[f"{name}_sum", *labels]) == (sum(range(14)), 1.5)


def test_combinations_that_have_not_occurred_are_left_out():
    found = samples(standing())
    assert len([key for key in found if key[0] == "frontgate_requests_total"]) == 3
    assert not [key for key in found if key[0].startswith("frontgate_route_duration")]


def test_series_stay_few_however_much_there_is():
    """So many as the documentation says, when everything has occurred."""
    place, arena = filled([])
    for name in arena.layout:
        put(arena, 1, *name)
    found = samples(place)
    route = [key for key in found if "route=/" in key]
    assert len([key for key in route if key[0] == "frontgate_requests_total"]) == 48
    assert len(route) == 48 + 18
    assert len([key for key in found if "backend=127.0.0.1:8001" in key]) <= 66


def test_the_state_of_breakers():
    model = Model.model_validate(
        {"upstream": {"app": {"servers": ["127.0.0.1:8001", "127.0.0.1:8002"], "breaker": {}}}}
    )
    place, arena = filled([], model)
    put(arena, OPEN, "backend", "app", "127.0.0.1:8001", "breaker", row=1)
    found = samples(place)

    def state(port):
        words = ("closed", "open", "probing")
        return [
            found["frontgate_breaker_state", f"backend=127.0.0.1:{port}", f"state={w}", "upstream=app"] for w in words
        ]

    assert (state(8001), state(8002)) == ([0, 1, 0], [1, 0, 0])


def test_lag_is_of_each_worker():
    place, arena = filled([])
    put(arena, 3, "worker", "lag", "0.001", row=0)
    put(arena, 5, "worker", "lag", "+Inf", row=1)
    put(arena, 70_000_000, "worker", "lag_max_us", row=1)
    found = samples(place)
    assert found["frontgate_event_loop_lag_seconds_count", "worker=0"] == 3
    assert found["frontgate_event_loop_lag_seconds_bucket", "le=10.0", "worker=1"] == 0
    assert found["frontgate_event_loop_lag_seconds_count", "worker=1"] == 5
    assert found["frontgate_event_loop_lag_max_seconds", "worker=1"] == 70.0


def test_redis_and_applications_are_shown_where_they_are():
    names = [("redis", word) for word in (*REDIS_WORDS, "duration_us")]
    names += [("redis", "duration", bound) for bound in BUCKET_NAMES]
    names += [("app", "main", word) for word in OF_ALL]
    names += [("app", "main", str(seat), word) for seat in (0, 1, 2) for word in WORDS]
    place, arena = filled(names)
    for word, number in (("answered", 7), ("late", 2), ("left_alone", 1)):
        put(arena, number, "redis", word)
    put(arena, 7, "redis", "duration", "0.001")
    for seat, state in (("0", SERVING), ("1", BROKEN)):
        put(arena, state, "app", "main", seat, "state")
        put(arena, 1000, "app", "main", seat, "memory")
    put(arena, 4, "app", "main", "1", "restarts")
    put(arena, 2, "app", "main", "rollbacks")
    found = samples(place)
    assert found["frontgate_redis_decisions_total", "outcome=late"] == 2
    assert found["frontgate_redis_duration_seconds_count",] == 7
    assert found["frontgate_redis_nodes_left_alone",] == 1
    states = {key[1:3]: value for key, value in found.items() if key[0] == "frontgate_app_worker_state" and value}
    assert len(states) == 2 and ("app=main", "seat=2") not in states  # nobody sits there
    assert found["frontgate_app_worker_restarts_total", "app=main", "seat=1"] == 4
    assert found["frontgate_app_rollbacks_total", "app=main"] == 2
    bare = samples(standing())
    assert not [key for key in bare if "redis" in key[0] or "_app_" in key[0]]


def test_http2_is_counted():
    place, arena = filled([("http2", word) for word in COUNTED])
    for word in COUNTED:
        put(arena, 3, "http2", word)
    found = samples(place)
    assert found["frontgate_http2_streams_total",] == found["frontgate_http2_resets_total", "by=client"] == 3
    assert found["frontgate_http2_floods_total", "kind=reset"] == 3


def test_handshakes_are_shown_by_kind_and_reason():
    place, arena = filled([("tls", word) for word in HANDSHAKES])
    for number, word in enumerate(HANDSHAKES):
        put(arena, number, "tls", word)
    found = samples(place)
    assert found["frontgate_tls_handshakes_total", "kind=resumed"] == 1
    assert found["frontgate_tls_handshake_failures_total", "reason=tls"] == len(HANDSHAKES) - 1


@pytest.mark.debian
def test_promtool_takes_everything_that_can_be_shown():
    if shutil.which("promtool") is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    place, arena = filled([("http2", word) for word in COUNTED])
    for name in arena.layout:
        put(arena, 1, *name)
    text = render(place, 0.0)[1]
    ran = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, b"")


# --- processes ----------------------------------------------------------------------------------------------------


def test_our_own_process():
    found = processes.usage(os.getpid())
    assert found.memory > 1 << 20 and found.busy > 0.0 and found.files > 2
    assert found.most is None or found.most >= found.files
    assert 1_000_000_000 < found.began < 10_000_000_000


def test_a_process_that_is_gone_or_lives_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "PROC", tmp_path)
    assert processes.usage(1) == (None,) * 5


def test_a_name_with_blanks_and_brackets(monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "PROC", tmp_path)
    folder = tmp_path / "7"
    (folder / "fd").mkdir(parents=True)
    fields = ["S", "1", *["0"] * 9, "100", "50", *["0"] * 6, "400", "0", "123"]
    (folder / "stat").write_text(f"7 (a) b (c) {' '.join(fields)}\n")
    (folder / "limits").write_text("Max open files            unlimited            unlimited            files\n")
    found = processes.usage(7)
    assert found.memory == 123 * os.sysconf("SC_PAGE_SIZE")
    assert found.busy == 150 / os.sysconf("SC_CLK_TCK")
    assert (found.files, found.most) == (0, None)


def test_a_host_with_thousands_of_routes_can_still_be_scraped():
    routes = [{"path": f"/{number}", "upstream": "app"} for number in range(300)]
    upstream = {"app": {"servers": ["127.0.0.1:8001"]}}
    model = Model.model_validate({"upstream": upstream, "site": {"s": {"names": ["s"], "route": routes}}})
    layout = Layout(ledger.counters(model), capacity=1 << 16)
    arena = Arena(Memory(Arena.size(2, layout.capacity)), 2, layout)
    place = Standing(model, arena, "1", 0.0)
    for number in range(300):
        put(arena, 1, "route", "s", f"/{number}", "app", "requests", "GET", "2xx")
    assert render(place, 0.0)[1].count(b"frontgate_requests_total{") == 300
