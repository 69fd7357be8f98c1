"""The admin door over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

import pytest
from place import standing

from proxy.admin import server as admin
from proxy.admin.server import AdminServer, host_of


@pytest.fixture
def serve():
    """Start an admin door in a thread of its own; gives a function that talks to it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    doors = []

    def start(address="127.0.0.1:0", sock=None):
        sock = sock or socket.create_server(("127.0.0.1", 0))
        door = AdminServer(standing(), address)
        asyncio.run_coroutine_threadsafe(door.open(sock), loop).result(5)
        doors.append(door)
        where = sock.getsockname()

        def talk(raw):
            with contextlib.closing(socket.socket(sock.family)) as wire:
                wire.settimeout(5)
                wire.connect(where)
                wire.sendall(raw)
                parts = []
                with contextlib.suppress(ConnectionResetError):
                    while part := wire.recv(65536):
                        parts.append(part)
                return b"".join(parts)

        return talk

    yield start

    async def end():
        for door in doors:
            door.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(end(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def request(line=b"GET /healthz", host=b"localhost", more=b"Connection: close\r\n"):
    return line + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + more + b"\r\n"


def test_an_answer_has_a_head_that_browsers_take_seriously(serve):
    head, _, body = serve()(request()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and body == b"ok\n"
    for line in (b"X-Content-Type-Options: nosniff", b"Cache-Control: no-store", b"X-Frame-Options: DENY"):
        assert line in head
    assert b"default-src 'none'" in head


def test_requests_follow_each_other_on_one_connection(serve):
    raw = serve()(request(more=b"") + request(b"GET /nowhere", more=b"") + request(b"HEAD /metrics"))
    assert raw.count(b"HTTP/1.1 200 ") == 2 and raw.count(b"HTTP/1.1 404 ") == 1
    assert raw.endswith(b"\r\n\r\n") and b"# HELP" not in raw  # HEAD has no body


def test_status_lines_say_in_words_what_the_number_means(serve):
    assert serve()(request()).startswith(b"HTTP/1.1 200 OK\r\n")
    assert serve()(request(b"GET /nowhere")).startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert serve()(request(host=b"evil.example")).startswith(b"HTTP/1.1 421 Misdirected Request\r\n")


def test_the_accept_field_chooses_the_form_of_metrics(serve):
    head = serve()(request(b"GET /metrics")).partition(b"\r\n\r\n")[0]
    assert b"Content-Type: text/plain; version=0.0.4; charset=utf-8" in head
    accept = b"Accept: application/openmetrics-text\r\nConnection: close\r\n"
    assert b"Content-Type: application/openmetrics-text; version=1.0.0" in serve()(
        request(b"GET /metrics", more=accept)
    )


def test_other_methods_are_told_which_ones(serve):
    raw = serve()(request(b"DELETE /status"))
    assert raw.startswith(b"HTTP/1.1 405 ") and b"Allow: GET, HEAD\r\n" in raw


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:9000", b"127.0.0.1:9000", b"[::1]:9000", b"10.0.0.7"])
def test_names_of_this_door(serve, host):
    assert serve("10.0.0.7:9000")(request(host=host)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("host", [b"evil.example", b"localhost.evil.example", b"127.0.0.1.evil.example:80", b"[::2]"])
def test_a_web_page_cannot_lead_a_browser_here_under_its_own_name(serve, host):
    raw = serve()(request(host=host))
    assert raw.startswith(b"HTTP/1.1 421 ") and b"\r\n\r\nok" not in raw


def test_hosts_are_taken_apart():
    assert [host_of(text) for text in ("A:1", "[::1]:9", "[::1]", "b", "")] == ["a", "[::1]", "[::1]", "b", ""]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", b"400"),  # no Host
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40000 + b"\r\n\r\n", b"431"),
        (b"POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi", b"413"),
    ],
)
def test_bad_requests_get_a_sentence_and_the_end(serve, raw, status):
    answer = serve()(raw)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.partition(b"\r\n\r\n")[2].endswith(b"\n") or status == b"413"


def test_a_client_that_says_nothing_is_closed(serve, monkeypatch):
    monkeypatch.setattr(admin, "PATIENCE", 0.05)
    assert serve()(b"GET / HT") == b""


def test_over_a_unix_socket_the_host_does_not_matter(serve, tmp_path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "a"))
    sock.listen()
    assert serve(f"unix:{tmp_path / 'a'}", sock)(request(host=b"whatever")).startswith(b"HTTP/1.1 200 ")
