"""PROXY headers of both versions: whole, in parts, wrong, and what they carry beside addresses."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.proxy_protocol import LONGEST_V1, V2, Wrong, read

V1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\n"
FOUR = bytes([192, 0, 2, 1, 192, 0, 2, 2]) + struct.pack("!HH", 123, 5678)
SIX = bytes.fromhex("20010db800000000000000000000000120010db8000000000000000000000002") + struct.pack("!HH", 1, 2)


def second(body, family=0x11, version=0x21):
    return V2 + struct.pack("!BBH", version, family, len(body)) + body


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


@pytest.mark.parametrize("header", [V1, second(FOUR)])
def test_addresses(header):
    found = read(header + b"GET / HTTP/1.1\r\n")
    assert (found.address, found.port, found.server_address, found.server_port) == (
        b"192.0.2.1",
        123,
        b"192.0.2.2",
        5678,
    )
    assert found.size == len(header) and found.packed == bytes([192, 0, 2, 1])


@pytest.mark.parametrize("header", [b"PROXY TCP6 2001:DB8::1 2001:Db8::2 1 2\r\n", second(SIX, 0x21)])
def test_ipv6_addresses_in_their_normal_form(header):
    found = read(header)
    assert (found.address, found.port, found.server_address, found.server_port) == (
        b"2001:db8::1",
        1,
        b"2001:db8::2",
        2,
    )


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN 1 2 3 4 5 6\r\n",
        second(FOUR, version=0x20),  # LOCAL
        second(b"", 0x00),
        second(b"abcd", 0x41),  # unix
    ],
)
def test_nobody_is_said(header):
    found = read(header + b"rest")
    assert found.address == b"" and found.port == 0 and found.size == len(header)


@pytest.mark.parametrize("header", [V1, second(FOUR), second(SIX + tlv(5, b"id"), 0x21)])
def test_a_part_is_not_enough_and_no_byte_too_many_is_taken(header):
    for end in range(len(header)):
        assert read(header[:end]) is None, end
    assert read(header + header).size == len(header)


@pytest.mark.parametrize(
    "header",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 123\r\n",
        b"PROXY TCP4 192.0.2.999 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 ::1 ::2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        b"PROXY SCTP 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY " + b"x" * LONGEST_V1,
        second(FOUR[:-1]),
        second(FOUR, 0x21),
        second(FOUR, version=0x11),
        second(b"x" * 5000),
        b"\r\n\r\n\x00\r\nQUIX",
    ],
)
def test_what_is_no_header(header):
    with pytest.raises(Wrong):
        read(header)


def test_values_behind_the_addresses():
    inner = b"\x01" + struct.pack("!I", 0) + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"example.org")
    found = read(second(FOUR + tlv(1, b"h2") + tlv(5, b"id") + tlv(0xE0, b"own") + tlv(0x20, inner)))
    assert found.value("alpn") == b"h2" and found.value("unique_id") == b"id" and found.value("0xe0") == b"own"
    assert found.value("ssl_version") == b"TLSv1.3" and found.value("ssl_cn") == b"example.org"
    assert found.value("ssl_verify") == b"0" and found.value("ssl_0x22") == b"example.org"
    assert found.value("0x000e0") == b"own"
    assert found.value("authority") is None and found.value("ssl_cipher") is None and found.value("nonsense") is None


@given(st.binary(max_size=200))
def test_nothing_else_is_raised(data):
    for head in (b"", b"PROXY ", V2, V2 + b"\x21\x11"):
        try:
            found = read(head + data)
        except Wrong:
            continue
        assert found is None or found.size <= len(head + data)
        if found is not None:
            found.value("ssl_cn")
