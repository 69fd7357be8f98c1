"""Conversations: who may come in, who the client is, and the requests that routes make themselves."""

from __future__ import annotations

import hashlib
from base64 import b64encode, urlsafe_b64encode

import pytest
from stage import EPOCH, ONE

SITE = ONE + "[site.all]\ndefault = true\nnames = ['door']\n"
UP = '[upstream.app]\nservers = ["10.0.0.1:1"]\n[upstream.auth]\nservers = ["10.0.0.9:9"]\n'
REPLY = "reply = { body = 'in' }"
BASIC = b"Authorization: Basic " + b64encode(b"user:secret") + b"\r\n"
WRONG = b"Authorization: Basic " + b64encode(b"user:wrong") + b"\r\n"


def route(path, *lines, match="prefix"):
    return f"[[site.all.route]]\nmatch = '{match}'\npath = '{path}'\n" + "\n".join(lines) + "\n"


def says(text):
    return "script = [{ return = 200, to = '" + text + "' }]"


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "users"
    path.write_bytes(b"user:{PLAIN}secret\n")
    return f"auth_basic = {{ realm = 'in $host', users = '{path}' }}"


def ask(door, target=b"/", more=b"", peer=("192.0.2.7", 4711)):
    client = door.client(peer)
    client.get(target, more)
    return client


@pytest.mark.parametrize(
    ("rules", "peer", "status"),
    [
        ("{ deny = 'all' }", "192.0.2.7", 403),
        ("{ allow = '192.0.2.0/24' }, { deny = 'all' }", "192.0.2.7", 200),
        ("{ allow = '192.0.2.0/24' }, { deny = 'all' }", "198.51.100.1", 403),
        ("{ deny = '192.0.2.7' }, { allow = '192.0.2.0/24' }", "192.0.2.7", 403),
        ("{ allow = '192.0.2.7' }, { deny = '192.0.2.0/24' }", "192.0.2.7", 200),
        ("{ deny = '192.0.2.7' }", "2001:db8::1", 200),
        ("{ deny = '2001:db8::/32' }", "2001:db8::1", 403),
        ("{ deny = 'all' }", "2001:db8::1", 403),
        ("{ deny = 'all' }", "", 403),
        ("{ allow = 'unix' }, { deny = 'all' }", "", 200),
        ("{ deny = 'unix' }", "192.0.2.7", 200),
    ],
)
def test_addresses(opened, rules, peer, status):
    door = opened(SITE + route("/", REPLY, f"access = [{rules}]"))
    client = ask(door, peer=(peer, 1) if peer else "")
    assert client.status() == status


def test_a_route_says_all_about_addresses_or_nothing(opened):
    door = opened(
        SITE
        + "access = [{ deny = 'all' }]\n"
        + route("/", REPLY)
        + route("/free", REPLY, "access = [{ allow = 'all' }]")
    )
    assert (ask(door).status(), ask(door, b"/free").status()) == (403, 200)


def test_passwords(opened, users):
    door = opened(SITE + route("/", REPLY, users) + route("/open", REPLY, "auth_basic = { realm = 'off' }"))
    assert ask(door, b"/open").status() == 200
    answer = ask(door).answer()
    assert (answer.status, answer["WWW-Authenticate"]) == (401, b'Basic realm="in door"')
    assert ask(door, more=WRONG).status() == 401
    assert ask(door, more=b"Authorization: Basic nonsense\r\n").status() == 401
    answer = ask(door, more=BASIC).answer()
    assert (answer.status, answer.body) == (200, b"in")


def test_a_realm_can_end_neither_its_quotes_nor_its_line(opened, tmp_path):
    text = (
        "auth_basic = { realm = '$arg_x\"', users = '/nonexistent' }\n"
        "script = [{ rewrite = '(.*)', to = '/?x=$1', then = 'break' }]"
    )
    door = opened(SITE + route("/", REPLY, text))
    answer = ask(door, b"/%0d%0aX-Bad:%20y").answer()
    assert answer.status == 401 and b"\n" not in answer["WWW-Authenticate"] and not answer["X-Bad"]
    assert answer["WWW-Authenticate"].endswith(b'\\""')


def test_a_user_file_that_is_not_there(opened):
    door = opened(SITE + route("/", REPLY, "auth_basic = { realm = 'x', users = '/nonexistent/$arg_f' }"))
    assert ask(door, b"/?f=a").status() == 401
    assert ask(door, b"/?f=a", BASIC).status() == 403
    door = opened(SITE + route("/", REPLY, "auth_basic = { realm = 'x', users = '/' }"))
    assert ask(door, more=BASIC).status() == 500


def test_a_401_is_told_late_and_nothing_else(opened, users):
    door = opened(SITE + route("/", REPLY, users, "auth_delay = '2s'"))
    assert ask(door, more=BASIC).status() == 200
    slow, left = ask(door, more=WRONG), ask(door, more=WRONG)
    left.hangs_up()
    door.wait(1.5)
    slow.hears_nothing()
    door.wait(1)
    assert slow.status() == 401


