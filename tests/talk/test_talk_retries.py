"""Conversations about trying once more, and about waiting for a backend that is busy."""

from __future__ import annotations

import pytest
from stage import APP, SOLO

FALLBACK = 'fallback = { status = 200, body = "later" }\n[site.all]'
ONE_PLACE = SOLO.replace('["10.0.0.1:1"]', '[{address = "10.0.0.1:1", max_conns = 1}]')


def with_retry(words, base=APP):
    return base.replace("[site.all]", f"retry = {{ {words} }}\n[site.all]", 1)


# --- retries ----------------------------------------------------------------------------------------------------------


def test_a_status_is_tried_again_elsewhere(opened):
    door = opened(with_retry("on = [503]"))
    client = door.client()
    client.get()
    door.backend(0).answers(b"busy", status=b"503 Service Unavailable")
    door.backend(1).answers(b"fine")
    answer = client.answer()
    assert answer.body == b"fine" and len(door.last.tried) == 2 and door.state(0).fails == 1


def test_the_last_answer_is_the_answer(opened):
    door = opened(with_retry("on = [503]"))
    client = door.client()
    client.get()
    for number in range(3):
        door.backend(number).answers(b"busy %d" % number, status=b"503 Service Unavailable")
    answer = client.answer()
    assert answer.status == 503 and answer.body == b"busy 2"


def test_a_post_is_not_tried_again_for_its_status(opened):
    door = opened(with_retry("on = [503]"))
    client = door.client()
    client.post(b"x")
    door.backend(0).answers(b"busy", status=b"503 Service Unavailable")
    assert client.status("POST") == 503 and not door.backend(1).wires


@pytest.mark.parametrize(
    ("words", "more"),
    [("on = [503], non_idempotent = true", b""), ("on = [503], idempotency_key = true", b"Idempotency-Key: 1\r\n")],
)
def test_a_post_is_tried_again_when_that_is_safe(opened, words, more):
    door = opened(with_retry(words))
    client = door.client()
    client.post(b"x", more=more)
    door.backend(0).answers(b"busy", status=b"503 Service Unavailable")
    door.backend(1).answers(b"fine")
    assert client.status("POST") == 200


def test_a_key_alone_changes_nothing(opened):
    door = opened(with_retry("on = [503]"))
    client = door.client()
    client.post(b"x", more=b"Idempotency-Key: 1\r\n")
    door.backend(0).answers(b"busy", status=b"503 Service Unavailable")
    assert client.status("POST") == 503


def test_a_timeout_is_tried_again_when_it_is_asked_for(opened):
    door = opened(with_retry('on = ["timeout"], per_try = "1s"'))
    client = door.client()
    client.get()
    door.backend(0).heard()
    door.wait(1.6)
    door.backend(1).answers()
    assert client.status() == 200


def test_an_answer_that_drips_does_not_stretch_its_time(opened):
    door = opened(with_retry('on = ["timeout"], per_try = "2s"'))
    client = door.client()
    client.get()
    for letter in b"HTTP/1":
        door.wait(0.5)
        if not door.backend(0).gone:
            door.backend(0).says(bytes([letter]))
    assert door.backend(0).gone
    door.backend(1).answers()
    assert client.status() == 200


def test_a_malformed_answer_is_tried_again_when_it_is_asked_for(opened):
    door = opened(with_retry('on = ["invalid"]'))
    client = door.client()
    client.get()
    door.backend(0).says(b"HELLO\r\n\r\n")
    door.backend(1).answers()
    assert client.status() == 200


def test_nothing_is_tried_again_when_that_is_off(opened):
    door = opened(with_retry("on = []"))
    door.backend(0).accepts = False
    client = door.client()
    client.get()
    assert client.status() == 502 and not door.backend(1).wires


def test_attempts_go_round_when_there_are_more_of_them_than_backends(opened):
    door = opened(with_retry("attempts = 5"))
    for backend in door.backends.values():
        backend.accepts = False
    client = door.client()
    client.get()
    assert client.status() == 502
    assert sorted(one.address for one in door.last.tried[:3]) == ["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"]


