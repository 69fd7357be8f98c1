"""Whom the admin door lets in: files that are read before anything is changed."""

from __future__ import annotations

import ssl

import pytest
import trustme

from proxy.config.model import Model
from proxy.process import admitted


def model(**admin):
    return Model.model_validate({"admin": {"listen": "127.0.0.1:1", **{key: str(one) for key, one in admin.items()}}})


@pytest.fixture
def files(tmp_path):
    ca = trustme.CA()
    leaf = ca.issue_cert("localhost")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "tls.pem")
    leaf.private_key_pem.write_to_path(tmp_path / "tls.key")
    (tmp_path / "full").write_text("  " + "f" * 20 + "\n")
    (tmp_path / "read").write_text("r" * 20)
    (tmp_path / "short").write_text("x" * 15 + "\n\n")
    return tmp_path


def test_tokens_are_what_stands_in_their_files_without_spaces_around(files):
    one = model(token=files / "full", read_token=files / "read")
    found = admitted.keys(one.admin, admitted.read(one))
    assert found == (b"f" * 20, b"r" * 20)
    assert admitted.keys(model().admin, admitted.read(model())) == (b"", b"")


def test_without_an_admin_door_nothing_is_read():
    assert admitted.read(Model.model_validate({"admin": {"token": "/nowhere"}})) == {}


@pytest.mark.parametrize(
    ("admin", "sentence"),
    [
        ({"token": "missing"}, "the token of [admin] cannot be read"),
        ({"token": "short"}, "fewer than 16 characters: write one with openssl rand -hex 32"),
        ({"token": "full", "read_token": "short"}, "the read_token of [admin]"),
        ({"certificate": "tls.key", "key": "tls.key"}, r"[admin]: cannot load certificate"),
        ({"certificate": "tls.pem", "key": "tls.key", "client_ca": "full"}, "[admin]: SSL_CTX_load_verify_locations"),
    ],
)
def test_what_is_no_good_is_a_sentence(files, admin, sentence):
    with pytest.raises(ValueError) as refused:
        admitted.read(model(**{key: files / name for key, name in admin.items()}))
    assert sentence in str(refused.value)


def test_tls_asks_for_certificates_where_authorities_are_named(files):
    plain = model(certificate=files / "tls.pem", key=files / "tls.key")
    context = admitted.tls(plain.admin, admitted.read(plain))
    assert context.verify_mode == ssl.CERT_NONE and context.minimum_version == ssl.TLSVersion.TLSv1_2
    mutual = model(certificate=files / "tls.pem", key=files / "tls.key", client_ca=files / "ca.pem")
    assert admitted.tls(mutual.admin, admitted.read(mutual)).verify_mode == ssl.CERT_REQUIRED
    assert admitted.tls(model().admin, {}) is None
