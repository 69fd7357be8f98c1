"""Conversations with an upstream that has as many requests as it may have, and one that a reload changes meanwhile."""

from __future__ import annotations

import pytest
from stage import APP, KEPT, SOLO

ONE_PLACE = '[{ address = "10.0.0.1:1", max_conns = 1 }]'
BUSY = SOLO.replace('["10.0.0.1:1"]', ONE_PLACE)
BUSY_KEPT = KEPT.replace('["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"]', ONE_PLACE)
PAIR = SOLO.replace(
    '["10.0.0.1:1"]', '[{ address = "10.0.0.1:1", max_conns = 1 }, { address = "10.0.0.2:2", max_conns = 1 }]'
).replace("[site.all]", "max_fails = 0\n[site.all]", 1)
OTHER = '[upstream.other]\nservers = ["10.0.0.9:9"]\n'


def within(config, words):
    """The configuration with more lines in its upstream."""
    return config.replace("[site.all]", f"{words}\n[site.all]", 1)


def queue(door):
    return door.runtime.upstreams["app"].queue


def asked(door):
    """The target that a backend was asked for and that nobody has read yet."""
    return next(one for one in door.backends.values() if one.wires and one.asked).request()[0].split()[1]


# --- another attempt --------------------------------------------------------------------------------------------------


def test_another_attempt_waits_for_the_backends_that_it_may_have_and_holds_nobody_up(opened):
    door = opened(PAIR)
    first, second, third, fourth = (door.client() for _ in range(4))
    first.get(b"/1")
    second.get(b"/2")
    assert (asked(door), asked(door)) == (b"/1", b"/2")
    door.backend(0).wire.resets()  # /1 has to wait for the other backend; this one is free
    third.get(b"/3")
    assert asked(door) == b"/3" and len(queue(door)) == 1
    fourth.get(b"/4")
    assert len(queue(door)) == 2
    door.backend(0).answers(b"3")
    assert third.answer().body == b"3" and asked(door) == b"/4"
    door.backend(1).answers(b"2")
    assert second.answer().body == b"2" and asked(door) == b"/1"
    door.backend(1).answers(b"1")
    door.backend(0).answers(b"4")
    assert (first.answer().body, fourth.answer().body) == (b"1", b"4") and not len(queue(door))


def test_whoever_has_tried_all_hears_what_happened_and_blocks_nobody(opened):
    door = opened(PAIR)
    clients = [door.client() for _ in range(4)]
    for number, client in enumerate(clients):
        client.get(b"/%d" % number)
    for _ in range(len(clients) * 2):  # everybody fails at both
        backend = next(one for one in door.backends.values() if one.wires and one.asked)
        backend.request()
        backend.wire.resets()
    assert [client.status() for client in clients] == [502] * 4 and door.fault == "closed_early"
    assert not len(queue(door)) and not queue(door).busy()


def test_a_lost_race_with_a_closing_connection_costs_no_place_in_the_line(opened):
    door = opened(BUSY)
    first, second = door.client(), door.client()
    first.get(b"/0")
    asked(door)
    door.backend().answers()
    first.answer()
    first.get(b"/1")
    second.get(b"/2")
    asked(door)
    door.backend().wire.resets()
    assert asked(door) == b"/1"
    door.backend().answers(b"1")
    assert first.answer().body == b"1" and asked(door) == b"/2"
    door.backend().answers(b"2")
    assert second.answer().body == b"2"


def test_the_only_backend_is_waited_for_although_it_has_failed(opened):
    door = opened(BUSY)
    first, second, third = (door.client() for _ in range(3))
    first.get()
    door.backend().request()
    door.backend().wire.resets()
    assert first.status() == 502
    second.get(b"/2")
    third.get(b"/3")
    assert asked(door) == b"/2" and len(queue(door)) == 1
    door.backend().answers(b"2")
    assert asked(door) == b"/3"
    door.backend().answers(b"3")
    assert third.answer().body == b"3"


# --- who stands in ----------------------------------------------------------------------------------------------------

LATER = 'fallback = { status = 200, body = "later" }'


def test_when_breakers_open_those_who_wait_and_those_who_come_get_the_fallback(opened):
    door = opened(within(BUSY, f'breaker = {{ failures = 1 }}\n{LATER}\nqueue = {{ timeout = "20s" }}'))
    first, second, third = (door.client() for _ in range(3))
    first.get()
    second.get()
    door.backend().request()
    door.backend().answers(b"no", status=b"503 Service Unavailable")
    assert first.status() == 503 and second.answer().body == b"later"
    third.get()
    assert third.answer().body == b"later" and not len(queue(door))


def test_too_many_and_too_long_get_the_fallback(opened):
    door = opened(within(BUSY, f'queue = {{ size = 1, timeout = "1s" }}\n{LATER}'))
    first, second, third = (door.client() for _ in range(3))
    first.get()
    second.get()
    third.get()
    assert third.answer().body == b"later"
    second.hears_nothing()
    door.wait(1.5)
    assert second.answer().body == b"later"
    door.backend().answers(b"1")
    assert first.answer().body == b"1"


