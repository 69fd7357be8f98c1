"""Conversations with an upstream that binds clients, goes by a key or by time, or whose servers are a name."""

from __future__ import annotations

from hashlib import md5

from stage import APP, Backend

from proxy.policy.balance.sticky import Sticky
from proxy.upstream.members import Member

FIRST, SECOND, THIRD = (md5(address).hexdigest().encode() for address in (b"10.0.0.1:1", b"10.0.0.2:2", b"10.0.0.3:3"))


def within(words):
    """Three backends, with more lines in their upstream."""
    return APP.replace("[site.all]", f"{words}\n[site.all]", 1)


def asked(door):
    """The number of the backend that holds a question."""
    return next(number for number, one in enumerate(door.backends.values()) if one.wires and one.asked)


def served(door, target=b"/", fields=b"", answer=b""):
    """One request on a new connection: who answered it, by address, and what the client heard."""
    client = door.client()
    client.says(b"GET %b HTTP/1.1\r\nHost: door\r\n%b\r\n" % (target, fields))
    backend = next(one for one in door.backends.values() if one.wires and one.asked)
    backend.request()
    backend.says(b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\nok" % answer)
    return door.last.tried[-1].address, client.heard()


def test_a_cookie_binds_and_is_set_with_each_answer(opened):
    door = opened(within('sticky = { cookie = "srv", path = "/", httponly = true }'))
    assert [served(door)[0] for _ in range(3)] == ["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"]
    for sid, address in ((SECOND, "10.0.0.2:2"), (THIRD, "10.0.0.3:3"), (SECOND, "10.0.0.2:2")):
        who, heard = served(door, fields=b"Cookie: a=b; srv=%b\r\n" % sid)
        assert who == address and b"Set-Cookie: srv=%b; httponly; path=/\r\n" % sid in heard


def test_an_attempt_elsewhere_sets_the_cookie_of_who_answered(opened):
    door = opened(within('sticky = { cookie = "srv" }'))
    client = door.client()
    client.says(b"GET / HTTP/1.1\r\nHost: door\r\nCookie: srv=%b\r\n\r\n" % FIRST)
    unlucky = door.backend(asked(door))
    unlucky.request()
    unlucky.wire.resets()
    backend = door.backend(asked(door))
    backend.request()
    backend.says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    heard = client.heard()
    assert door.last.tried[-1].address != "10.0.0.1:1" and heard.count(b"Set-Cookie") == 1 and FIRST not in heard


def test_a_drained_server_keeps_its_clients_over_a_reload(opened):
    door = opened(within('sticky = { cookie = "srv" }'))
    served(door)
    door.reload(
        within('sticky = { cookie = "srv" }').replace('"10.0.0.1:1"', '{ address = "10.0.0.1:1", drain = true }')
    )
    assert "10.0.0.1:1" not in {served(door)[0] for _ in range(4)}
    assert served(door, fields=b"Cookie: srv=%b\r\n" % FIRST)[0] == "10.0.0.1:1"


def test_sessions_that_backends_begin_are_learned(opened):
    learn = '{ create = ["$upstream_cookie_sid"], lookup = ["$cookie_sid"], timeout = "5s", at = "AT" }'
    for at in ("end", "head"):
        door = opened(within(f"sticky = {{ learn = {learn} }}".replace("AT", at)))
        who, _ = served(door, answer=b"Set-Cookie: sid=abc; path=/\r\n")
        assert {served(door, fields=b"Cookie: sid=abc\r\n")[0] for _ in range(4)} == {who}
        door.wait(6)
        assert len({served(door, fields=b"Cookie: sid=abc\r\n")[0] for _ in range(3)}) == 3


def test_the_same_key_goes_to_the_same_server(opened):
    door = opened(within('balance = "hash"\nhash = "$arg_k"\nconsistent = true'))
    by_key = {key: served(door, b"/?k=%d" % key)[0] for key in range(12)}
    assert len(set(by_key.values())) == 3
    assert all(served(door, b"/?k=%d" % key)[0] == who for key, who in by_key.items())


def test_what_was_learned_of_times_outlives_a_reload(opened):
    words = 'balance = "least_time"'
    door = opened(within(words))
    served(door)
    before = door.runtime.upstreams["app"].balancer.times
    door.reload(within(words + '\nsticky = { cookie = "srv" }'))
    after = door.runtime.upstreams["app"].balancer
    assert isinstance(after, Sticky)
    assert {one.address: times.answer for one, times in after.base.times.items()} == {
        one.address: times.answer for one, times in before.items()
    }


def named(words=""):
    """One server, which is a name."""
    servers = 'servers = ["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"]'
    return within(words).replace(servers, 'servers = [{ address = "app.test:1", resolve = true }]')


def found(door, *addresses):
    """A name server has told these."""
    members = door.runtime.upstreams["app"].members
    members.rest()
    for address in addresses:
        door.backends.setdefault(address, Backend(address))
    members.renew(members.named[0], [Member(address) for address in addresses])
    door.policies |= dict.fromkeys(members.backends())


def test_servers_of_a_name_come_and_go_with_their_counts(opened):
    door = opened(named())
    found(door, "10.0.0.1:1", "10.0.0.2:1")
    assert [served(door)[0] for _ in range(4)] == ["10.0.0.1:1", "10.0.0.2:1"] * 2
    client = door.client()
    client.get()
    held = door.backends["10.0.0.1:1"]
    held.request()
    found(door, "10.0.0.2:1")
    assert {served(door)[0] for _ in range(2)} == {"10.0.0.2:1"}
    door.runtime.flush()
    place = ("backend", "app", "app.test:1")
    assert door.arena.total((*place, "inflight")) == 1 and door.arena.total((*place, "taken")) == 7
    held.answers(b"late")
    assert client.answer().body == b"late"
    door.runtime.flush()
    assert door.arena.total((*place, "inflight")) == 0 and not door.runtime.upstreams["app"].members.gone


def test_a_name_without_addresses_has_no_servers_and_a_reload_keeps_those_it_has(opened):
    door = opened(named())
    found(door)
    client = door.client()
    client.get()
    assert client.answer().status == 503
    found(door, "10.0.0.1:1")
    before = door.state()
    door.reload(named("max_fails = 7"))
    assert door.state() is before and before.max_fails == 7
    found(door, "10.0.0.1:1")
    assert served(door)[0] == "10.0.0.1:1" and door.state() is before