def test_the_same_backend_after_a_pause(opened):
    door = opened(with_retry('attempts = 3, base = "1s", jitter = 0.0', SOLO))
    door.backend().accepts = False
    client = door.client()
    client.get()
    assert len(door.state().pool.links) == 0 and door.state().taken == 1
    door.wait(1.1)
    assert door.state().taken == 2
    door.backend().accepts = True
    door.wait(1.5)
    assert door.state().taken == 2
    door.wait(1)
    door.backend().answers()
    assert client.status() == 200 and door.state().taken == 3


def test_a_client_that_leaves_during_a_pause(opened):
    door = opened(with_retry('attempts = 3, base = "1s", jitter = 0.0', SOLO))
    door.backend().accepts = False
    client = door.client()
    client.get()
    client.resets()
    door.wait(5)
    assert door.state().taken == 1 and door.fault == "client_left"


def test_the_deadline_ends_it(opened):
    door = opened(with_retry('attempts = 9, base = "1s", jitter = 0.0, deadline = "2s"', SOLO))
    door.backend().accepts = False
    client = door.client()
    client.get()
    door.wait(1.2)
    assert door.state().taken == 2 and client.status() == 502


def test_the_deadline_bounds_an_answer_that_does_not_come(opened):
    door = opened(with_retry('deadline = "2s"', SOLO))
    client = door.client()
    client.get()
    door.wait(2.6)
    assert client.status() == 504


def test_the_budget_is_spent(opened):
    door = opened(
        with_retry("on = [503], budget = 0.0, floor = 1", APP.replace("[site.all]", "max_fails = 0\n[site.all]", 1))
    )
    client = door.client()
    tried = []
    for _ in range(20):
        client.get()
        while not client.told:
            backend = next(one for one in door.backends.values() if one.wires and one.asked)
            backend.heard()
            backend.answers(b"busy", status=b"503 Service Unavailable")
        client.answer()
        tried.append(len(door.last.tried))
    assert sum(tried) - 20 == 10  # one a second, saved up for ten


def test_fallback(opened):
    door = opened(ONE_PLACE.replace("[site.all]", 'queue = { size = 0 }\nfallback = { body = "later" }\n[site.all]', 1))
    first, second = door.client(), door.client()
    first.get()
    second.get()
    answer = second.answer()
    assert answer.status == 503 and answer.body == b"later"
    door.backend().answers()
    assert first.status() == 200


def test_fallback_to_another_upstream(opened):
    text = ONE_PLACE.replace("[site.all]", 'queue = { size = 0 }\nfallback = { upstream = "b" }\n[site.all]', 1)
    door = opened(text + "[upstream.b]\nservers = ['10.0.0.9:9']\n")
    first, second = door.client(), door.client()
    first.get()
    second.get()
    door.backend(1).answers(b"b")
    assert second.answer().body == b"b"


# --- the queue --------------------------------------------------------------------------------------------------------


def test_first_come_first_served(opened):
    door = opened(ONE_PLACE)
    clients = [door.client() for _ in range(4)]
    for number, client in enumerate(clients):
        client.get(b"/%d" % number)
    for number, client in enumerate(clients):
        assert door.state().inflight.total() == 1
        assert door.backend().request()[0] == b"GET /%d HTTP/1.1" % number
        door.wait(0.5)
        door.backend().answers(b"%d" % number)
        assert client.answer().body == b"%d" % number
    assert [round(one.queued, 1) for one in door.finished] == [0.0, 0.5, 1.0, 1.5]


def test_whoever_leaves_the_queue_is_not_sent(opened):
    door = opened(ONE_PLACE)
    first, second, third = (door.client() for _ in range(3))
    first.get(b"/1")
    second.get(b"/2")
    third.get(b"/3")
    second.resets()
    assert door.fault == "client_left"
    door.backend().request()
    door.backend().answers()
    assert first.status() == 200 and door.backend().request()[0] == b"GET /3 HTTP/1.1"


