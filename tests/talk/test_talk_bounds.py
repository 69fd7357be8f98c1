"""Conversations about what time and rates bound: deadlines of requests, least rates of clients, ends of connections."""

from __future__ import annotations

import pytest
from stage import APP, KEPT, SOLO

ONE_PLACE = SOLO.replace('["10.0.0.1:1"]', '[{address = "10.0.0.1:1", max_conns = 1}]')
WEBSOCKET = b"Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"


def with_retry(words, base=APP):
    return base.replace("[site.all]", f"retry = {{ {words} }}\n[site.all]", 1)


def with_upstream(words, base=APP):
    return base.replace("[site.all]", f"{words}\n[site.all]", 1)


def warmed(door, client):
    """Every backend has an idle link."""
    for _ in door.backends:
        client.get(b"/warm")
        busy = next(backend for backend in door.backends.values() if backend.wires and backend.asked)
        busy.heard()
        busy.answers()
        client.heard()
    return client


def asked(door):
    """The backend with a request that nobody has read."""
    return next(backend for backend in door.backends.values() if backend.wires and backend.asked)


# --- the deadline of a request ----------------------------------------------------------------------------------------


def test_a_slow_upload_is_not_the_backends_time(opened):
    door = opened(with_upstream("breaker = { failures = 1 }", with_retry('deadline = "3s"', KEPT)))
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 6000\r\n\r\n" + b"x" * 4000)
    door.wait(4)
    client.says(b"x" * 2000)
    door.wait(2)
    door.backend().answers(b"well")
    assert client.answer("POST").body == b"well" and door.state().failures == 0


def test_what_a_streamed_body_takes_is_not_the_backends_time(opened):
    door = opened(with_retry('deadline = "3s"', SOLO))
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 6000\r\n\r\n" + b"x" * 4000)
    door.wait(4)
    client.says(b"x" * 2000)
    door.wait(2)
    assert not client.told
    door.wait(2)
    assert client.status("POST") == 504 and door.fault == "deadline"


@pytest.mark.parametrize("accepts", [True, None])
def test_a_deadline_that_cuts_an_attempt_short_says_nothing_about_the_backend(opened, accepts):
    door = opened(with_upstream("breaker = { failures = 1 }", with_retry('deadline = "2s"', SOLO)))
    door.backend().accepts = accepts
    client = door.client()
    client.get()
    door.wait(2.6)
    state = door.state()
    assert client.status() == 504 and door.fault == "deadline"
    assert state.failures == state.fails == 0 and not state.breaker.state


def test_an_attempt_that_has_had_its_own_time_is_one_that_failed(opened):
    door = opened(with_retry('deadline = "2s", per_try = "2s"', SOLO))
    client = door.client()
    client.get()
    door.wait(2.6)
    assert client.status() == 504 and door.fault == "read_timeout" and door.state().failures == 1


def test_a_deadline_ends_the_waiting_in_a_queue(opened):
    door = opened(with_retry('deadline = "2s"', ONE_PLACE) + '[timeouts]\nread = "9s"\n')
    first, second = door.client(), door.client()
    first.get(b"/first")
    second.get(b"/second")
    door.wait(1)
    assert not second.told
    door.wait(1.6)
    assert second.status() == 504 and door.fault == "deadline" and door.state().taken == 1


def test_whoever_waits_in_a_queue_has_what_is_left_of_its_time(opened):
    door = opened(with_retry('deadline = "3s"', ONE_PLACE))
    first, second = door.client(), door.client()
    first.get(b"/first")
    second.get(b"/second")
    door.wait(2.4)
    door.backend().answers(b"first")
    assert first.answer().body == b"first"
    door.wait(1.2)
    assert second.status() == 504 and door.fault == "deadline" and door.state().failures == 0


@pytest.mark.parametrize(
    ("words", "fault", "failures"),
    [('on = ["connect"], per_try = "2s"', "send_timeout", 1), ('deadline = "2s"', "deadline", 0)],
)
def test_a_backend_that_does_not_read_a_kept_body_has_no_more_time_than_others(opened, words, fault, failures):
    door = opened(with_retry(words, KEPT.replace(', "10.0.0.2:2", "10.0.0.3:3"', "")))
    client = warmed(door, door.client())
    door.backend().wire.jammed = True
    client.says(b"PUT / HTTP/1.1\r\nHost: door\r\nContent-Length: 400000\r\n\r\n" + b"x" * 200_000)
    client.says(b"x" * 200_000)
    door.wait(1)
    door.backend().flows(100_000)  # it takes a little now and then, which does not stretch its time
    door.wait(1.6)
    assert client.status("PUT") == 504 and door.fault == fault and door.state().failures == failures


