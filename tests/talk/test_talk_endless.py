"""Conversations: expressions that find no end with what a client has sent. Nobody gets past one."""

from __future__ import annotations

import time

import pytest
from stage import ONE

EVIL = "((a|a)+)+!"
LONG = b"a" * 60
SITE = ONE + "[site.all]\ndefault = true\nnames = ['door']\n"
UP = '[upstream.app]\nservers = ["10.0.0.1:1"]\n'
SAID = "script = [{ return = 200, to = 'let in' }]"
MAP = f"[map.seen]\nfrom = '$arg_x'\ndefault = 'none'\ncases = {{ '~^{EVIL}$' = 'yes' }}\n"
REWRITE = f"script = [{{ rewrite = '^/re/{EVIL}$', to = '/other' }}, {{ return = 200, to = 'let in' }}]"
REFUSE = "do = [{ return = 403 }]"


def route(path, *lines, match="prefix"):
    return f"[[site.all.route]]\nmatch = '{match}'\npath = '{path}'\n" + "\n".join(lines) + "\n"


WAYS = {
    "location": (SITE + route(f"^/re/{EVIL}$", SAID, match="regex") + route("/", SAID), b"/re/" + LONG),
    "rewrite": (SITE + route("/", REWRITE), b"/re/" + LONG),
    "if": (SITE + route("/", f"script = [{{ if = '$arg_x ~ ^{EVIL}$', {REFUSE} }}]", "reply = {}"), b"/?x=" + LONG),
    "if not": (
        SITE + route("/", f"script = [{{ if = '$arg_x !~ ^({EVIL}|)$', {REFUSE} }}]", "reply = {}"),
        b"/?x=" + LONG,
    ),
    "map": (MAP + SITE + route("/", f"script = [{{ if = '$seen = yes', {REFUSE} }}]", "reply = {}"), b"/?x=" + LONG),
    "a field of the answer": (
        MAP + SITE + route("/", "reply = {}", "add_headers = [{ name = 'X-Seen', value = '$seen' }]"),
        b"/?x=" + LONG,
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_nobody_gets_past_one(opened, way, caplog):
    text, target = WAYS[way]
    door = opened(text)
    for _ in range(2):
        client = door.client()
        began = time.process_time()
        client.get(target)
        assert client.status() == 500 and time.process_time() - began < 1
        client.get(b"/fine")
        assert client.status() == 200
    assert caplog.text.count("was given up") == 1


def test_the_name_of_a_site(opened):
    text = SITE.replace("'door'", f"'door', '~^{EVIL}$'") + route("/", SAID)
    text += "[site.other]\nnames = ['other']\n[[site.other.route]]\npath = '/'\n" + SAID + "\n"
    door = opened(text)
    client = door.client()
    client.get(b"/", host=LONG)
    assert client.status() == 500
    client.get(b"/fine", host=b"other")
    assert client.status() == 200


def test_a_body_that_comes_with_it_is_not_taken_for_a_request(opened):
    text, target = WAYS["location"]
    client = opened(text).client()
    client.says(b"POST %b HTTP/1.1\r\nHost: door\r\nContent-Length: 100\r\n\r\n" % target)
    assert client.status() == 500 and (client.gone or client.eof_sent)


def test_no_error_page_is_asked(opened):
    text, target = WAYS["if"]
    page = "error_pages = [{ status = [500], to = '/page', answer = 200 }]\n"
    client = opened(text.replace("names = ['door']\n", "names = ['door']\n" + page) + route("/page", SAID)).client()
    client.get(target)
    assert client.status() == 500


def test_a_field_for_the_backend(opened):
    field = "proxy = { set_headers = [{ name = 'X-Seen', value = '$seen' }] }"
    door = opened(MAP + UP + SITE + route("/", "upstream = 'app'", field))
    client = door.client()
    client.get(b"/?x=" + LONG)
    if not client.told:
        door.connect()
    assert client.status() == 500
    client.get(b"/fine")
    door.backend().answers()
    assert client.status() == 200 and not door.state().fails


def test_the_answer_of_a_backend(opened):
    door = opened(
        MAP + UP + SITE + route("/", "upstream = 'app'", "add_headers = [{ name = 'X-Seen', value = '$seen' }]")
    )
    client = door.client()
    client.get(b"/?x=" + LONG)
    door.backend().answers()
    assert client.status() == 500
    client.get(b"/fine")
    assert not door.state().fails


def test_a_log_goes_without(opened):
    text = MAP + SITE + route("/", "reply = {}", "logs = [{ path = '-', if = '$seen' }]")
    client = opened(text).client()
    client.get(b"/?x=" + LONG)
    assert client.status() == 200
    client.get(b"/fine")
    assert client.status() == 200
