"""Conversations about connections: what is said of their end, whose end early, and what they switch to."""

from __future__ import annotations

import gzip

import pytest
from stage import ONE, SOLO

NGINX = "[http]\ndialect = 'nginx'\n"
SITE = ONE + "[site.all]\ndefault = true\n"
ANSWER = 'path = "/"\nreply = { status = 200, body = "hello" }\n'
GET = b"GET / HTTP/1.1\r\nHost: door\r\n%b\r\n"
POST = b"POST / HTTP/1.1\r\nHost: door\r\n%b\r\n"
OLD = b"User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)\r\n"
OLD_BUT_MENDED = b"User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)\r\n"
SAFARI = b"User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_6) AppleWebKit/534.48 Safari/534.48\r\n"
CHROME = b"User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_6) AppleWebKit/537.36 Chrome/1 Safari/537.36\r\n"


def route(text=ANSWER):
    return SITE + "[[site.all.route]]\n" + text


def connection_of(client, request):
    """The Connection fields of the answer."""
    client.says(request)
    head = client.heard().partition(b"\r\n\r\n")[0]
    return [line[12:] for line in head.split(b"\r\n") if line.startswith(b"Connection: ")]


def ended(client):
    """Whether the door says no more."""
    return client.gone or client.eof_sent


# --- what is known of them


@pytest.mark.parametrize("leave", ["hangs_up", "resets"])
def test_a_log_knows_whose_connection_it_was_that_has_ended(opened, tmp_path, leave):
    form = "$status $realip_remote_addr $realip_remote_port $connection_time"
    door = opened(f'[log]\naccess = "{tmp_path}/log"\nformat = "{form}"\n' + SOLO)
    client = door.client()
    client.says(GET % b"")
    door.wait(2.0)
    getattr(client, leave)()
    door.runtime.flush()
    assert (tmp_path / "log").read_text() == "499 192.0.2.7 4711 2.000\n"


# --- keep-alive


def test_by_itself_it_says_nothing_of_a_connection_that_stays(opened):
    assert connection_of(opened(route()).client(), GET % b"") == []


@pytest.mark.parametrize("more", ["", "errors = 'html'\n", "compress = true\n"])
def test_as_nginx_it_says_so(opened, more):
    client = opened(NGINX + route(ANSWER + more)).client()
    assert connection_of(client, GET % b"") == [b"keep-alive"]
    assert connection_of(client, GET.replace(b"GET", b"HEAD") % b"") == [b"keep-alive"]
    assert connection_of(client, GET % b"Connection: close\r\n") == [b"close"] and ended(client)


def test_as_nginx_to_a_client_of_1_0_once(opened):
    client = opened(NGINX + route()).client()
    old = b"GET / HTTP/1.0\r\nHost: door\r\n%b\r\n"
    assert connection_of(client, old % b"Connection: keep-alive\r\n") == [b"keep-alive"]
    assert connection_of(client, old % b"") == [b"close"]


