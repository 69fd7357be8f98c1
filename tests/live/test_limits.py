"""Limits through real workers: nginx's numbers, from one zone that all workers share and that outlives them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from door import backend, kill, saying, stopped, until
from strain import Watch
from wires import CleanDoor, Response, Wire, readable

CONFIG = """
workers = 2
[listen.web]
address = "127.0.0.1:{port}"
[limit.l]
rate = "{rate}"
burst = {burst}
{mode}
memory = "64k"
[upstream.app]
servers = ["127.0.0.1:{backend}"]
[site.s]
default = true
[[site.s.route]]
path = "/"
upstream = "app"
limits = ["l"]
[[site.s.route]]
path = "/free"
upstream = "app"
"""


@pytest.fixture
def app() -> Iterator[int]:
    with backend(saying(b"hello")) as port:
        yield port


def limited(app: int, rate: str, burst: int, mode: str = "nodelay = true") -> CleanDoor:
    """A door with one limit."""
    return CleanDoor(CONFIG, backend=app, rate=rate, burst=burst, mode=mode)


def volley(door: CleanDoor, number: int, *lines: str) -> list[tuple[float, Response]]:
    """Requests on so many connections that all are there when the workers look; the answers in the order they came,
    with seconds since then."""
    wires = [door.client() for _ in range(number)]
    until(lambda: sum(worker["connections"] for worker in door.status()["workers"]) >= number)
    request = "\r\n".join(("GET / HTTP/1.1", "Host: localhost", *lines, "", "")).encode()
    with stopped(*door.workers()):
        for wire in wires:
            wire.wire.send(request)
        began = time.monotonic()
    answers: list[tuple[float, Response]] = []
    left: set[Wire] = set(wires)
    while left:
        ready = readable(left, 5.0)
        assert ready, f"{len(left)} of {number} are not answered"
        now = time.monotonic() - began
        for wire in ready:
            answers.append((now, wire.response()))
            left.remove(wire)
            wire.wire.close()
    return answers


def test_of_30_at_once_over_2_workers_21_pass(app: int) -> None:
    with limited(app, "10r/s", 20) as door:
        accepted = [worker["accepted"] for worker in door.status()["workers"]]
        answers = [answer for _, answer in volley(door, 30)]
        now = [worker["accepted"] for worker in door.status()["workers"]]
        assert all(later > earlier for later, earlier in zip(now, accepted, strict=True)), "one worker had them all"
        assert sorted(answer.status for answer in answers) == [200] * 21 + [429] * 9
        for answer in answers:
            if answer.status == 429:
                assert answer.get("retry-after") == b"1"
                assert answer.get("ratelimit-policy") == b'"l";q=21;w=3'
                assert (answer.get("ratelimit") or b"").startswith(b'"l";r=0;t=')
            else:
                assert answer.get("ratelimit") is answer.get("retry-after") is None
        until(lambda: door.limit() == {"passed": 21, "delayed": 0, "rejected": 9})
        text = door.get_admin("/metrics").body.decode()
        assert 'frontgate_limit_requests_total{limit="l",outcome="passed"} 21.0' in text
        assert 'frontgate_limit_requests_total{limit="l",outcome="rejected"} 9.0' in text
        assert door.get("/free").status == 200


def test_delays_are_nginx_s(app: int) -> None:
    """5r/s burst 12 delay 8: of 14, nine pass at once, four wait 200, 400, 600 and 800 ms, one is rejected."""
    with limited(app, "5r/s", 12, "delay = 8") as door:
        watch = Watch()
        answers = volley(door, 14)
        late = 0.06 + watch.lost
        assert [answer.status for _, answer in answers].count(429) == 1
        passed = [seconds for seconds, answer in answers if answer.status == 200]
        assert all(seconds < late for seconds in passed[:9]), passed
        for seconds, expected in zip(passed[9:], (0.2, 0.4, 0.6, 0.8), strict=True):
            assert expected - 0.06 < seconds < expected + late, passed
        until(lambda: door.limit() == {"passed": 9, "delayed": 4, "rejected": 1})


def test_a_client_that_leaves_while_it_is_delayed_leaves_nothing(app: int) -> None:
    with limited(app, "5r/s", 12, "delay = 0") as door:
        wires = [door.client() for _ in range(5)]
        for wire in wires:
            wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: door.limit()["passed"] + door.limit()["delayed"] == 5)
        for wire in wires:
            wire.reset()
        until(lambda: sum(worker["connections"] for worker in door.status()["workers"]) == 0)
        until(lambda: door.get("/free").status == 200)
        assert door.backend()["requests"] <= 3


def test_without_a_burst_one_passes(app: int) -> None:
    with limited(app, "1r/m", 0, "nodelay = false") as door:
        statuses = [answer.status for _, answer in volley(door, 10)]
        assert sorted(statuses) == [200] + [429] * 9


def test_a_killed_worker_does_not_forget(app: int) -> None:
    with limited(app, "1r/m", 4) as door:
        assert sorted(answer.status for _, answer in volley(door, 8)) == [200] * 5 + [429] * 3
        for _ in range(2):
            before = door.workers()
            kill(before[0])
            until(lambda dead=before[0]: len(door.workers()) == 2 and dead not in door.workers())
            assert [answer.status for _, answer in volley(door, 10)] == [429] * 10
        assert all(answer.get("retry-after") is not None for _, answer in volley(door, 3))


def test_a_reload_does_not_forget_an_unchanged_limit(app: int) -> None:
    with limited(app, "1r/m", 4) as door:
        assert sorted(answer.status for _, answer in volley(door, 8)) == [200] * 5 + [429] * 3
        door.reload(f'{CONFIG}[[site.s.route]]\npath = "/new"\nreply = {{ body = "new" }}\n')
        assert door.get("/new").body == b"new"
        assert [answer.status for _, answer in volley(door, 10)] == [429] * 10
        until(lambda: door.limit()["rejected"] == 13)


def test_a_dry_run_rejects_nobody(app: int) -> None:
    with limited(app, "1r/m", 2, "nodelay = true\ndry_run = true") as door:
        assert [answer.status for _, answer in volley(door, 20)] == [200] * 20
        until(lambda: door.status()["limits"]["l"]["dry_rejected"] == 17)


def test_a_header_can_be_the_key(app: int) -> None:
    with limited(app, "1r/m", 0, 'nodelay = true\nkey = "header:X-Key"\nheaders = "always"\nstatus = 503') as door:
        assert [answer.status for _, answer in volley(door, 5)] == [200] * 5  # an empty key is not limited
        for key in ("a", "b"):
            answers = [answer for _, answer in volley(door, 5, f"X-Key: {key}")]
            assert sorted(answer.status for answer in answers) == [200] + [503] * 4
            assert all(answer.get("ratelimit-policy") == b'"l";q=1;w=63' for answer in answers)
