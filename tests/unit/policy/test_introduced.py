"""What a PROXY header tells of an exchange's client: who it is, behind whom, and of its TLS."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from proxy.http.proxy_protocol import read
from proxy.parties import Client, Connection
from proxy.policy.introduced import common_name, full, plain, unique

FACTS = {"protocol": b"TLSv1.3", "cipher": b"TLS_AES_256_GCM_SHA384", "alpn": b"h2", "name": b"a.example"}


class Tls:
    """A handshake with these facts."""

    def __init__(self, presented=False, trouble=0, **facts):
        self.presented, self.trouble, self.facts = presented, trouble, {**FACTS, **facts}

    def fact(self, name):
        return self.facts.get(name)


def exchange(client=None, tls=None, proxied=None, own=b"10.0.0.1"):
    connection = Connection(b"192.0.2.7", 4711, own, 8080 if own[:1].isdigit() else 0)
    connection.serial, connection.opened = 3, 1.5
    connection.tls, connection.proxied = tls, proxied
    client = client or Client(b"192.0.2.7", bytes([192, 0, 2, 7]), b"http", b"")
    return SimpleNamespace(client=client, downstream=SimpleNamespace(connection=connection))


def test_the_peer_itself():
    assert plain(exchange()) == b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 8080\r\n"
    found = read(full(exchange()))
    assert (found.address, found.port, found.server_address, found.server_port) == (
        b"192.0.2.7",
        4711,
        b"10.0.0.1",
        8080,
    )
    assert found.value("ssl") is None and found.value("authority") is None


def test_a_client_that_a_field_has_named_has_no_port():
    client = Client(b"203.0.113.9", bytes([203, 0, 113, 9]), b"http", b"")
    assert plain(exchange(client)) == b"PROXY TCP4 203.0.113.9 10.0.0.1 0 8080\r\n"
    client = Client(b"192.0.2.7", bytes([192, 0, 2, 7]), b"http", b"", told=True)
    assert plain(exchange(client)) == b"PROXY TCP4 192.0.2.7 10.0.0.1 0 8080\r\n", "told, by whom: without a port"


def test_a_client_that_a_header_has_named_keeps_both_of_its_ends():
    header = read(b"PROXY TCP4 203.0.113.9 198.51.100.1 99 443\r\n")
    client = Client(b"203.0.113.9", header.packed, b"http", b"", port=99)
    assert plain(exchange(client, proxied=header)) == b"PROXY TCP4 203.0.113.9 198.51.100.1 99 443\r\n"
    assert b"192.0.2.7 10.0.0.1" in plain(exchange(proxied=header)), "its peer was not trusted"


def test_a_client_of_a_unix_socket():
    nobody = Client(b"unix:", b"", b"http", b"")
    assert plain(exchange(nobody, own=b"unix:/run/x")) == b"PROXY UNKNOWN\r\n"
    assert read(full(exchange(nobody, own=b"unix:/run/x"))).address == b""
    named = Client(b"203.0.113.9", bytes([203, 0, 113, 9]), b"http", b"")
    assert plain(exchange(named, own=b"unix:/run/x")) == b"PROXY TCP4 203.0.113.9 0.0.0.0 0 0\r\n"


def test_tls():
    found = read(full(exchange(tls=Tls())))
    assert found.value("alpn") == b"h2" and found.value("authority") == b"a.example"
    assert found.value("ssl_version") == b"TLSv1.3" and found.value("ssl_cipher") == FACTS["cipher"]
    assert found.value("ssl")[0] == 1 and found.value("ssl_verify") == b"1" and found.value("ssl_cn") is None
    found = read(full(exchange(tls=Tls(name=None, alpn=None))))
    assert found.value("alpn") is None and found.value("authority") is None


def test_certificates_of_clients():
    found = read(full(exchange(tls=Tls(presented=True, subject=b"O=x,CN=somebody"))))
    assert found.value("ssl")[0] == 7 and found.value("ssl_verify") == b"0" and found.value("ssl_cn") == b"somebody"
    found = read(full(exchange(tls=Tls(presented=True, trouble=18, subject=b"O=x"))))
    assert found.value("ssl_verify") == b"1" and found.value("ssl_cn") is None


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        (b"CN=a b,O=x", b"a b"),
        (b"O=x,CN=b+L=c", b"b"),
        (rb"O=a\,CN=root,CN=b", b"b"),
        (rb"CN=a\,CN=b,O=x", b"a,CN=b"),
        (rb"CN=M\C3\BCller\\,CN=b", "Müller\\".encode()),
        (b"O=x", None),
        (b"", None),
    ],
)
def test_common_names(subject, name):
    assert common_name(subject) == name


def test_a_connection_has_one_header_and_no_other_has_it():
    one, same, other = exchange(), exchange(), exchange()
    other.downstream.connection.serial = 4
    assert full(one) == full(same) != full(other)
    assert read(full(one)).value("unique_id") == b"192.0.2.7:1267_10.0.0.1:1f90_3_16e360"
    long = Connection(b"unix:" + b"x" * 200, 0, b"unix:" + b"y" * 200, 0)
    assert len(unique(long)) == 128
