"""Hosts that a connection in HTTP/2 is not for (421), and how its handshakes are counted."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpx
import pytest
import trustme
from door import Door, until

from proxy.downstream.h2.engines import ENGINES

pytestmark = pytest.mark.skipif(not ENGINES, reason="no engine of HTTP/2 is installed")

SITE = """
[site.{name}]
names = ["{name}.test"]
certificate = "{file}.pem"
key = "{file}.key"
{more}
[[site.{name}.route]]
path = "/"
reply = {{ body = "{name}" }}
"""
CONFIG = """
workers = 1
[admin]
listen = "127.0.0.1:{admin}"
[listen.web]
address = "127.0.0.1:{port}"
tls = true
unknown_names = "refuse"
"""


@pytest.fixture
def door() -> Iterator[Door]:
    sites = [("a", "both", ""), ("b", "both", ""), ("c", "other", ""), ("old", "both", "tls = { http2 = false }")]
    config = CONFIG
    for name, file, more in sites:
        config += SITE.format(name=name, file=file, more=more)
    door = Door(config)
    authority = trustme.CA()
    for file, hosts in (("both", ("a.test", "b.test", "old.test")), ("other", ("c.test",))):
        made = authority.issue_cert(*hosts)
        (door.folder / f"{file}.pem").write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        (door.folder / f"{file}.key").write_bytes(made.private_key_pem.bytes())
        (door.folder / f"{file}.key").chmod(0o600)
    with door:
        yield door


def test_over_http2_too_a_connection_serves_what_it_was_made_for(door: Door) -> None:
    with httpx.Client(http2=True, verify=False) as client:

        def ask(host: str) -> tuple[str, int]:
            answer = client.get(
                f"https://127.0.0.1:{door.port}/", headers={"Host": host}, extensions={"sni_hostname": "a.test"}
            )
            return answer.http_version, answer.status_code

        assert ask("a.test") == ask("b.test") == ("HTTP/2", 200)
        assert ask("c.test") == ("HTTP/2", 421)  # another certificate stands for it
        assert ask("old.test") == ("HTTP/2", 421)  # the same does, but HTTP/2 is not spoken there
        assert ask("a.test") == ("HTTP/2", 200)  # and the connection goes on
    with httpx.Client(verify=False) as client:
        words = {"headers": {"Host": "old.test"}, "extensions": {"sni_hostname": "a.test"}}
        assert client.get(f"https://127.0.0.1:{door.port}/", **words).status_code == 200


def counted(door: Door) -> dict[str, float]:
    """What is said of handshakes, by kind or reason."""
    text = door.get_admin("/metrics").body.decode()
    lines = [line for line in text.splitlines() if line.startswith("frontgate_tls_handshake")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def test_handshakes_are_counted(door: Door) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    session = None
    for _ in range(3):
        with context.wrap_socket(
            socket.create_connection(("127.0.0.1", door.port)), server_hostname="a.test", session=session
        ) as wire:
            session = wire.session
    with pytest.raises(ssl.SSLError):
        context.wrap_socket(socket.create_connection(("127.0.0.1", door.port)), server_hostname="nobody.test")
    for said in (b"\x16\x03\x01\x00\x05nonsense", b"\x16"):  # no handshake, and the beginning of one
        with socket.create_connection(("127.0.0.1", door.port)) as plain:
            plain.sendall(said)
            plain.shutdown(socket.SHUT_WR)
            plain.recv(100)
    with socket.create_connection(("127.0.0.1", door.port)):
        pass  # nothing has begun
    wanted = {"full": 1, "resumed": 2, "refused": 1, "tls": 1, "closed": 1, "timeout": 0, "displaced": 0}
    until(lambda: counted(door) == wanted, 5)
