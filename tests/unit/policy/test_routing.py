"""Host names to sites and paths to routes."""

from __future__ import annotations

import pytest

from proxy.exchange import Route as AnyRoute
from proxy.policy.locations import PREFIX, Location
from proxy.policy.routing import MEMO, Route, Site, Sites, only_internal


def site(name, *names, paths=(b"/",)):
    routes = [Location(PREFIX, path, Route(name, path, None)) for path in paths]
    return Site(name, names, routes, Route(name, b"-", None))


SITES = Sites(
    [
        site("exact", b"a.example.com"),
        site("wild", b"*.example.com"),
        site("deep", b"*.b.example.com"),
        site("v6", b"[::1]"),
    ],
    site("default"),
)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"a.example.com", "exact"),
        (b"A.EXAMPLE.com:8080", "exact"),
        (b"a.example.com.", "exact"),
        (b"x.example.com", "wild"),
        (b"x.y.example.com", "wild"),
        (b"x.b.example.com", "deep"),
        (b"b.example.com", "wild"),
        (b"example.com", "default"),
        (b"badexample.com", "default"),
        (b"[::1]:80", "v6"),
        (b"", "default"),
        (None, "default"),
    ],
)
def test_sites(host, name):
    assert SITES.site(host).name == name
    assert SITES.site(host).name == name  # remembered


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"/", b"/"),
        (b"/x", b"/"),
        (b"/api", b"/"),
        (b"/api/", b"/api/"),
        (b"/api/v1", b"/api/"),
        (b"/api/v2/", b"/api/v2"),
        (b"/api/v22", b"/api/v2"),
        (b"/a", b"/"),
    ],
)
def test_the_longest_prefix_wins(path, found):
    one = site("s", paths=(b"/api/", b"/", b"/api/v2"))
    assert one.route(path).path == found == one.route(path).path


def test_what_no_route_takes():
    assert site("s", paths=(b"/x/",)).route(b"/y").path == b"-"


def test_memos_are_bounded_in_number_and_bytes():
    sites = Sites([], site("default"))
    for number in range(MEMO * 2 - 1):
        sites.site(b"%d.%b" % (number, b"x" * 2000))
        sites.site(None).route(b"/%d/%b" % (number, b"x" * 2000))
    for memo in (sites._memo, sites.site(None)._memo):
        assert len(memo) <= MEMO
        assert sum(len(key) for key in memo if key) < 2 << 20


def test_a_twin_is_the_same_in_all_and_changes_alone():
    own = Route("one", b"/a", None, steps=(only_internal,), max_body=7, trailers=True, response_buffering=False)
    own.site_name, own.error_logs = b"a.example.com", ["a"]
    twin = own.twin()
    for name in (*AnyRoute.__slots__, *Route.__slots__):
        assert getattr(twin, name) is getattr(own, name), name
    twin.steps = ()
    assert own.steps == (only_internal,)
