"""Lines for syslog servers: their form, over UDP and unix sockets, and what happens when nobody listens."""

from __future__ import annotations

import re
import socket

import pytest

from proxy.observe.syslog import Syslog

FORM = re.compile(rb"<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?:(\S+) )?(\w+): (.*)")


def udp(port=0):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", port))
    one.settimeout(5.0)
    return one, one.getsockname()[1]


@pytest.mark.parametrize(
    ("settings", "given", "priority"),
    [
        ({}, None, 23 * 8 + 6),
        ({"facility": "user"}, None, 8 + 6),
        ({"severity": "alert"}, None, 23 * 8 + 1),
        ({"severity": "alert"}, 3, 23 * 8 + 3),
    ],
)
def test_the_form(settings, given, priority):
    server, port = udp()
    with server:
        one = Syslog(f"127.0.0.1:{port}", **settings)
        one.send(b"hello", given)
        match = FORM.fullmatch(server.recv(4096))
        one.close()
    assert int(match[1]) == priority and match[3] == b"frontgate" and match[4] == b"hello"
    assert match[2] == socket.gethostname().encode()


def test_without_a_host_name_and_with_a_tag_over_a_unix_socket(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        server.settimeout(5.0)
        one = Syslog(f"unix:{path}", tag="nginx", nameless=True)
        one.send(b"hello")
        match = FORM.fullmatch(server.recv(4096))
        one.close()
    assert match[2] is None and match[3] == b"nginx"


def test_a_server_that_is_gone_and_comes_back(tmp_path):
    path = str(tmp_path / "s")
    one = Syslog(f"unix:{path}")
    one.send(b"nobody hears")
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(path)
            server.settimeout(5.0)
            one.send(b"heard")
            assert server.recv(4096).endswith(b": heard")
        (tmp_path / "s").unlink()
        one.send(b"nobody hears")
    one.close()