GATES = [
    ("allow", "204", "all", 200), ("allow", "401", "all", 401), ("allow", "403", "all", 403),
    ("deny", "204", "all", 403), ("deny", "401", "all", 403),
    ("allow", "204", "any", 200), ("allow", "403", "any", 200),
    ("deny", "204", "any", 200), ("deny", "401", "any", 401), ("deny", "403", "any", 403), ("deny", "500", "any", 500),
    ("allow", "404", "all", 500), ("allow", "302", "all", 500),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "answered", "satisfy", "status"), GATES)
@pytest.mark.parametrize("late", [False, True])
def test_all_must_grant_or_any(opened, rule, answered, satisfy, status, late):
    text = SITE + route(
        "/", REPLY, f"access = [{{ {rule} = 'all' }}]", f"satisfy = '{satisfy}'", "auth_request = '/auth'"
    )
    if late:
        door = opened(UP + text + route("/auth", "internal = true", "upstream = 'auth'"))
    else:
        door = opened(UP + text + route("/auth", "internal = true", f"script = [{{ return = {answered} }}]"))
    client = ask(door)
    if late and door.backend(1).wires:
        client.hears_nothing()
        door.backend(1).answers(b"", status=answered.encode() + b" X")
    assert client.status() == status


def test_what_another_service_is_asked_and_says(opened):
    door = opened(
        UP
        + SITE
        + route("/auth", "internal = true", "upstream = 'auth'")
        + route(
            "/",
            "upstream = 'app'",
            "add_headers = [{ name = 'X-User', value = '$user', always = true }]",
            "auth_request = { path = '/auth', set = { user = '$upstream_http_x_user' } }",
        )
    )
    client = door.client()
    client.post(b"body", b"/deep/er?q=1", b"X-Own: 1\r\n")
    line, fields, body = door.backend(1).request()
    assert line == b"GET /auth HTTP/1.1" and body == b"" and fields[b"x-own"] == b"1"
    assert b"content-length" not in fields and fields[b"x-real-ip"] == b"192.0.2.7"
    door.backend(1).says(b"HTTP/1.1 204 No Content\r\nX-User: somebody\r\n\r\n")
    line, fields, body = door.backend(0).request()
    assert line == b"POST /deep/er?q=1 HTTP/1.1" and body == b"body"
    door.backend(0).answers(b"ok")
    answer = client.answer()
    assert answer.status == 200 and answer["X-User"] == b"somebody"
    assert len(door.finished) == 1, "the question is no request of a client"


def test_a_refusal_passes_its_challenges_on(opened):
    door = opened(UP + SITE + route("/auth", "upstream = 'auth'") + route("/", REPLY, "auth_request = '/auth'"))
    client = ask(door)
    door.backend(1).answers(b"secret", b"WWW-Authenticate: foo\r\nWWW-Authenticate: bar\r\nX-Other: 1\r\n", b"401 No")
    answer = client.answer()
    assert answer.status == 401 and answer["WWW-Authenticate"] == b"foo, bar"
    assert not answer["X-Other"] and b"secret" not in answer.body


def test_a_client_that_leaves_while_somebody_is_asked(opened):
    door = opened(UP + SITE + route("/auth", "upstream = 'auth'") + route("/", REPLY, "auth_request = '/auth'"))
    client = ask(door)
    client.hangs_up()
    door.backend(1).answers(b"")
    assert door.last.status == 499 and len(door.finished) == 1


def test_who_asks_is_not_asked(opened):
    """A question that leads to a route with a gate of its own would never end."""
    door = opened(SITE + route("/", says("in"), "access = [{ deny = 'all' }]", "auth_request = '/'"))
    assert ask(door).status() == 200  # a script answers first
    door = opened(SITE + route("/", REPLY, "auth_request = '/'"))
    assert ask(door).status() == 200


def test_copies_go_elsewhere_and_nobody_waits(opened):
    door = opened(
        UP
        + SITE
        + route("/copy", "internal = true", "upstream = 'auth'")
        + route("/", "upstream = 'app'", "mirror = '/copy'")
        + route("/bare", REPLY, "mirror = { path = '/copy', body = false }")
    )
    client = door.client()
    client.post(b"body", b"/x?a=1")
    line, fields, body = door.backend(1).request()
    assert (line, body, fields[b"content-length"]) == (b"POST /copy?a=1 HTTP/1.1", b"body", b"4")
    assert door.backend(0).request()[2] == b"body"
    door.backend(0).answers(b"ok")
    assert client.answer().body == b"ok"
    door.backend(1).answers(b"dropped")
    client.hears_nothing()
    client.post(b"body", b"/bare")
    assert client.answer().body == b"in"
    line, fields, body = door.backend(1).request()
    assert line == b"POST /copy HTTP/1.1" and body == b"" and b"content-length" not in fields
    door.backend(1).answers(b"dropped")
    assert len(door.finished) == 2


