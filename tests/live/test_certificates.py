"""Certificates that come while a door serves, and how names are proven, without an authority."""

from __future__ import annotations

import os
import pwd
import socket
import ssl
import stat
from pathlib import Path

import pytest
import trustme
from certificates import trusting
from door import Door, fetch, free_port, until

from proxy.acme import keys

CONFIG = """
workers = 2
[acme]
agree = true
directory = "https://localhost:{nobody}/dir"
folder = "{folder}/acme"
[listen.web]
address = "127.0.0.1:{tls}"
tls = true
[listen.plain]
address = "127.0.0.1:{port}"
redirect = "https"
[listen.open]
address = "127.0.0.1:{open}"
[site.one]
names = ["one.example.com"]
certificate = "acme"
script = [{ return = 403 }]
[[site.one.route]]
path = "/"
reply = { body = "one" }
[site.two]
names = ["two.example.com"]
certificate = "acme"
[[site.two.route]]
path = "/.well-known/acme-challenge/"
reply = { body = "somebody else's" }
max_body = "1k"
[[site.two.route]]
match = "regex"
path = "/known$"
reply = { body = "an expression" }
"""
TOKEN = "a-token-of-some-length_0123456789"
PATH = "/.well-known/acme-challenge/"


@pytest.fixture(scope="module")
def door():
    with Door(CONFIG, tls=free_port(), open=free_port(), nobody=free_port()) as found:
        until(lambda: (found.folder / "acme/challenges/http").is_dir(), 20)
        (found.folder / "acme/challenges/http" / TOKEN).write_text(f"{TOKEN}.thumb")
        (found.folder / "acme/secret-0123456789").write_text("secret")
        until(lambda: all(offered(found, "one.example.com", "http/1.1") for _ in range(8)), 20, "a placeholder")
        yield found


@pytest.mark.built
@pytest.mark.parametrize("host", ["one.example.com", "two.example.com", "unknown.example.com"])
def test_a_token_is_answered_before_redirects_scripts_and_routes(door, host):
    for port in (door.port, door.words["open"]):
        answer = fetch(port, PATH + TOKEN, host)
        assert (answer.status, answer.body) == (200, f"{TOKEN}.thumb".encode())
        assert answer.headers["Content-Type"] == "application/octet-stream"


def test_what_is_no_token_of_ours_goes_its_way(door):
    for tail in ("other-token-of-some-length", "", "x", "../../secret-0123456789", "..%2F..%2Fsecret-0123456789"):
        assert fetch(door.port, PATH + tail, "two.example.com").status == 301
        assert fetch(door.words["open"], PATH + tail, "one.example.com").status == 403
        assert b"secret" not in fetch(door.words["open"], PATH + tail, "two.example.com").body
    other, body = PATH + "other-token-of-some-length", b"x" * 2000
    assert fetch(door.words["open"], other, "two.example.com").body == b"somebody else's"
    assert fetch(door.words["open"], other + "/known", "two.example.com").body == b"an expression"
    assert fetch(door.words["open"], other, "two.example.com", "POST", body).status == 413
    assert fetch(door.words["open"], PATH + TOKEN, "two.example.com", "POST", body).status == 200
    assert fetch(door.port, "/", "one.example.com").status == 301


def offered(door, name, *protocols):
    """The certificate, and the protocol agreed on, when a client offers these."""
    client = trusting()
    client.set_alpn_protocols(protocols)
    with (
        socket.create_connection(("127.0.0.1", door.words["tls"]), 10) as plain,
        client.wrap_socket(plain, server_hostname=name) as wire,
    ):
        found = wire.getpeercert(True), wire.selected_alpn_protocol()
        if found[1] == "acme-tls/1":
            assert wire.recv(1) == b""  # it ends there
        return found


