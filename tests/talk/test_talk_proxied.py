"""Conversations on routes that have a say in what backends are sent and in what they answer."""

from __future__ import annotations

import pytest
from stage import KEPT, ONE, SOLO, Backend

from proxy.upstream import dynamic

PLAIN = SOLO.replace("[[site.all.route]]", "[site.all.proxy]\nidentity = false\n[[site.all.route]]")
HIDING = PLAIN.replace("identity = false", 'identity = false\nhide = ["Server", "date"]')


def proxied(words, toml=SOLO):
    """A site whose proxy table says so."""
    return toml.replace("[[site.all.route]]", f"[site.all.proxy]\n{words}\n[[site.all.route]]")


def test_a_plain_request(opened):
    door = opened(PLAIN)
    client = door.client()
    client.get(b"/a%20b?c", b"X-Mine: 1\r\nConnection: close\r\n")
    door.backend().hears(b"GET /a%20b?c HTTP/1.1\r\nHost: app\r\nX-Mine: 1\r\n\r\n")
    door.backend().answers()
    assert client.status() == 200


def test_a_body_is_framed_anew(opened):
    door = opened(proxied("identity = false", KEPT.replace(', "10.0.0.2:2", "10.0.0.3:3"', "")))
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    client.says(b"2\r\nde\r\n0\r\n\r\n")
    assert door.backend().request()[1:] == ({b"host": b"app", b"content-length": b"5"}, b"abcde")
    door.backend().answers()
    assert client.status() == 200


def test_a_body_that_streams_stays_in_chunks(opened):
    door = opened(PLAIN)
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    door.backend().hears(b"POST / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    client.says(b"2\r\nde\r\n0\r\n\r\n")
    door.backend().hears(b"2\r\nde\r\n0\r\n\r\n")
    door.backend().answers()
    assert client.status() == 200


def test_a_body_that_nobody_wants_is_read_and_dropped(opened):
    door = opened(proxied("identity = false\npass_body = false"))
    client = door.client()
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 6\r\n\r\nabc")
    door.backend().hears(b"POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n")
    client.says(b"def")
    door.backend().hears_nothing()
    door.backend().answers()
    assert client.status() == 200
    client.get()
    assert door.backend().request()[0] == b"GET / HTTP/1.1"
    door.backend().answers()
    assert client.status() == 200


def test_a_method_that_is_changed_does_not_leave_a_body_on_the_link(opened):
    door = opened(proxied('identity = false\nmethod = "GET"'))
    client = door.client()
    client.says(b"HEAD / HTTP/1.1\r\nHost: door\r\n\r\n")
    door.backend().request()
    door.backend().says(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n")
    assert client.status("HEAD") == 200 and door.backend().gone


def test_a_path_in_place_of_the_routes(opened):
    door = opened(SOLO.replace('path = "/"', 'path = "/api/"\nproxy = { path = "/v2/" }'))
    client = door.client()
    client.get(b"/api/x?y")
    line, fields, _ = door.backend().request()
    assert line == b"GET /v2/x?y HTTP/1.1" and fields[b"host"] == b"door" and b"x-real-ip" in fields
    door.backend().answers()
    assert client.status() == 200


def test_a_rewritten_request_is_sent_as_it_is_now(opened):
    door = opened(SOLO.replace('path = "/"', 'path = "/"\nscript = [{ rewrite = "^/old/(.*)", to = "/new/$1?b" }]'))
    client = door.client()
    client.get(b"/old/x?a")
    assert door.backend().request()[0] == b"GET /new/x?b&a HTTP/1.1"
    door.backend().answers()
    assert client.status() == 200


def test_a_switch_that_was_not_asked_for_is_no_answer(opened):
    door = opened(PLAIN)
    client = door.client()
    client.get(more=b"Connection: upgrade\r\nUpgrade: websocket\r\n")
    assert b"upgrade" not in door.backend().request()[1]
    door.backend().says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    assert client.status() == 502


def test_a_switch_that_was_asked_for(opened):
    set_headers = '[{ name = "Upgrade", value = "$http_upgrade" }, { name = "Connection", value = "upgrade" }]'
    door = opened(proxied(f"identity = false\nset_headers = {set_headers}"))
    client = door.client()
    client.get(more=b"Connection: upgrade\r\nUpgrade: websocket\r\n")
    assert door.backend().request()[1][b"upgrade"] == b"websocket"
    door.backend().says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
    assert client.heard().endswith(b"\r\n\r\nhello")
    client.says(b"you")
    door.backend().hears(b"you")
    door.backend().hangs_up()


# --- answers


def answered(door, more, method=b"GET"):
    client = door.client()
    client.says(b"%b / HTTP/1.1\r\nHost: door\r\n\r\n" % method)
    door.backend().request()
    door.backend().answers(more=more)
    return client.answer()


def test_hidden_fields(opened):
    answer = answered(opened(HIDING), b"Server: theirs\r\nX-Accel-Other: 1\r\nX-Seen: 2\r\n")
    assert answer["server"] == b"frontgate" and answer["x-seen"] == b"2" and answer["x-accel-other"] == b"1"
    assert answer["date"] == b"Tue, 14 Nov 2023 22:13:20 GMT"  # ours


def test_an_upgrade_that_is_only_spoken_of(opened):
    answer = answered(opened(HIDING), b"Upgrade: websocket\r\nConnection: Upgrade\r\n")
    assert answer["upgrade"] == b"websocket"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"Location: http://app/a/b", b"/b"),
        (b"Refresh: 5; url=http://app/a/b", b"5; url=/b"),
        (b"Location: http://other/a", b"http://other/a"),
        (b"Location: /x/1/y", b"/1?"),
        (b"Refresh: 5", b"5"),
    ],
)
def test_redirects(opened, field, expected):
    swaps = '[{ from = "http://app/a/", to = "/" }, { from = "~*^/X/([0-9])", to = "/$1?" }]'
    answer = answered(opened(proxied(f"redirects = {swaps}")), field + b"\r\n")
    assert answer[field.partition(b":")[0].decode()] == expected


