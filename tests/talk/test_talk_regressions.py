"""Conversations that went wrong once: framing, deadlines on both sides, what is let go, and what a reload reaches."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os

import pytest
from stage import APP, DATE, SILENT, SOLO

from proxy.downstream import leave
from proxy.exchange import Exchange

UPGRADE = b"GET /ws HTTP/1.1\r\nHost: door\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
MUCH = b"x" * 70000  # more than either side holds back before it is asked to stop
LARGE = b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 1000000\r\n\r\n"
TRUSTED = "[http]\ntrusted_proxies = ['10.0.0.0/8', 'unix']\n"
LEAST = APP.replace(', "10.0.0.3:3"]', ']\nbalance = "least_conn"')
IN_FLIGHT = ("backend", "app", "10.0.0.1:1", "inflight")


def used(door):
    """A client after its first answer; its link is idle and the answer's head is known."""
    client = door.client()
    client.get()
    door.backend().heard()
    door.backend().answers()
    client.heard()
    return client


def begin(client, length, more=b""):
    """Send the head of a POST, alone."""
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\n%bContent-Length: %d\r\n\r\n" % (more, length))


def spares():
    """How many descriptors wires and links have: those of the one that the stage gives out."""
    found = 0
    given = os.readlink(f"/proc/self/fd/{SILENT[0].fileno()}")
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that the directory was read by
            found += os.readlink(f"/proc/self/fd/{name}") == given
    return found


# --- framing and descriptors ------------------------------------------------------------------------------------------


def test_a_tunnel_behind_a_chunked_answer_is_not_chunked(door):
    client = door.client()
    client.get()
    door.backend().says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    assert client.answer().body == b"ok"
    client.says(UPGRADE)
    door.backend().heard()
    door.backend().says(SWITCH + b"one")
    assert client.heard().endswith(b"\r\n\r\none")
    door.backend().says(b"two")
    client.hears(b"two")
    client.says(b"three")
    door.backend().hears(b"three")
    door.backend().hangs_up()
    client.hears_nothing()
    assert client.gone


def test_a_body_behind_its_head_leaves_no_descriptor_on_the_idle_link(door):
    client = used(door)
    before = spares()
    for _ in range(20):
        begin(client, 2)
        assert spares() == before + 1  # while the body comes
        client.says(b"ab")
        door.backend().answers()
        assert client.status() == 200
    assert len(door.backend().wires) == 1 and spares() == before