def test_as_nginx_of_what_backends_answer(opened):
    door = opened(NGINX + SOLO)
    client = door.client()
    client.says(GET % b"")
    door.backend().says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
    assert client.heard().count(b"Connection: keep-alive\r\n") == 1
    client.says(GET % b"")
    door.backend().says(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert client.heard().count(b"Connection: keep-alive\r\n") == 1


def test_the_log_knows_what_was_said(opened, tmp_path):
    path = tmp_path / "access.log"
    form = "$sent_http_connection $sent_http_transfer_encoding $bytes_sent"
    text = NGINX + f'[log]\naccess = "{path}"\nformat = "{form}"\n' + route(ANSWER + "errors = 'html'\n")
    door = opened(text)
    client = door.client()
    client.says(GET % b"")
    sizes = [len(client.heard())]
    client.says(GET % b"Connection: close\r\n")
    sizes.append(len(client.heard()))
    door.runtime.flush()
    assert path.read_text() == f"keep-alive - {sizes[0]}\nclose - {sizes[1]}\n"


@pytest.mark.parametrize(("status", "ends"), [(400, True), (413, True), (500, True), (404, False), (503, False)])
def test_as_nginx_it_ends_behind_some_errors(opened, status, ends):
    client = opened(NGINX + route(f'path = "/"\nerrors = "html"\nreply = {{ status = {status} }}\n')).client()
    assert connection_of(client, GET % b"") == [b"close" if ends else b"keep-alive"]
    assert ended(client) is ends


# --- browsers


@pytest.mark.parametrize(
    ("browsers", "request_", "ends"),
    [
        ("msie6", POST % OLD, True),
        ("msie6", GET % OLD, False),
        ("msie6", POST % OLD_BUT_MENDED, False),
        ("msie6", POST % SAFARI, False),
        ("msie6", POST % b"", False),
        ("safari", GET % SAFARI, True),
        ("safari", GET % CHROME, False),
        ("safari", POST % OLD, False),
    ],
)
def test_browsers_whose_connections_end(opened, browsers, request_, ends):
    client = opened(route(ANSWER + f"connection = {{ unkept = ['{browsers}'] }}\n")).client()
    assert connection_of(client, request_) == ([b"close"] if ends else [])
    assert ended(client) is ends


def test_keep_alive_is_told_only_of_what_is_kept(opened):
    client = opened(route(ANSWER + "connection = { tell = 9 }\n")).client()
    client.says(GET % b"")
    assert b"\r\nKeep-Alive: timeout=9\r\n" in client.heard()
    client.says(GET % b"Connection: close\r\n")
    assert b"Keep-Alive" not in client.heard()


# --- other protocols

PASSED = (
    "[site.all.route.proxy]\nidentity = false\nset_headers = [{ name = 'Upgrade', value = '$http_upgrade' }, "
    "{ name = 'Connection', value = 'upgrade' }]\n"
)
SWITCH = b"HTTP/1.1 101 Switching\r\nUpgrade: %b\r\nConnection: Upgrade\r\n\r\n%b"


def upgrading(door, protocol=b"chat", answer=b"chat"):
    """A client that asks for a protocol, where that is passed on."""
    client = door.client()
    client.says(GET % (b"Connection: upgrade\r\nUpgrade: %b\r\n" % protocol))
    door.backend().request()
    door.backend().says(SWITCH % (answer, b"hi"))
    return client


def test_any_protocol_where_that_is_passed_on(opened, tmp_path):
    log = f'[log]\naccess = "{tmp_path}/log"\nformat = "$status $body_bytes_sent $bytes_sent"\n'
    door = opened(log + SOLO + PASSED)
    client = upgrading(door)
    heard = client.heard()
    assert heard.startswith(b"HTTP/1.1 101 Switching\r\n") and heard.endswith(b"Upgrade: chat\r\n\r\nhi")
    client.says(b"there")
    door.backend().hears(b"there")
    door.backend().hangs_up()
    door.runtime.flush()
    assert (tmp_path / "log").read_text() == f"101 2 {len(heard)}\n"


@pytest.mark.parametrize(("protocol", "answer"), [(b"chat", b"other"), (b"h2c", b"h2c"), (b"chat, h2c", b"h2c")])
def test_but_no_other_than_was_asked_for_and_never_http_2(opened, protocol, answer):
    assert upgrading(opened(SOLO + PASSED), protocol, answer).status() == 502


def test_by_itself_it_knows_websocket_alone(opened):
    door = opened(SOLO)
    client = door.client()
    client.says(GET % b"Connection: upgrade\r\nUpgrade: chat\r\n")
    assert b"upgrade" not in door.backend().request()[1]
    door.backend().says(SWITCH % (b"chat", b""))
    assert client.status() == 502


# --- variables


@pytest.mark.parametrize(
    ("path", "rate"), [("/?r=40k", b"40960"), ("/?r=2m", b"2097152"), ("/?r=x", b"0"), ("/", b"0")]
)
def test_limit_rate_is_read_back_in_bytes(opened, path, rate):
    script = "script = [{ set = 'limit_rate', to = '$arg_r' }, { return = 200, to = '$limit_rate' }]\n"
    client = opened(route('path = "/"\n' + script)).client()
    client.says(f"GET {path} HTTP/1.1\r\nHost: door\r\n\r\n".encode())
    assert client.heard().endswith(b"\r\n\r\n" + rate)


def test_an_answer_may_speak_of_its_own_status(opened):
    client = opened(route('path = "/"\nscript = [{ return = 403, to = "$status" }]\n')).client()
    client.says(GET % b"")
    assert client.heard().endswith(b"\r\n\r\n403")


def test_what_compression_made_of_a_body(opened, tmp_path):
    body = b"again and " * 500
    log = f'[log]\naccess = "{tmp_path}/log"\nformat = "$gzip_ratio"\n'
    door = opened(log + SOLO + "compress = true\n")
    client = door.client()
    for more in (b"", b"Accept-Encoding: gzip\r\n"):
        client.says(GET % more)
        door.backend().request()
        door.backend().says(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        client.heard()
    door.runtime.flush()
    plain, packed = (tmp_path / "log").read_text().split()
    assert plain == "-" and len(body) / len(gzip.compress(body)) * 0.5 < float(packed) < 500


def test_the_path_of_what_could_not_be_read_is_nothing(opened, tmp_path):
    door = opened(f'[log]\naccess = "{tmp_path}/log"\nformat = "[$uri] $pid"\n' + route())
    door.client().says(b"GET /../.. HTTP/1.1\r\nHost: door\r\n\r\n")
    door.client().says(b"\x01\x02\r\n\r\n")
    door.client().says(GET % b"")
    door.runtime.flush()
    lines = (tmp_path / "log").read_text().split("\n")[:-1]
    assert [line.split()[0] for line in lines] == ["[]", "[]", "[/]"] and all(
        line.split()[1].isdigit() for line in lines
    )