def test_cookies(opened):
    words = """
    cookie_domains = [{ from = ".Inner.test", to = "outer.test" }]
    cookie_paths = [{ from = "/in/", to = "/out/" }]
    cookie_flags = [{ cookie = "a", flags = ["secure", "samesite=strict"] }]
    """
    answer = answered(opened(proxied(words)), b"Set-Cookie: a=1; domain=.inner.TEST; Path=/in/x\r\nSet-Cookie: b=2\r\n")
    assert answer["set-cookie"] == b"a=1; domain=.outer.test; Path=/out/x; Secure; SameSite=Strict, b=2"


# --- where a backend leads

ACCEL = (
    proxied("accel = true")
    + """
[[site.all.route]]
path = "/inside/"
internal = true
reply = { body = "inside" }
[[site.all.route]]
path = "/else/"
reply = { body = "else" }
[[site.all.route]]
match = "named"
path = "other"
reply = { status = 201, body = "named" }
"""
)


@pytest.mark.parametrize(
    ("place", "status", "body"),
    [
        (b"/inside/x?y", 200, b"inside"),
        (b"@other", 201, b"named"),
        (b"@nobody", 500, None),
        (b"/inside/../..", 404, None),
        (b"/inside/%2e%2e/x", 404, None),
        (b"/inside/..%2fx", 404, None),
        (b"/inside/a%00b", 404, None),
        (b"/else/%252e%252e/inside/x", 200, b"else"),  # decoded once, which leads nowhere
        (b"http://evil/", 404, None),
    ],
)
def test_a_backend_leads_elsewhere(opened, place, status, body):
    door = opened(ACCEL)
    answer = answered(door, b"X-Accel-Redirect: %b\r\nContent-Type: text/x\r\nSet-Cookie: a=1\r\n" % place)
    assert answer.status == status and (body is None or answer.body == body)
    if status == 200:
        assert answer["content-type"] == b"text/x" and answer["set-cookie"] == b"a=1"
    assert b"x-accel" not in repr(answer.fields).encode()


def test_no_client_and_no_backend_of_another_route_leads_there(opened):
    door = opened(ACCEL.replace("accel = true", "identity = true"))
    assert answered(door, b"X-Accel-Redirect: /inside/x\r\n").body == b"ok"
    client = door.client()
    client.get(b"/inside/x", b"X-Accel-Redirect: /inside/x\r\n")
    assert client.status() == 404


# --- several attempts

LISTED = """
[upstream.app]
servers = ["10.0.0.1:1", "10.0.0.2:2"]
retry = { on = ["connect", 404], within = "5s" }
[site.all]
default = true
add_headers = [{ name = "X-Who", value = "$upstream_addr $upstream_status", always = true }]
[[site.all.route]]
path = "/"
upstream = "app"
"""


def test_all_attempts_are_listed(opened):
    door = opened(ONE + LISTED)
    client = door.client()
    client.get()
    door.backend(0).answers(status=b"404 Not Found")
    door.backend(1).answers()
    assert client.answer()["x-who"] == b"10.0.0.1:1, 10.0.0.2:2 404, 200"
    assert door.state().fails == 0  # a 404 says nothing of a backend


def test_no_attempt_begins_after_a_while(opened):
    door = opened(ONE + LISTED)
    client = door.client()
    client.get()
    door.wait(6)
    door.backend(0).answers(status=b"404 Not Found")
    answer = client.answer()
    assert answer.status == 404 and answer["x-who"] == b"10.0.0.1:1 404"


