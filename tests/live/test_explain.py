"""Why this backend: any exchange can be explained, by the API and by the command, while it is kept."""

from __future__ import annotations

import http.client
import socket
import time

from admin_line import change, explained, read
from configs import fixed, plain
from door import Door, backend, free_port, head_of, kill, saying, until

THREE = 'balance = "least_conn"\nservers = [{servers}]'
KEPT = "[explain]\nkeep = 50"


def servers(*ports: int) -> str:
    return ", ".join(f'"127.0.0.1:{port}"' for port in ports)


def ask(door: Door, path: str, request_id: str) -> int:
    """One request with an id of ours; its status."""
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
    connection.request("GET", path, headers={"X-Request-ID": request_id, "Connection": "close"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def told(door: Door, request_id: str):
    return until(lambda: explained(door, request_id), what=f"the explanation of {request_id}")


def test_an_exchange_is_explained_with_candidates_the_strategys_reason_and_its_attempts():
    dead = free_port()
    config = plain(KEPT, workers=2, upstream=THREE)
    with backend(saying(b"one")) as one, Door(config, servers=servers(dead, one)) as door:
        ids = [f"request-{number}" for number in range(4)]
        assert [ask(door, f"/{number}", one) for number, one in enumerate(ids)] == [200] * 4
        found = [told(door, one) for one in ids]
        retried = next(one for one in found if len(one["tries"]) == 2)
        first, second = retried["picks"]
        assert first["chosen"] == f"127.0.0.1:{dead}" and second["chosen"] == f"127.0.0.1:{one}"
        assert "0 in flight per weight 1 is the least of 2" in first["why"]
        assert [candidate["address"] for candidate in first["candidates"]] == [f"127.0.0.1:{dead}", f"127.0.0.1:{one}"]
        assert [candidate["tried"] for candidate in second["candidates"]] == [True, False]
        failed, answered = retried["tries"]
        assert failed["status"] is None and "refused" in failed["fault"]
        assert answered["status"] == 200 and answered["answered"] > 0
        assert retried["target"] == f"/{ids.index(retried['request_id'])}" and retried["site"] == "s"
        assert retried["backend"] == f"127.0.0.1:{one}" and retried["attempts"] == 2
        times = [moment["after"] for moment in retried["timeline"]]
        assert times == sorted(times) and retried["timeline"][-1]["what"] == "finished with 200"


def test_the_command_tells_the_same_to_people():
    with backend(saying(b"one")) as one, Door(plain(KEPT, upstream=THREE), servers=servers(one)) as door:
        assert ask(door, "/hello", "mine") == 200
        told(door, "mine")
        done = door.command("explain", "mine")
        assert done.returncode == 0, done.stderr
        assert "GET /hello was answered 200" in done.stdout and "it is the only backend" in done.stdout
        assert f"127.0.0.1:{one}" in done.stdout and "finished with 200" in done.stdout
        assert "mine" in door.command("explain", "--recent").stdout
        assert '"picks"' in door.command("explain", "mine", "--json").stdout
        missing = door.command("explain", "nobody")
        assert missing.returncode == 1 and "'nobody' is not kept; the last 50 are" in missing.stderr


def test_only_the_last_are_kept_over_all_workers():
    config = plain("[explain]\nkeep = 3", workers=2, upstream=THREE)
    with backend(saying(b"one")) as one, Door(config, servers=servers(one)) as door:
        for number in range(8):
            assert ask(door, "/", f"number-{number}") == 200
            told(door, f"number-{number}")
        found = read(door, "exchanges/recent")
        assert [one["request_id"] for one in found["exchanges"]] == ["number-7", "number-6", "number-5"]
        assert found["on"] and found["kept"] == 3


def test_failed_exchanges_are_kept_without_being_asked_for():
    dead = free_port()
    with Door(plain(upstream=THREE), servers=servers(dead)) as door:
        assert ask(door, "/broken", "broken") == 502
        found = told(door, "broken")
        assert found["fault"] == "connect_refused" and found["status"] == 502 and found["picks"] == []
        assert found["tries"][0]["backend"] == f"127.0.0.1:{dead}"
        assert "connection to the backend failed" in found["reason"]
        errors = read(door, "errors")["errors"]
        assert [one["request_id"] for one in errors] == ["broken"] and errors[0]["reason"] == found["reason"]
        assert read(door, "exchanges/recent") == {"on": False, "kept": 0, "exchanges": []}


def test_failed_ones_outlive_many_that_went_well():
    config = plain("[explain]\nkeep = 2", upstream=THREE)

    def answer(wire: socket.socket) -> None:
        while raw := head_of(wire):
            status = b"500 No" if b"/bad" in raw else b"200 OK"
            wire.sendall(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)

    with backend(answer) as one, Door(config, servers=servers(one)) as door:
        assert ask(door, "/bad", "the-bad-one") == 500
        for number in range(5):
            assert ask(door, "/good", f"good-{number}") == 200
        told(door, "good-4")
        found = told(door, "the-bad-one")
        assert found["reason"].startswith("the backend itself answered 500") and len(found["picks"]) == 1
        assert explained(door, "good-0") is None


def test_what_a_worker_wrote_outlives_it():
    config = plain(KEPT, workers=1, upstream=THREE)
    with backend(saying(b"one")) as one, Door(config, servers=servers(one)) as door:
        assert ask(door, "/", "before") == 200
        told(door, "before")
        old = door.workers()[0]
        kill(old)
        until(lambda: door.workers() not in ([], [old]), what="a new worker")
        assert ask(door, "/", "after") == 200
        told(door, "after")
        assert explained(door, "before") is not None


def test_explaining_begins_and_ends_with_a_reload():
    with backend(saying(b"one")) as one, Door(plain(upstream=THREE), servers=servers(one)) as door:
        assert ask(door, "/", "early") == 200
        door.reload(plain(KEPT, upstream=THREE))
        assert ask(door, "/", "kept") == 200
        assert len(told(door, "kept")["picks"]) == 1 and explained(door, "early") is None
        door.reload(plain(upstream=THREE))
        assert ask(door, "/", "late") == 200
        assert read(door, "exchanges/recent")["on"] is False and explained(door, "late") is None


def test_a_wait_in_the_queue_and_a_limits_decision_are_told():
    sections = f'{KEPT}\n[limit.few]\nrate = "1r/m"'
    upstream = 'servers = [{ address = "127.0.0.1:{backend}", max_conns = 1 }]'
    route = '[[site.s.route]]\npath = "/limited"\nupstream = "app"\nlimits = ["few"]'
    turn = []

    def answer(wire: socket.socket) -> None:
        while head_of(wire):
            turn.append(1)
            time.sleep(0.2 if len(turn) == 1 else 0)  # the backend's work, for which the other waits
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with backend(answer) as one, Door(plain(sections, upstream=upstream, route=route), backend=one) as door:
        first = door.connection()
        first.request("GET", "/", headers={"X-Request-ID": "first"})
        until(lambda: turn, what="the first request at the backend")
        assert ask(door, "/", "second") == 200
        first.getresponse().read()
        found = told(door, "second")
        assert found["queue"]["seconds"] > 0.01
        assert any(candidate["state"] == "full" for pick in found["picks"] for candidate in pick["candidates"])
        assert ask(door, "/limited", "let-in") == 200 and ask(door, "/limited", "turned-away") == 429
        found = told(door, "turned-away")
        assert (found["limits"], found["limit"], found["picks"]) == ("rejected", "few", [])
        assert told(door, "let-in")["limits"] == "passed"


def test_a_backend_that_was_out_says_why():
    config = plain(KEPT, upstream=THREE)
    with (
        backend(saying(b"one")) as one,
        backend(saying(b"two")) as two,
        Door(config, servers=servers(one, two)) as door,
    ):
        change(door, f"upstreams/app/backends/127.0.0.1%3A{one}/drain")
        until(lambda: _state_at_pick(door, one) == ("draining", "it is drained or disabled"))


def _state_at_pick(door: Door, port: int) -> tuple[str, str]:
    request_id = f"pick-{time.monotonic_ns()}"
    assert ask(door, "/", request_id) == 200
    pick = told(door, request_id)["picks"][0]
    return next((one["state"], one["why"]) for one in pick["candidates"] if one["address"] == f"127.0.0.1:{port}")


def test_clients_are_told_the_id_of_their_request_where_that_is_configured():
    config = plain('[explain]\nkeep = 5\nheader = "X-Request-ID"', upstream=THREE, route=fixed("/own", "ours"))
    liar = b"HTTP/1.1 200 OK\r\nX-Request-ID: another\r\nContent-Length: 0\r\n\r\n"

    def answer(wire: socket.socket) -> None:
        while head_of(wire):
            wire.sendall(liar)

    with backend(answer) as one, Door(config, servers=servers(one)) as door:
        for path in ("/", "/own"):
            found = door.get(path)
            ids = found.headers.get_all("X-Request-ID")
            assert len(ids) == 1 and len(ids[0]) == 32
            assert told(door, ids[0])["target"] == path