def test_a_link_that_died_with_an_answer_in_it_is_not_idle(door):
    client = used(door)
    ear, mouth = os.pipe()
    wire = door.backend().wire
    wire.descriptor = ear
    begin(client, 2)
    os.write(mouth, b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 2\r\n\r\nok")
    os.close(mouth)
    client.says(b"ab")
    wire.resets()
    os.close(ear)
    assert client.answer().body == b"ok" and door.fault is None
    assert not door.state().pool._idle and not door.state().pool.links
    client.get()
    door.backend().answers()
    assert client.status() == 200 and len(door.backend().wires) == 2


# --- clients that leave or stay too long ------------------------------------------------------------------------------


def test_a_half_closed_client_that_does_not_read_is_gone_after_send(opened):
    door = opened('[timeouts]\nsend = "1s"\n' + SOLO)
    client = door.client()
    client.jammed = True
    client.get()
    door.backend().says(LARGE + MUCH)
    client.hangs_up()
    assert door.fault == "client_left" and not client.gone
    door.wait(4)
    assert client.gone and client.aborted


def test_a_half_closed_client_that_reads_gets_what_was_written(opened):
    door = opened('[timeouts]\nsend = "1s"\n' + SOLO)
    client = door.client()
    client.jammed = True
    client.get()
    door.backend().says(LARGE + MUCH)
    client.hangs_up()
    for _ in range(14):
        door.wait(0.5)
        client.flows(5000)
    assert client.heard().endswith(MUCH[:60000]) and not client.aborted


def test_a_client_that_still_sends_while_the_end_goes_out_is_not_cut(door):
    client = door.client()
    client.jammed = True
    client.get(more=b"Connection: close\r\n")
    door.backend().answers(MUCH)
    for _ in range(3):
        client.protocol.data_received(b"late words")  # some transports read on while they close
        door.wait(10)
    assert not client.aborted
    client.flows()
    assert client.answer().body == MUCH and client.gone


def test_the_end_of_an_exchange_on_a_connection_that_is_lost_already(door):
    client = door.client()
    begin(client, 10)
    client.says(b"ab")
    client.closing = True  # a write has failed; that it is lost is said in the loop's next turn
    door.soon(client.lose)
    door.backend().answers()
    assert client.gone and not client.eof_sent


def test_breaking_off_on_a_connection_that_is_lost_already(door):
    client = door.client()
    client.get()
    door.backend().says(LARGE)
    client.closing = True
    client.extra["socket"] = None
    door.backend().resets()
    assert client.gone and door.fault == "truncated"


def test_a_reset_of_a_socket_that_is_closed_already():
    class Transport:
        aborted = False

        def get_extra_info(self, name):
            return self

        def setsockopt(self, *words):
            raise OSError(9, "Bad file descriptor")

        def abort(self):
            self.aborted = True

    transport = Transport()
    leave.reset(transport)
    assert transport.aborted


# --- what is let go ---------------------------------------------------------------------------------------------------


def alive():
    return sum(type(one) is Exchange for one in gc.get_objects())


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
@pytest.mark.parametrize("parts", [[b"ab"], [b"a", b"b"]])
def test_an_upload_leaves_nothing_for_the_collector(door, more, parts):
    gc.collect()
    gc.disable()
    try:
        before = alive()
        for _ in range(10):
            client = door.client()
            begin(client, 2, more)
            for part in parts:
                client.says(part)
            door.backend().answers()
            assert client.status("POST") == 200
        assert len(door.finished) == 10
        door.made.clear()
        door.finished.clear()
        assert alive() == before
    finally:
        gc.enable()


def test_a_finished_exchange_has_let_go_of_its_body(opened):
    door = opened()
    client = door.client()
    client.post(b"x" * 1000)
    door.backend().answers()
    assert client.status("POST") == 200 and door.last.body == b"" and door.last.body_in == 1000
    door.backend().accepts = False
    door.backend().wire.hangs_up()
    client.post(b"x" * 1000)
    assert client.status("POST") == 502 and door.last.body == b""


# --- both sides blocked -----------------------------------------------------------------------------------------------


def block_link(client, wire):
    wire.jammed = True
    client.says(MUCH)
    assert wire.full and not client.reading


def block_client(client, wire, head):
    client.jammed = True
    wire.says(head + MUCH)
    assert client.full and not wire.reading


@pytest.mark.parametrize("first", ["link", "client"])
@pytest.mark.parametrize("catches_up", ["link", "client"])
@pytest.mark.parametrize("kind", ["upload", "tunnel"])
def test_when_both_sides_are_blocked_and_one_catches_up_the_other_still_has_its_deadline(door, first, catches_up, kind):
    client = used(door)
    wire = door.backend().wire
    if kind == "upload":
        begin(client, 1_000_000)
    else:
        client.says(UPGRADE)
        wire.says(SWITCH)
        client.heard()
    head = LARGE if kind == "upload" else b""
    if first == "link":
        block_link(client, wire)
        block_client(client, wire, head)
    else:
        block_client(client, wire, head)
        block_link(client, wire)
    door.wait(1)
    finished = len(door.finished)
    (wire if catches_up == "link" else client).flows()
    assert len(door.finished) == finished
    door.wait(200, step=1)
    assert len(door.finished) == finished + 1 and client.gone and wire.gone
    if catches_up == "link":
        assert door.fault == "client_stalled"
    elif kind == "upload":
        assert door.fault == "send_timeout"


@pytest.mark.parametrize("first", ["link", "client"])
@pytest.mark.parametrize("kind", ["upload", "tunnel"])
def test_when_both_sides_are_blocked_and_none_catches_up_it_ends(door, first, kind):
    client = used(door)
    wire = door.backend().wire
    if kind == "upload":
        begin(client, 1_000_000)
    else:
        client.says(UPGRADE)
        wire.says(SWITCH)
    head = LARGE if kind == "upload" else b""
    for side in (first, "client" if first == "link" else "link"):
        block_link(client, wire) if side == "link" else block_client(client, wire, head)
    door.wait(200, step=1)
    assert len(door.finished) == 2 and client.gone and wire.gone


def test_an_upload_that_ends_does_not_excuse_a_client_that_does_not_read(door):
    client = used(door)
    begin(client, 4)
    client.says(b"ab")
    block_client(client, door.backend().wire, LARGE)
    client.says(b"cd")
    door.wait(200, step=1)
    assert door.fault == "client_stalled" and client.gone


def test_a_blocked_client_has_send_and_not_client_body(opened):
    door = opened('[timeouts]\nclient_body = "5s"\nsend = "30s"\n' + SOLO)
    client = used(door)
    begin(client, 100)
    client.says(b"ab")
    block_client(client, door.backend().wire, LARGE)
    client.says(b"cd")
    door.wait(20)
    assert len(door.finished) == 1
    client.flows()
    client.says(b"e" * 96)
    assert len(door.finished) == 1 and not client.gone


# --- waiting ----------------------------------------------------------------------------------------------------------


def delayed(rate="1r/m"):
    return SOLO.replace("[site.all]", f'[limit.l]\nrate = "{rate}"\nburst = 5\n[site.all]') + 'limits = ["l"]\n'


def test_whoever_waits_for_our_100_while_it_is_parked_is_not_late(opened):
    door = opened(delayed())  # a minute and a bit: twice as long as timeouts.client_body
    client = used(door)
    begin(client, 2, b"Expect: 100-continue\r\n")
    door.wait(59)
    assert not door.backend().asked and len(door.finished) == 1
    client.hears_nothing()
    door.wait(5)
    client.hears(b"HTTP/1.1 100 Continue\r\n\r\n")
    client.says(b"ab")
    door.backend().answers()
    assert client.status("POST") == 200


def test_whoever_has_our_100_and_sends_nothing_is_late(opened):
    door = opened(delayed("30r/m"))
    client = used(door)
    begin(client, 2, b"Expect: 100-continue\r\n")
    door.wait(3)
    client.hears(b"HTTP/1.1 100 Continue\r\n\r\n")
    door.wait(32)
    assert client.status("POST") == 408 and door.fault == "body_timeout"


def test_whoever_is_parked_without_its_body_is_late(opened):
    door = opened(delayed())
    client = used(door)
    begin(client, 2)
    door.wait(32)
    assert client.status("POST") == 408


@pytest.mark.parametrize("form", ["json", "$upstream_connect_time"])
def test_the_connect_time_of_a_delayed_request_is_that_of_the_connect(opened, tmp_path, form):
    path = tmp_path / "access.log"
    door = opened(f'[log]\naccess = "{path}"\nformat = "{form}"\n' + delayed("6r/m"))
    client = used(door)
    client.get()
    door.wait(11)
    door.backend().answers()
    door.runtime.flush()
    line = path.read_text().splitlines()[1]
    if form == "json":
        facts = json.loads(line)
        assert facts["connect_time"] == 0 and facts["request_time"] >= 10
    else:
        assert line == "0.000"


def test_the_connect_time_of_a_slow_connect(opened, tmp_path):
    path = tmp_path / "access.log"
    door = opened(f'[log]\naccess = "{path}"\nformat = "$upstream_connect_time"\n' + SOLO)
    door.backend().accepts = None
    client = door.client()
    client.get()
    door.wait(2)
    door.backend().accepts = True
    door.connect()
    door.backend().answers()
    door.runtime.flush()
    assert path.read_text() == "2.000\n"


# --- reloads ----------------------------------------------------------------------------------------------------------


def test_a_backend_that_a_reload_drops_and_the_next_brings_back_keeps_count(opened):
    door = opened(LEAST)
    door.layout.extend([IN_FLIGHT])

    def in_flight():
        door.runtime.flush()
        return door.arena.total(IN_FLIGHT)

    client = door.client()
    client.get()
    assert door.backend(0).asked and in_flight() == 1
    door.reload(LEAST.replace('"10.0.0.1:1", ', ""))
    assert in_flight() == 1
    door.reload(LEAST)
    assert in_flight() == 1 and door.state().taken == 1
    other = door.client()
    other.get()
    assert door.backend(1).asked  # the first one still has more to do
    door.backend(1).answers()
    door.backend(0).answers()
    assert client.status() == other.status() == 200 and in_flight() == 0


def test_a_backend_that_a_reload_drops_is_counted_to_its_end(opened):
    door = opened(LEAST)
    client = door.client()
    client.get()
    door.reload(LEAST.replace('"10.0.0.1:1", ', ""))
    door.backend(0).answers()
    door.runtime.flush()
    assert client.status() == 200 and door.arena.total(IN_FLIGHT) == 0
    assert door.arena.total(("backend", "app", "10.0.0.1:1", "taken")) == 1


def test_the_line_of_a_request_in_flight_goes_to_the_log_of_the_reload(opened, tmp_path):
    toml = '[log]\naccess = "%s"\nformat = "$request_uri"\n' + SOLO
    old, middle, new = (tmp_path / name for name in ("old", "middle", "new"))
    door = opened(toml % old)
    client = door.client()
    client.get(b"/before")
    door.backend().answers()
    client.get(b"/during")
    door.reload(toml % middle)
    door.reload(toml % new)
    assert old.read_text() == "/before\n"
    door.backend().answers()
    client.get(b"/after")
    door.backend().answers()
    door.runtime.flush()
    assert sorted(new.read_text().split()) == ["/after", "/during"]
    assert old.read_text() == "/before\n" and middle.read_text() == ""


def test_a_reload_takes_trust_from_open_connections_and_gives_it(opened):
    door = opened(TRUSTED + SOLO)
    client = door.client(("10.1.1.1", 1))
    for toml, address in ((TRUSTED + SOLO, b"1.2.3.4"), (SOLO, b"10.1.1.1"), (TRUSTED + SOLO, b"1.2.3.4")):
        door.reload(toml)
        client.get(more=b"X-Forwarded-For: 1.2.3.4\r\n")
        assert door.backend().request()[1][b"x-real-ip"] == address
        door.backend().answers()
        assert door.last.client.address == address


# --- who it is --------------------------------------------------------------------------------------------------------


def test_a_peer_that_was_reset_before_anybody_looked_is_not_a_unix_peer(opened):
    door = opened(TRUSTED + SOLO)
    client = door.client(None)
    client.get(more=b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n")
    fields = door.backend().request()[1]
    assert fields[b"x-real-ip"] == fields[b"x-forwarded-for"] == b"-" and fields[b"x-forwarded-proto"] == b"http"
    door.backend().answers()
    assert not door.last.client.trusted


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        (b"203.0.113.9:4711", b"203.0.113.9"),
        (b"[2001:db8::1]:443", b"2001:db8::1"),
        (b"[2001:db8::1]", b"2001:db8::1"),
        (b"2001:DB8::1", b"2001:db8::1"),
        (b"::ffff:203.0.113.9", b"203.0.113.9"),
        (b"[::ffff:203.0.113.9]:1", b"203.0.113.9"),
        (b"203.0.113.9, ::ffff:10.2.2.2", b"203.0.113.9"),
        (b"203.0.113.9, 10.2.2.2:80", b"203.0.113.9"),
        (b"203.0.113.9, fe80::1%eth0", b"10.1.1.1"),
        (b"203.0.113.9, fe80::1%25x, 10.2.2.2", b"10.2.2.2"),
    ],
)
def test_addresses_as_proxies_write_them(opened, chain, address):
    door = opened(TRUSTED + SOLO)
    client = door.client(("10.1.1.1", 1))
    client.get(more=b"X-Forwarded-For: %b\r\n" % chain)
    assert door.backend().request()[1][b"x-real-ip"] == address
    door.backend().answers()
    assert door.last.client.address == address


