"""TLS with backends, over memory: who is believed, by which name, and sessions that are resumed."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme

from proxy.config.tls import BackendTls
from proxy.policy.health import Check
from proxy.upstream.probe import probe
from proxy.upstream.tls import calling

AUTHORITY = trustme.CA()
STRANGER = trustme.CA()


@pytest.fixture
def trusted(tmp_path):
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def server(*names, asks=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*names).configure_cert(context)
    context.sni_callback = lambda wire, name, base: setattr(wire, "heard", name)
    if asks:
        context.verify_mode = ssl.CERT_OPTIONAL
        AUTHORITY.configure_trust(context)
    return context


def call(ours, theirs, told=""):
    """(our end, theirs) after a handshake and a word, which brings the tickets."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(back, there, server_side=False, server_hostname=told or None)
    backend = theirs.wrap_bio(there, back, server_side=True)
    for _ in range(6):
        for end in (client, backend):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    backend.write(b"x")
    assert client.read(9) == b"x"
    return client, backend


def test_a_name_is_verified_that_is_not_told(trusted):
    backend = server("right.test", "127.0.0.1")
    table = BackendTls(trusted_ca=trusted)
    assert call(calling(table, "right.test", "", ""), backend)[1].heard is None
    assert call(calling(table, "right.test", "", ""), backend, "other.test")[1].heard == "other.test"
    assert call(calling(table, "127.0.0.1", "", ""), backend)
    for wrong in ("wrong.test", "127.0.0.2"):
        with pytest.raises(ssl.SSLCertVerificationError):
            call(calling(table, wrong, "", ""), backend)


def test_whoever_is_not_verified_may_be_anybody():
    assert call(calling(BackendTls(verify=False), "x", "", ""), server("y.test"))


def test_an_issuer_that_is_not_believed(tmp_path):
    STRANGER.cert_pem.write_to_path(tmp_path / "ca.pem")
    table = BackendTls(trusted_ca=str(tmp_path / "ca.pem"))
    with pytest.raises(ssl.SSLCertVerificationError):
        call(calling(table, "y.test", "", ""), server("y.test"))


def test_the_same_settings_have_one_context_and_others_another(trusted, tmp_path):
    table = BackendTls(trusted_ca=trusted)
    first = calling(table, "a", "", "")
    assert calling(BackendTls(trusted_ca=trusted), "a", "", "") is first
    assert calling(table, "b", "", "") is not first
    assert calling(BackendTls(trusted_ca=trusted, depth=2), "a", "", "") is not first
    STRANGER.cert_pem.write_to_path(trusted)
    assert calling(table, "a", "", "") is not first


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_sessions_are_resumed_at_the_same_address(trusted, version):
    backend = server("a.test")
    context = calling(BackendTls(trusted_ca=trusted, protocols=(version,)), "a.test", "", "")
    found = [call(context.at(place), backend)[0].session_reused for place in ("one", "one", "two", "one")]
    assert found == [False, True, False, True]
    off = calling(BackendTls(trusted_ca=trusted, protocols=(version,), reuse=False), "a.test", "", "")
    assert [call(off.at("one"), backend)[0].session_reused for _ in range(2)] == [False, False]


def test_our_own_certificate(tmp_path):
    leaf = AUTHORITY.issue_cert("me.test")
    certificate, key = tmp_path / "me.pem", tmp_path / "me.key"
    certificate.write_bytes(leaf.cert_chain_pems[0].bytes())
    key.write_bytes(leaf.private_key_pem.bytes())
    table, backend = BackendTls(verify=False), server("a.test", asks=True)
    assert ("DNS", "me.test") in call(calling(table, "", str(certificate), str(key)), backend)[1].getpeercert()[
        "subjectAltName"
    ]
    assert not call(calling(table, "", "", ""), backend)[1].getpeercert()
    with pytest.raises(ValueError, match=r'cannot load certificate key ".*nx\.key"'):
        calling(table, "", str(certificate), str(tmp_path / "nx.key"))


def test_a_health_check_speaks_tls_too(trusted):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def life():
        backend = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server("right.test"))
        address = f"127.0.0.1:{backend.sockets[0].getsockname()[1]}"
        tables = [BackendTls(trusted_ca=trusted, name=name) for name in ("right.test", "wrong.test")]
        found = [await probe(address, Check("/", tls=table)) for table in (*tables, None)]
        backend.close()
        return found

    good, stranger, plain = asyncio.run(life())
    assert good == "" and "TLS: Hostname mismatch" in stranger and plain
