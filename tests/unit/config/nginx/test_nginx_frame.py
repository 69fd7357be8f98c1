"""Settings of blocks and their inheritance."""

from __future__ import annotations

import pytest

from proxy.config.nginx.frame import Frame, checked, first
from proxy.config.nginx.parser import parse_option, parse_text
from proxy.config.source import ConfigError

TEXT = """
error_log a;
http {
    add_header A 1; add_header B 2; allow 1.1.1.1; deny all;
    client_max_body_size 1g; proxy_read_timeout 1m 30s; send_timeout 500ms; gzip on; root /http;
    server {
        root /server; keepalive_requests 7; expires 1M; proxy_buffer_size 8k;
        location / { add_header C 3; deny 2.2.2.2; gzip off; lingering_close Always; }
    }
}
"""


def frames(text=TEXT):
    """main, http, server, location."""
    main = Frame("main", None, None, parse_text(text, "x.conf"))
    found = [main]
    for name in ("http", "server", "location"):
        found.append(Frame(name, found[-1].own(name)[0], found[-1]))
    return found


def test_own_and_nearest():
    main, http, server, location = frames()
    assert [one.args for one in http.own("add_header")] == [("A", "1"), ("B", "2")]
    assert server.own("add_header") == []
    assert [one.args for one in server.nearest("add_header")] == [("A", "1"), ("B", "2")]
    assert [one.args for one in location.nearest("add_header")] == [("C", "3")]
    assert location.nearest("none") == []
    assert location.last("none") is None
    assert location.last("error_log") is main.own("error_log")[0]
    assert server.last("add_header").args == ("B", "2")


def test_directives_that_replace_each_other_together():
    _, _, server, location = frames()
    assert [one.name for one in server.nearest("deny", "allow")] == ["allow", "deny"]
    assert [one.args for one in location.nearest("allow", "deny")] == [("2.2.2.2",)]


def test_values():
    _, http, server, location = frames()
    assert location.word("root", "html") == "/server"
    assert location.word("alias", "html") == "html"
    assert (http.flag("gzip", False), location.flag("gzip", True), http.flag("etag", True)) == (True, False, True)
    assert location.offset("client_max_body_size", 0) == 2**30
    assert location.size("proxy_buffer_size", 0) == 8192
    assert location.time("send_timeout", 60.0) == 0.5
    assert location.time("proxy_send_timeout", 60.0) == 60.0
    assert location.seconds("expires", 0) == 30 * 86400
    assert server.number("keepalive_requests", 1000) == 7
    assert location.choice("lingering_close", ("off", "on", "always"), "on") == "always"
    assert http.words("proxy_read_timeout") == ("1m", "30s")
    assert http.words("none") is None


@pytest.mark.parametrize(
    ("read", "sentence"),
    [
        (lambda frame: frame.flag("x", True), 'invalid value "zz" in "x" directive, it must be "on" or "off"'),
        (lambda frame: frame.size("x", 0), '"x" directive invalid value "zz"'),
        (lambda frame: frame.offset("x", 0), '"x" directive invalid value "zz"'),
        (lambda frame: frame.time("x", 0), '"x" directive invalid value "zz"'),
        (lambda frame: frame.seconds("x", 0), '"x" directive invalid value "zz"'),
        (lambda frame: frame.number("x", 0), '"x" directive invalid number "zz"'),
        (lambda frame: frame.choice("x", ("a",), "a"), '"x" directive invalid value "zz"'),
        (lambda frame: frame.word("y", ""), 'invalid number of arguments in "y" directive'),
    ],
)
def test_wrong_values_have_a_place(read, sentence):
    frame = Frame("main", None, None, parse_text("\nx zz; y;", "x.conf"))
    with pytest.raises(ConfigError) as caught:
        read(frame)
    assert [str(problem) for problem in caught.value.errors] == [f"x.conf:2: {sentence}"]


def test_places():
    main, http, _, location = frames()
    assert main.where() == ""
    assert http.where() == "x.conf:3"
    assert location.where(main.own("error_log")[0]) == "x.conf:2"
    assert main.where(parse_option("daemon off;")[0]) == "command line"


def test_own_readers():
    directive = parse_text("x 5;", "x.conf")[0]
    assert checked(directive, int, first(directive)) == 5