# --- backends that go out ---------------------------------------------------------------------------------------------


def test_a_backend_that_goes_out_and_comes_back_is_said_once_each(opened, caplog):
    door = opened(APP.replace("[site.all]", "max_fails = 1\n[site.all]", 1))
    client = door.client()

    def ask():
        client.get()
        backend = next(backend for backend in door.backends.values() if backend.asked)
        assert backend.request()[0] == b"GET / HTTP/1.1"
        backend.answers()
        assert client.status() == 200
        door.runtime.flush()

    def said():
        return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

    door.backend(0).accepts = False
    for _ in range(6):
        ask()
    (gone,) = said()
    assert gone.startswith("upstream app: 10.0.0.1:1 is left alone for 10 s") and gone.endswith(": refused")
    assert door.arena.total(("backend", "app", "10.0.0.1:1", "down_until_ms")) > door.clock.now * 1000
    door.backend(0).accepts = True
    door.wait(11)
    for _ in range(6):
        ask()
    assert said() == [gone, "upstream app: 10.0.0.1:1 answers again"]
    assert door.arena.total(("backend", "app", "10.0.0.1:1", "down_until_ms")) == 0


def test_the_only_backend_is_never_said_to_be_left_alone(opened, caplog):
    door = opened()
    door.backend().accepts = False
    client = door.client()
    client.get()
    door.runtime.flush()
    assert client.status() == 502 and "left alone" not in caplog.text
