"""Conversations: scripts, named routes, error pages, fields with variables."""

from __future__ import annotations

import pytest
from stage import ONE

SITE = ONE + "[site.all]\ndefault = true\nnames = ['door.example', '~^(?<who>[a-z]+)\\.users\\.example$']\n"
UP = '[upstream.app]\nservers = ["10.0.0.1:1"]\n'


def told(door, text, request="GET / HTTP/1.1\r\nHost: door.example\r\n\r\n"):
    """What a door with these routes answers: the status line and fields, and the body."""
    client = door(text).client()
    client.says(request.encode())
    head, _, body = client.heard().partition(b"\r\n\r\n")
    return head, body


def get(path, host="door.example", extra=""):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{extra}\r\n"


def route(path, *lines, match="prefix"):
    return f"[[site.all.route]]\nmatch = '{match}'\npath = '{path}'\n" + "\n".join(lines) + "\n"


def script(*operations):
    return "script = [" + ", ".join(operations) + "]"


def answer(text, status=200):
    return f"{{ return = {status}, to = '{text}' }}"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/a?x=1&y=2", b"a /a x=1&y=2 1"),
        ("/one/two", b"r two /r/two k=v"),
        ("/one/two?old=1", b"r two /r/two k=v&old=1"),
        ("/drop/two?old=1", b"r two /r/two k=v"),
        ("/stay", b"stay /r/stay"),
        ("/set", b"set A-b-"),
        ("/if?q=yes", b"yes"),
        ("/if?q=no", b"not yes"),
        ("/if", b"nothing"),
        ("/if?q=abc", b"match c"),
    ],
)
def test_scripts(opened, path, body):
    text = (
        SITE
        + route("/a", script(answer("a $uri $args $arg_x")))
        + route("^/r/(.*)", script(answer("r $1 $uri $args")), match="regex")
        + route("/one", script("{ rewrite = '^/one/(.*)$', to = '/r/$1?k=v', then = 'last' }"))
        + route("/drop", script("{ rewrite = '^/drop/(.*)$', to = '/r/$1?k=v?', then = 'last' }"))
        + route("/stay", script("{ rewrite = '^', to = '/r/stay', then = 'break' }", answer("not reached")), REPLY)
        + route(
            "/set",
            script("{ set = 'one', to = 'A' }", "{ set = 'two', to = '$one-b-$three' }", SETS, answer("set $two")),
        )
        + route(
            "/if",
            script(
                f"{{ if = '$arg_q = yes', do = [{answer('yes')}] }}",
                f"{{ if = '$arg_q ~ ^ab(.)', do = [{answer('match $1')}] }}",
                f"{{ if = '$arg_q', do = [{answer('not yes')}] }}",
                answer("nothing"),
            ),
        )
    )
    head, told_body = told(opened, text, get(path))
    if path == "/stay":
        assert b"\r\nX-Uri: /r/stay" in head and told_body == b"fixed"
    else:
        assert head.startswith(b"HTTP/1.1 200 OK\r\n") and told_body == body


REPLY = "reply = { body = 'fixed' }\nadd_headers = [{ name = 'X-Uri', value = '$uri' }]"
SETS = "{ if = '$arg_never', do = [{ set = 'three', to = 'x' }] }"


def test_a_rewrite_that_leads_back_to_itself_ends(opened):
    text = SITE + route("/", script("{ rewrite = '^', to = '/again', then = 'last' }"))
    assert told(opened, text)[0].startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize(
    ("operation", "status", "place"),
    [
        ("{ rewrite = '^/(.*)$', to = '/new/$1', then = 'permanent' }", b"301", b"/new/old%20one?k=v"),
        (
            "{ rewrite = '^/(.*)$', to = 'http://other.example/$1?', then = 'redirect' }",
            b"302",
            b"http://other.example/old%20one",
        ),
        ("{ rewrite = '^', to = 'https://$host$uri' }", b"302", b"https://door.example/old one?k=v"),
        ("{ return = 307, to = 'https://$host$request_uri' }", b"307", b"https://door.example/old%20one?k=v"),
    ],
)
def test_redirects(opened, operation, status, place):
    head, _ = told(opened, SITE + route("/", script(operation)), get("/old%20one?k=v"))
    assert head.split()[1] == status and b"\r\nLocation: " + place + b"\r\n" in head + b"\r\n"


