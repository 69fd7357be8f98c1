"""The sample application under a real uvicorn on a free port: what the demo and the live tests rely on."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from websockets.sync.client import connect

from backends.app import app


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """Serve the application in a thread; the address it listens on."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    # The kernel queues connections from here on, so nobody has to wait for the thread.
    yield listener.getsockname()
    server.should_exit = True
    thread.join(timeout=10)
    listener.close()
    assert not thread.is_alive()


def ask(
    address: tuple[str, int],
    method: str,
    target: str,
    body: bytes | Iterator[bytes] | None = None,
    fields: dict[str, str] | None = None,
) -> tuple[http.client.HTTPResponse, bytes]:
    """Ask once on a connection of its own; the response and its whole body."""
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection.request(method, target, body, fields or {})
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response, answer


def test_every_prefix_says_who_answered_and_what_it_was_told(address: tuple[str, int]) -> None:
    told = {"X-Real-IP": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Request-ID": "r1", "X-Other": "no"}
    for prefix in ("", "/round-robin", "/weighted", "/least-conn", "/ip-hash", "/limited"):
        response, body = ask(address, "GET", f"{prefix}/", fields=told)
        answer = json.loads(body)
        assert response.status == 200
        assert answer["path"] == f"{prefix}/"
        assert answer["backend"] == answer["address"] == f"127.0.0.1:{address[1]}"
        assert answer["headers"] == {
            "host": f"127.0.0.1:{address[1]}",
            "x-real-ip": "192.0.2.1",
            "x-forwarded-proto": "https",
            "x-request-id": "r1",
        }


def test_a_name_from_the_environment_is_shown(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTGATE_BACKEND", "app-7")
    assert json.loads(ask(address, "GET", "/")[1])["backend"] == "app-7"
    assert b"Hello from app-7" in ask(address, "GET", "/weighted/hello")[1]


def test_echo_takes_a_chunked_body_and_gives_its_length_and_digest(address: tuple[str, int]) -> None:
    pieces = [b"a" * 100_000, b"b", b"c" * 70_000]
    _, body = ask(address, "POST", "/echo", iter(pieces))
    answer = json.loads(body)
    assert answer["length"] == 170_001
    assert answer["sha256"] == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_upload_counts_what_came(address: tuple[str, int]) -> None:
    response, body = ask(address, "POST", "/upload?pause=0.001", b"x" * 200_000)
    assert response.status == 201
    assert json.loads(body)["length"] == 200_000


@pytest.mark.parametrize("n", [0, 1, 65_536, 200_001])
def test_bytes_are_as_many_as_announced(address: tuple[str, int], n: int) -> None:
    response, body = ask(address, "GET", f"/bytes/{n}")
    assert response.headers["Content-Length"] == str(n)
    assert body == bytes(n)
    head, nothing = ask(address, "HEAD", f"/bytes/{n}")
    assert head.headers["Content-Length"] == str(n)
    assert nothing == b""


def test_a_stream_is_chunked(address: tuple[str, int]) -> None:
    response, body = ask(address, "GET", "/stream?count=3&interval=0")
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert [line.split()[0] for line in body.decode().splitlines()] == ["1", "2", "3"]


def test_events_come_one_by_one(address: tuple[str, int]) -> None:
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection.request("GET", "/events?count=1000&interval=300")
    response = connection.getresponse()
    # The second event is five minutes away: the first can only be read if it was sent at once.
    first = [response.readline() for _ in range(4)]
    connection.close()
    response.close()
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert first[:2] == [b"id: 1\n", b"event: tick\n"]
    assert first[2].startswith(b"data: ")
    assert first[3] == b"\n"


@pytest.mark.parametrize("code", [200, 204, 304, 404, 503])
def test_status_is_the_one_asked_for(address: tuple[str, int], code: int) -> None:
    response, body = ask(address, "GET", f"/status/{code}")
    assert response.status == code
    assert (body == b"") == (code in (204, 304))


@pytest.mark.parametrize("target", ["/slow?seconds=301", "/slow?seconds=-1", "/bytes/-1", "/status/199", "/status/x"])
def test_what_cannot_be_is_refused(address: tuple[str, int], target: str) -> None:
    assert ask(address, "GET", target)[0].status == 422


def test_the_websocket_echoes_text_and_bytes(address: tuple[str, int]) -> None:
    with connect(f"ws://127.0.0.1:{address[1]}/limited/ws") as websocket:
        websocket.send("grüß dich")
        assert websocket.recv(timeout=10) == "grüß dich"
        websocket.send(b"\x00\xff")
        assert websocket.recv(timeout=10) == b"\x00\xff"
