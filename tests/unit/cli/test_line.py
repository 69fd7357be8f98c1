"""The way of commands to the admin door's API, against a server that answers as told."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

import pytest
import trustme

from proxy.cli.asking import Trouble
from proxy.cli.line import Line, told
from proxy.config.admin import Admin


@contextlib.contextmanager
def answering(raw, sock=None, tls=None):
    """Answers one request with `raw`; gives the socket's name and the list of what was asked."""
    server = sock or socket.create_server(("127.0.0.1", 0))
    asked = []

    def serve():
        with contextlib.suppress(OSError):
            wire, _ = server.accept()
            wire = tls.wrap_socket(wire, server_side=True) if tls else wire
            with wire:
                got = b""
                while b"\r\n\r\n" not in got:
                    got += wire.recv(65536)
                size = next(
                    (
                        int(one.split(b":")[1])
                        for one in got.split(b"\r\n")
                        if one.lower().startswith(b"content-length")
                    ),
                    0,
                )
                while len(got.partition(b"\r\n\r\n")[2]) < size:
                    got += wire.recv(65536)
                asked.append(got)
                wire.sendall(raw)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname(), asked
    finally:
        server.close()
        thread.join(5)


def whole(status, body):
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(body), body)


def line_to(name, **more):
    return Line(Admin.model_validate({"listen": f"{name[0]}:{name[1]}", **more}))


def test_a_question_is_answered_in_json_and_shows_the_token(tmp_path):
    (tmp_path / "token").write_text("a token of some length\n")
    with answering(whole(b"200 OK", b'{"a": 1}')) as (name, asked):
        assert line_to(name, token=str(tmp_path / "token")).ask("/api/v1/state") == {"a": 1}
    assert b"Authorization: Bearer a token of some length\r\n" in asked[0]


def test_a_change_is_sent_as_json(tmp_path):
    with answering(whole(b"200 OK", b'{"sentence": "done"}')) as (name, asked):
        assert line_to(name).change("/api/v1/reload", {"x": 1}) == {"sentence": "done"}
    assert asked[0].startswith(b"POST /api/v1/reload ") and asked[0].endswith(b'{"x": 1}')
    assert b"Content-Type: application/json\r\n" in asked[0] and b"Authorization" not in asked[0]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (whole(b"404 Not Found", b'{"error": {"status": 404, "reason": "there is no such"}}'), "there is no such"),
        (whole(b"500 Oh", b"<html>"), "answers 500: is it frontgate's?"),
        (whole(b"200 OK", b"<html>"), "does not answer in JSON"),
        (b"", "nobody answers at the admin door"),
    ],
)
def test_what_goes_wrong_is_said_in_the_doors_words(raw, words):
    with answering(raw) as (name, _), pytest.raises(Trouble, match=words):
        line_to(name).ask("/x")


def test_a_token_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(Trouble, match=r"token of the admin door in .*gone cannot be read"):
        line_to(("127.0.0.1", 1), token=str(tmp_path / "gone"))


def test_without_an_admin_door_there_is_nobody_to_ask():
    with pytest.raises(Trouble, match="there is no admin door"):
        Line(Admin())


def test_events_come_as_they_are_and_comments_are_passed_over():
    raw = b'retry: 2000\n\nevent: hello\nid: 1\ndata: {"a":\ndata: 1}\n\n:\n\ndata: 2\r\n\r\nevent: cut\ndata: 3\n'
    assert list(told(raw.splitlines(keepends=True))) == [("hello", {"a": 1}), ("message", 2)]


def test_events_are_read_from_the_door_until_it_ends():
    raw = b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nevent: tick\ndata: {"n": 1}\n\n'
    with answering(raw) as (name, asked):
        assert list(line_to(name).events()) == [("tick", {"n": 1})]
    assert asked[0].startswith(b"GET /api/events ")


def test_events_that_are_refused_or_nonsense_are_a_trouble():
    refusal = whole(b"503 No", b'{"error": {"status": 503, "reason": "too many listen"}}')
    with answering(refusal) as (name, _), pytest.raises(Trouble, match="too many listen"):
        list(line_to(name).events())
    nonsense = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ndata: {\n\n"
    with answering(nonsense) as (name, _), pytest.raises(Trouble, match="not answer in JSON"):
        list(line_to(name).events())


def test_a_unix_socket_will_do(tmp_path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "admin"))
    sock.listen()
    with answering(whole(b"200 OK", b"[]"), sock):
        assert Line(Admin.model_validate({"listen": f"unix:{tmp_path}/admin"})).ask("/x") == []


def test_over_tls_the_door_is_known_by_its_certificate_and_a_stranger_is_not(tmp_path):
    authority, other = trustme.CA(), trustme.CA()
    own = authority.issue_cert("admin.example.com")
    own.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.configure_cert(tls)
    more = {"certificate": str(tmp_path / "own.pem"), "key": str(tmp_path / "own.pem")}
    with answering(whole(b"200 OK", b"[]"), tls=tls) as (name, _):
        assert line_to(name, **more).ask("/x") == []
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other.issue_cert("admin.example.com").configure_cert(stranger)
    with (
        answering(whole(b"200 OK", b"[]"), tls=stranger) as (name, _),
        pytest.raises(Trouble, match="certificate verify"),
    ):
        line_to(name, **more).ask("/x")


def test_over_tls_others_of_the_doors_authority_are_not_the_door(tmp_path):
    between = trustme.CA().create_child_ca()
    own = between.issue_cert("admin.example.com")
    own.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    assert (tmp_path / "own.pem").read_text().count("BEGIN CERTIFICATE") > 1
    more = {"certificate": str(tmp_path / "own.pem"), "key": str(tmp_path / "own.pem")}
    for certificate, fine in ((own, True), (between.issue_cert("elsewhere.example.com"), False)):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(tls)
        with answering(whole(b"200 OK", b"[]"), tls=tls) as (name, _):
            if fine:
                assert line_to(name, **more).ask("/x") == []
            else:
                with pytest.raises(Trouble, match="certificate verify"):
                    line_to(name, **more).ask("/x")


@pytest.mark.parametrize(("text", "words"), [("nonsense", "holds no certificate"), (None, "cannot be read")])
def test_over_tls_without_a_certificate_to_know_the_door_by_that_is_said(tmp_path, text, words):
    if text is not None:
        (tmp_path / "own.pem").write_text(text)
    more = {"certificate": str(tmp_path / "own.pem"), "key": str(tmp_path / "own.pem")}
    with pytest.raises(Trouble, match=words):
        line_to(("127.0.0.1", 1), **more).ask("/x")
