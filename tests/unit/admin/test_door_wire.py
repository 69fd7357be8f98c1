"""The admin door's wire: bodies, events, and what a hostile or broken client may send; nothing of it ends the door."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from place import standing

from proxy.admin import news as told
from proxy.admin import server as admin
from proxy.admin.rights import Keys
from proxy.admin.server import AdminServer

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
DRAIN = b"POST /api/v1/upstreams/app/backends/127.0.0.1%3A8001/drain HTTP/1.1\r\n"


def conversation(*raws, keys=Keys(), names=(), address="127.0.0.1:0", reads=1 << 20, patience=2.0):  # noqa: B008
    """What comes back for bytes that are sent one after the other, and the door."""

    async def talk():
        door = AdminServer(standing(), address, keys=keys, names=names)
        sock = socket.create_server(("127.0.0.1", 0))
        await door.open(sock)
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        for raw in raws:
            writer.write(raw)
            await writer.drain()
        if writer.can_write_eof():
            with contextlib.suppress(OSError):
                writer.write_eof()
        try:
            found = await asyncio.wait_for(reader.read(reads), patience)
            while reads > len(found) and not reader.at_eof():
                found += await asyncio.wait_for(reader.read(reads), patience)
        except (TimeoutError, ConnectionResetError):
            found = b""
        writer.close()
        health, other = await asyncio.open_connection(*sock.getsockname())
        other.write(b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        assert (await asyncio.wait_for(health.read(), patience)).startswith(b"HTTP/1.1 200 ")
        other.close()
        door.close()
        return found, door

    return asyncio.run(talk())


def post(body, head=DRAIN, more=JSON):
    return head + HOST + more + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body


def test_a_body_is_read_however_it_comes():
    for raws in (
        (post(b"{}"),),
        tuple(bytes((one,)) for one in post(b"{}")),
        (
            DRAIN + HOST + JSON + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
            b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        ),
    ):
        raw, door = conversation(*raws)
        assert raw.startswith(b"HTTP/1.1 200 ") and json.loads(raw.partition(b"\r\n\r\n")[2])["now"]["drained"]
        assert door.standing.said("backend", "app", "127.0.0.1:8001", "drain") == 1


def test_a_body_that_is_too_large_is_refused_before_it_is_all_there():
    raw, _ = conversation(DRAIN + HOST + JSON + b"Content-Length: 99999999\r\n\r\n" + b"x" * (admin.MOST_BODY + 1))
    assert raw.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (DRAIN + HOST + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}", b"415"),
        (post(b"{}", more=JSON + b"Origin: http://evil\r\n"), b"403"),
        (post(b"{}", head=b"POST /api/v1/nothing HTTP/1.1\r\n"), b"404"),
        (post(b"{}").replace(b"localhost", b"evil.example"), b"421"),
        (post(b"{}").replace(HOST, HOST + HOST), b"400"),
        (post(b"{}").replace(b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 3"), b"400"),
        (b"POST /api/v1/reload HTTP/1.0\r\n" + HOST + JSON + b"\r\n", b"202"),
    ],
)
def test_requests_that_are_not_as_they_should_be(raw, status):
    assert conversation(raw)[0].startswith(b"HTTP/1.1 " + status)


def test_other_names_and_addresses_are_this_door_where_the_configuration_says_so():
    raw = b"GET /status HTTP/1.1\r\nHost: ops.example.com:9\r\nConnection: close\r\n\r\n"
    assert conversation(raw)[0].startswith(b"HTTP/1.1 421 ")
    assert conversation(raw, names=("OPS.example.com",))[0].startswith(b"HTTP/1.1 200 ")


def test_a_wrong_token_costs_time(monkeypatch):
    waited = []

    async def sleep(seconds, real=asyncio.sleep):
        waited.append(seconds)
        await real(0)

    monkeypatch.setattr(admin.asyncio, "sleep", sleep)
    keys = Keys(b"w" * 20)
    ask = b"GET /status HTTP/1.1\r\n" + HOST + b"Connection: close\r\n%b\r\n"
    assert b" 401 " in conversation(ask % b"Authorization: Bearer no\r\n", keys=keys)[0] and admin.PENALTY in waited
    waited.clear()
    assert b" 401 " in conversation(ask % b"", keys=keys)[0] and admin.PENALTY not in waited


# --- events -----------------------------------------------------------------------------------------------------------


class Events:
    """A door with listeners, in one loop."""

    async def __aenter__(self):
        self.door = AdminServer(standing(), "127.0.0.1:0")
        self.sock = socket.create_server(("127.0.0.1", 0))
        await self.door.open(self.sock)
        self.writers = []
        return self

    async def __aexit__(self, *_):
        for writer in self.writers:
            writer.close()
        self.door.close()

    async def listen(self):
        reader, writer = await asyncio.open_connection(*self.sock.getsockname(), limit=1 << 20)
        self.writers.append(writer)
        writer.write(b"GET /api/events HTTP/1.1\r\n" + HOST + b"\r\n")
        return reader, writer

    async def until(self, look):
        for _ in range(400):
            if look():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("it did not become true")

    @property
    def listeners(self):
        return len(self.door.desk.news.listeners)


def test_events_begin_with_how_things_are():
    async def run():
        async with Events() as events:
            reader, _ = await events.listen()
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
            assert b"Content-Type: text/event-stream" in head and b"no-store" in head
            text = b""
            while b"event: certificates" not in text:
                text += await asyncio.wait_for(reader.read(65536), 2)
            assert text.index(b"retry: 2000") < text.index(b"event: hello")
            events.door.desk.news.tell("change", {"sentence": "two\nlines"})
            while b"event: change" not in text:
                text += await asyncio.wait_for(reader.read(65536), 2)
            assert b'"two\\nlines"' in text  # an event is one line

    asyncio.run(run())


@pytest.mark.parametrize(("site", "status"), [("same-origin", b"200"), ("cross-site", b"403"), ("same-site", b"403")])
def test_no_page_of_another_site_takes_a_place_of_those_who_listen(site, status):
    async def run():
        async with Events() as events:
            reader, writer = await asyncio.open_connection(*events.sock.getsockname())
            events.writers.append(writer)
            writer.write(b"GET /api/events HTTP/1.1\r\n" + HOST + b"Sec-Fetch-Site: %b\r\n\r\n" % site.encode())
            assert (await asyncio.wait_for(reader.read(12), 2)) == b"HTTP/1.1 " + status
            assert events.listeners == (status == b"200")

    asyncio.run(run())


def test_few_may_listen_and_those_who_left_make_room():
    async def run():
        async with Events() as events:
            writers = [(await events.listen())[1] for _ in range(told.MOST_LISTENERS)]
            await events.until(lambda: events.listeners == told.MOST_LISTENERS)
            reader, _ = await events.listen()
            assert (await asyncio.wait_for(reader.read(12), 2)) == b"HTTP/1.1 503"
            writers[0].close()
            await events.until(lambda: events.listeners == told.MOST_LISTENERS - 1)
            reader, _ = await events.listen()
            assert (await asyncio.wait_for(reader.read(12), 2)) == b"HTTP/1.1 200"

    asyncio.run(run())


def test_a_listener_that_does_not_read_is_sent_away_and_the_others_hear_on(monkeypatch):
    monkeypatch.setattr(admin, "PATIENCE", 0.2)

    async def run():
        async with Events() as events:
            await events.listen()  # reads nothing
            other, _ = await events.listen()
            await events.until(lambda: events.listeners == 2)

            async def drink():
                while await other.read(1 << 20):
                    pass

            drinking = asyncio.ensure_future(drink())
            for _ in range(2000):
                events.door.desk.news.tell("tick", {"long": "x" * 100_000})
                await asyncio.sleep(0.002)
                if events.listeners < 2:
                    break
            assert events.listeners == 1 and not drinking.done()
            drinking.cancel()

    asyncio.run(run())


def test_who_takes_no_answer_keeps_neither_a_descriptor_nor_memory(monkeypatch):
    monkeypatch.setattr(admin, "PATIENCE", 0.2)
    ended = []

    class Watched(AdminServer):
        async def converse(self, reader, writer):
            await super().converse(reader, writer)
            ended.append(writer.transport)

    async def run():
        door = Watched(standing(), "127.0.0.1:0")
        path, file = next((path, file) for path, file in door.door.files.items() if len(file.body) > 20_000)
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        await door.open(sock)
        clients = [socket.socket() for _ in range(3)]
        for number, client in enumerate(clients):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, sock.getsockname())
            more = b"" if number else b"Connection: close\r\n"  # the last of an answer is given some time, too
            client.sendall((b"GET %b HTTP/1.1\r\n%b%b\r\n" % (path.encode(), HOST, more)) * (20 if number else 1))
        assert file.body
        async with asyncio.timeout(5):
            while len(ended) < 3:
                await asyncio.sleep(0.01)
        assert all(transport.get_write_buffer_size() == 0 for transport in ended)
        await asyncio.sleep(0)
        assert all(transport.get_extra_info("socket").fileno() < 0 for transport in ended) and door.connections == 0
        for client in clients:
            client.close()
        door.close()

    asyncio.run(run())


def test_nothing_is_rendered_while_nobody_listens():
    news = told.News()
    news.tell("tick", {"never": object()})
    assert news.rendered("a", {"b": 1}).startswith(b'event: a\nid: 1\ndata: {"b":1}\n\n')


def test_a_session_that_ends_ends_its_events():
    async def run():
        async with Events() as events:
            events.door.admission.change(Keys(b"w" * 20))
            cookie, _ = events.door.admission.login("w" * 20, tls=False)
            reader, writer = await asyncio.open_connection(*events.sock.getsockname())
            events.writers.append(writer)
            held = b"Cookie: " + cookie.partition(";")[0].encode()
            writer.write(b"GET /api/events HTTP/1.1\r\n" + HOST + held + b"\r\n\r\n")
            await events.until(lambda: events.listeners == 1)
            events.door.admission.change(Keys(b"o" * 20))
            events.door.desk.news.tell("change", {"sentence": "secret"})
            assert b"secret" not in await asyncio.wait_for(reader.read(), 2)

    asyncio.run(run())


# --- anything at all --------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *(
            b"GET ",
            b"POST ",
            b"HEAD ",
            b"/api/v1/state",
            b"/api/events",
            b"/static/../views.py",
            b"/%00%ff",
            b" HTTP/1.1\r\n",
        ),
        *(b" HTTP/1.0\r\n", b" HTTP/9.9\r\n", HOST, JSON, b"Content-Length: 5\r\n", b"Content-Length: -1\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"Cookie: =;,\r\n"),
        *(
            b"Authorization: Bearer \xff\r\n",
            b"\r\n",
            b"\n",
            b"{}",
            b"0\r\n\r\n",
            b"\x00",
            b"\x16\x03\x01",
            b"a" * 5000,
        ),
    ]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(WORDS, st.binary(max_size=40)), max_size=14))
def test_no_bytes_end_the_door(parts):
    raw, _ = conversation(b"".join(parts), patience=3.0)
    assert raw == b"" or raw.startswith(b"HTTP/1.1 ")
    assert b" 500 " not in raw[:20]
