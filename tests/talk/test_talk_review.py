"""Conversations about what a review found: bodies that fail, values that ask for what is being written, hosts."""

from __future__ import annotations

import gzip

import pytest
from stage import ONE, SOLO, Backend

from proxy.content.compress import MOST

PAGED = (
    ONE
    + """
[upstream.app]
servers = ["10.0.0.1:1"]
[upstream.page]
servers = ["10.0.0.2:2"]
[site.all]
default = true
max_body = 10
error_pages = [{ status = [400, 408, 413], to = "/page" }]
[[site.all.route]]
path = "/"
upstream = "app"
request_buffering = BUFFERED
[[site.all.route]]
path = "/page"
upstream = "page"
"""
)
CHUNKS = b"POST /x HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(params=["true", "false"])
def paged(request, opened):
    """A door whose error pages come from the second of two backends."""
    return opened(PAGED.replace("BUFFERED", request.param))


def gets_the_page(door, client, status):
    """The page is asked for once, and the client gets it."""
    page = door.backend(1)
    assert len(page.wires) == 1
    assert page.request()[0].startswith(b"GET /page ")
    page.hears_nothing()
    page.answers(b"page")
    answer = client.answer()
    assert (answer.status, answer.body) == (status, b"page")
    assert door.state(0, "page").taken == 1


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ((CHUNKS + b"zz\r\n",), 400),
        ((CHUNKS, b"zz\r\n"), 400),
        ((CHUNKS + b"zz\r\n", b"more\r\n"), 400),
        ((CHUNKS + b"b\r\nhello world\r\n0\r\n\r\n",), 413),
        ((CHUNKS + b"b\r\nhello", b" world\r\n0\r\n\r\n"), 413),
        ((b"POST /x HTTP/1.1\r\nHost: door\r\nContent-Length: 20\r\n\r\n0123456789", b"0123456789"), 413),
    ],
)
def test_a_body_that_fails_has_its_page_made_once(paged, words, status):
    client = paged.client()
    for word in words:
        client.says(word)
    gets_the_page(paged, client, status)


def test_nobody_waits_for_the_body_while_the_page_is_made(paged):
    client = paged.client()
    client.says(CHUNKS + b"zz\r\n")
    paged.wait(20)
    client.says(b"much more of it")
    paged.wait(20)
    gets_the_page(paged, client, 400)


def test_a_body_that_does_not_come_has_its_page_made_once(opened):
    door = opened('[timeouts]\nclient_body = "2s"\n' + PAGED.replace("BUFFERED", "true"))
    client = door.client()
    client.says(CHUNKS)
    door.wait(6)
    client.says(b"1\r\na\r\n0\r\n\r\n")
    gets_the_page(door, client, 408)


def test_values_that_speak_of_the_attempt_that_is_being_made(opened):
    names = "$upstream_addr $upstream_bytes_sent $upstream_status"
    door = opened(SOLO + f'proxy = {{ identity = false, set_headers = [{{ name = "X-S", value = "[{names}]" }}] }}\n')
    client = door.client()
    client.get()
    assert door.backend().request()[1][b"x-s"] == b"[10.0.0.1:1 0 -]"
    door.backend().answers()
    assert client.status() == 200


def test_bytes_that_were_sent_are_those_that_were_written(opened):
    more = 'proxy = { identity = false }\nadd_headers = [{ name = "X-Sent", value = "$upstream_bytes_sent" }]\n'
    door = opened(SOLO + more)
    client = door.client()
    client.post(b"abc")
    written = len(door.backend().heard())
    door.backend().answers()
    assert client.answer()["x-sent"] == b"%d" % written


HOSTED = (
    ONE
    + """
[site.all]
default = true
[[site.all.route]]
match = "regex"
path = "^/ph/([^/]*)/"
url = "http://$1:81"
proxy = { identity = false }
"""
)


@pytest.mark.parametrize(
    "host", [b"a%20b%0d%0aFoo", b"a%0d%0aX-Mine:%20b", b"a%00", b"a%40b", b"a,b", b"a%ff", b"%5b::1"]
)
def test_a_host_of_a_url_is_a_host(opened, host):
    client = opened(HOSTED).client()
    client.get(b"/ph/%b/" % host)
    assert client.status() == 500


def test_a_host_of_a_url_may_have_what_hosts_have(opened):
    door = opened(HOSTED)
    door.backends["10.0.0.7:81"] = Backend("10.0.0.7:81")
    client = door.client()
    client.get(b"/ph/10.0.0.7/")
    assert door.backends["10.0.0.7:81"].request()[1][b"host"] == b"10.0.0.7:81"
    door.backends["10.0.0.7:81"].answers()
    assert client.status() == 200
    client = door.client()
    client.get(b"/ph/a-b_c~d.test/")
    assert client.status() == 502  # no resolver knows it, but it was a name


def test_what_is_unpacked_comes_in_small_parts(opened):
    door = opened(SOLO + "decompress = true\n")
    client = door.client()
    client.get()
    packed = gzip.compress(bytes(1_000_000))
    door.backend().answers(packed, b"Content-Encoding: gzip\r\nContent-Type: text/plain\r\n")
    _, _, rest = client.heard().partition(b"\r\n\r\n")
    total = 0
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        assert size <= MOST == 65536
        total += size
        rest = rest[size + 2 :]
    assert total == 1_000_000


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_what_a_client_does_not_take_stays_packed(opened, pieces):
    size = 20_000_000
    packed = gzip.compress(bytes(size))
    door = opened(SOLO + "decompress = true\n")
    client = door.client()
    client.get()
    client.jammed = True
    fields = b"Content-Encoding: gzip\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(packed)
    door.backend().says(b"HTTP/1.1 200 OK\r\n" + fields)
    step = len(packed) // pieces + 1
    for at in range(0, len(packed), step):
        door.backend().says(packed[at : at + step])
    heard = 0
    for _ in range(1000):
        assert len(client.buffer) < 400_000
        client.flows(100_000)
        heard += client.heard().count(b"\0")
        if heard == size:
            break
    assert heard == size
    client.jammed = False
    client.flows()
    assert door.fault is None and door.last.status == 200
    client.get()
    door.backend().answers()
    assert client.status() == 200


def test_a_client_that_leaves_what_is_packed(opened):
    door = opened(SOLO + "decompress = true\n")
    client = door.client()
    client.get()
    client.jammed = True
    door.backend().answers(gzip.compress(bytes(20_000_000)), b"Content-Encoding: gzip\r\n")
    client.resets()
    assert door.fault == "client_left"


@pytest.mark.parametrize("packed", [False, True])
def test_a_pace_and_a_client_that_does_not_keep_up_lose_nothing(opened, packed):
    door = opened(SOLO + 'pace = { rate = "200k" }\ndecompress = true\n')
    client = door.client()
    client.get()
    client.jammed = True
    fields = b"Content-Encoding: gzip\r\n" if packed else b""
    door.backend().answers(gzip.compress(bytes(1_000_000)) if packed else bytes(1_000_000), fields)
    heard = 0
    for _ in range(100):
        client.flows(100_000)
        heard += client.heard().count(b"\0")
        door.wait(1)
    assert heard == 1_000_000 and door.fault is None
