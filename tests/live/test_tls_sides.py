"""TLS on both sides of a whole frontgate: certificates of clients, plain HTTP to a TLS port, and backends in TLS."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from door import free_port
from wires import CleanDoor

CONFIG = """
workers = 2
[listen.web]
address = "127.0.0.1:{port}"
tls = true
[listen.plain]
address = "127.0.0.1:{plain}"
[upstream.self]
servers = ["127.0.0.1:{port}"]
retry = { on = [] }
[upstream.self.tls]
trusted_ca = "ca.pem"
name = "open.test"
certificate = "me.pem"
key = "me.key"
[site.open]
names = ["open.test"]
default = true
certificate = "server.pem"
key = "server.key"
add_headers = [ { name = "X-Tls", value = "$ssl_server_name/$ssl_client_verify/$ssl_client_s_dn" } ]
error_pages = [ { status = [497], answer = 301, to = "https://$host/" } ]
[[site.open.route]]
path = "/"
reply = { body = "open" }
[site.closed]
names = ["closed.test"]
certificate = "server.pem"
key = "server.key"
tls = { verify = "required", client_ca = "ca.pem" }
add_headers = [ { name = "X-Tls", value = "$ssl_server_name/$ssl_client_verify/$ssl_client_s_dn" } ]
[[site.closed.route]]
path = "/"
reply = { body = "closed" }
[site.front]
names = ["front.test"]
listen = ["plain"]
[[site.front.route]]
path = "/open"
upstream = "self"
proxy = { host = "open.test" }
[[site.front.route]]
path = "/closed"
upstream = "self"
[site.front.route.proxy]
host = "closed.test"
[site.front.route.proxy.tls]
trusted_ca = "ca.pem"
name = "closed.test"
certificate = "me.pem"
key = "me.key"
[[site.front.route]]
path = "/nobody"
upstream = "self"
[site.front.route.proxy]
host = "closed.test"
[site.front.route.proxy.tls]
verify = false
name = "closed.test"
[[site.front.route]]
path = "/wrong"
upstream = "self"
[site.front.route.proxy.tls]
trusted_ca = "ca.pem"
name = "wrong.test"
"""


class SecureDoor(CleanDoor):
    """A door with certificates of its own, and one for a client."""

    def __init__(self) -> None:
        super().__init__(CONFIG, plain=free_port())
        self.authority, self.stranger = trustme.CA(), trustme.CA()
        self.authority.cert_pem.write_to_path(self.folder / "ca.pem")
        self.me = self.authority.issue_cert("me.test", common_name="me")
        for name, leaf in (("server", self.authority.issue_cert("open.test", "closed.test")), ("me", self.me)):
            write(self.folder, name, leaf)

    def ask(self, name: str, host: str = "", shown: trustme.LeafCert | None = None) -> http.client.HTTPResponse:
        """The answer to one request over a connection of its own."""
        client = ssl.create_default_context()
        self.authority.configure_trust(client)
        if shown is not None:
            shown.configure_cert(client)
        with client.wrap_socket(self.wire(), server_hostname=name) as wire:
            wire.sendall(f"GET / HTTP/1.0\r\nHost: {host or name}\r\n\r\n".encode())
            return answer(wire)


def write(folder: Path, name: str, leaf: trustme.LeafCert) -> None:
    (folder / f"{name}.key").write_bytes(leaf.private_key_pem.bytes())
    (folder / f"{name}.key").chmod(0o600)
    (folder / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))


def answer(wire: socket.socket) -> http.client.HTTPResponse:
    """An answer, whose body has been read."""
    response = http.client.HTTPResponse(wire)
    response.begin()
    response.text = response.read().decode()  # type: ignore[attr-defined]
    return response


@pytest.fixture(scope="module")
def door() -> Iterator[SecureDoor]:
    with SecureDoor() as door:
        yield door


def test_a_client_with_a_certificate_is_let_in_and_known(door: SecureDoor) -> None:
    response = door.ask("closed.test", shown=door.me)
    assert response.status == 200 and (response.headers["X-Tls"] or "").startswith("closed.test/SUCCESS/CN=me,")


def test_one_without_or_with_a_stranger_s_is_told_so(door: SecureDoor) -> None:
    for shown, words in ((None, "No required SSL"), (door.stranger.issue_cert("me.test"), "The SSL certificate error")):
        response = door.ask("closed.test", shown=shown)
        assert response.status == 400 and words in response.text  # type: ignore[attr-defined]


def test_a_connection_for_another_site_does_not_lead_there(door: SecureDoor) -> None:
    assert door.ask("open.test", host="closed.test", shown=door.me).status == 421
    assert door.ask("closed.test", host="open.test", shown=door.me).status == 200


def test_plain_http_to_a_tls_port_is_answered_by_its_page(door: SecureDoor) -> None:
    with door.wire() as wire:
        wire.sendall(b"GET /x HTTP/1.1\r\nHost: open.test\r\n\r\n")
        response = answer(wire)
        assert (response.status, response.headers["Location"]) == (301, "https://open.test/")
        assert wire.recv(1) == b""


def passed(door: SecureDoor, path: str) -> http.client.HTTPResponse:
    with socket.create_connection(("127.0.0.1", door.words["plain"]), 10) as wire:
        wire.sendall(f"GET {path} HTTP/1.0\r\nHost: front.test\r\n\r\n".encode())
        return answer(wire)


def test_backends_in_tls_each_route_by_its_own_links(door: SecureDoor) -> None:
    for _ in range(3):  # links are kept, and never lent to the other
        for path, verify in (("/open", "open.test/NONE/"), ("/closed", "closed.test/SUCCESS/CN=me,")):
            response = passed(door, path)
            assert response.status == 200 and (response.headers["X-Tls"] or "").startswith(verify)


def test_a_backend_that_is_somebody_else_is_no_backend(door: SecureDoor) -> None:
    assert passed(door, "/wrong").status == 502


def test_a_backend_that_asks_for_a_certificate_and_gets_none(door: SecureDoor) -> None:
    assert passed(door, "/nobody").status == 400
