"""What nginx.conf says of client connections, as tables of the Model."""

from __future__ import annotations

import pytest

from proxy.config.nginx import reader
from proxy.config.source import ConfigError


@pytest.fixture
def read(tmp_path):
    """The Model of a configuration whose http block holds this text."""

    def read(http):
        path = tmp_path / "nginx.conf"
        path.write_text(f"events {{ }}\nhttp {{\n{http}\n}}\n")
        return reader.load(str(path), f"{tmp_path}/")[0]

    return read


def site(model):
    (found,) = model.site.values()
    return found


def test_the_most_that_any_location_takes_is_what_the_server_takes(read):
    inner = "location / { keepalive_requests 2; } location /b { location /b/c { keepalive_requests 3000; } }"
    found = site(read(f"server {{ {inner} }}"))
    assert found.http.max_requests == 3000 and found.route[0].connection.requests == 2
    assert site(read("keepalive_requests 5; server { location / { } }")).http.max_requests == 5
    assert site(read("server { location / { keepalive_requests 2; } }")).http.max_requests == 1000


def test_no_request_behind_the_first(read):
    found = site(read("server { location / { keepalive_requests 0; } }"))
    assert not found.route[0].connection.keep


@pytest.mark.parametrize(
    ("said", "browsers"),
    [
        ("", ("msie6",)),
        ("keepalive_disable none;", ()),
        ("keepalive_disable safari;", ("safari",)),
        ("keepalive_disable safari msie6;", ("msie6", "safari")),
    ],
)
def test_browsers_whose_connections_are_not_kept(read, said, browsers):
    connection = site(read(f"server {{ location / {{ {said} }} }}")).route[0].connection
    assert (connection.unkept if connection is not None else ()) == browsers


def test_browsers_that_nobody_knows(read):
    with pytest.raises(ConfigError) as caught:
        read("server {\nkeepalive_disable lynx;\n}")
    (problem,) = {(one.line, one.sentence) for one in caught.value.errors}
    assert problem == (4, 'invalid value "lynx"')


def test_variables_of_the_core_are_known(read):
    names = "$hostname $pid $limit_rate $gzip_ratio $http2 $http3 $upstream_cache_status $arg_"
    read(f"log_format all '{names}'; server {{ add_header X '{names}'; }}")
