"""The admin door's keys beside each other, and what only the system knows of them."""

from __future__ import annotations

import pytest

from proxy.config import check, toml
from proxy.config.admin import Admin

SERVING = '[listen.web]\naddress = "127.0.0.1:0"\nredirect = "https"\n'


def said(tmp_path, admin, look=check.problems):
    path = tmp_path / "frontgate.toml"
    path.write_text(f"[admin]\n{admin}\n{SERVING}")
    return [
        (one.line, one.sentence) for one in look(*toml.load(path)) if "admin" in one.sentence or "token" in one.sentence
    ]


@pytest.mark.parametrize("listen", ["127.0.0.1:9", "127.9.9.9:9", "[::1]:9", "localhost:9", "unix:/run/admin.sock"])
def test_nobody_else_reaches_a_loopback_address_or_a_socket(listen):
    assert Admin(listen=listen).local and Admin(listen=listen).exposed() == ""
    assert Admin().local


@pytest.mark.parametrize("listen", ["0.0.0.0:9", "[::]:9", "10.0.0.1:9", "ops.example.com:9"])
def test_who_can_be_reached_has_to_ask_who_is_there(listen):
    assert not Admin(listen=listen).local and "can be reached from other hosts" in Admin(listen=listen).exposed()
    assert Admin(listen=listen, token="/t").exposed() == ""
    assert Admin(listen=listen, certificate="/c", key="/k", client_ca="/ca").exposed() == ""
    assert Admin(listen=listen, certificate="/c", key="/k").exposed()  # TLS alone asks nobody


def test_the_refusal_names_the_line(tmp_path):
    assert [line for line, _ in said(tmp_path, 'listen = "0.0.0.0:9"')] == [2]


def test_tokens_in_the_clear_and_open_files_are_warned_of(tmp_path):
    (tmp_path / "t").write_text("t" * 20)
    (tmp_path / "t").chmod(0o644)
    found = said(tmp_path, 'listen = "0.0.0.0:9"\ntoken = "t"', check.warnings)
    assert [line for line, _ in found] == [2, 3]
    assert "in the clear" in found[0][1] and "is open to everybody" in found[1][1]
    (tmp_path / "t").chmod(0o600)
    assert said(tmp_path, 'listen = "127.0.0.1:9"\ntoken = "t"', check.warnings) == []
