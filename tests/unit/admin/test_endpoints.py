"""The API over a host whose numbers are known: every answer is what its description says."""

from __future__ import annotations

import asyncio
import json

import jsonschema
import pytest
from openapi_spec_validator import validate
from place import MODEL, standing

from proxy.admin import deeds, endpoints
from proxy.admin.asked import Asked
from proxy.admin.desk import Desk
from proxy.admin.endpoints import ENDPOINTS
from proxy.admin.openapi import description
from proxy.admin.rights import Admission, Keys
from proxy.admin.static_files import File
from proxy.admin.views import Door
from proxy.shared.diary import write
from proxy.shared.journal import FAILED, KEYS, LIVE, RECENT, Journals
from proxy.shared.memory import Memory
from proxy.shared.records import Going, Record

BACKEND = "/api/v1/upstreams/app/backends/127.0.0.1%3A8001"
JSON = {"content-type": "application/json"}
DOCUMENT = description("1.2.3")
RECORD = Record(
    request_id=b"abc",
    finished=5000.0,
    seconds=1.5,
    method=b"GET",
    target=b"/x",
    host=b"h",
    client=b"10.0.0.1",
    site="api",
    route=b"/",
    protocol="HTTP/1.1",
    status=502,
    fault="connect_refused",
    reason="connection to the backend failed",
    bytes_in=0,
    bytes_out=3,
    queued=0.25,
    limits="passed",
    limit="",
    upstream="app",
    attempts=(("127.0.0.1:8001", 0.3, -1.0, -1.0, 1.2, 0, "connect_refused"),),
    picks=(
        (
            0.3,
            "least_conn",
            "127.0.0.1:8001",
            "it is the only one",
            (("127.0.0.1:8001", "up", "", 0, 0, 1, 0, 0.0, False),),
            2,
        ),
    ),
    left_out=0,
)


class House:
    """An admin door without a wire."""

    def __init__(self, keys=Keys(), files=None, **more):  # noqa: B008  # a tuple
        self.journals = Journals(Memory(Journals.size(4)), 4)
        self.standing = standing(journals=self.journals, **more)
        self.desk = Desk(self.standing)
        self.admission = Admission(keys, lambda: 0.0)
        self.door = Door(self.desk, self.admission, files or {})

    def ask(self, method, target, body=b"", fields=None):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {**(JSON if method != "GET" else {}), **(fields or {})}
        return asyncio.run(self.door.answer(Asked(method, target, given, raw)))

    def read(self, target):
        answer = self.ask("GET", target)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def told(self):
        """Have workers write something of everything."""
        write(self.journals.ring(0, RECENT, 5), RECORD._replace(status=200, fault="", reason="", request_id=b"good"))
        write(self.journals.ring(0, FAILED, 5), RECORD)
        self.journals.sheet(1, KEYS).write((("per_ip", ((bytes((10, 0, 0, 9)), 7, 2, 4999.0),)), ("gone", ())))
        going = Going(
            b"live", 4990.0, b"GET", b"/slow", b"h", b"10.0.0.1", "api", "at backend", "app", "b", 1, 0, "HTTP/2.0"
        )
        for row in (0, 1):
            self.journals.sheet(row, LIVE).write((9e12, True, (tuple(going),) if row else ()))
        return self


def test_the_description_is_valid_openapi():
    validate(DOCUMENT)
    assert DOCUMENT["openapi"] == "3.1.0"
    assert House().read("/api/openapi.json") == DOCUMENT


def filled(endpoint):
    parts = {"upstream": "app", "backend": "127.0.0.1%3A8001", "request_id": "abc", "site": "nobody"}
    path = endpoint.path
    for name, value in parts.items():
        path = path.replace(f"{{{name}}}", value)
    return path


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
def test_every_answer_is_as_described(endpoint):
    house = House().told()
    house.desk.flow.tick(0.0, 0.0)
    body = {"weight": 3} if endpoint.path.endswith("weight") else {}
    answer = house.ask(endpoint.method, filled(endpoint), body)
    told = json.loads(answer.body)
    operation = DOCUMENT["paths"][endpoint.path][endpoint.method.lower()]
    described = operation["responses"][str(answer.status)]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator({**described, "components": DOCUMENT["components"]}).validate(told)
    assert answer.status == (404 if "renew" in endpoint.path else endpoint.status)


