"""PROXY headers as we write them: byte for byte, and read again by our own reader."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.introduction import LOCAL, LONGEST_VALUE, UNKNOWN, Ends, first, second, ssl, value
from proxy.http.proxy_protocol import LONGEST_V1, SSL_TYPES, TYPES, read

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FOUR = Ends(bytes([192, 0, 2, 1]), 123, bytes([192, 0, 2, 2]), 5678)
SIX = Ends(ip_address("2001:db8::1").packed, 1, ip_address("2001:db8::2").packed, 65535)
NOBODY = Ends(b"", 0, b"", 0)


def test_version_1_byte_for_byte():
    assert first(FOUR) == b"PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\n"
    assert first(SIX) == b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"
    assert first(NOBODY) == UNKNOWN == b"PROXY UNKNOWN\r\n"


def test_version_2_byte_for_byte():
    assert second(FOUR) == SIGNATURE + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 1, 192, 0, 2, 2]) + b"\x00\x7b\x16\x2e"
    block = bytes.fromhex("20010db8" + "00" * 11 + "0120010db8" + "00" * 11 + "02") + b"\x00\x01\xff\xff"
    assert second(SIX) == SIGNATURE + b"\x21\x21\x00\x24" + block
    assert second(NOBODY) == SIGNATURE + b"\x21\x00\x00\x00"
    assert LOCAL == SIGNATURE + b"\x20\x00\x00\x00"


def test_values_byte_for_byte():
    assert value("alpn", b"h2") == b"\x01\x00\x02h2"
    assert value("authority", b"example.org") == b"\x02\x00\x0bexample.org"
    assert value("unique_id", b"7") == b"\x05\x00\x017"
    told = ssl({"version": b"TLSv1.3", "cipher": b"AES", "cn": b"me"}, True, True)
    inner = b"\x21\x00\x07TLSv1.3\x23\x00\x03AES\x22\x00\x02me"
    assert told == b"\x20" + struct.pack("!H", 5 + len(inner)) + b"\x07\x00\x00\x00\x00" + inner
    assert ssl({}, False, True)[3:] == b"\x01\x00\x00\x00\x01", "verify is 0 for a certificate that is sound alone"
    assert ssl({}, True, False)[3:] == b"\x07\x00\x00\x00\x01"


@pytest.mark.parametrize("content", [None, b"", b"x" * (LONGEST_VALUE + 1)])
def test_what_says_nothing_or_too_much_is_left_out(content):
    assert value("alpn", content) == b""
    assert ssl({"cipher": content}, False, False) == ssl({}, False, False)


def test_an_end_that_is_not_known():
    assert first(Ends(FOUR.packed, 5, b"", 9)) == b"PROXY TCP4 192.0.2.1 0.0.0.0 5 0\r\n"
    assert first(Ends(b"", 5, FOUR.packed, 9)) == UNKNOWN
    assert second(Ends(SIX.packed, 5, b"", 9))[16:] == SIX.packed + bytes(16) + b"\x00\x05\x00\x00"


def test_families_that_differ_are_told_as_version_6():
    found = read(second(Ends(FOUR.packed, 1, SIX.packed, 2)))
    assert ip_address(found.address.decode()).ipv4_mapped == ip_address("192.0.2.1")
    assert found.server_address == b"2001:db8::1"
    assert read(first(Ends(SIX.packed, 1, FOUR.packed, 2))).address == b"2001:db8::1"


addresses = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16), st.just(b""))
ports = st.integers(0, 65535)
texts = st.binary(min_size=1, max_size=LONGEST_VALUE)


def same_address(text, packed):
    """Whether a text stands for packed bytes, mapped or not."""
    found = ip_address(text.decode()).packed
    return found == packed or found == bytes(10) + b"\xff\xff" + packed


@given(addresses, ports, addresses, ports)
def test_version_1_is_read_as_it_was_written(packed, port, server, server_port):
    header = first(Ends(packed, port, server, server_port))
    found = read(header + b"GET / HTTP/1.1\r\n")
    assert found.size == len(header) <= LONGEST_V1
    if not packed:
        assert found.address == b""
        return
    assert same_address(found.address, packed) and found.port == port
    assert same_address(found.server_address, server or bytes(len(packed)))
    assert found.server_port == (server_port if server else 0)


@given(addresses, ports, addresses, ports, st.dictionaries(st.sampled_from(sorted(TYPES.keys() - {"ssl"})), texts),
       st.dictionaries(st.sampled_from(sorted(SSL_TYPES)), texts), st.booleans(), st.booleans())  # fmt: skip
def test_version_2_is_read_as_it_was_written(packed, port, server, server_port, told, secured, presented, sound):
    extra = b"".join([value(name, content) for name, content in told.items()]) + ssl(secured, presented, sound)
    header = second(Ends(packed, port, server, server_port), extra)
    found = read(header + b"\x16\x03\x01")
    assert found.size == len(header)
    if not packed:
        assert found.address == b""
        return
    assert same_address(found.address, packed) and found.port == port
    assert same_address(found.server_address, server or bytes(len(packed)))
    assert {name: found.value(name) for name in told} == told
    assert {name: found.value(f"ssl_{name}") for name in secured} == secured
    assert found.value("ssl_verify") == (b"0" if presented and sound else b"1")