def test_a_backend_that_takes_a_kept_body_in_time_has_the_time_it_takes(opened):
    door = opened(KEPT.replace(', "10.0.0.2:2", "10.0.0.3:3"', "") + '[timeouts]\nsend = "5s"\nread = "5s"\n')
    client = warmed(door, door.client())
    wire = door.backend().wire
    wire.jammed = True
    client.says(b"PUT / HTTP/1.1\r\nHost: door\r\nContent-Length: 400000\r\n\r\n" + b"x" * 200_000)
    client.says(b"x" * 200_000)
    for _ in range(5):
        door.wait(4)
        wire.flows()
    door.backend().answers(b"well")
    assert client.answer("PUT").body == b"well"


# --- answers that are tried again -------------------------------------------------------------------------------------


@pytest.mark.parametrize("trailers", [b"", b"X-A: b\r\n"])
def test_an_answer_that_is_dropped_ends_nothing_though_its_successor_has_begun(opened, trailers):
    """All in one read, and the next backend's link is idle: the exchange is that one's before the read is over."""
    door = opened(with_retry("on = [503]").replace('path = "/"', 'path = "/"\ntrailers = true'))
    client = warmed(door, door.client())
    before = len(door.finished)
    client.get(b"/one")
    busy = asked(door)
    busy.heard()
    body = b"x" * 20_000
    busy.says(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n%b\r\n0\r\n%b\r\n" % (body, trailers))
    assert not client.told and len(door.finished) == before
    client.get(b"/two")
    one = asked(door)
    assert one.request()[0] == b"GET /one HTTP/1.1"
    one.answers(b"one")
    two = asked(door)
    assert client.answer().body == b"one" and two.request()[0] == b"GET /two HTTP/1.1"
    two.answers(b"two")
    assert client.answer().body == b"two" and len(door.finished) == before + 2


def test_an_answer_is_not_dropped_for_a_backend_that_is_out_by_this_very_answer(opened):
    words = "breaker = { failures = 1, on = [500] }"
    door = opened(with_upstream(words, with_retry("on = [500], attempts = 2", SOLO)))
    client = door.client()
    client.get()
    door.backend().says(b"HTTP/1.1 500 No\r\nContent-Length: 7\r\n\r\ntro")
    door.backend().says(b"uble")
    answer = client.answer()
    assert answer.status == 500 and answer.body == b"trouble" and door.fault is None
    assert door.state().taken == door.state().settled == 1 and door.state().breaker.state


def test_a_tunnel_has_no_fault_of_an_attempt_before_it(opened):
    door = opened(APP)
    door.backend(0).accepts = False
    client = door.client()
    client.get(more=WEBSOCKET)
    door.backend(1).says(SWITCH)
    door.backend(1).hangs_up()
    assert door.last.status == 101 and door.fault is None and len(door.last.tried) == 2


# --- least rates ------------------------------------------------------------------------------------------------------


def test_the_rate_of_an_upload_cannot_be_saved_up(opened):
    door = opened(SOLO)
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 8000000\r\n\r\n")
    for _ in range(100):
        client.says(b"x" * 50_000)
    begun = door.clock.now
    while not door.finished and door.clock.now < begun + 600:
        door.wait(29)
        client.says(b"x")
    assert door.fault == "body_timeout" and door.clock.now - begun <= 90


def test_an_upload_in_bursts_goes_on(opened):
    door = opened(SOLO)
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(10):
        client.says(b"x" * 50_000)
        door.wait(25)
    assert not door.finished and not client.told


@pytest.mark.parametrize("config", [SOLO, KEPT])
def test_a_body_that_does_not_begin_has_ten_seconds(opened, config):
    """As long as a rate is not asked for; `client_body` is the time between two parts of one that is fast enough."""
    door = opened(config)
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 1000\r\n\r\n")
    door.wait(9)
    assert not client.told
    door.wait(2)
    assert client.status("POST") == 408 and door.fault == "body_timeout"


def test_without_a_least_rate_a_body_has_its_time(opened):
    door = opened(SOLO + "[http]\nmin_rate = 0\n")
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 1000\r\n\r\n")
    door.wait(29)
    assert not client.told
    door.wait(2)
    assert client.status("POST") == 408


def slow_reader(door, rate, most=300):
    """A client that takes so many bytes a second of 3 MB; how many seconds it is let."""
    client = door.client()
    client.jammed = True
    client.get()
    door.backend().request()
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n")
    for _ in range(60):
        door.backend().says(b"x" * 50_000)
    begun = door.clock.now
    while not door.finished and door.clock.now < begun + most:
        client.flows(rate)
        door.wait(1)
    return door.clock.now - begun


@pytest.mark.parametrize(("rate", "ends"), [(0, 31), (1_600, 31), (9_000, 31)])
def test_a_reader_below_the_least_rate_is_let_go_however_busy_it_is(opened, rate, ends):
    door = opened(KEPT + "[http]\nmin_rate = 10000\n")
    assert slow_reader(door, rate) <= ends and door.fault == "client_stalled"


def test_a_reader_above_it_is_not(opened):
    door = opened(KEPT + "[http]\nmin_rate = 10000\n")
    slow_reader(door, 12_000)
    assert door.last.fault is None or not door.finished


def test_without_a_least_rate_a_reader_has_the_time_to_send(opened):
    door = opened(KEPT + "[http]\nmin_rate = 0\n")
    assert 59 <= slow_reader(door, 0) <= 62 and door.fault == "client_stalled"


# --- ends -------------------------------------------------------------------------------------------------------------


def test_of_who_goes_on_sending_behind_its_answer_little_is_read(opened):
    door = opened(SOLO)
    client = door.client()
    client.says(b"nonsense\r\n\r\n")
    assert client.status() == 400 and client.eof_sent
    client.says(b"x" * 60_000)
    assert client.reading
    client.says(b"x" * 60_000)
    assert not client.reading and not client.gone  # it has time to find out
    door.wait(1.6)
    assert client.gone


def test_the_rest_of_a_body_that_nobody_wants_is_read_for_a_while(opened):
    """For many clients send all of it before they read the answer."""
    door = opened(SOLO)
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 99999999\r\n\r\n")
    assert client.status("POST") == 413 and client.eof_sent
    begun = door.clock.now
    while not client.gone and door.clock.now < begun + 60:
        client.says(b"x" * 100_000)
        assert client.reading
        door.wait(0.5)
    assert 5 <= door.clock.now - begun <= 6


def test_whoever_is_quiet_behind_its_answer_is_closed_a_second_later(opened):
    door = opened(SOLO)
    client = door.client()
    client.says(b"nonsense\r\n\r\n")
    assert client.status() == 400 and not client.gone
    for _ in range(3):
        client.says(b"x")
        door.wait(0.5)
    assert client.gone


# --- heads that drip --------------------------------------------------------------------------------------------------


def test_a_head_that_drips_is_read_as_any_other(opened):
    door = opened(SOLO)
    client = door.client()
    for byte in b"\r\n\r\nGET /one HTTP/1.1\r\nHost: door\r\nA: b\r\n\r\n":
        client.says(bytes([byte]))
    assert door.backend().request()[0] == b"GET /one HTTP/1.1"
    for byte in b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok":
        door.backend().says(bytes([byte]))
    assert client.heard().endswith(b"\r\n\r\nok") and door.last.status == 200


@pytest.mark.parametrize("who", ["client", "backend"])
def test_of_a_head_that_drips_a_bare_line_feed_is_found_at_once(opened, who):
    door = opened(SOLO)
    client = door.client()
    if who == "client":
        for byte in b"GET / HTTP/1.1\r\nHost: door\r\nA: b\n":
            client.says(bytes([byte]))
        assert client.status() == 400
    else:
        client.get()
        for byte in b"HTTP/1.1 200 OK\r\nA: b\n":
            door.backend().says(bytes([byte]))
        assert client.status() == 502 and door.fault == "bad_response"


def test_heads_with_bare_line_feeds_may_drip_where_they_are_let_pass(opened):
    door = opened(SOLO + '[http]\nbare_lf = "accept"\n')
    client = door.client()
    for byte in b"GET /one HTTP/1.1\nHost: door\nA: b\n\n":
        client.says(bytes([byte]))
    assert door.backend().request()[1][b"a"] == b"b"


# --- what a reload leaves ---------------------------------------------------------------------------------------------


def test_files_of_before_a_reload_count_behind_it(opened):
    config = KEPT + '[buffer]\nmemory = "1k"\ntotal = "1m"\n'
    door = opened(config)
    first, second = door.client(), door.client()
    for client in (first, second):
        client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 900000\r\n\r\n")
    first.says(b"x" * 600_000)
    door.reload(config.replace("1m", "2m"))
    assert door.runtime.spools.in_files >= 600_000 and door.runtime.spools.total == 2 << 20
    door.reload(config)
    second.says(b"x" * 600_000)
    assert second.status("POST") == 503 and door.fault == "no_space"
    first.resets()
    assert door.runtime.spools.in_files == 0