# --- backends that the request names

NAMED = (
    ONE
    + """
[upstream.app]
servers = ["10.0.0.1:1"]
[site.all]
default = true
errors = "html"
[[site.all.route]]
path = "/"
url = "http://$http_x_to"
add_headers = [{ name = "X-Who", value = "$upstream_addr $proxy_host $proxy_port", always = true }]
[[site.all.route]]
path = "/api/"
url = "http://$http_x_to/v2$uri"
"""
)


def led(door, to, path=b"/a%20b?c"):
    client = door.client()
    client.get(path, b"X-To: %b\r\n" % to)
    return client


@pytest.mark.parametrize(
    ("to", "address", "who"),
    [
        (b"app", "10.0.0.1:1", b"10.0.0.1:1 app 80"),
        (b"APP", "10.0.0.1:1", b"10.0.0.1:1 APP 80"),
        (b"10.0.0.7", "10.0.0.7:80", b"10.0.0.7:80 10.0.0.7 80"),
        (b"10.0.0.7:81", "10.0.0.7:81", b"10.0.0.7:81 10.0.0.7:81 81"),
        (b"[::7]:81", "::7:81", b"[::7]:81 [::7]:81 81"),
        (b"unix:/run/app.sock:", "unix:/run/app.sock", b"unix:/run/app.sock localhost "),
    ],
)
def test_a_backend_that_the_request_names(opened, to, address, who):
    door = opened(NAMED)
    door.backends.setdefault(address, Backend(address))
    client = led(door, to)
    assert door.backends[address].request()[0] == b"GET /a%20b?c HTTP/1.1"
    door.backends[address].answers()
    answer = client.answer()
    assert answer.status == 200 and answer["x-who"] == who.strip()


def test_the_urls_own_path(opened):
    door = opened(NAMED)
    door.backends["10.0.0.7:80"] = backend = Backend("10.0.0.7:80")
    client = led(door, b"10.0.0.7", b"/api/x%20y?z")
    assert backend.request()[0] == b"GET /v2/api/x%20y HTTP/1.1"
    backend.answers()
    assert client.status() == 200


@pytest.mark.parametrize(
    ("to", "status"),
    [
        (b"name.test", 502),  # nobody is there to be asked for it
        (b"localhost", 502),
        (b"", 500),
        (b"10.0.0.7:0", 500),
        (b"10.0.0.7:99999", 500),
        (b"unix:", 500),
        (b"[::7", 500),
        (b"/only/a/path", 500),
    ],
)
def test_what_leads_nowhere(opened, to, status):
    door = opened(NAMED)
    client = led(door, to)
    assert client.status() == status and not door.backends["10.0.0.1:1"].wires


def test_groups_of_addresses_are_bounded(door, monkeypatch):
    monkeypatch.setattr(dynamic, "MOST", 2)
    kept = dynamic.Kept(door.clock, door.wheel, door.parking, False)
    first, second = kept.group(("a:1",)), kept.group(("b:1", "c:1"))
    assert kept.group(("a:1",)) is first  # and so it is the youngest
    kept.group(("d:1",))
    assert kept.group(("a:1",)) is first and kept.group(("b:1", "c:1")) is not second


# --- bodies as files

FILED = """
add_headers = [{ name = "X-File", value = "$request_body_file", always = true }]
"""


def filed(words, folder):
    toml = KEPT.replace(', "10.0.0.2:2", "10.0.0.3:3"', "").replace("[site.all]", f"[site.all]{FILED}")
    return proxied(words, toml) + f'\n[buffer]\nfolder = "{folder}"\n'


@pytest.mark.parametrize(
    ("words", "size", "there", "stays"),
    [
        ("body_memory = 10", 10, False, False),
        ("body_memory = 10", 11, True, False),
        ("body_memory = 10", 200_000, True, False),  # which did not stay in memory either
        ('body_file = "clean"', 1, True, False),
        ('body_file = "on"', 1, True, True),
        ('body_file = "on"', 200_000, True, True),
        ('body_file = "on"', 0, False, False),
    ],
)
def test_a_body_in_a_file(opened, tmp_path, words, size, there, stays):
    door = opened(filed(words, tmp_path))
    client = door.client()
    body = b"ab" * (size // 2) + b"c" * (size % 2)
    client.post(body)
    assert door.backend().request()[2] == body
    door.backend().answers()
    name = client.answer()["x-file"]
    assert bool(name) is there
    if there and stays:
        with open(name, "rb") as file:
            assert file.read() == body
    assert len(list(tmp_path.iterdir())) == int(stays)
