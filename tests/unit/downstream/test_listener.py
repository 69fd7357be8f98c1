"""Who a client is, and whose word is taken for it."""

from __future__ import annotations

import socket
from ipaddress import ip_network
from types import SimpleNamespace

import pytest

from proxy.clock import Clock, Wheel
from proxy.downstream.capacity import Capacity
from proxy.downstream.listener import Listener, Trust, request_ids
from proxy.http.request import judge_request


class Transport:
    def __init__(self, peer):
        self.peer = peer

    def get_extra_info(self, name):
        if name == "socket":
            return SimpleNamespace(family=socket.AF_UNIX if self.peer == "" else socket.AF_INET)
        return self.peer if name == "peername" else None


def listener(*networks, unix=False):
    counts = []
    made = Listener("web", b"http", Clock(1.0), Wheel(), counts.append, Capacity(None, 0))
    made.configure(None, None, None, Trust(tuple(ip_network(network) for network in networks), unix), None, 0)
    return made, counts


@pytest.mark.parametrize(
    ("peer", "address", "packed"),
    [
        (("1.2.3.4", 5), b"1.2.3.4", b"\1\2\3\4"),
        (("::ffff:1.2.3.4", 5, 0, 0), b"1.2.3.4", b"\1\2\3\4"),
        (("2001:DB8::1", 5, 0, 0), b"2001:db8::1", bytes.fromhex("20010db8" + "0" * 23 + "1")),
        (("fe80::1%eth0", 5, 0, 2), b"fe80::1", bytes.fromhex("fe80" + "0" * 27 + "1")),
        ("", b"unix:", b""),
        (None, b"-", b""),  # reset before anybody looked
    ],
)
def test_who_a_peer_is(peer, address, packed):
    made, counts = listener()
    client = made.admit(object(), Transport(peer))
    assert (client.address, client.packed, client.trusted) == (address, packed, False) and counts == [1]


def test_nothing_is_known_of_whom_was_reset_before_anybody_looked():
    made, _ = listener()
    wire = SimpleNamespace(get_extra_info={"sockname": ("10.0.0.1", 80)}.get)
    known = made.facts(wire)
    assert (known.address, known.port, known.server_address, known.server_port) == (b"-", 0, b"10.0.0.1", 80)


def test_who_is_trusted():
    made, _ = listener("10.0.0.0/8", unix=True)
    assert made.admit(object(), Transport(("10.1.1.1", 1))).trusted
    assert made.admit(object(), Transport("")).trusted
    assert not made.admit(object(), Transport(("11.1.1.1", 1))).trusted
    assert not listener("10.0.0.0/8")[0].admit(object(), Transport("")).trusted


def test_connections_are_counted_off():
    made, counts = listener()
    connection = object()
    made.admit(connection, Transport(("1.2.3.4", 1)))
    made.dismiss(connection)
    assert counts == [1, -1] and not made.connections


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        (b"1.1.1.1", b"1.1.1.1"),
        (b"1.1.1.1, 2.2.2.2", b"2.2.2.2"),
        (b"1.1.1.1, 10.0.0.2", b"1.1.1.1"),
        (b"10.0.0.3, 10.0.0.2", b"10.0.0.3"),
        (b"x, 10.0.0.2", b"10.0.0.2"),
        (b"[2001:db8::1]", b"2001:db8::1"),
        (b"1.1.1.1:80", b"1.1.1.1"),
        (b"[2001:db8::1]:443", b"2001:db8::1"),
        (b"::ffff:1.1.1.1", b"1.1.1.1"),
        (b'fe80::1%x" evil', b"10.0.0.1"),
        (b"unknown", b"10.0.0.1"),
        (b"", b"10.0.0.1"),
    ],
)
def test_believed(chain, address):
    made, _ = listener("10.0.0.0/8")
    peer = made.admit(object(), Transport(("10.0.0.1", 1)))
    fields = judge_request([(b"Host", b"a"), (b"X-Forwarded-For", chain), (b"X-Forwarded-Proto", b"gopher")])
    client = made.believe(peer, fields)
    assert client.address == address and client.scheme == b"http" and client.trusted
    assert b"X-Real-IP: %b\r\n" % address in client.identity


def test_request_ids():
    ids = request_ids(b"\1" * 8)
    seen = [next(ids) for _ in range(10000)]
    assert len(set(seen)) == 10000 and {len(one) for one in seen} == {32}
