"""Conversations: counts of connections, paths without their slash, and fields that may be sent once only."""

from __future__ import annotations

import pytest
from stage import SOLO


def asked(client, target, more=b"", method=b"GET"):
    client.says(b"%b %b HTTP/1.1\r\nHost: door\r\n%b\r\n" % (method, target, more))
    return client.answer(method.decode())


def test_counts_as_nginx_tells_them(opened):
    door = opened(SOLO + '[[site.all.route]]\npath = "/counts"\nstub_status = true\n')
    idle, busy, begun, client = (door.client() for _ in range(4))
    busy.get()
    begun.says(b"GET / HT")
    for requests in (2, 3):
        text = asked(client, b"/counts").body
        assert text == (
            b"Active connections: 4 \nserver accepts handled requests\n 4 4 %d \n"
            b"Reading: 1 Writing: 2 Waiting: 1 \n" % requests
        )
    assert asked(client, b"/counts", b"Content-Length: 0\r\n", b"POST").status == 405
    idle.resets()
    assert b"Active connections: 3 " in asked(client, b"/counts").body


def test_a_path_without_its_slash(opened):
    door = opened(
        SOLO.replace(
            'upstream = "app"', 'upstream = "app"\n[[site.all.route]]\npath = "/a/"\nslash = true\nupstream = "app"'
        )
        + '[[site.all.route]]\nmatch = "regex"\npath = "a$"\nreply = {body = "regex"}\n'
    )
    client = door.client()
    answer = asked(client, b"/a?b=c")
    assert answer.status == 301 and answer["location"] == b"/a/?b=c"
    assert asked(client, b"/ba").body == b"regex"
    client.get(b"/a/")
    assert door.backend().request()[0] == b"GET /a/ HTTP/1.1"
    door.backend().answers()


@pytest.mark.parametrize("name", [b"If-Modified-Since", b"If-Range", b"Authorization", b"Content-Range", b"Expect"])
def test_what_is_sent_twice_is_refused(opened, name):
    door = opened()
    client = door.client()
    assert asked(client, b"/", b"%b: a\r\n%b: b\r\n" % (name, name)).status == 400
    assert not door.backend().wires


def test_a_path_with_what_means_something_in_a_path(opened):
    door = opened(SOLO + '[[site.all.route]]\npath = "/a%3Fb%25"\nreply = {body = "found"}\n')
    assert asked(door.client(), b"/a%3fb%25c").body == b"found"


def test_the_page_of_an_error_that_nginx_calls_otherwise(opened):
    door = opened(SOLO + 'errors = "html"\nscript = [{return = 497}]\n')
    answer = asked(door.client(), b"/")
    assert answer.status == 400 and b"The plain HTTP request was sent to HTTPS port" in answer.body