# --- reloads ----------------------------------------------------------------------------------------------------------

CHANGED = "[timeouts]\nread = '99s'\n"


def upload(door):
    """A client in the middle of its upload."""
    client = door.client()
    client.says(b"POST /up HTTP/1.1\r\nHost: door\r\nContent-Length: 10\r\n\r\n12345")
    return client


@pytest.mark.parametrize("reloads", [1, 3])
def test_who_gathered_its_body_meanwhile_waits_in_the_line_that_is_looked_after(opened, reloads):
    door = opened(BUSY_KEPT)
    late, first, third = upload(door), door.client(), door.client()
    first.get(b"/1")
    assert asked(door) == b"/1"
    for number in range(reloads):
        door.reload(BUSY_KEPT + CHANGED.replace("99", str(90 + number)))
    late.says(b"67890")
    third.get(b"/3")
    assert len(queue(door)) == 2
    door.backend().answers(b"1")
    assert first.answer().body == b"1" and asked(door) == b"/up"
    door.backend().answers(b"up")
    assert late.answer("POST").body == b"up" and asked(door) == b"/3"
    door.backend().answers(b"3")
    assert third.answer().body == b"3" and not queue(door).busy()


def test_who_pauses_before_another_attempt_meanwhile_is_not_forgotten(opened):
    door = opened(within(BUSY, 'retry = { attempts = 3, base = "2s", jitter = 0.0 }'))
    first, second = door.client(), door.client()
    first.get(b"/1")
    asked(door)
    door.backend().wire.resets()
    second.get(b"/2")
    assert asked(door) == b"/2"
    door.reload(BUSY + CHANGED)
    door.wait(2.5)
    assert len(queue(door)) == 1
    door.backend().answers(b"2")
    assert asked(door) == b"/1"
    door.backend().answers(b"1")
    assert first.answer().body == b"1"


@pytest.mark.parametrize("after", [SOLO, within(BUSY, "queue = { size = 0 }"), BUSY + CHANGED])
def test_those_who_wait_go_where_the_new_configuration_sends_them(opened, after):
    door = opened(BUSY)
    first, second = door.client(), door.client()
    first.get(b"/1")
    second.get(b"/2")
    assert asked(door) == b"/1" and len(queue(door)) == 1
    door.reload(after)
    if after is SOLO:  # there is room now
        assert asked(door) == b"/2"
        door.backend().answers(b"2")
        assert second.answer().body == b"2"
    elif queue(door) is None:  # nobody waits any more
        assert second.status() == 503 and door.fault == "no_backend"
    else:
        second.hears_nothing()
        assert len(queue(door)) == 1
    door.backend().wires[0].says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")
    assert first.answer().body == b"1"


def test_a_line_begins_and_ends_with_reloads_and_loses_nobody(opened):
    door = opened(SOLO)
    clients = [door.client() for _ in range(6)]
    for number, config in enumerate((SOLO, BUSY, BUSY + CHANGED, SOLO, BUSY, SOLO)):
        door.reload(config)
        clients[number].get(b"/%d" % number)
    door.wait(1)
    answered = 0
    while any(one.asked for one in door.backends.values()):
        for wire in [wire for wire in door.backend().wires if wire.told]:
            wire.heard()
            wire.says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            answered += 1
    assert answered == 6 and [client.status() for client in clients] == [200] * 6


def test_an_upstream_that_is_gone_still_serves_who_came_for_it(opened):
    door = opened(BUSY_KEPT)
    late, first, second = upload(door), door.client(), door.client()
    first.get(b"/1")
    second.get(b"/2")
    assert asked(door) == b"/1"
    without = APP.replace('servers = ["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"]', 'servers = ["10.0.0.9:9"]')
    without = without.replace("upstream.app", "upstream.other").replace('"app"', '"other"')
    door.reload(without)
    late.says(b"67890")
    door.backend().answers(b"1")
    assert first.answer().body == b"1" and asked(door) == b"/2"
    door.reload(without + CHANGED)
    door.backend().answers(b"2")
    assert second.answer().body == b"2" and asked(door) == b"/up"
    door.backend().answers(b"up")
    assert late.answer("POST").body == b"up"
    gone = door.runtime.orphans["app"]
    door.reload(BUSY_KEPT)  # and here it is again
    assert door.runtime.upstreams["app"] is gone and not door.runtime.orphans.keys() - {"other"}
    first.get(b"/3")
    assert asked(door) == b"/3"
    door.backend().answers(b"3")
    assert first.answer().body == b"3"


def test_who_waits_in_vain_at_an_upstream_that_is_gone_is_told(opened):
    door = opened(BUSY)
    first, second = door.client(), door.client()
    first.get(b"/1")
    second.get(b"/2")
    door.reload(OTHER + SOLO.replace('[upstream.app]\nservers = ["10.0.0.1:1"]\n', "").replace('"app"', '"other"'))
    door.wait(6)
    assert second.status() == 503 and door.fault == "queue_timeout"
    door.backend().answers(b"1")
    assert first.answer().body == b"1"
