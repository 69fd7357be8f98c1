"""Addresses by network: found against `ipaddress` itself, written in every form, and walked as proxies write them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from proxy.policy.forwarded import Trusted, behind
from proxy.policy.intervals import Interval, Intervals, address, interval, nearest, written

V4 = some.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
NETWORKS = some.lists(
    some.builds(lambda at, bits: ipaddress.ip_network((int(at), bits), strict=False), V4, some.integers(0, 32))
)


def packed(text):
    return ipaddress.ip_address(text).packed


def of(*texts):
    return tuple(interval(text) for text in texts)


@given(NETWORKS, some.lists(V4, min_size=1))
def test_the_longest_prefix_wins(networks, asked):
    known = {str(network): network for network in networks}
    laid = nearest([(interval(text), text) for text in known])
    bounds = [end for network in networks for end in (network.network_address, network.broadcast_address)]
    for one in [*asked, *bounds]:
        holding = [network for network in known.values() if one in network]
        best = max(holding, key=lambda network: network.prefixlen, default=None)
        assert laid.get(one.packed) == (None if best is None else str(best))


@given(some.lists(some.tuples(some.integers(0, 20), some.integers(0, 20)).map(sorted)))
def test_of_entries_that_overlap_the_later_one_holds(spans):
    places = [
        (Interval(bytes((0, 0, 0, first)), bytes((0, 0, 0, last))), index) for index, (first, last) in enumerate(spans)
    ]
    laid = Intervals(places)
    for at in range(22):
        expected = next(
            (index for index in reversed(range(len(spans))) if spans[index][0] <= at <= spans[index][1]), None
        )
        assert laid.get(bytes((0, 0, 0, at))) == expected


def test_families_are_apart_and_mapped_addresses_are_ipv4():
    laid = nearest([(interval("10.0.0.0/8"), "four"), (interval("2001:db8::/32"), "six")])
    assert laid.get(packed("10.1.1.1")) == laid.get(packed("::ffff:10.1.1.1")) == "four"
    assert laid.get(packed("2001:db8::1")) == "six"
    assert laid.get(packed("::1")) is None and laid.get(b"") is None


def test_the_last_address_of_all():
    laid = nearest([(interval("0.0.0.0-255.255.255.254"), "others"), (interval("255.255.255.255"), "last")])
    assert laid.get(b"\xff" * 4) == "last" and laid.get(b"\xff\xff\xff\xfe") == "others"


@pytest.mark.parametrize("text", ["", "10", "10.0.0.9-10.0.0.1", "10.0.0.1-::1", "10.0.0.0/33", "x"])
def test_what_is_no_network(text):
    with pytest.raises(ValueError):
        interval(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (b"192.0.2.1", "192.0.2.1", 0),
        (b"192.0.2.1:80", "192.0.2.1", 80),
        (b"2001:db8::1", "2001:db8::1", 0),
        (b"[2001:db8::1]", "2001:db8::1", 0),
        (b"[2001:db8::1]:65535", "2001:db8::1", 65535),
        (b"::ffff:192.0.2.1", "192.0.2.1", 0),
    ],
)
def test_addresses_as_fields_write_them(text, host, port):
    assert address(text) == (packed(host), port)
    assert written(packed(host)) == host.encode()


@pytest.mark.parametrize(
    "text",
    [b"", b"x", b"192.0.2.1:", b"192.0.2.1:0", b"192.0.2.1:65536", b"[::1", b"[::1]80", b"[::1]:", b"fe80::1%lo",
     b"1.2.3", b"1.2.3.4.5", b"\xff", b"1" * 60],
)  # fmt: skip
def test_what_is_no_address(text):
    assert address(text) == (b"", 0)


TRUSTED = Trusted(of("127.0.0.1", "10.0.1.0/24"), True)


@pytest.mark.parametrize(
    ("chain", "recursive", "expected"),
    [
        (b"192.0.2.1", False, "192.0.2.1"),
        (b"192.0.2.1:123", False, "192.0.2.1"),
        (b"10.0.0.1, 192.0.2.1", False, "192.0.2.1"),
        (b"192.0.2.1, 10.0.1.1, 127.0.0.1", False, "127.0.0.1"),
        (b"10.0.1.1, 192.0.2.1, 127.0.0.1", True, "192.0.2.1"),
        (b"10.0.1.1,10.0.1.2", True, "10.0.1.1"),
        (b"192.0.2.1 10.0.1.1", True, "192.0.2.1"),
        (b"192.0.2.1, nonsense, 10.0.1.1", True, "10.0.1.1"),
        (b"192.0.2.1 ,, ", False, "192.0.2.1"),
        (b"nonsense", True, None),
        (b"", True, None),
    ],
)
def test_who_asked_a_proxy(chain, recursive, expected):
    found = behind(packed("127.0.0.1"), chain, TRUSTED, recursive)
    assert (found and written(found[0]).decode()) == expected


def test_a_peer_that_nobody_trusts_says_nothing():
    assert behind(packed("192.0.2.9"), b"192.0.2.1", TRUSTED, True) is None
    assert behind(b"", b"192.0.2.1", TRUSTED, True) == (packed("192.0.2.1"), 0)  # a unix socket's
    assert behind(b"", b"192.0.2.1", Trusted(of("0.0.0.0/0")), True) is None