@pytest.mark.built
def test_a_name_is_proven_in_the_handshake_alone(door):
    proof = keys.proof("one.example.com", "token.thumb")
    (door.folder / "acme/challenges/tls/one.example.com.pem").write_bytes(proof)
    wanted = ssl.PEM_cert_to_DER_cert(proof.decode().partition("-----END PRIVATE KEY-----\n")[2])
    assert offered(door, "one.example.com", "acme-tls/1") == (wanted, "acme-tls/1")
    assert offered(door, "ONE.example.com", "acme-tls/1")[0] == wanted
    for protocols in (["http/1.1"], ["acme-tls/1", "http/1.1"]):
        assert offered(door, "one.example.com", *protocols)[0] != wanted
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized"):
        offered(door, "two.example.com", "acme-tls/1")
    assert fetch(door.words["open"], "/", "one.example.com").status == 403  # the worker is well


FILES = """
[listen.web]
address = "127.0.0.1:{port}"
tls = true
[site.one]
names = ["localhost"]
default = true
certificate = "live/fullchain.pem"
key = "live/privkey.pem"
[[site.one.route]]
path = "/"
reply = { body = "here" }
"""


def test_files_that_certbot_renews_are_used_when_they_are_whole(tmp_path):
    def issue(number):
        leaf = trustme.CA().issue_cert("localhost")
        folder = door.folder / f"archive{number}"
        folder.mkdir()
        leaf.private_key_pem.write_to_path(str(folder / "privkey.pem"))
        leaf.cert_chain_pems[0].write_to_path(str(folder / "fullchain.pem"))
        return folder, ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())

    def link(name, folder):
        beside = door.folder / "live/new"
        beside.symlink_to(folder / name)
        os.rename(beside, door.folder / "live" / name)

    def shown():
        with (
            socket.create_connection(("127.0.0.1", door.port), 10) as plain,
            trusting().wrap_socket(plain, server_hostname="localhost") as wire,
        ):
            return wire.getpeercert(True)

    door = Door(FILES)
    Path(door.folder / "live").mkdir()
    first, before = issue(1)
    for name in ("privkey.pem", "fullchain.pem"):
        link(name, first)
    with door:
        kept = socket.create_connection(("127.0.0.1", door.port), 10)
        wire = trusting().wrap_socket(kept, server_hostname="localhost")
        wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b"here"):
            answer += wire.recv(65536)
        assert shown() == before
        second, after = issue(2)
        link("fullchain.pem", second)  # with a key that is not its own
        until(lambda: "the certificates of before stay in use" in door.stderr, 20)
        assert shown() == before
        link("privkey.pem", second)
        until(lambda: shown() == after, 20)
        wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while more := wire.recv(65536):
            answer += more
        assert answer.endswith(b"here")
        wire.close()
        [row] = until(lambda: door.status()["certificates"])
        assert row["site"] == "one" and row["ends"] and not row["ordered"]


@pytest.mark.root
def test_who_serves_as_nobody_orders_as_nobody():
    door = Door('user = "nobody"\n' + CONFIG, tls=free_port(), open=free_port(), nobody=free_port())
    door.folder.chmod(0o755)
    with door:
        until(lambda: offered(door, "one.example.com", "http/1.1"), 20, "a placeholder")
        folder = door.folder / "acme"
        owner = pwd.getpwnam("nobody").pw_uid
        assert {path.stat().st_uid for path in (folder, *folder.rglob("*"))} == {owner}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_reload_may_begin_to_order_and_end_it():
    plain = '[listen.plain]\naddress = "127.0.0.1:{port}"\n[site.one]\ndefault = true\n' + (
        '[[site.one.route]]\npath = "/"\nreply = { body = "plain" }\n'
    )
    door = Door(plain, tls=free_port(), open=free_port(), nobody=free_port())
    with door:
        assert not (door.folder / "acme").exists()
        door.reload(CONFIG)
        until(lambda: offered(door, "one.example.com", "http/1.1"), 20, "a placeholder")
        until(lambda: "no certificate for site two" in door.stderr, 20)
        assert [row["ends"] for row in door.status()["certificates"]] == [None, None]
        door.reload(plain)
        assert door.status()["certificates"] == []
        assert door.get("/").body == b"plain"
