"""Handshakes over memory: whom a site's certificate, versions and verdicts are for, sessions, and what is no TLS."""

from __future__ import annotations

import base64
import gc
import socket
import ssl
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from proxy.config.model import Model
from proxy.downstream import greeting, handshake, tickets, tls
from proxy.downstream.handshake import handshake_of
from proxy.downstream.tls import certificates, read_pems
from proxy.downstream.wire import Wire
from proxy.openssl import setting

AUTHORITY = trustme.CA()
STRANGER = trustme.CA()
ROUTE = [{"path": "/", "reply": {"body": "x"}}]


def pair(folder, name, kind=trustme.KeyType.ECDSA, phrase=""):
    """Files of a certificate and its key."""
    leaf = AUTHORITY.issue_cert(f"{name}.test", key_type=kind)
    chain, key = folder / f"{name}-{kind.name}.pem", folder / f"{name}-{kind.name}.key"
    chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    key.write_bytes(leaf.private_key_pem.bytes())
    if phrase:
        secret = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
        seal = serialization.BestAvailableEncryption(phrase.encode())
        form = serialization.PrivateFormat.PKCS8
        key.write_bytes(secret.private_bytes(serialization.Encoding.PEM, form, seal))
    return {"certificate": str(chain), "key": str(key)}


def listener(_more=None, **sites):
    """What greets the clients of these sites, the first of which is the default one."""
    model = Model.model_validate(
        {
            "listen": {"web": {"address": "127.0.0.1:443", "tls": True, **(_more or {})}},
            "site": {name: {"names": [f"{name}.test"], "route": ROUTE, **said} for name, said in sites.items()},
        }
    )
    return certificates(model, read_pems(model))["web"]


class Ended(Exception):
    """The server has ended a handshake; its client heard why."""


def shake(server, name, session=None, client=None, shown=None, **words):
    """(client's end, server's end) after a handshake."""
    client = client or caller(shown, **words)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.ssl.wrap_bio(there, back, server_side=True)
    theirs = client.wrap_bio(back, there, server_hostname=name, session=session)
    for _ in range(6):
        for end in (theirs, ours):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                if end is theirs:
                    raise Ended(error.reason or str(error)) from error  # else the alert is on its way
    ours.write(b"x")
    assert theirs.read(9) == b"x"  # and the tickets in front of it
    return theirs, ours