def test_every_row_is_reached_by_its_own_path():
    for endpoint in ENDPOINTS:
        found, _ = endpoints.found(Asked(endpoint.method, filled(endpoint), {}))
        assert found is endpoint


# --- reading ----------------------------------------------------------------------------------------------------------


def test_backends_say_how_they_stand_and_why():
    house = House()
    found = {one["address"][-4:]: one for one in house.read("/api/v1/upstreams/app")["backends"]}
    assert (found["8001"]["state"], found["8001"]["in_flight"], found["8001"]["weight"]) == ("up", 3, 3)
    assert found["8002"]["state"] == "backup"
    assert (found["8003"]["state"], found["8003"]["why"]) == ("down", "the configuration says down")
    assert found["8001"]["load"] is None and found["8001"]["share"] is None


def test_exchanges_are_told_once_with_all_that_is_known():
    house = House().told()
    assert [one["request_id"] for one in house.read("/api/v1/errors")["errors"]] == ["abc"]
    found = house.read("/api/v1/exchanges/abc")
    assert found["reason"] == "connection to the backend failed (127.0.0.1:8001)"
    assert found["queue"] == {"seconds": 0.25} and found["picks"][0]["left_out"] == 2
    assert [moment["what"].partition(" ")[0] for moment in found["timeline"]] == [
        *("GET", "limits:", "had", "least_conn", "the", "finished"),
    ]
    assert found["sentence"].startswith("GET /x was answered 502 in 1.500 s, 127.0.0.1:8001 was asked last")
    assert house.ask("GET", "/api/v1/exchanges/unknown").status == 404
    assert house.ask("GET", "/api/v1/exchanges/ab").status == 404  # a part of an id is no id


def test_keys_of_limits_are_people():
    keys = House().told().read("/api/v1/limits")["limits"][0]["keys"]
    assert keys == [{"key": "10.0.0.9", "rejected": 7, "at_least": 5, "at_most": 7, "last": 4999.0}]


def test_live_exchanges_ask_the_workers_and_do_not_wait_for_ever():
    house = House().told()
    found = house.read("/api/v1/exchanges/live")
    assert found["complete"] and [one["target"] for one in found["exchanges"]] == ["/slow"]
    assert house.standing.said("worker", "watched_until_ms") > 0
    assert House().read("/api/v1/exchanges/live") == {"exchanges": [], "complete": False}


@pytest.mark.parametrize("most", ["0", "-1", "x", "1001", "1" * 30, "٣"])
def test_numbers_are_checked(most):
    answer = House().ask("GET", f"/api/v1/errors?most={most}")
    assert answer.status == 400 and b"most must be a number from 1 to 1000" in answer.body


# --- doing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "cell", "number", "state"),
    [("drain", "drain", 1, "draining"), ("disable", "disabled", 1, "disabled"), ("undrain", "drain", 0, "up")],
)
def test_deeds_are_numbers_in_the_keepers_row(word, cell, number, state):
    house = House()
    told = json.loads(house.ask("POST", f"{BACKEND}/{word}", {}).body)
    assert house.standing.said("backend", "app", "127.0.0.1:8001", cell) == number
    assert told["now"]["state"] == state and "127.0.0.1:8001" in told["sentence"] and told["holds"]
    assert house.standing.said("worker", "deeds") == 1


def test_weights_are_bounded_and_end_with_a_reload():
    house = House()
    for weight, status in ((7, 200), (0, 400), (1001, 400), ("3", 400), (2.5, 400), (True, 400)):
        assert house.ask("POST", f"{BACKEND}/weight", {"weight": weight}).status == status
    assert house.ask("POST", f"{BACKEND}/weight", {}).status == 400
    assert house.standing.said("backend", "app", "127.0.0.1:8001", "weight") == 7
    deeds.reloaded(house.standing)
    assert house.standing.said("backend", "app", "127.0.0.1:8001", "weight") == 0
    told = json.loads(house.ask("POST", f"{BACKEND}/weight", {"weight": None}).body)
    assert told["now"]["weight"] == told["now"]["configured_weight"] == 3