def test_other_methods_go_elsewhere(opened):
    door = opened(
        SITE
        + route("/", REPLY, "other_methods = { than = ['GET'], use = '@others' }")
        + route("others", REPLY, "access = [{ deny = 'all' }]", match="named")
    )
    client = door.client()
    for method, status in (("GET", 200), ("HEAD", 200), ("POST", 403)):
        client.says(f"{method} / HTTP/1.1\r\nHost: door\r\nContent-Length: 0\r\n\r\n".encode())
        assert client.status(method) == status


REAL = "real_ip = { trust = ['192.0.2.0/24'], field = 'X-Forwarded-For' }"


def test_the_client_that_a_proxy_names(opened):
    door = opened(
        UP
        + SITE
        + REAL
        + "\n"
        + route("/", says("$remote_addr:$remote_port $realip_remote_addr:$realip_remote_port"))
        + route("/app", "upstream = 'app'")
    )
    chain = b"X-Forwarded-For: 203.0.113.9:99, 192.0.2.1\r\n"
    assert ask(door, more=chain).answer().body == b"203.0.113.9:99 192.0.2.7:4711"
    assert ask(door, more=b"X-Forwarded-For: 203.0.113.9\r\n").answer().body == b"203.0.113.9: 192.0.2.7:4711"
    assert ask(door).answer().body == b"192.0.2.7:4711 192.0.2.7:4711"
    assert ask(door, more=chain, peer=("198.51.100.1", 1)).answer().body == b"198.51.100.1:1 198.51.100.1:1"
    ask(door, b"/app", chain)
    fields = door.backend().request()[1]
    assert fields[b"x-real-ip"] == b"203.0.113.9"
    assert fields[b"x-forwarded-for"] == b"203.0.113.9:99, 192.0.2.1, 192.0.2.7"


def test_rules_and_site_scripts_see_the_client_that_was_named(opened):
    script = "script = [{ if = '$remote_addr = 203.0.113.1', do = [{ return = 402 }] }]\n"
    door = opened(SITE + REAL + "\n" + script + route("/", REPLY, "access = [{ deny = '203.0.113.9' }]"))
    assert ask(door).status() == 200
    assert ask(door, more=b"X-Forwarded-For: 203.0.113.9\r\n").status() == 403
    assert ask(door, more=b"X-Forwarded-For: 203.0.113.1\r\n").status() == 402


def test_referers_and_signed_links_belong_to_their_routes(opened):
    signed = "secure_link = { link = '$arg_md5,$arg_until', signed = 'key$uri$arg_until' }"
    door = opened(
        SITE
        + route("/here", says("[$invalid_referer]"), "referers = ['none', 'server_names', '*.example.com']")
        + route("/link", says("[$secure_link $secure_link_expires]"), signed)
        + route("/old", says("[$secure_link]"), "secure_link = { secret = 'key' }")
        + route("/", says("[$invalid_referer$secure_link]"))
    )

    def told(target, more=b""):
        return ask(door, target, more).answer().body

    assert told(b"/here") == told(b"/here", b"Referer: http://door/x\r\n") == b"[]"
    assert told(b"/here", b"Referer: http://a.example.com:8080/x\r\n") == b"[]"
    assert told(b"/here", b"Referer: http://example.org/\r\n") == b"[1]"
    assert told(b"/", b"Referer: http://example.org/\r\n") == b"[]"
    now = int(EPOCH)
    for until, worth in ((now + 10, b"1"), (now - 10, b"0")):
        digest = urlsafe_b64encode(hashlib.md5(b"key/link%d" % until).digest()).rstrip(b"=")
        assert told(b"/link?md5=%b&until=%d" % (digest, until)) == b"[%b %d]" % (worth, until)
        assert told(b"/link?md5=%b&until=%d" % (digest[::-1], until)).startswith(b"[ ")
    assert told(b"/link?md5=x&until=0") == told(b"/link") == b"[ ]"
    digest = hashlib.md5(b"a/bkey").hexdigest().encode()
    assert told(b"/old/%b/a/b" % digest) == b"[a/b]"
    assert told(b"/old/%b/a/c" % digest) == told(b"/old/x/a") == b"[]"


def test_a_copy_of_a_body_that_lies_in_a_file(opened):
    door = opened(
        "[buffer]\nmemory = '1k'\n"
        + UP
        + SITE
        + route("/copy", "internal = true", "upstream = 'auth'")
        + route("/", "upstream = 'app'", "mirror = '/copy'")
    )
    client, body = door.client(), bytes(range(256)) * 400
    client.says(b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: %d\r\n\r\n" % len(body))
    client.says(body)
    assert door.runtime.spools.files == 1, "both read the same file"
    assert door.backend(0).request()[2] == body
    door.backend(0).answers(b"ok")
    assert client.answer().body == b"ok" and door.runtime.spools.files == 1
    assert door.backend(1).request()[2] == body
    door.backend(1).answers(b"dropped")
    assert door.runtime.spools.files == 0 and door.runtime.spools.in_files == 0