def test_no_answer_at_all(opened):
    client = opened(SITE + route("/", script("{ return = 444 }"))).client()
    client.says(get("/").encode())
    client.hears_nothing()
    assert client.gone or client.eof_sent


def test_a_name_that_is_an_expression(opened):
    _, body = told(opened, SITE + route("/", script(answer("for $who at $server_name"))), get("/", "ann.users.example"))
    assert body == b"for ann at door.example"


def test_the_site_s_own_script_comes_first(opened):
    site = SITE + "script = [{ rewrite = '^/in(.*)$', to = '/x$1' }, { set = 'seen', to = '1' }]\n"
    text = site + route("/x", script(answer("x $uri $seen"))) + route("/", script(answer("root $seen")))
    assert told(opened, text, get("/in/side"))[1] == b"x /x/side 1"
    assert told(opened, text, get("/other"))[1] == b"root 1"


def test_error_pages(opened):
    text = (
        SITE
        + "error_pages = [{ status = [404], to = '/missing' }, { status = [403], to = '@other', answer = 0 },"
        + " { status = [410], to = 'https://else.example$uri' }, { status = [500], to = '/missing', answer = 202 }]\n"
        + route("/missing", "internal = true", script(answer("gone: $uri")))
        + route("/403", script("{ return = 403 }"))
        + route("/410", script("{ return = 410 }"))
        + route("/500", script("{ return = 500 }"))
        + route("other", script(answer("named", 201)), match="named")
    )
    assert told(opened, text, get("/nowhere"))[0].startswith(b"HTTP/1.1 404 ")
    assert told(opened, text, get("/nowhere"))[1] == b"gone: /missing"
    assert told(opened, text, get("/missing"))[0].startswith(b"HTTP/1.1 404 ")  # internal: not to be asked for
    assert told(opened, text, get("/403"))[0].startswith(b"HTTP/1.1 201 ")
    assert told(opened, text, get("/500"))[0].startswith(b"HTTP/1.1 202 ")
    head, _ = told(opened, text, get("/410"))
    assert head.startswith(b"HTTP/1.1 302 ") and b"\r\nLocation: https://else.example/410\r\n" in head


def test_an_error_of_a_backend_gets_its_page_only_if_it_is_to(opened):
    for intercept, body in (("true", b"page"), ("false", b"theirs")):
        text = SITE + f"intercept = {intercept}\nerror_pages = [{{ status = [502, 503], to = '/page' }}]\n" + UP_ROUTE
        door = opened(UP + text)
        client = door.client()
        client.says(get("/app").encode())
        door.backend().request()
        door.backend().says(b"HTTP/1.1 503 No\r\nContent-Length: 6\r\n\r\ntheirs")
        told_all = client.heard()
        assert told_all.startswith(b"HTTP/1.1 503 ") and told_all.endswith(b"\r\n\r\n" + body)


UP_ROUTE = route("/app", "upstream = 'app'") + route("/page", script(answer("page")))


def test_added_fields_have_variables_and_spare_errors(opened):
    fields = (
        "add_headers = [{ name = 'X-Uri', value = '$uri' }, { name = 'X-None', value = '$arg_none' },"
        " { name = 'X-All', value = 'all', always = true }]\n"
    )
    text = SITE + fields + route("/ok", script(answer("ok")))
    head, _ = told(opened, text, get("/ok"))
    assert b"\r\nX-Uri: /ok" in head and b"\r\nX-All: all" in head and b"X-None" not in head
    head, _ = told(opened, text, get("/no"))
    assert b"X-Uri" not in head and b"\r\nX-All: all" in head


