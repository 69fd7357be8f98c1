"""What a limit counts by."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.limit import keys
from tests.unit.policy.words import Asking


def test_address_is_whole_for_ipv4_and_a_network_for_ipv6():
    key = keys.address()
    assert key(Asking(b"\x0a\x00\x00\x01")) == b"\x0a\x00\x00\x01"
    one, other = IPv6Address("2001:db8:1:2::1").packed, IPv6Address("2001:db8:1:2:ffff::9").packed
    assert key(Asking(one)) == key(Asking(other)) != key(Asking(IPv6Address("2001:db8:1:3::1").packed))


def test_an_ipv4_address_written_as_ipv6_is_one_of_ipv4():
    assert keys.address()(Asking(IPv6Address("::ffff:10.0.0.1").packed)) == b"\x0a\x00\x00\x01"


def test_all_unix_sockets_count_as_one():
    assert keys.address()(Asking(b"", b"unix")) == b"unix"


@given(st.integers(1, 128), st.binary(min_size=16, max_size=16))
def test_any_prefix_masks_like_the_network(prefix, packed):
    if packed.startswith(keys.MAPPED):
        return
    network = ip_network((packed, prefix), strict=False)
    assert keys.address(prefix)(Asking(packed)) == network.network_address.packed


def test_headers_and_cookies_and_their_absence():
    asking = Asking(authorization=b"Bearer 1", cookie_sid=b"7")
    assert keys.named("header:Authorization")(asking) == b"Bearer 1"
    assert keys.named("cookie:sid")(asking) == b"7"
    assert keys.named("header:x-other")(asking) == b""
    assert keys.named("cookie:other")(asking) == b""


def test_a_site_and_a_route_have_one_bucket_each():
    site = keys.named("site", site="api", route="/a")
    route = keys.named("route", site="api", route="/a")
    assert len({site(Asking()), route(Asking()), keys.named("route", site="api", route="/b")(Asking())}) == 3
    assert site(Asking(b"1234")) == site(Asking(b"5678")) != b""


@pytest.mark.parametrize("words", ["", "adress", "header:", "cookie", "site:x"])
def test_unknown_keys_are_refused_with_the_known_ones(words):
    with pytest.raises(ValueError, match="use address, header:NAME"):
        keys.named(words)


def test_a_prefix_has_1_to_128_bits():
    with pytest.raises(ValueError, match="1 to 128"):
        keys.address(0)
