"""What is counted of backends: answers, and the times that they took, through retries, queues and slow answers."""

from __future__ import annotations

import pytest
from stage import APP, SOLO

from proxy.policy.counts import BUCKET_NAMES, CLASSES


def answers(stage, number=0):
    """Answers of a backend by class, those that there are."""
    counts = stage.state(number).counts
    counts.gather()
    return {name: count for name, count in zip(CLASSES, counts.classes, strict=True) if count}


def times(histogram):
    return {name: count for name, count in zip(BUCKET_NAMES, histogram.cells, strict=True) if count}


def test_an_answer_that_takes_its_time(opened):
    stage = opened(SOLO)
    client = stage.client()
    client.get()
    stage.clock.now += 0.02
    backend = stage.backend()
    backend.says(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
    stage.clock.now += 0.3
    backend.says(b"cd")
    assert client.status() == 200
    counts = stage.state().counts
    assert answers(stage) == {"2xx": 1}
    assert (times(counts.headers), times(counts.wholes)) == ({"0.025": 1}, {"0.5": 1})
    assert (counts.headers.seconds, counts.wholes.seconds) == pytest.approx((0.02, 0.32))
    assert times(counts.connects) == {"0.001": 1}


def test_only_connections_that_are_made_are_counted(opened):
    stage = opened(SOLO)
    client = stage.client()
    for _ in range(3):
        client.get()
        stage.clock.now += 0.002
        stage.backend().answers()
        assert client.status() == 200
    counts = stage.state().counts
    counts.gather()
    assert sum(counts.connects.cells) == 1
    assert times(counts.headers) == times(counts.wholes) == {"0.0025": 3}


def test_an_attempt_without_an_answer_is_no_answer(opened):
    stage = opened(APP)
    client = stage.client()
    client.get()
    stage.backend(0).resets()
    asked = next(number for number in (1, 2) if stage.backend(number).wires)
    stage.backend(asked).answers(status=b"404 Not Found")
    assert client.status() == 404
    assert answers(stage, 0) == {} and answers(stage, asked) == {"4xx": 1}


def test_an_answer_that_is_dropped_for_another_attempt_counts_as_one(opened):
    stage = opened(APP + "retry = { on = [503] }\n")
    client = stage.client()
    client.get()
    stage.clock.now += 0.2
    stage.backend(0).answers(status=b"503 Service Unavailable")
    asked = next(number for number in (1, 2) if stage.backend(number).wires)
    stage.backend(asked).answers()
    assert client.status() == 200
    assert answers(stage, 0) == {"5xx": 1} and answers(stage, asked) == {"2xx": 1}
    assert times(stage.state(0).counts.wholes) == {"0.25": 1}


def test_an_answer_that_breaks_off_was_the_backends_own(opened):
    stage = opened(SOLO)
    client = stage.client()
    client.get()
    stage.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
    stage.backend().hangs_up()
    assert client.gone
    assert answers(stage) == {"2xx": 1}


def test_who_leaves_before_the_answer_leaves_no_time(opened):
    stage = opened(SOLO)
    client = stage.client()
    client.get()
    client.hangs_up()
    assert answers(stage) == {}


def test_an_error_page_of_ours_does_not_hide_what_the_backend_said(opened):
    page = 'intercept = true\nerror_pages = [{ status = [500], to = "/sorry" }]\n'
    stage = opened(SOLO + page + '[[site.all.route]]\npath = "/sorry"\nreply = { status = 200, body = "sorry" }\n')
    client = stage.client()
    client.get()
    stage.clock.now += 0.1
    stage.backend().answers(status=b"500 Internal Server Error")
    client.answer()
    assert answers(stage) == {"5xx": 1}


def test_nothing_is_counted_where_nothing_is_to_be(opened):
    stage = opened("[metrics]\nbackends = false\nroutes = false\n" + SOLO)
    client = stage.client()
    client.get()
    stage.backend().answers()
    assert client.status() == 200
    assert stage.state().counts is None
    assert ("all", "", "") in stage.runtime.ledger.routes


@pytest.mark.parametrize("method", [b"GET", b"OPTIONS"])
def test_a_status_that_no_class_has(opened, method):
    stage = opened(SOLO + "script = [{ return = 777 }]\n")
    client = stage.client()
    client.says(b"%b / HTTP/1.1\r\nHost: door\r\n\r\n" % method)
    assert client.heard().startswith(b"HTTP/1.1 777")
    counts = stage.runtime.ledger.routes["all", "/", "app"]
    assert dict(zip(CLASSES, counts.classes(), strict=True))["other"] == sum(counts.requests) == 1
