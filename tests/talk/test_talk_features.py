"""Conversations: tunnels, trusted proxies, header edits, limits, bounds, reload and the end of a worker."""

from __future__ import annotations

import pytest
from stage import APP, DATE, ONE, SOLO

UPGRADE = b"GET /ws HTTP/1.1\r\nHost: door\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
)


def limited(words, route=""):
    return SOLO.replace("[site.all]", f"[limit.l]\n{words}\n[site.all]") + f'limits = ["l"]\n{route}\n'


def test_a_tunnel(door):
    client = door.client()
    client.says(UPGRADE)
    fields = door.backend().request()[1]
    assert fields[b"connection"] == b"upgrade" and fields[b"upgrade"] == b"websocket"
    client.says(b"early")  # held until it is known who reads it
    door.backend().hears_nothing()
    door.backend().says(SWITCH + b"first")
    client.hears(SWITCHED + b"first")
    door.backend().hears(b"early")
    client.says(b"\x81\x01a")
    door.backend().hears(b"\x81\x01a")
    door.backend().says(b"\x81\x01b")
    client.hears(b"\x81\x01b")
    door.wait(3000, step=10)
    client.says(b"GET / HTTP/1.1\r\nHost: door\r\n\r\n")
    door.backend().hears(b"GET / HTTP/1.1\r\nHost: door\r\n\r\n")
    door.wait(3000, step=10)
    assert not door.finished
    door.backend().hangs_up()
    assert client.gone and not client.aborted and door.last.status == 101 and door.fault is None


def test_a_tunnel_that_the_client_ends(door):
    client = door.client()
    client.says(UPGRADE)
    door.backend().says(SWITCH)
    client.hangs_up()
    assert door.backend().wire.aborted and door.last.status == 101 and door.state().fails == 0


def test_a_silent_tunnel_is_closed(door):
    client = door.client()
    client.says(UPGRADE)
    door.backend().says(SWITCH)
    door.wait(3610, step=10)
    assert client.gone and door.backend().gone and len(door.finished) == 1


def test_a_silent_tunnel_that_was_once_full_is_not_closed_earlier(door):
    client = door.client()
    client.says(UPGRADE)
    door.backend().says(SWITCH)
    wire = door.backend().wire
    wire.jammed = True
    client.says(b"x" * 70000)
    assert not client.reading
    wire.flows()
    assert client.reading
    door.wait(1000, step=10)
    assert not door.finished


def test_a_full_tunnel_holds_the_backend(door):
    client = door.client()
    client.says(UPGRADE)
    door.backend().says(SWITCH)
    client.jammed = True
    door.backend().says(b"x" * 70000)
    assert not door.backend().reading
    client.flows()
    assert door.backend().reading


def test_a_refused_upgrade(door):
    client = door.client()
    client.says(UPGRADE)
    door.backend().heard()
    door.backend().answers(b"no", status=b"403 Forbidden")
    assert client.status() == 403 and not client.closing
    client.get()
    door.backend().answers()
    assert client.status() == 200 and len(door.backend().wires) == 1


def test_other_upgrades_are_not_passed_on(door):
    client = door.client()
    client.get(more=b"Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n")
    fields = door.backend().request()[1]
    assert not {b"connection", b"upgrade", b"http2-settings"} & set(fields)
    door.backend().answers()
    assert client.status() == 200


def test_an_upgrade_with_a_body_is_refused(door):
    client = door.client()
    client.says(UPGRADE[:-2] + b"Content-Length: 1\r\n\r\nx")
    assert client.answer().status == 400


def test_an_upgrade_by_another_method_is_an_ordinary_request(door):
    client = door.client()
    client.says(UPGRADE.replace(b"GET", b"PUT"))
    assert not {b"connection", b"upgrade"} & set(door.backend().request()[1])
    door.backend().says(SWITCH)
    assert client.status() == 502 and door.fault == "bad_response"


