"""Everything that is counted has a cell, and is counted once."""

from __future__ import annotations

import pytest

from proxy import build, ledger
from proxy.clock import Clock, Parking, Wheel
from proxy.config.model import Model
from proxy.downstream.h2.counts import KINDS
from proxy.downstream.h2.counts import WORDS as STREAM_WORDS
from proxy.downstream.shaken import REASONS
from proxy.faults import CONNECT_REFUSED
from proxy.observe.metrics import BUCKET_NAMES, CLASSES, METHOD_NAMES, FaultCounts
from proxy.shared.arena import Arena, Layout
from proxy.shared.breakers import Breakers
from proxy.shared.limit import OUTCOMES
from proxy.shared.memory import Memory
from proxy.shared.tally import Tally, made, size_for

MODEL = Model.model_validate(
    {
        "workers": 1,
        "log": {"access": "off"},
        "listen": {"web": {"address": "127.0.0.1:80"}, "other": {"address": "127.0.0.1:81", "redirect": "https"}},
        "limit": {"l": {"rate": "1r/s", "memory": "64k"}},
        "upstream": {
            "app": {
                "servers": ["10.0.0.1:1", {"address": "10.0.0.2:2", "max_conns": 1}],
                "max_fails": 1,
                "fail_timeout": 5,
            }
        },
        "site": {"s": {"names": ["s"], "route": [{"path": "/", "upstream": "app", "limits": ["l"]}]}},
    }
)


@pytest.fixture
def place():
    layout = Layout(ledger.counters(MODEL))
    arena = Arena(Memory(Arena.size(2, layout.capacity)), 2, layout)
    zones = {name: Memory(size) for name, size in build.zone_sizes(MODEL).items()}
    shared = (Breakers(Memory(Breakers.size(8)), 8), Tally(made(size_for(8, 2), 2), 2))
    return build.Place(Clock(1000.0), Wheel(), Parking(lambda at: None), arena, 1, zones, *shared)


def fill(times):
    """A histogram that has something everywhere."""
    times.cells[:] = [3] * len(BUCKET_NAMES)
    times.seconds = 0.5


def counted(place):
    """All cells that are not 0, by name."""
    cells = place.arena.cells(place.row)
    return {name: cells[column] for name, column in place.arena.layout.columns.items() if cells[column]}


def test_names_are_named_once():
    names = ledger.counters(MODEL)
    assert len(names) == len(set(names))


def test_everything_that_can_be_written_has_a_cell(place):
    runtime = build.runtime(MODEL, place)
    for counts in runtime.ledger.routes.values():
        counts.requests[:] = [2] * len(counts.requests)
        fill(counts.durations)
        counts.bytes_in, counts.bytes_out, counts.touched = 4, 5, True
    for outcomes in runtime.ledger.limits.values():
        outcomes[:] = [6] * len(OUTCOMES)
    for fault in runtime.ledger.faults.counts:
        runtime.ledger.faults.counts[fault] = 7
    for backend in runtime.upstreams["app"].backends:
        backend.take(1000.0)
        backend.settle(1000.0, True, True)
        backend.take(1000.0)
        counts = backend.counts
        counts.classes[:] = [8] * len(CLASSES)
        for times in (counts.headers, counts.wholes, counts.connects):
            fill(times)
        counts.touched = True
    for word in STREAM_WORDS:
        setattr(runtime.ledger.http2, word, 9)
    for kind in KINDS:
        runtime.ledger.http2.flood(kind)
    runtime.ledger.handshakes.full = runtime.ledger.handshakes.resumed = 9
    for reason in REASONS:
        runtime.ledger.handshakes.fail(reason)
    fill(runtime.ledger.lags)
    runtime.ledger.late(0.5)
    fill(runtime.upstreams["app"].queue.waits)
    runtime.ledger.connected(1)
    runtime.flush()
    found = counted(place)
    missing = set(ledger.counters(MODEL)) - set(found)
    # Counted where somebody asks for them, or the keeper's.
    unasked = {("worker", word) for word in ("reading", "writing", "looked_us", "watched_until_ms", "deeds")}
    assert ("worker", "started") in missing  # which the worker itself writes
    seldom = ("health", "drain", "up_since_ms", "ejections", "weight", "disabled", "pardons")
    others = {name for name in missing if name[-1] in seldom or "breaker" in name[-1]}
    idle = {("upstream", "app", word) for word in ("waits_since_us", "looked_us", "waiting", "retries")}
    assert missing - others - unasked == {("worker", "started"), *idle}
    assert set(runtime.ledger.routes) == {("-", "-", ""), ("s", "-", ""), ("s", "/", "app")}
    each = [found["route", "s", "/", "app", "requests", method, name] for method in METHOD_NAMES for name in CLASSES]
    assert set(each) == {2}
    assert {found["site", "s", "requests", name] for name in CLASSES} == {2 * 2 * len(METHOD_NAMES)}
    for place, routes in ((("route", "s", "/", "app"), 1), (("site", "s"), 2)):
        assert {found[*place, "duration", name] for name in BUCKET_NAMES} == {3 * routes}
        assert found[*place, "duration_us"] == 500_000 * routes
        assert (found[*place, "bytes_in"], found[*place, "bytes_out"]) == (4 * routes, 5 * routes)
    for word in ledger.TIMES:
        assert {found["backend", "app", "10.0.0.1:1", word, name] for name in BUCKET_NAMES} == {3}
        assert found["backend", "app", "10.0.0.1:1", f"{word}_us"] == 500_000
    assert {found["backend", "app", "10.0.0.1:1", "answers", name] for name in CLASSES} == {8}
    assert found["upstream", "app", "queued"] == 3 * len(BUCKET_NAMES)
    assert (
        found["upstream", "app", "budget_left"] == 100
    )  # ten a second for ten seconds, and a fifth of next to nothing
    assert found["worker", "lag_max_us"] == 500_000
    assert {found["limit", "l", outcome] for outcome in OUTCOMES} == {6}
    assert {found["fault", fault.name, "total"] for fault in FaultCounts().counts} == {7}
    for address in ("10.0.0.1:1", "10.0.0.2:2"):
        words = {word: found["backend", "app", address, word] for word in ledger.BACKEND_WORDS[:4]}
        assert words == {"taken": 2, "failures": 1, "inflight": 1, "down_until_ms": 1_005_000}
    assert (found["worker", "connections"], found["worker", "accepted"]) == (1, 1)