def test_pardons_are_counted_and_reloads_asked_for():
    asked = []
    house = House(reload=lambda: asked.append(1))
    for _ in range(2):
        assert house.ask("POST", f"{BACKEND}/breaker/reset", {}).status == 200
    assert house.standing.said("backend", "app", "127.0.0.1:8001", "pardons") == 2
    assert house.ask("POST", "/api/v1/reload", {}).status == 202 and asked == [1]


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("POST", "/api/v1/upstreams/app/backends/nobody/drain", {}, 404),
        ("POST", "/api/v1/upstreams/nobody/backends/a/weight", {"weight": 1}, 404),
        ("POST", f"{BACKEND}/drain", {"more": 1}, 400),
        ("POST", f"{BACKEND}/drain", b"{", 400),
        ("POST", f"{BACKEND}/drain", b"[]", 400),
        ("POST", f"{BACKEND}/drain", b"\xff", 400),
        ("GET", f"{BACKEND}/drain", b"", 405),
        ("DELETE", "/api/v1/state", {}, 405),
        ("PATCH", "/api/session", {}, 405),
        ("POST", "/api/session", {"token": 5}, 400),
        ("GET", "/api/v1/nothing", b"", 404),
        ("GET", "/api/v2/state", b"", 404),
        ("GET", "/api/", b"", 404),
        ("GET", "/api/v1/upstreams/nobody", b"", 404),
        ("GET", "/api/v1/upstreams/%ff%00", b"", 404),
    ],
)
def test_refusals_are_sentences_in_json(method, target, body, status):
    answer = House().ask(method, target, body)
    error = json.loads(answer.body)["error"]
    assert answer.status == error["status"] == status and len(error["reason"]) > 10
    if status == 405:
        assert answer.allow


# --- whom it lets in --------------------------------------------------------------------------------------------------


def test_every_change_needs_all_rights_and_every_view_some():
    house = House(keys=Keys(b"w" * 20, b"r" * 20))
    read, full = ({"authorization": f"Bearer {letter * 20}"} for letter in "rw")
    for endpoint in ENDPOINTS:
        path = filled(endpoint)
        assert house.ask(endpoint.method, path, {"weight": 1}).status == 401
        expected = 403 if endpoint.rights == "write" else 200
        assert house.ask(endpoint.method, path, {}, read).status in (expected, 404)
        assert house.ask(endpoint.method, path, {}, full).status not in (401, 403)
    for target in ("/metrics", "/status", "/api/openapi.json", "/api/v1/nothing"):
        assert house.ask("GET", target).status == 401
    assert house.ask("PUT", "/drain?upstream=app&backend=127.0.0.1:8001", fields=read).status == 403
    assert house.ask("GET", "/healthz").status == 200 and house.ask("GET", "/api/session").status == 200


def test_the_page_is_open_and_may_run_only_its_own_scripts():
    house = House(keys=Keys(b"w" * 20), files={"/": File("text/html", b"<p>", '"tag"')})
    answer = house.ask("GET", "/")
    assert answer.status == 200 and "script-src 'self'" in dict(answer.fields)["Content-Security-Policy"]
    assert house.ask("GET", "/", fields={"if-none-match": '"tag"'}).status == 304
    assert house.ask("GET", "/../place.py").status == 401
    assert house.ask("POST", "/", b"").status in (401, 404, 415)


def test_a_fault_of_ours_tells_nothing(caplog):
    house = House()
    house.standing.reload = lambda: 1 / 0
    answer = house.ask("POST", "/api/v1/reload", {})
    assert answer.status == 500 and b"division" not in answer.body and "division" in caplog.text


def test_the_model_of_these_tests_is_what_they_think():
    assert MODEL.upstream["app"].servers[0].key == "127.0.0.1:8001"