def test_a_full_queue_and_one_who_waits_too_long(opened):
    door = opened(ONE_PLACE.replace("[site.all]", 'queue = { size = 1, timeout = "2s" }\n[site.all]', 1))
    first, second, third = (door.client() for _ in range(3))
    first.get()
    second.get()
    third.get()
    answer = third.answer()
    assert answer.status == 503 and answer["retry-after"] and door.fault == "queue_full"
    door.wait(2.6)
    answer = second.answer()
    assert answer.status == 503 and answer["retry-after"] and door.fault == "queue_timeout"
    door.backend().answers()
    assert first.status() == 200


def test_the_queue_moves_with_a_reload(opened):
    door = opened(ONE_PLACE)
    first, second = door.client(), door.client()
    first.get(b"/1")
    second.get(b"/2")
    door.reload(ONE_PLACE + "[timeouts]\nread = '99s'\n")
    door.backend().request()
    door.backend().answers()
    assert first.status() == 200 and door.backend().request()[0] == b"GET /2 HTTP/1.1"
    door.backend().answers()
    assert second.status() == 200


def test_a_failed_attempt_frees_a_place_too(opened):
    door = opened(ONE_PLACE)
    first, second = door.client(), door.client()
    first.get(b"/1")
    second.get(b"/2")
    door.backend().request()
    door.backend().wire.resets()
    assert first.status() == 502
    assert door.backend().request()[0] == b"GET /2 HTTP/1.1"
    door.backend().answers()
    assert second.status() == 200


def test_nobody_pauses_for_a_server_that_is_not_there(opened):
    door = opened(with_retry('base = "4s", jitter = 0.0', SOLO))
    door.backend().accepts = False
    client = door.client()
    client.get()
    assert client.status() == 502 and door.fault == "connect_refused"
    door.runtime.flush()
    assert door.arena.total(("upstream", "app", "retries")) == 0 and door.alarm == float("inf")


def test_a_retry_that_nobody_can_take_costs_no_budget(opened):
    door = opened(with_retry("budget = 0.0, floor = 1", SOLO))
    door.backend().accepts = False
    client = door.client()
    for _ in range(30):
        client.get()
        assert client.status() == 502
    assert door.runtime.upstreams["app"].affords(door.last)


def test_a_retry_is_counted_when_it_is_made(opened):
    door = opened(with_retry('base = "1s", jitter = 0.0'))
    door.backend(0).accepts = False
    client = door.client()
    client.get()
    retries = door.runtime.upstreams["app"]
    assert retries.retries == 0
    door.wait(1.5)
    assert retries.retries == 1
    door.backend(1).answers()
    assert client.status() == 200


def test_whoever_stands_in_does_not_pause(opened):
    door = opened(with_retry('base = "4s", jitter = 0.0', SOLO).replace("[site.all]", FALLBACK, 1))
    door.backend().accepts = False
    client = door.client()
    client.get()
    assert client.answer().body == b"later"


def test_a_request_that_fells_backends_fells_two_and_puts_none_aside(opened):
    door = opened(APP)
    client = door.client()
    client.get()
    for _ in range(2):
        backend = next(one for one in door.backends.values() if one.wires and one.asked)
        backend.heard()
        backend.wire.resets()
    assert client.status() == 502 and len(door.last.tried) == 2
    assert not any(door.state(number).out(door.clock.now) for number in range(3))


def test_whoever_refused_has_had_nothing_and_the_next_is_asked(opened):
    door = opened(APP)
    first, second, third = door.backends.values()
    first.accepts = second.accepts = False
    client = door.client()
    client.get()
    third.heard()
    third.answers()
    assert client.status() == 200 and len(door.last.tried) == 3


def test_refusals_between_two_failures_change_nothing(opened):
    door = opened(APP)
    second, third = list(door.backends.values())[1:]
    client = door.client()
    client.get()
    second.accepts = False
    door.backend(0).heard()
    door.backend(0).wire.resets()
    third.heard()
    third.wire.resets()
    assert client.status() == 502 and len(door.last.tried) == 3


def test_every_server_once_when_that_is_written(opened):
    door = opened(with_retry("attempts = 0"))
    client = door.client()
    client.get()
    for _ in range(3):
        backend = next(one for one in door.backends.values() if one.wires and one.asked)
        backend.heard()
        backend.wire.resets()
    assert client.status() == 502 and len(door.last.tried) == 3
