"""One health check, against backends that do one thing each."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import tempfile

import pytest

from proxy.policy.health import Check
from proxy.upstream.probe import MOST_BODY, MOST_READ, Probe, probe
from proxy.upstream.resolve import Answer, Resolver

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HTTP = Check("/healthz", timeout=5.0)
HASTY = HTTP._replace(timeout=0.1)


class Backend:
    """Reads a head and says what it is told to; `asked` is what it has read, `left` is set when the probe is gone."""

    def __init__(self, says=b"", stays=False, address=None):
        self.says = says
        self.stays = stays
        self.address = address
        self.asked = b""
        self.left = asyncio.Event()

    async def converse(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            self.asked = await reader.readuntil(b"\r\n\r\n")
            writer.write(self.says)
            if self.stays:
                await reader.read()
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()
        self.left.set()

    async def __aenter__(self):
        if self.address is None:
            self.server = await asyncio.start_server(self.converse, "127.0.0.1", 0)
            self.port = self.server.sockets[0].getsockname()[1]
            self.address = f"127.0.0.1:{self.port}"
        else:
            self.server = await asyncio.start_unix_server(self.converse, self.address.removeprefix("unix:"))
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()


def found(says, check=HTTP, stays=False):
    """What a probe says of a backend that says this, once it has been seen that it has closed its connection."""

    async def life():
        async with Backend(says, stays) as backend:
            trouble = await probe(backend.address, check)
            await asyncio.wait_for(backend.left.wait(), 5)
            return trouble

    return asyncio.run(life())


@pytest.mark.parametrize(
    ("says", "trouble"),
    [
        (OK, ""),
        (b"HTTP/1.0 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", ""),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK, ""),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "answered 503"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "answered 404"),
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "closed the connection without a whole answer"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "closed the connection without a whole answer"),
    ],
)
def test_answers(says, trouble):
    assert found(says) == trouble


@pytest.mark.parametrize(
    "says",
    [
        b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (65 << 10),
    ],
)
def test_what_is_no_answer(says):
    assert found(says).startswith("sent a malformed answer: ")


def test_statuses_are_those_of_the_check():
    assert found(OK, HTTP._replace(statuses=((201, 299),))) == "answered 200"
    assert found(b"HTTP/1.1 401 No\r\n\r\n", HTTP._replace(statuses=((200, 299), (401, 401)))) == ""


def test_it_is_late():
    assert found(b"", HASTY, stays=True) == "did not answer within 0.1 s"
    drip = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok"
    assert found(drip, stays=True) == ""  # the status is enough
    assert found(drip, HASTY._replace(body=re.compile("ok")), stays=True) == "did not answer within 0.1 s"


def test_interim_answers_without_end():
    assert found(b"HTTP/1.1 102 Processing\r\n\r\n" * (MOST_READ // 20)) == "sent 256 KiB that are not an answer"


def answer(body, head=b""):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), head, body)


@pytest.mark.parametrize(
    ("says", "healthy"),
    [
        (answer(b'{"status": "ready"}'), True),
        (answer(b'{"status": "starting"}'), False),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n read\r\n1\r\ny\r\n0\r\n\r\n".replace(
                b" r", b"r"
            ),
            True,
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nready", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False),
        (answer(b"x" * (MOST_BODY - 5) + b"ready" + b"x" * 100_000), True),
        (answer(b"x" * (MOST_BODY - 4) + b"ready" + b"x" * 100_000), False),
    ],
    ids=["there", "not there", "chunked", "to the end", "none", "within 64 KiB", "behind 64 KiB"],
)
def test_bodies(says, healthy):
    trouble = found(says, HTTP._replace(body=re.compile("ready")))
    assert trouble == ("" if healthy else "sent a body that does not match")


def test_a_body_that_is_cut_short():
    says = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nready"
    assert found(says, HTTP._replace(body=re.compile("ready"))).startswith("sent a malformed answer: ")


def asked(check, address=None):
    async def life():
        async with Backend(OK, address=address) as backend:
            assert await probe(backend.address, check) == ""
            return backend.asked.replace(backend.address.encode(), b"ADDRESS")

    return asyncio.run(life())


def test_what_is_asked():
    assert asked(HTTP) == (
        b"GET /healthz HTTP/1.1\r\nHost: ADDRESS\r\nUser-Agent: frontgate-health\r\n"
        b"Accept: */*\r\nConnection: close\r\n\r\n"
    )
    assert b"\r\nHost: app.example\r\n" in asked(HTTP._replace(host="app.example"))
    assert asked(HTTP._replace(path="/up?deep=1&x=ä")).startswith(b"GET /up?deep=1&x=%C3%A4 HTTP/1.1\r\n")
    assert asked(HTTP._replace(path="/gesund/ä%20b")).startswith(b"GET /gesund/%C3%A4%20b HTTP/1.1\r\n")


def test_unix_sockets():
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix:{folder}/app.sock"
        assert b"\r\nHost: localhost\r\n" in asked(HTTP, address)
        assert asyncio.run(probe(f"unix:{folder}/none.sock", Check())) == "did not accept: No such file or directory"


@pytest.mark.parametrize("check", [Check(), HTTP, HASTY._replace(body=re.compile("more"))])
def test_it_closes_however_it_ends(check):
    async def life():
        async with Backend(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", stays=True) as backend:
            one = Probe(backend.address, check, None)
            with contextlib.suppress(TimeoutError):
                await one.run()
            assert one.writer.transport.is_closing()

    asyncio.run(life())


def closed_port():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as one:
        return one.getsockname()[1]


def test_connections_alone():
    async def life():
        async with Backend() as backend:
            assert await probe(backend.address, Check()) == ""
            await asyncio.wait_for(backend.left.wait(), 5)  # and it was closed
            assert backend.asked == b""

    asyncio.run(life())
    assert asyncio.run(probe(f"127.0.0.1:{closed_port()}", Check())) == "did not accept: Connection refused"


def test_nobody_accepts():
    """A queue of connections that is full: the system drops what comes then."""
    with contextlib.ExitStack() as stack:
        door = stack.enter_context(contextlib.closing(socket.socket()))
        door.bind(("127.0.0.1", 0))
        door.listen(0)
        for _ in range(4):
            one = stack.enter_context(contextlib.closing(socket.socket()))
            one.setblocking(False)
            one.connect_ex(door.getsockname())
        trouble = asyncio.run(probe(f"127.0.0.1:{door.getsockname()[1]}", Check(timeout=0.1)))
    assert trouble == "did not accept within 0.1 s"


def test_a_reset():
    async def reset(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        linger = b"\x01\0\0\0\0\0\0\0"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async def life():
        async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
            return await probe(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", HTTP)

    assert asyncio.run(life()) == "broke the connection: Connection reset by peer"


# --- names ----------------------------------------------------------------------------------------------------------


def by_name(lookup, check=HTTP):
    async def life():
        async with Backend(OK) as backend:
            resolver = Resolver(lookup=lookup)
            try:
                return await probe(f"app.test:{backend.port}", check, resolver), backend.asked
            finally:
                await resolver.close()

    return asyncio.run(life())


def test_the_first_address_that_accepts_is_asked():
    async def lookup(host):
        return Answer(["127.0.0.1", "127.0.0.99"] if host == "app.test" else [])

    trouble, question = by_name(lookup)
    assert trouble == ""
    assert re.search(rb"\r\nHost: app\.test:\d+\r\n", question)

    async def second(host):
        return Answer(["127.0.0.0", "127.0.0.1"])  # nobody listens at the first

    assert by_name(second)[0] == ""


def test_names_that_are_not_known():
    async def lookup(host):
        raise OSError("no such name")

    assert by_name(lookup)[0] == "has no known address: app.test: no such name"

    async def silent(host):
        await asyncio.Event().wait()

    assert by_name(silent, HASTY)[0] == "did not have its name resolved within 0.1 s"


def test_a_refusal_of_all_addresses_is_told_as_that_of_the_first():
    async def lookup(host):
        return Answer(["127.0.0.1", "255.255.255.255"])  # nobody may connect to the second

    async def life():
        return await probe(f"app.test:{closed_port()}", HTTP, Resolver(lookup=lookup))

    assert asyncio.run(life()) == "did not accept: Connection refused"
