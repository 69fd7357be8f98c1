"""What is not asked for is not there: no observer and no other strategy stands in a request's way."""

from __future__ import annotations

import pytest

from proxy import build, ledger
from proxy.clock import Clock, Parking, Wheel
from proxy.config.model import Model
from proxy.policy.balance.explained import Explained
from proxy.policy.balance.least_time import LeastTime
from proxy.policy.balance.sticky import Sticky
from proxy.shared.arena import Arena, Layout
from proxy.shared.breakers import Breakers
from proxy.shared.diary import Diary
from proxy.shared.journal import Journals
from proxy.shared.memory import Memory
from proxy.shared.tally import Tally, made, size_for

TABLES = {
    "workers": 1,
    "log": {"access": "off"},
    "listen": {"web": {"address": "127.0.0.1:80"}},
    "limit": {"few": {"rate": "1r/s"}},
    "upstream": {"app": {"balance": "least_time", "servers": ["127.0.0.1:1", "127.0.0.1:2"]}},
    "site": {"s": {"default": True, "route": [{"path": "/", "upstream": "app", "limits": ["few"]}]}},
}
DOOR = {"admin": {"listen": "127.0.0.1:9"}}


class House:
    """Runtimes of a worker with a diary, one after the other."""

    def __init__(self):
        self.layout = Layout(())
        self.arena = Arena(Memory(Arena.size(2, self.layout.capacity)), 2, self.layout)
        self.clock = Clock(1000.0)
        self.shared = (Breakers(Memory(Breakers.size(8)), 8), Tally(made(size_for(8, 1), 1), 1))
        self.diary = Diary(Journals(Memory(Journals.size(2)), 2), 0, self.clock)
        self.zones = {}
        self.runtime = None

    def build(self, **tables):
        model = Model.model_validate({**TABLES, **tables})
        self.layout.extend(ledger.counters(model))
        for name, size in build.zone_sizes(model).items():
            self.zones.setdefault(name, Memory(size))
        parts = (self.clock, Wheel(), Parking(lambda at: None), self.arena, 0, self.zones, *self.shared)
        self.runtime = build.runtime(model, build.Place(*parts, diary=self.diary), self.runtime)
        return self

    @property
    def observers(self):
        route = self.runtime.listeners["web"].sites.site(b"s").route(b"/")
        return [one for one in route.observers if getattr(one, "__self__", None) is self.diary]

    @property
    def balancer(self):
        return self.runtime.upstreams["app"].balancer


def test_where_nothing_is_asked_for_nothing_stands_in_the_way():
    house = House().build()
    assert house.observers == [] and type(house.balancer) is LeastTime
    assert house.runtime.limits["few"].offenders is None


@pytest.mark.parametrize(("explain", "number"), [({}, 1), ({"failed": 0}, 1), ({"failed": 0, "slowest": 0}, 0)])
def test_an_admin_door_alone_has_one_observer_and_no_other_strategy(explain, number):
    house = House().build(**DOOR, explain=explain)
    assert house.observers == [house.diary.notable][:number] and type(house.balancer) is LeastTime
    assert house.runtime.limits["few"].offenders is house.diary.offenders


def test_explaining_is_put_in_and_taken_out_by_reloads_and_strategies_keep_what_they_know():
    house = House().build()
    times = house.balancer.times
    house.build(explain={"keep": 5})
    assert house.observers == [house.diary.every]
    assert isinstance(house.balancer, Explained) and type(house.balancer.base) is LeastTime
    assert list(house.balancer.base.times.values()) == list(times.values())
    house.build(explain={"keep": 7})
    assert type(house.balancer.base) is LeastTime  # not one in another
    house.build()
    assert type(house.balancer) is LeastTime and list(house.balancer.times.values()) == list(times.values())


def test_what_binds_clients_is_explained_as_a_whole():
    app = {**TABLES["upstream"]["app"], "sticky": {"cookie": "route"}}
    house = House().build(explain={"keep": 5}, upstream={"app": app})
    assert isinstance(house.balancer, Explained) and isinstance(house.balancer.base, Sticky)
