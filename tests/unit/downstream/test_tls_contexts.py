"""TLS: certificates by name, old protocols refused, certificates read again; over memory, without sockets."""

from __future__ import annotations

import ssl

import pytest
import trustme

from proxy.config.model import Model
from proxy.downstream import tls
from proxy.downstream.tls import certificates, read_pems

AUTHORITY = trustme.CA()


def contexts(described):
    return certificates(described, read_pems(described))


def pair(folder, *names):
    certificate = AUTHORITY.issue_cert(*names)
    chain, key = folder / f"{names[0].strip('*.')}.pem", folder / f"{names[0].strip('*.')}.key"
    certificate.private_key_pem.write_to_path(key)
    chain.unlink(missing_ok=True)
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(chain, append=True)
    return {"certificate": str(chain), "key": str(key)}


def model(folder):
    route = [{"path": "/", "reply": {"body": "x"}}]
    return Model.model_validate(
        {
            "listen": {"web": {"address": "127.0.0.1:443", "tls": True}},
            "site": {
                "one": {"names": ["one.test"], "route": route, **pair(folder, "one.test")},
                "wild": {"names": ["*.wild.test"], "route": route, **pair(folder, "*.wild.test")},
                "rest": {"names": ["rest.test"], "default": True, "route": route, **pair(folder, "rest.test")},
            },
        }
    )


def shake(server, name, **words):
    """(names in the certificate, protocol, application protocol) after a handshake."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.configure_trust(client)
    client.check_hostname = False
    client.set_alpn_protocols(["h2", "http/1.1"])
    for word, setting in words.items():
        setattr(client, word, setting)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(there, back, server_side=True)
    theirs = client.wrap_bio(back, there, server_hostname=name)
    open_ends = [theirs, ours]
    for _ in range(10):
        for end in list(open_ends):
            try:
                end.do_handshake()
                open_ends.remove(end)
            except ssl.SSLWantReadError:
                pass
        if not open_ends:
            break
    names = {value for _, value in theirs.getpeercert()["subjectAltName"]}
    return names, theirs.version(), theirs.selected_alpn_protocol()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("one.test", "one.test"),
        ("ONE.test", "one.test"),
        ("a.wild.test", "*.wild.test"),
        ("a.b.wild.test", "*.wild.test"),
        ("wild.test", "rest.test"),
        ("other.test", "rest.test"),
        (None, "rest.test"),
    ],
)
def test_certificates_by_name(tmp_path, name, found):
    context = contexts(model(tmp_path))["web"]
    assert shake(context.ssl, name) == ({found}, "TLSv1.3", "h2")


@pytest.mark.parametrize("by_library", [True, False])
def test_a_name_for_which_an_expression_finds_no_end_is_refused(tmp_path, monkeypatch, by_library):
    if not by_library:
        monkeypatch.setattr(tls, "LIBRARY", None)
    described = model(tmp_path)
    described.site["one"].__dict__["names"] = ("~^((a|a)+)+b$",)
    context = contexts(described)["web"]
    with pytest.raises(ssl.SSLError):
        shake(context.ssl, "a" * 60)
    assert shake(context.ssl, "aab")[0] == {"one.test"} and shake(context.ssl, "rest.test")[0] == {"rest.test"}


def test_old_protocols_are_refused(tmp_path):
    context = contexts(model(tmp_path))["web"].ssl
    assert shake(context, "one.test", maximum_version=ssl.TLSVersion.TLSv1_2)[1] == "TLSv1.2"
    with pytest.warns(DeprecationWarning), pytest.raises(ssl.SSLError):
        shake(context, "one.test", minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)


def test_a_bad_certificate_is_told_in_a_sentence_and_the_old_ones_stay(tmp_path):
    described = model(tmp_path)
    context = contexts(described)["web"]
    (tmp_path / "one.test.key").write_text("nonsense")
    with pytest.raises(ValueError, match=r"cannot load certificate key .*one\.test\.key"):
        context.certify(described, read_pems(described))
    assert shake(context.ssl, "one.test")[0] == {"one.test"}


def test_a_key_of_another_certificate(tmp_path):
    described = model(tmp_path)
    (tmp_path / "one.test.key").write_bytes((tmp_path / "rest.test.key").read_bytes())
    with pytest.raises(ValueError, match=r"one\.test\.key.*key values mismatch"):
        contexts(described)


def test_a_certificate_that_is_not_there(tmp_path):
    described = model(tmp_path)
    (tmp_path / "one.test.pem").unlink()
    with pytest.raises(ValueError, match=r"cannot load certificate .*one\.test\.pem.*No such file"):
        contexts(described)


def test_certificates_are_read_again_in_the_same_context(tmp_path):
    described = model(tmp_path)
    context = contexts(described)["web"]
    base = context.ssl
    pair(tmp_path, "one.test", "new.test")
    context.certify(described, read_pems(described))
    assert context.ssl is base and shake(base, "one.test")[0] == {"one.test", "new.test"}


def test_a_renewed_default_certificate_is_served_without_a_name_too(tmp_path):
    described = model(tmp_path)
    context = contexts(described)["web"]
    pair(tmp_path, "rest.test", "new.test")
    context.certify(described, read_pems(described))
    assert shake(context.ssl, None)[0] == shake(context.ssl, "x.test")[0] == {"rest.test", "new.test"}
