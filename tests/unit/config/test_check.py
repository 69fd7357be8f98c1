"""What the system tells about a Model: certificates, keys, folders, users."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from proxy.config.check import exposed, problems, warnings
from proxy.config.toml import load

CONFIG = """\
[listen.web]
address = "127.0.0.1:0"
tls = true
[site.s]
names = ["x.example"]
certificate = "x.pem"
key = "x.key"
[[site.s.route]]
path = "/"
reply = {}
"""
CERTIFICATE_LINE, KEY_LINE = 6, 7


@pytest.fixture(scope="module")
def pairs() -> list[tuple[bytes, bytes]]:
    """Two certificates, each with its key."""
    authority = trustme.CA()
    leaves = [authority.issue_cert(name) for name in ("x.example", "y.example")]
    return [(leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes()) for leaf in leaves]


@pytest.fixture
def folder(tmp_path: Path, pairs: list[tuple[bytes, bytes]]) -> Path:
    """A folder with a configuration, a certificate and its key."""
    (tmp_path / "x.pem").write_bytes(pairs[0][0])
    (tmp_path / "x.key").write_bytes(pairs[0][1])
    (tmp_path / "x.key").chmod(0o600)
    (tmp_path / "f.toml").write_text(CONFIG)
    return tmp_path


def found(folder: Path) -> list[tuple[int, str]]:
    return [(problem.line, problem.sentence) for problem in problems(*load(folder / "f.toml"))]


def warned(folder: Path) -> list[tuple[int, str]]:
    return [(problem.line, problem.sentence) for problem in warnings(*load(folder / "f.toml"))]


def test_a_good_pair(folder: Path) -> None:
    assert found(folder) == []
    assert warned(folder) == []


def test_a_key_of_another_certificate(folder: Path, pairs: list[tuple[bytes, bytes]]) -> None:
    (folder / "x.key").write_bytes(pairs[1][1])
    [(line, sentence)] = found(folder)
    assert line == KEY_LINE
    assert "does not belong to certificate" in sentence


@pytest.mark.parametrize(("name", "line"), [("x.pem", CERTIFICATE_LINE), ("x.key", KEY_LINE)])
def test_missing_files(folder: Path, name: str, line: int) -> None:
    (folder / name).unlink()
    [(where, sentence)] = found(folder)
    assert where == line
    assert f"{folder / name} does not exist" in sentence


def test_both_missing_are_told_at_once(folder: Path) -> None:
    (folder / "x.pem").unlink()
    (folder / "x.key").unlink()
    assert [line for line, _ in found(folder)] == [CERTIFICATE_LINE, KEY_LINE]


@pytest.mark.parametrize(
    ("name", "line", "fragment"),
    [("x.pem", CERTIFICATE_LINE, "holds no certificate"), ("x.key", KEY_LINE, "holds no private key")],
)
def test_garbage(folder: Path, name: str, line: int, fragment: str) -> None:
    (folder / name).write_bytes(b"\0\1garbage")
    [(where, sentence)] = found(folder)
    assert where == line
    assert fragment in sentence


@pytest.mark.parametrize(("name", "line"), [("x.pem", CERTIFICATE_LINE), ("x.key", KEY_LINE)])
def test_damaged_pem(folder: Path, name: str, line: int) -> None:
    text = (folder / name).read_text().splitlines()
    text[1] = "A" * len(text[1])
    (folder / name).write_text("\n".join(text) + "\n")
    [(where, sentence)] = found(folder)
    assert where == line
    assert "is damaged" in sentence


def test_an_encrypted_key_is_refused_without_asking_for_its_pass_phrase(folder: Path) -> None:
    key = load_pem_private_key((folder / "x.key").read_bytes(), None)
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        (folder / "x.key").write_bytes(key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret")))
        [(line, sentence)] = found(folder)
        assert line == KEY_LINE
        assert "is encrypted" in sentence


def test_a_folder_for_a_certificate(folder: Path) -> None:
    (folder / "x.pem").unlink()
    (folder / "x.pem").mkdir()
    [(line, sentence)] = found(folder)
    assert line == CERTIFICATE_LINE
    assert "is a folder" in sentence


def test_a_key_open_to_everybody_is_a_warning(folder: Path) -> None:
    (folder / "x.key").chmod(0o644)
    [(line, sentence)] = warned(folder)
    assert line == KEY_LINE
    assert "chmod o-rw" in sentence
    assert found(folder) == []


@pytest.mark.parametrize(
    ("mode", "owner", "group", "fault"),
    [
        (0o600, 0, 0, ""),
        (0o640, 0, 110, ""),  # Debian's root:ssl-cert
        (0o640, 998, 998, ""),  # a service that orders certificates
        (0o640, 0, 1000, "can be read by a group of people (1000): chmod g-r k"),
        (0o660, 0, 110, "can be changed by its group: chmod g-w k"),
        (0o602, 0, 0, "is open to everybody: chmod o-rw k"),
        (0o600, 1001, 0, "belongs to another user (1001), who can change it: chown root k"),
    ],
)
def test_whose_a_key_may_be(monkeypatch: pytest.MonkeyPatch, mode: int, owner: int, group: int, fault: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getegid", lambda: 0)
    found = os.stat_result((stat.S_IFREG | mode, 0, 0, 1, owner, group, 0, 0, 0, 0))
    assert exposed("k", found) == fault


def test_folders_and_people_that_do_not_exist(folder: Path) -> None:
    head = 'user = "nobody-such"\ngroup = "no-such-group"\npid = "run/pid"\n[log]\naccess = "logs/a.log"\nerror = "."\n'
    (folder / "f.toml").write_text(head + CONFIG.replace("127.0.0.1:0", "unix:socks/web.sock"))
    sentences = found(folder)
    assert [line for line, _ in sentences] == [1, 2, 3, 5, 6, 8]
    expected = ["no user", "no group", "no folder", f"mkdir -p {folder}/logs", "is a folder", "no folder"]
    assert all(fragment in sentence for (_, sentence), fragment in zip(sentences, expected, strict=True))


def test_nothing_to_serve(folder: Path) -> None:
    (folder / "f.toml").write_text("")
    assert [sentence.split(":")[0] for _, sentence in found(folder)] == ["there is no listener"]


@pytest.mark.parametrize(
    ("days", "words"), [(-1, "has expired on"), (13, "expires on"), (15, None), (400, None), (40 * 365, None)]
)
def test_certificates_that_end_soon_are_a_warning(folder: Path, days: int, words: str | None) -> None:
    end = datetime.now(UTC) + timedelta(days=days)
    leaf = trustme.CA().issue_cert("x.example", not_before=end - timedelta(days=30), not_after=end)
    (folder / "x.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
    (folder / "x.key").write_bytes(leaf.private_key_pem.bytes())
    assert found(folder) == []
    if words is None:
        assert warned(folder) == []
    else:
        [(line, sentence)] = warned(folder)
        assert line == CERTIFICATE_LINE
        assert f"{words} {end:%Y-%m-%d}: renew it" in sentence


def test_the_whole_chain_is_looked_at(folder: Path, pairs: list[tuple[bytes, bytes]]) -> None:
    old = trustme.CA().issue_cert("old", not_after=datetime.now(UTC) - timedelta(days=2))
    (folder / "x.pem").write_bytes(pairs[0][0] + old.cert_chain_pems[0].bytes())
    [(_, sentence)] = warned(folder)
    assert "(number 2 of its chain) has expired" in sentence


def test_a_redirect_to_where_nobody_listens_is_a_warning(folder: Path) -> None:
    text = CONFIG.replace("tls = true", 'redirect = "https"')
    (folder / "f.toml").write_text(text)
    assert found(folder) == []
    [(line, sentence)] = warned(folder)
    assert line == 3
    assert 'listener "web" redirects to https, but no listener has tls = true' in sentence
    (folder / "f.toml").write_text(text + '[listen.secure]\naddress = "127.0.0.1:0"\ntls = true\n')
    assert warned(folder) == []


def test_what_is_never_used_is_a_warning(folder: Path) -> None:
    head = '[upstream.u]\nservers = ["h:1"]\n[limit.l]\nrate = "1r/s"\n[site.empty]\nnames = ["e"]\n'
    (folder / "f.toml").write_text(head + CONFIG.replace("tls = true\n", ""))
    sentences = warned(folder)
    assert [line for line, _ in sentences] == [1, 3, 5]
    assert "has no route and answers 404" in sentences[2][1]
