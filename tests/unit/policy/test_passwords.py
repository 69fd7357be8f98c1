"""Passwords as user files hold them: every form, what is broken in one, and what credentials look like."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest

from proxy.content.user_file import SystemCrypt, UserFiles
from proxy.policy.passwords import credentials, holds, users

GOOD = [
    b"{PLAIN}password",
    b"{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
    b"{SSHA}" + b64encode(hashlib.sha1(b"passwordsalt").digest() + b"salt"),
    b"$apr1$salt$Xxd1irWT9ycqoYxGFn4cb.",
]
BROKEN = [
    b"",
    b"$apr1$",
    b"{SHA}Zm9vCg==",
    b"{SHA}_____Mm5Pz8GgiULbPgzG37mj9g=",
    b"{SSHA}Zm9vCg==",
    b"$1$",
    b"*0",
    b"x",
]


@pytest.mark.parametrize("kept", GOOD)
def test_a_password_that_is_kept(kept):
    assert holds(b"password", kept, SystemCrypt())
    assert not holds(b"Password", kept, SystemCrypt())
    assert not holds(b"", kept, SystemCrypt())


@pytest.mark.parametrize("kept", BROKEN)
@pytest.mark.parametrize("password", [b"", b"1", b"x", b"password"])
def test_what_is_broken_lets_nobody_in(password, kept):
    assert not holds(password, kept, SystemCrypt())


@pytest.mark.parametrize("setting", [b"$1$salt$", b"$5$salt$", b"$6$salt$", b"sa", b"$2b$04$abcdefghijklmnopqrstuu"])
def test_what_the_system_knows(setting):
    crypt = SystemCrypt()
    kept = crypt(b"password", setting)
    if kept is None:
        pytest.skip("this system's crypt lacks it")
    assert holds(b"password", kept, crypt) and not holds(b"passwort", kept, crypt)
    assert crypt(b"pass\0word", setting) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Basic " + b64encode(b"user:pass:word"), (b"user", b"pass:word")),
        (b"basic " + b64encode(b"user:"), (b"user", b"")),
        (b"Basic " + b64encode(b"user"), None),
        (b"Basic x", None),
        (b"Bearer x", None),
        (b"", None),
    ],
)
def test_credentials(value, expected):
    assert credentials(value) == expected


def test_the_lines_of_a_user_file():
    text = b"# comment\na:1\r\nb:2:somebody\na:3\nnothing\n\nc:4"
    assert users(text) == {b"a": b"1", b"b": b"2", b"c": b"4"}


def test_a_slow_hash_is_asked_once_and_a_wrong_password_every_time():
    asked = []

    def crypt(password, setting):
        asked.append(password)
        return b"$9$kept" if password == b"right" else None

    files = UserFiles(crypt)
    for _ in range(3):
        assert files.holds(b"right", b"$9$kept")
        assert not files.holds(b"wrong", b"$9$kept")
    assert asked == [b"right", b"wrong", b"wrong", b"wrong"]
    assert not files.holds(b"right", b"$9$other")


def test_a_user_file_that_changes(tmp_path):
    files, path = UserFiles(), tmp_path / "users"
    with pytest.raises(FileNotFoundError):
        files.users(bytes(path))
    path.write_bytes(b"a:1\n")
    first = files.users(bytes(path))
    assert first == {b"a": b"1"} and files.users(bytes(path)) is first
    path.write_bytes(b"a:1\nb:2\n")
    assert files.users(bytes(path)) == {b"a": b"1", b"b": b"2"}