def test_nothing_is_counted_twice(place):
    runtime = build.runtime(MODEL, place)
    counts = runtime.ledger.routes["s", "/", "app"]
    counts.requests[0], counts.touched = 1, True
    runtime.ledger.faults.counts[CONNECT_REFUSED] = 1
    backend = runtime.upstreams["app"].backends[0]
    backend.take(1000.0)
    backend.settle(1000.0, True, True)
    runtime.flush()
    before = counted(place)
    runtime.flush()
    assert counted(place) == before
    successor = build.runtime(MODEL, place, runtime)
    successor.flush()
    assert counted(place) == before


def test_connections_come_and_go_but_stay_accepted(place):
    runtime = build.runtime(MODEL, place)
    for change in (1, 1, -1):
        runtime.ledger.connected(change)
    assert counted(place) == {("worker", "connections"): 1, ("worker", "accepted"): 2}


def test_a_backend_that_is_out_is_so_until_it_answers(place, caplog):
    runtime = build.runtime(MODEL, place)
    backend = runtime.upstreams["app"].backends[0]
    cell = ("backend", "app", "10.0.0.1:1", "down_until_ms")
    backend.take(1000.0)
    backend.trouble = "for a reason"
    backend.settle(1000.0, True, True)
    for _ in range(3):
        runtime.flush()
    assert counted(place)[cell] == 1_005_000
    assert counted(place)[(*cell[:3], "ejections")] == 1
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == "upstream app: 10.0.0.1:1 is left alone for 5 s after 1 failed attempts: for a reason"
    place.clock.now = 1006.0
    runtime.flush()
    assert cell not in counted(place) and len(caplog.records) == 1  # it may be tried; whether it answers is not known
    backend.take(1006.0)
    backend.settle(1006.0, False, True)
    for _ in range(3):
        runtime.flush()
    assert [record.getMessage() for record in caplog.records][1:] == ["upstream app: 10.0.0.1:1 answers again"]


def test_the_longest_lag_is_remembered_for_a_while(place):
    runtime = build.runtime(MODEL, place)
    runtime.ledger.late(0.3)
    runtime.ledger.late(0.004)
    runtime.flush()
    found = counted(place)
    assert found["worker", "lag_max_us"] == 300_000
    assert (found["worker", "lag", "0.5"], found["worker", "lag", "0.005"], found["worker", "lag_us"]) == (
        1,
        1,
        304_000,
    )
    for _ in range(2 * ledger.WINDOW):
        runtime.flush()
    assert ("worker", "lag_max_us") not in counted(place)
    assert counted(place)["worker", "lag", "0.5"] == 1
