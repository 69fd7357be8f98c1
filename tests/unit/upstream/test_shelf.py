"""Idle links that several pools keep together."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from proxy.upstream.shelf import Shelf, spent


class Pool:
    idle_time = 60.0

    def __init__(self, *dues):
        self.shelf = None
        self.links = []
        for due in dues:
            link = SimpleNamespace(due=due, pool=self)
            link.close = lambda link=link: self.links.remove(link)
            self.links.append(link)

    @property
    def idle(self):
        return len(self.links)

    def coldest(self):
        return self.links[0] if self.links else None


def test_the_coldest_of_all_makes_room():
    shelf = Shelf(3)
    pools = [Pool(160.0, 170.0), Pool(150.0), Pool()]
    for pool in pools:
        shelf.join(pool)
    shelf.make_room()
    assert [pool.idle for pool in pools] == [2, 0, 0]
    shelf.make_room()
    assert [pool.idle for pool in pools] == [2, 0, 0]  # there is room now


def test_a_pool_is_on_one_shelf():
    first, second, pool = Shelf(1), Shelf(1), Pool(1.0)
    first.join(pool)
    second.join(pool)
    assert not first.pools and second.pools == [pool]
    second.leave(pool)
    assert not second.pools


@pytest.mark.parametrize(
    ("requests", "lifetime", "used", "opened", "expected"),
    [
        (0, 0.0, 9, 0.0, False),
        (3, 0.0, 2, 0.0, False),
        (3, 0.0, 3, 0.0, True),
        (0, 5.0, 1, 96.0, False),
        (0, 5.0, 1, 94.0, True),
    ],
)
def test_when_a_link_is_not_kept(requests, lifetime, used, opened, expected):
    assert spent(SimpleNamespace(used=used, opened=opened), requests, lifetime, 100.0) is expected