def test_an_upgrade_of_http10_is_an_ordinary_request(door):
    client = door.client()
    client.says(UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert not {b"connection", b"upgrade"} & set(door.backend().request()[1])
    door.backend().says(SWITCH)
    assert client.status() == 502


def test_what_a_client_says_about_itself_is_not_believed(door):
    client = door.client()
    client.get(
        more=b"X-Forwarded-For: 1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-Proto: https\r\n"
        b"X-Forwarded-Host: evil\r\nX_Real_IP: 1.2.3.4\r\nX-Forwarded-Port: 1\r\nProxy: evil\r\n"
        b"X.Forwarded.For: 1.2.3.4\r\nX-Real.IP: 1.2.3.4\r\n"
        b"Connection: X-Forwarded-For, X-Real-IP, Content-Length, Host, X-Gone\r\nX-Gone: 1\r\n"
    )
    fields = door.backend().request()[1]
    assert fields[b"x-forwarded-for"] == fields[b"x-real-ip"] == b"192.0.2.7"
    assert fields[b"x-forwarded-proto"] == b"http" and fields[b"x-forwarded-host"] == b"door"
    assert fields[b"host"] == b"door"
    assert not {b"forwarded", b"x_real_ip", b"x-forwarded-port", b"proxy", b"x-gone", b"connection"} & set(fields)
    assert not any(b"." in name for name in fields)
    door.backend().answers()


TRUSTED = "[http]\ntrusted_proxies = ['10.0.0.0/8', 'unix', 'fd00::/8']\n" + SOLO


@pytest.mark.parametrize(
    ("peer", "chain", "real", "forwarded"),
    [
        (("10.1.1.1", 1), b"203.0.113.9", b"203.0.113.9", b"203.0.113.9, 10.1.1.1"),
        (
            ("10.1.1.1", 1),
            b"6.6.6.6, 203.0.113.9, 10.2.2.2",
            b"203.0.113.9",
            b"6.6.6.6, 203.0.113.9, 10.2.2.2, 10.1.1.1",
        ),
        (("10.1.1.1", 1), b"10.3.3.3, 10.2.2.2", b"10.3.3.3", b"10.3.3.3, 10.2.2.2, 10.1.1.1"),
        (("10.1.1.1", 1), b"", b"10.1.1.1", b"10.1.1.1"),
        (("10.1.1.1", 1), b"nonsense", b"10.1.1.1", b"nonsense, 10.1.1.1"),
        (("fd00::1", 1, 0, 0), b"2001:db8::1", b"2001:db8::1", b"2001:db8::1, fd00::1"),
        (("::ffff:10.1.1.1", 1, 0, 0), b"203.0.113.9", b"203.0.113.9", b"203.0.113.9, 10.1.1.1"),
        ("", b"203.0.113.9", b"203.0.113.9", b"203.0.113.9, unix:"),
        (("192.0.2.1", 1), b"203.0.113.9", b"192.0.2.1", b"192.0.2.1"),
    ],
)
def test_trusted_proxies(opened, peer, chain, real, forwarded):
    door = opened(TRUSTED)
    client = door.client(peer)
    client.get(more=b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\n" % chain)
    fields = door.backend().request()[1]
    assert fields[b"x-real-ip"] == real and fields[b"x-forwarded-for"] == forwarded
    trusted = peer != ("192.0.2.1", 1)
    assert fields[b"x-forwarded-proto"] == (b"https" if trusted else b"http")
    assert fields[b"x-forwarded-host"] == (b"shop" if trusted else b"door")
    door.backend().answers()
    assert door.last.client.address == real


def test_request_ids(door):
    client = door.client()
    seen = []
    for given in (
        b"",
        b"X-Request-ID: mine-1\r\n",
        b"X-Request-ID: has space\r\n",
        b"X-Request-ID: %b\r\n" % (b"x" * 200),
    ):
        client.get(more=given)
        seen.append(door.backend().request()[1][b"x-request-id"])
        door.backend().answers()
    assert seen[1] == b"mine-1" and len({len(one) for one in (seen[0], *seen[2:])}) == 1 and len(set(seen)) == 4
    assert [exchange.request_id for exchange in door.finished] == seen


def test_header_edits(opened):
    door = opened(
        SOLO
        + """
[site.all.request_headers]
set = {X-Tenant = "one", Host = "inside"}
remove = ["Cookie"]
[site.all.response_headers]
set = {Server = "door"}
add = {Via = "us"}
remove = ["X-Powered-By"]
"""
    )
    client = door.client()
    for _ in range(2):
        client.get(more=b"Cookie: a=b\r\nX-Tenant: two\r\nAccept: x\r\n")
        fields = door.backend().request()[1]
        assert fields[b"x-tenant"] == b"one" and fields[b"host"] == b"inside" and b"cookie" not in fields
        assert fields[b"accept"] == b"x"
        door.backend().answers(more=b"Server: gunicorn\r\nX-Powered-By: PHP\r\nVia: them\r\n")
        answer = client.answer()
        assert answer["server"] == b"door" and not answer["x-powered-by"] and answer["via"] == b"them, us"
    door.backend().accepts = False
    door.backend().wire.hangs_up()
    client.get()
    answer = client.answer()
    assert answer.status == 502 and answer["via"] == b"us"
    assert answer["server"] == b"door"


def test_words_of_the_backend_to_the_proxy_end_here(door):
    client = door.client()
    client.get()
    door.backend().answers(
        more=b"Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX-Accel-Expires: 5\r\n"
        b"Proxy-Authenticate: x\r\nTrailer: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
    )
    names = [name for name, _ in client.answer().fields]
    assert names == [b"date", b"set-cookie", b"set-cookie", b"content-length"]


def test_a_limit_rejects(opened):
    door = opened(limited('rate = "1r/s"\nburst = 1\nnodelay = true'))
    client = door.client()
    for _ in range(2):
        client.get()
        door.backend().answers()
        assert client.status() == 200
    client.get()
    answer = client.answer()
    assert answer.status == 429 and int(answer["retry-after"]) >= 1 and b"r=0" in answer["ratelimit"]
    assert door.last.limit_status == "rejected" and not client.closing
    other = door.client(("192.0.2.8", 1))
    other.get()
    door.backend().answers()
    assert other.status() == 200
    door.wait(1)
    client.get()
    door.backend().answers()
    assert client.status() == 200


def test_a_limit_parks_and_resumes(opened):
    door = opened(limited('rate = "2r/s"\nburst = 5'))
    client, other = door.client(), door.client()
    client.get()
    door.backend().heard()
    door.backend().answers()
    client.get()
    other.get()
    assert not door.backend().asked and len(door.parking) == 2
    door.wait(0.4, step=0.1)
    assert not door.backend().asked
    door.wait(0.2, step=0.1)
    assert door.backend().request()
    door.backend().answers()
    door.wait(0.5, step=0.1)
    door.backend().answers()
    assert client.heard().count(b"200 OK") == 2 and other.status() == 200
    assert [exchange.limit_status for exchange in door.finished] == ["passed", "delayed", "delayed"]


def test_a_client_leaves_while_it_is_parked(opened):
    door = opened(limited('rate = "2r/s"\nburst = 5'))
    client = door.client()
    client.get()
    door.backend().heard()
    door.backend().answers()
    client.get()
    client.resets()
    assert door.fault == "client_left"
    door.wait(5)
    assert not door.backend().asked and len(door.finished) == 2 and not len(door.parking)


def test_a_body_that_comes_while_parked(opened):
    door = opened(limited('rate = "2r/s"\nburst = 5'))
    client = door.client()
    client.get()
    door.backend().heard()
    door.backend().answers()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 4\r\n\r\nab")
    client.says(b"cd")
    door.wait(1)
    assert door.backend().request()[2] == b"abcd"
    door.backend().answers()


def test_limit_headers_on_every_answer(opened):
    for route in ("", None):
        toml = limited('rate = "1r/s"\nburst = 3\nnodelay = true\nheaders = "always"')
        if route is None:
            toml = toml.replace('upstream = "app"', 'reply = {body = "x"}')
        door = opened(toml)
        client = door.client()
        client.get()
        if route is not None:
            door.backend().answers()
        assert b'"l"' in client.answer()["ratelimit"], route
        door.end()


def test_a_dry_run(opened):
    door = opened(limited('rate = "1r/s"\ndry_run = true'))
    client = door.client()
    for _ in range(3):
        client.get()
        door.backend().answers()
        assert client.status() == 200
    assert door.last.limit_status == "rejected_dry_run"


def test_max_conns(opened):
    door = opened(SOLO.replace('["10.0.0.1:1"]', '[{address = "10.0.0.1:1", max_conns = 1}]\nqueue = { size = 0 }'))
    client, other = door.client(), door.client()
    client.get()
    other.get()
    assert other.status() == 503
    door.backend().answers()
    other.get()
    door.backend().answers()
    assert other.status() == 200


def test_backups(opened):
    door = opened(APP.replace('"10.0.0.3:3"', '{address = "10.0.0.3:3", backup = true}'))
    door.backend(0).accepts = door.backend(1).accepts = False
    client = door.client()
    client.get()
    door.backend(2).answers()
    assert client.status() == 200 and len(door.last.tried) == 3


def test_a_backend_that_was_out_comes_back(door):
    door.backend().accepts = False
    client = door.client()
    client.get()
    assert client.status() == 502
    door.backend().accepts = True  # alone: it is asked again at once
    client.get()
    door.backend().answers()
    assert client.status() == 200


def test_reload_keeps_what_lives(opened):
    door = opened(APP)
    client = door.client()
    client.get()
    door.backend(0).heard()
    state = door.state(0)
    listener = door.runtime.listeners["web"]
    door.reload(APP.replace('"10.0.0.3:3"', '"10.0.0.9:9"').replace("[site.all]", "max_fails = 5\n[site.all]"))
    assert door.state(0) is state and state.max_fails == 5 and door.runtime.listeners["web"] is listener
    assert door.state(0).taken == 1 and door.state(0).settled == 0
    door.backend(0).answers()
    assert client.status() == 200 and not client.closing
    client.get()
    client.get()
    assert door.backend(1).asked
    door.backend(1).answers()
    assert door.backends["10.0.0.9:9"].asked
    door.backends["10.0.0.9:9"].answers()


def test_reload_changes_sites_between_two_requests(opened):
    door = opened(SOLO)
    client = door.client()
    client.get()
    client.get()  # sent ahead
    door.reload(ONE + '[site.s]\ndefault = true\n[[site.s.route]]\npath = "/"\nreply = {body = "new"}\n')
    door.backend().answers(b"old")
    assert client.answer().body == b"old" and client.answer().body == b"new"
    assert door.backend().wire.closing


def test_reload_that_drops_a_backend_closes_its_idle_links(opened):
    door = opened(SOLO)
    client = door.client()
    client.get()
    door.backend().answers()
    door.reload(SOLO.replace("10.0.0.1:1", "10.0.0.9:9"))
    assert door.backend(0).wire.aborted
    client.get()
    door.backends["10.0.0.9:9"].answers()
    assert client.heard().count(b"200 OK") == 2


def test_a_backend_that_starts_to_be_counted_while_it_is_asked(opened):
    """A reload that gives max_conns to a backend with requests in flight."""
    door = opened(SOLO)
    client, other = door.client(), door.client()
    client.get()
    door.reload(SOLO.replace('["10.0.0.1:1"]', '[{address = "10.0.0.1:1", max_conns = 1}]\nqueue = { size = 0 }'))
    other.get()
    assert other.status() == 503
    door.backend().answers()
    assert client.status() == 200
    door.reload(SOLO)
    other.get()
    door.reload(SOLO.replace('["10.0.0.1:1"]', '[{address = "10.0.0.1:1", max_conns = 1}]'))
    door.backend().answers()
    assert other.status() == 200 and door.state().inflight.total() == 0


def test_drain(door):
    idle, busy, begun, fresh = (door.client() for _ in range(4))
    idle.get()
    door.backend().answers()
    idle.heard()
    busy.get()
    begun.says(b"GET / HTTP/1.1\r\nHo")
    door.runtime.listeners["web"].close()
    door.wait(1)
    assert idle.gone and fresh.gone and not busy.closing and not begun.closing
    door.backend().answers()
    answer = busy.answer()
    assert answer.status == 200 and answer["connection"] == b"close" and busy.gone
    begun.says(b"st: door\r\n\r\n")
    door.backend().answers()
    assert begun.answer()["connection"] == b"close" and begun.gone


def test_unix_backends(opened):
    door = opened(SOLO.replace("10.0.0.1:1", "unix:/run/app.sock"))
    client = door.client()
    client.says(b"GET / HTTP/1.0\r\n\r\n")
    assert door.backend().request()[1][b"host"] == b"localhost"
    door.backend().says(b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 0\r\n\r\n")
    assert client.status() == 200