def caller(shown=None, ciphers="", **words):
    """A client that may show a certificate."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.configure_trust(client)
    client.check_hostname = False
    for word, value in words.items():
        setattr(client, word, value)
    if shown is not None:
        shown.configure_cert(client)
    if ciphers:
        client.set_ciphers(ciphers)
    return client


def facts(ours):
    found = handshake_of(ours)
    assert found is not None
    return found


def authority(folder, one=AUTHORITY):
    one.cert_pem.write_to_path(folder / "ca.pem")
    return str(folder / "ca.pem")


def test_certificates_of_several_kinds_side_by_side(tmp_path):
    two = [pair(tmp_path, "a", kind) for kind in (trustme.KeyType.ECDSA, trustme.KeyType.RSA)]
    both = listener(a={key: [one[key] for one in two] for key in ("certificate", "key")})
    kinds = []
    for ciphers in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"):
        theirs, _ = shake(both, "a.test", ciphers=ciphers, maximum_version=ssl.TLSVersion.TLSv1_2)
        kinds.append(type(x509.load_der_x509_certificate(theirs.getpeercert(True)).public_key()))
    assert issubclass(kinds[0], rsa.RSAPublicKey) and issubclass(kinds[1], ec.EllipticCurvePublicKey)


def test_versions_are_those_of_the_name_that_is_asked_for(tmp_path):
    one = listener(
        old={**pair(tmp_path, "old"), "tls": {"protocols": ["TLSv1.2"]}},
        new={**pair(tmp_path, "new"), "tls": {"protocols": ["TLSv1.3"]}},
    )
    assert shake(one, "old.test")[0].version() == "TLSv1.2"
    assert shake(one, "new.test")[0].version() == "TLSv1.3"
    with pytest.raises(Ended):
        shake(one, "new.test", maximum_version=ssl.TLSVersion.TLSv1_2)


def test_names_that_are_refused_hear_that_nobody_knows_them(tmp_path):
    one = listener(none={"tls": {"reject": True}}, a=pair(tmp_path, "a"))
    assert shake(one, "a.test")[1].asked == b"a.test"
    for name in ("none.test", "other.test", None):
        with pytest.raises(Ended, match="UNRECOGNIZED_NAME"):
            shake(one, name)


def test_a_site_without_a_certificate_shows_the_default_one_s(tmp_path):
    one = listener(a=pair(tmp_path, "a"), b={"tls": {"shared": True}})
    theirs, ours = shake(one, "b.test")
    assert ("DNS", "a.test") in theirs.getpeercert()["subjectAltName"]
    assert facts(ours).site == "b"


def test_only_the_site_that_asks_for_certificates_gets_a_verdict(tmp_path):
    asks = {"verify": "required", "client_ca": authority(tmp_path)}
    one = listener(a=pair(tmp_path, "a"), b={**pair(tmp_path, "b"), "tls": asks})
    known, stranger = AUTHORITY.issue_cert("me"), STRANGER.issue_cert("me")
    assert not facts(shake(one, "a.test", shown=known)[1]).presented
    good, bad, none = (facts(shake(one, "b.test", shown=shown)[1]) for shown in (known, stranger, None))
    assert (good.presented, good.trouble, good.fact("verify")) == (True, 0, b"SUCCESS")
    assert bad.presented and bad.trouble and bad.bearable and bad.fact("verify").startswith(b"FAILED:")
    assert (none.presented, none.trouble, none.fact("verify")) == (False, 0, b"NONE")
    assert good.verified and good.verified != facts(shake(one, "a.test")[1]).verified


def test_a_session_is_not_resumed_at_a_site_that_asks_for_other_certificates(tmp_path):
    asks = {"verify": "optional", "client_ca": authority(tmp_path)}
    one = listener(a=pair(tmp_path, "a"), b={**pair(tmp_path, "b"), "tls": asks})
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client = caller(AUTHORITY.issue_cert("me"), minimum_version=version, maximum_version=version)
        session = shake(one, "a.test", client=client)[0].session
        assert shake(one, "a.test", session, client)[1].session_reused
        theirs, ours = shake(one, "b.test", session, client)
        assert not theirs.session_reused and facts(ours).fact("verify") == b"SUCCESS"
        assert facts(shake(one, "b.test", theirs.session, client)[1]).fact("verify") == b"SUCCESS"


@pytest.mark.parametrize("rotate", [False, True])
def test_a_ticket_of_one_listener_is_good_at_another_with_the_same_certificate(tmp_path, rotate):
    said = {**pair(tmp_path, "a"), "tls": {"rotate": rotate}}
    one, other, third = listener(a=said), listener(a=said), listener(a=pair(tmp_path, "b"))
    client = caller()
    session = shake(one, "a.test", client=client)[0].session
    assert shake(other, "a.test", session, client)[1].session_reused
    assert not shake(third, "a.test", session, client)[1].session_reused


@pytest.mark.parametrize("size", [48, 80])
def test_tickets_sealed_by_the_key_of_a_file(tmp_path, size):
    for number, name in enumerate(("new", "old", "other")):
        (tmp_path / name).write_bytes(bytes([number]) * size)
    same = pair(tmp_path, "a")
    first, later, stranger = (
        listener(a={**same, "tls": {"ticket_keys": [str(tmp_path / name) for name in names]}})
        for names in (["old"], ["new", "old"], ["other"])
    )
    client = caller()
    session = shake(first, "a.test", client=client)[0].session
    theirs, ours = shake(later, "a.test", session, client)
    assert ours.session_reused
    assert shake(later, "a.test", theirs.session, client)[1].session_reused
    assert not shake(stranger, "a.test", session, client)[1].session_reused


def test_a_key_of_tickets_of_another_size(tmp_path):
    (tmp_path / "short").write_bytes(b"x" * 47)
    with pytest.raises(ValueError, match=r"short\" must be 48 or 80 bytes"):
        listener(a={**pair(tmp_path, "a"), "tls": {"ticket_keys": [str(tmp_path / "short")]}})


def test_keys_behind_a_pass_phrase_which_is_looked_for_in_a_file(tmp_path):
    said = pair(tmp_path, "a", phrase="open")
    (tmp_path / "phrases").write_text("wrong\n\nopen\n")
    assert shake(listener(a={**said, "tls": {"passwords": str(tmp_path / "phrases")}}), "a.test")
    (tmp_path / "phrases").write_text("wrong\n")
    with pytest.raises(ValueError, match="cannot load certificate key"):
        listener(a={**said, "tls": {"passwords": str(tmp_path / "phrases")}})


def test_a_certificate_that_is_written_into_the_configuration(tmp_path):
    said = pair(tmp_path, "a")
    inline = {key: "data:" + Path(path).read_text() for key, path in said.items()}
    assert ("DNS", "a.test") in shake(listener(a=inline), "a.test")[0].getpeercert()["subjectAltName"]


def test_a_certificate_that_a_variable_names_is_the_one_of_now(tmp_path):
    said = pair(tmp_path, "a")
    one = listener(late={"certificate": "$x.pem", "key": "$x.key"}, b={"tls": {"shared": True}})
    one.choose_by({"late": lambda name: [(said["certificate"], said["key"])] if name else [("nx", "nx")]})
    for name in ("late.test", "b.test"):
        assert ("DNS", "a.test") in shake(one, name)[0].getpeercert()["subjectAltName"]
    with pytest.raises(Ended, match="INTERNAL_ERROR"):
        shake(one, None)
    again = pair(tmp_path, "a")
    assert again == said
    shown = shake(one, "late.test")[0].getpeercert(True)
    assert Path(said["certificate"]).read_text().startswith(ssl.DER_cert_to_PEM_cert(shown).strip())


@pytest.mark.parametrize("name", ["../a.test", "a/b.test", "a b.test", "a..test", ".", "x" * 255 + ".test"])
def test_a_name_that_is_none_never_gets_into_the_name_of_a_file(tmp_path, name):
    said = pair(tmp_path, "a")
    one = listener(late={"certificate": "$x.pem", "key": "$x.key"})
    asked = []
    one.choose_by({"late": lambda name: asked.append(name) or [(said["certificate"], said["key"])]})
    try:
        _, ours = shake(one, name)
    except ValueError:  # our client cannot say it at all
        return
    assert asked == [""] and facts(ours).fact("name") is None


def test_commands_of_openssl_have_the_last_word(tmp_path):
    commands = [
        {"name": "MaxProtocol", "value": "TLSv1.2"},
        {"name": "CipherString", "value": "ECDHE-ECDSA-AES256-SHA"},
    ]
    one = listener(a={**pair(tmp_path, "a"), "tls": {"commands": commands}})
    theirs, _ = shake(one, "a.test", ciphers="ALL")
    assert (theirs.version(), theirs.cipher()[0]) == ("TLSv1.2", "ECDHE-ECDSA-AES256-SHA")
    with pytest.raises(ValueError, match=r'SSL_CONF_cmd\("Nonsense", "x"\) failed'):
        listener(a={**pair(tmp_path, "a"), "tls": {"commands": [{"name": "Nonsense", "value": "x"}]}})


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"ciphers": "nonsense"}, "SSL_CTX_set_cipher_list"),
        ({"curves": ["nonsense"]}, "SSL_CTX_set1_curves_list"),
        ({"protocols": ["SSLv3"]}, "no protocol of SSLv3"),
        ({"verify": "optional", "client_ca": "data:nonsense"}, "SSL_CTX_load_verify_locations"),
    ],
)
def test_what_openssl_refuses_is_told_at_load(tmp_path, said, sentence):
    with pytest.raises(ValueError, match=sentence):
        listener(a={**pair(tmp_path, "a"), "tls": said})


def test_facts_of_a_handshake(tmp_path):
    asks = {"verify": "optional", "client_ca": authority(tmp_path), "curves": ["prime256v1"]}
    one = listener(a={**pair(tmp_path, "a"), "tls": asks})
    _, ours = shake(one, "a.test", shown=AUTHORITY.issue_cert("me.test", common_name="me"))
    found = facts(ours)
    assert (found.fact("name"), found.fact("protocol"), found.fact("reused")) == (b"a.test", b"TLSv1.3", b".")
    assert found.fact("curve") == b"prime256v1" and b"prime256v1" in found.fact("curves").split(b":")
    assert found.fact("cipher") in found.fact("ciphers").split(b":")
    assert found.fact("subject").startswith(b"CN=me,") and b"/CN=me" in found.fact("subject_line")
    assert found.fact("certificate").startswith(b"-----BEGIN CERTIFICATE-----\n\t")
    assert found.fact("escaped").startswith(b"-----BEGIN%20CERTIFICATE-----%0A") and found.remain > 0
    assert found.fact("raw").endswith(b"-----END CERTIFICATE-----\n")


def test_plain_bytes_are_passed_as_they_are():
    own, other = socket.socketpair()
    with own, other:
        own.setblocking(False)
        ours = Wire.without(own)
        assert ours.plain and handshake_of(ours) is None and ours.selected_alpn_protocol() is None
        other.send(b"GET / HTTP/1.0\r\n\r\n")
        assert ours._sslobj.read(99) == b"GET / HTTP/1.0\r\n\r\n"
        with pytest.raises(ssl.SSLWantReadError):
            ours._sslobj.read(99)
        assert ours._sslobj.write(b"no") == 2 and other.recv(9) == b"no"


def test_whoever_offers_nothing_that_we_speak_hears_so(tmp_path):
    one = listener(a=pair(tmp_path, "a"))
    for offered, spoken in ((["spdy/3", "http/1.1"], "http/1.1"), (["http/1.0"], "http/1.0"), (["h2"], "h2")):
        client = caller()
        client.set_alpn_protocols(offered)
        assert shake(one, "a.test", client=client)[0].selected_alpn_protocol() == spoken
    client = caller()
    client.set_alpn_protocols(["spdy/3", "h3"])
    with pytest.raises(Ended, match=r"(?i)no.application.protocol|1120"):
        shake(one, "a.test", client=client)


def test_a_handshake_outlives_the_listener_it_began_at(tmp_path):
    one = listener(a=pair(tmp_path, "a"))
    base = one.ssl
    del one
    gc.collect()
    theirs, _ = shake(SimpleNamespace(ssl=base), "a.test")
    assert theirs.session is not None


def test_names_that_nobody_has_are_refused_where_that_is_said(tmp_path):
    one = listener({"unknown_names": "refuse"}, a=pair(tmp_path, "a"), b=pair(tmp_path, "b"))
    for name in ("a.test", "b.test"):
        assert facts(shake(one, name)[1]).site == name[0]
    for name in ("c.test", None):
        with pytest.raises(Ended, match="UNRECOGNIZED_NAME"):
            shake(one, name)


def test_profiles_are_the_site_s_or_else_the_listener_s(tmp_path):
    said = {"a": {**pair(tmp_path, "a"), "tls": "modern"}, "b": pair(tmp_path, "b")}
    for profile, version in (("intermediate", "TLSv1.2"), ("modern", None)):
        one = listener({"profile": profile}, **said)
        for name in ("a.test", "b.test"):
            assert shake(one, name)[0].version() == "TLSv1.3"
            if name == "b.test" and version:
                assert shake(one, name, maximum_version=ssl.TLSVersion.TLSv1_2)[0].version() == version
            else:
                with pytest.raises(Ended):
                    shake(one, name, maximum_version=ssl.TLSVersion.TLSv1_2)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_outlives_a_change_of_its_key_and_is_replaced(tmp_path, monkeypatch, version):
    now = [tickets.BEGUN]
    monkeypatch.setattr(tickets, "time", lambda: now[0])
    one = listener(a={**pair(tmp_path, "a"), "tls": {"session_time": 100}})
    client = caller(minimum_version=version, maximum_version=version)
    client.options |= ssl.OP_NO_RENEGOTIATION
    first = shake(one, "a.test", client=client)[0].session
    for later in (99, 199):
        now[0] = tickets.BEGUN + later
        theirs, ours = shake(one, "a.test", first, client)
        assert ours.session_reused, later
    renewed = theirs.session
    now[0] = tickets.BEGUN + 250
    assert not shake(one, "a.test", first, client)[1].session_reused  # of two keys ago
    assert shake(one, "a.test", renewed, client)[1].session_reused


def test_where_backends_are_told_the_chain_nothing_is_resumed(tmp_path):
    asks = {"verify": "require", "client_ca": authority(tmp_path), "client_cert": "chain"}
    one = listener(a={**pair(tmp_path, "a"), "tls": asks})
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client = caller(AUTHORITY.issue_cert("me"), minimum_version=version, maximum_version=version)
        session = shake(one, "a.test", client=client)[0].session
        assert not shake(one, "a.test", session, client)[1].session_reused


@pytest.mark.parametrize("plain", ["off", "leaf"])
def test_where_they_are_told_the_chain_no_session_of_a_like_site_is_resumed(tmp_path, plain):
    files = pair(tmp_path, "a")
    asks = {"verify": "require", "client_ca": authority(tmp_path)}
    told, other = ({**files, "tls": {**asks, "client_cert": word}} for word in ("chain", plain))
    for sites in ({"a": told, "b": other}, {"b": other, "a": told}):  # whose context a listener begins from
        one = listener(**sites)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            client = caller(AUTHORITY.issue_cert("me"), minimum_version=version, maximum_version=version)
            session = shake(one, "b.test", client=client)[0].session
            assert not shake(one, "a.test", session, client)[1].session_reused


def test_backends_are_told_of_a_certificate_that_is_sound_with_what_lies_between_it_and_the_root(tmp_path):
    between = AUTHORITY.create_child_ca()
    known, stranger = between.issue_cert("me"), STRANGER.issue_cert("me")
    asks = {"verify": "optional", "depth": 2, "client_ca": authority(tmp_path), "client_cert": "chain"}
    one = listener(a={**pair(tmp_path, "a"), "tls": asks})
    ders = [base64.b64encode(ssl.PEM_cert_to_DER_cert(blob.bytes().decode())) for blob in known.cert_chain_pems]
    told = facts(shake(one, "a.test", shown=known)[1])
    assert told.introduction(True) == b"Client-Cert: :%b:\r\nClient-Cert-Chain: :%b:\r\n" % (ders[0], ders[1])
    assert told.introduction(False) == b"Client-Cert: :%b:\r\n" % ders[0]  # on the same connection, for another site
    assert facts(shake(one, "a.test", shown=known)[1]).introduction(False) == b"Client-Cert: :%b:\r\n" % ders[0]
    for shown in (stranger, None):
        assert facts(shake(one, "a.test", shown=shown)[1]).introduction(True) == b""


def test_what_a_certificate_covers(tmp_path):
    one = listener(a=pair(tmp_path, "*.a"))
    found = facts(shake(one, "x.a.test")[1])
    for host, covered in ((b"y.a.test", True), (b"Y.A.test:443", True), (b"a.test", False), (b"z.y.a.test", False)):
        assert found.covers(host) is covered
    assert not found.covers(b"127.0.0.1") and not found.covers(b"[::1]:443")


@pytest.fixture
def alone(monkeypatch):
    """A Python that has its OpenSSL built in."""
    for module in (greeting, handshake, setting, tls):
        monkeypatch.setattr(module, "LIBRARY", None)


@pytest.mark.usefixtures("alone")
def test_without_openssl_itself_certificates_are_chosen_all_the_same(tmp_path):
    one = listener(none={"tls": {"reject": True}}, a=pair(tmp_path, "a"), b=pair(tmp_path, "b"))
    for name in "ab":
        theirs, ours = shake(one, f"{name}.test")
        assert ("DNS", f"{name}.test") in theirs.getpeercert()["subjectAltName"]
        assert facts(ours).site == name and facts(ours).fact("curve") is None
    with pytest.raises(Ended, match="UNRECOGNIZED_NAME"):
        shake(one, "none.test")


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("said", [{"verify": "optional"}, {"commands": [{"name": "Options", "value": "-Tickets"}]}])
def test_without_openssl_itself_what_needs_it_is_refused(tmp_path, said):
    with pytest.raises(ValueError, match="this Python has its OpenSSL built in"):
        listener(a={**pair(tmp_path, "a"), "tls": said})
