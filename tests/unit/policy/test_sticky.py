"""What binds clients: whom it admits, what it costs the bound, the cookie, and sessions."""

from __future__ import annotations

from hashlib import md5

import pytest

from proxy.clock import Clock
from proxy.policy.balance.cookie import Attributes, date
from proxy.policy.balance.least_conn import LeastConn
from proxy.policy.balance.round_robin import RoundRobin
from proxy.policy.balance.sticky import Learning, Sticky, sid_of
from tests.unit.policy.words import Asking, backends


class Bound(Asking):
    """Somebody who names a backend."""

    def __init__(self, sid=b""):
        super().__init__()
        self.sid = sid
        self.clock = Clock(0.0, 1_700_000_000.0)
        self.extra_fields = b"A: b\r\n"
        self.tried, self.backend, self.fault, self.answered = (), None, None, 0.0


def sid(exchange):
    return exchange.sid


def group(*weights, **options):
    found = backends(*weights, **options)
    for backend in found:
        backend.sid = backend.address.encode()
    return found


def sticky(found, base=RoundRobin, clock=None, **options):
    clock = clock or Clock(1000.0)
    return Sticky(base(found, clock), found, clock, [sid], **options)


def picks(balancer, *asked):
    return "".join(balancer.pick(one, ()).address for one in asked)


@pytest.mark.parametrize("base", [RoundRobin, LeastConn])
def test_whoever_names_a_backend_gets_it(base):
    balancer = sticky(group(1, 1, 1), base)
    assert picks(balancer, *[Bound(b"c")] * 3, Bound(b"a")) == "ccca"
    assert len(set(picks(balancer, Bound(), Bound(b"nobody"), Bound()))) > 1


def test_an_id_is_a_route_or_the_digest_of_the_address():
    assert sid_of("127.0.0.1:8081") == md5(b"127.0.0.1:8081").hexdigest().encode()
    assert sid_of("127.0.0.1:8081", "one") == b"one"


def test_who_is_bound_to_one_that_cannot_be_picked_gets_another():
    found = group(1, 1)
    balancer = sticky(found)
    found[1].down = True
    assert picks(balancer, Bound(b"b")) == "a"
    assert balancer.pick(Bound(b"a"), (found[0],)) is None


def test_a_draining_backend_is_for_the_bound_alone():
    found = group(1, 1)
    balancer = sticky(found)
    found[1].down = found[1].draining = True
    assert picks(balancer, *[Bound()] * 4) == "aaaa"
    assert picks(balancer, *[Bound(b"b")] * 4) == "bbbb" and found[1].down
    found[1].fails, found[1].checked = 9, 1000.0
    assert picks(balancer, Bound(b"b")) == "a"


def test_a_single_draining_backend():
    found = group(1)
    found[0].down = found[0].draining = True
    balancer = sticky(found)
    assert balancer.pick(Bound(b"a"), ()) is found[0] and balancer.pick(Bound(), ()) is None


def test_a_backup_is_for_the_bound_only_when_no_primary_can_be_picked():
    found = group(1, 1, 1)
    found[1].backup = found[2].backup = True
    balancer = sticky(found)
    assert picks(balancer, Bound(b"c")) == "a"
    found[0].down = True
    assert picks(balancer, *[Bound(b"c")] * 3) == "ccc"


def test_the_bound_are_paid_for_once_in_a_row_and_the_turns_stay_even():
    found = group(1, 1, 1, 1)
    balancer = sticky(found)
    picks(balancer, *[Bound(b"a")] * 20)
    assert found[0].current >= -4
    drawn = picks(balancer, *[Bound()] * 20)
    assert all(abs(drawn.count(name) - 5) <= 1 for name in "abcd")


def test_the_cookie_is_set_and_replaced_by_that_of_the_next_attempt():
    found = group(1, 1)
    balancer = sticky(found, name=b"srv", cookie=lambda exchange: b"; path=/")
    asked = Bound(b"b")
    balancer.pick(asked, ())
    assert asked.extra_fields == b"A: b\r\nSet-Cookie: srv=b; path=/\r\n"
    balancer.pick(asked, (found[1],))
    assert asked.extra_fields == b"A: b\r\nSet-Cookie: srv=a; path=/\r\n"


def test_nobody_to_be_bound_to_sets_no_cookie():
    found = group(1, 1)
    found[0].down = found[1].down = True
    asked = Bound(b"b")
    assert sticky(found, name=b"srv", cookie=lambda exchange: b"").pick(asked, ()) is None
    assert asked.extra_fields == b"A: b\r\n"


def attributes(**changes):
    settings = {"expires": -1.0, "domain": None, "path": "", "httponly": False, "secure": False, "samesite": None}
    return Attributes(**(settings | changes))(Bound())


def test_all_attributes_in_the_order_of_nginx():
    text = attributes(
        expires=3780.0,
        domain=lambda exchange: b"example.com",
        path="/",
        httponly=True,
        secure=True,
        samesite=lambda exchange: b"lax",
    )
    assert text == (
        b"; expires=Tue, 14-Nov-23 23:16:20 GMT; max-age=3780; domain=example.com"
        b"; httponly; secure; samesite=lax; path=/"
    )
    assert attributes() == b""


@pytest.mark.parametrize("evil", [b"a\r\nX: y", b"a; secure", b"a\0", b"a\x7f"])
def test_a_domain_of_the_request_cannot_leave_its_place(evil):
    assert attributes(domain=lambda exchange: evil) == b""
    assert attributes(samesite=lambda exchange: evil) == b"; samesite=strict"


def test_dates_of_cookies():
    assert attributes(expires=float("inf")) == b"; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000"
    assert date(2145916555) == b"Thu, 31-Dec-37 23:55:55 GMT"
    assert date(2145916555 + 86400) == b"Fri, 01-Jan-2038 23:55:55 GMT"


class Sessions(dict):
    def backend_of(self, session, now):
        return self.get(session, b"")

    def learn(self, session, sid, now, create):
        if create or session in self:
            self[session] = sid


def learning(at_head, created=b"s1"):
    table = Sessions()
    found = group(1, 1)
    return found, table, sticky(found, learning=Learning(table, [lambda exchange: created], at_head))


@pytest.mark.parametrize("at_head", [True, False])
def test_a_session_is_learned_and_leads_back(at_head):
    found, table, balancer = learning(at_head)
    asked = Bound()
    asked.tried = (found[1],)
    asked.backend = found[1]
    balancer.answered(asked)
    assert (table == {b"s1": b"b"}) is at_head
    asked.answered = 1.0
    balancer.ended(asked)
    assert table == {b"s1": b"b"}
    assert picks(balancer, *[Bound(b"s1")] * 3) == "bbb"


def test_a_failure_begins_no_session():
    found, table, balancer = learning(False)
    asked = Bound()
    asked.tried, asked.answered, asked.fault = (found[1],), 1.0, object()
    balancer.ended(asked)
    assert not table


def test_without_a_new_session_a_known_one_moves():
    found, table, balancer = learning(False, b"")
    asked = Bound(b"old")
    asked.tried, asked.answered = (found[1],), 1.0
    balancer.ended(asked)
    assert not table
    table[b"old"] = b"a"
    balancer.ended(asked)
    assert table == {b"old": b"b"}