def test_errors_look_like_nginx_s_when_asked(opened):
    head, body = told(opened, SITE + "errors = 'html'\n", get("/no"))
    assert b"\r\nContent-Type: text/html" in head and b"<center><h1>404 Not Found</h1></center>" in body
    assert b"\r\nContent-Length: %d" % len(body) in head


def test_what_an_if_says_of_answers_holds_under_it(opened):
    text = (
        SITE
        + route("/", script("{ if = '$arg_x', use = '@with' }"), "reply = { body = 'plain' }")
        + route("with", "reply = { body = 'under' }", "add_headers = [{ name = 'X-If', value = 'yes' }]", match="named")
    )
    assert told(opened, text, get("/"))[1] == b"plain"
    head, body = told(opened, text, get("/?x=1"))
    assert body == b"under" and b"\r\nX-If: yes" in head


def test_a_body_over_the_limit_of_the_route_it_was_led_to(opened):
    text = (
        SITE
        + "max_body = '1k'\n"
        + route("/a", script("{ rewrite = '^', to = '/b', then = 'last' }"), "max_body = '1m'")
    )
    text += route("/b", "reply = { body = 'b' }")
    request = "POST /a HTTP/1.1\r\nHost: door.example\r\nContent-Length: 2000\r\n\r\n" + "x" * 2000
    assert told(opened, text, request)[0].startswith(b"HTTP/1.1 413 ")


INSIDE = route("/inside/", "internal = true", "reply = { body = 'secret' }")


def test_what_an_error_page_s_path_is_made_of_is_not_decoded_again(opened):
    page = "error_pages = [{ status = [404], to = '/err$uri' }]"
    text = SITE + INSIDE + route("/a/", page, script(answer("gone", 404)))
    text += route("/err/", script(answer("$uri $args")))
    assert told(opened, text, get("/a/%252e%252e/%252e%252e/inside/x"))[1] == b"/err/a/%2e%2e/%2e%2e/inside/x "
    assert told(opened, text, get("/a/b%3fc"))[1] == b"/err/a/b c"


@pytest.mark.parametrize("then", ["last", "break", ""])
def test_a_rewrite_may_lead_inside(opened, then):
    then = f", then = '{then}'" if then else ""
    text = SITE + INSIDE + route("/out/", script(f"{{ rewrite = '^/out/(.*)', to = '/inside/$1'{then} }}"), REPLY)
    assert told(opened, text, get("/out/x"))[1] == (b"fixed" if "break" in then else b"secret")
    assert told(opened, text, get("/inside/x"))[0].startswith(b"HTTP/1.1 404 ")


def test_a_rewrite_does_not_lead_around_the_limit_of_a_body(opened):
    leads = script("{ rewrite = '^/out/(.*)', to = '/small/$1', then = 'last' }")
    text = SITE + route("/out/", "max_body = 100", leads) + route("/small/", "max_body = 5", REPLY)
    request = "POST /out/x HTTP/1.1\r\nHost: door.example\r\nContent-Length: %d\r\n\r\n"
    assert told(opened, text, request % 10)[0].startswith(b"HTTP/1.1 413 ")
    assert told(opened, text, request % 5 + "12345")[1] == b"fixed"


def test_a_paced_page_for_a_backend_s_error_finishes_once_and_whole(opened):
    page = "x" * 3000
    text = (
        UP
        + SITE
        + "intercept = true\nerror_pages = [{ status = [503], to = '/page' }]\npace = { rate = '1000' }\n"
        + route("/app", "upstream = 'app'")
        + route("/page", script(answer(page)))
    )
    door = opened(text)
    client = door.client()
    client.says(get("/app").encode())
    door.backend().request()
    door.backend().says(b"HTTP/1.1 503 No\r\nContent-Length: 6\r\n\r\ntheirs")
    assert len(client.heard()) < 2500 and not door.finished
    door.wait(5, step=0.1)
    assert len(door.finished) == 1 and door.last.body_out == len(page)
