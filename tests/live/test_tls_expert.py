"""TLS as experts run it: hosts and certificates that belong together, clients' certificates for backends, handshakes
that never end, resumption over many workers, Mozilla's profiles."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from door import ROOT, backend, until
from test_tls import is_over
from test_tls_sides import answer, write
from wires import CleanDoor, Recorder

PLACES = (os.environ.get("FRONTGATE_SSLYZE"), shutil.which("sslyze"), str(ROOT / ".venv/sslyze/bin/sslyze"))
SSLYZE = next((place for place in PLACES if place and Path(place).exists()), None)
USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])

CONFIG = """
workers = 4
[listen.web]
address = "127.0.0.1:{port}"
tls = true
unknown_names = "refuse"
[upstream.app]
servers = ["127.0.0.1:{backend}"]
[site.a]
names = ["a.test"]
certificate = ["a.pem", "rsa.pem"]
key = ["a.key", "rsa.key"]
[[site.a.route]]
path = "/"
upstream = "app"
[site.b]
names = ["b.test"]
certificate = "b.pem"
key = "b.key"
[[site.b.route]]
path = "/"
upstream = "app"
[site.c]
names = ["c.test"]
certificate = "c.pem"
key = "c.key"
tls = "modern"
[[site.c.route]]
path = "/"
upstream = "app"
[site.one]
names = ["one.test"]
certificate = "clients.pem"
key = "clients.key"
tls = { verify = "require", client_ca = "ca.pem", client_cert = "leaf" }
[[site.one.route]]
path = "/"
upstream = "app"
[site.other]
names = ["other.test"]
certificate = "clients.pem"
key = "clients.key"
tls = { verify = "optional", client_ca = "stranger.pem" }
[[site.other.route]]
path = "/"
upstream = "app"
"""


class ExpertDoor(CleanDoor):
    """A door with certificates of every kind."""

    def __init__(self, config: str = CONFIG) -> None:
        self.recorder = Recorder()
        self.beside = contextlib.ExitStack()
        super().__init__(config, backend=self.beside.enter_context(backend(self.recorder)))
        self.authority, self.stranger = trustme.CA(), trustme.CA()
        self.authority.cert_pem.write_to_path(self.folder / "ca.pem")
        self.stranger.cert_pem.write_to_path(self.folder / "stranger.pem")
        self.me = self.authority.issue_cert("me.test", common_name="me")
        for name, hosts in (("a", ["a.test", "c.test"]), ("b", ["b.test"]), ("c", ["c.test"])):
            write(self.folder, name, self.authority.issue_cert(*hosts))
        write(self.folder, "rsa", self.authority.issue_cert("a.test", "c.test", key_type=trustme.KeyType.RSA))
        write(self.folder, "clients", self.authority.issue_cert("one.test", "other.test"))

    def __exit__(self, *found: object) -> None:
        with self.beside:
            super().__exit__(*found)

    def context(self, shown: trustme.LeafCert | None = None, **words: object) -> ssl.SSLContext:
        """A client that looks at nothing, and shows a certificate perhaps."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for word, value in words.items():
            setattr(context, word, value)
        if shown is not None:
            shown.configure_cert(context)
        return context

    def shake(
        self, name: str | None, context: ssl.SSLContext | None = None, session: ssl.SSLSession | None = None
    ) -> ssl.SSLSocket:
        """A connection behind its handshake."""
        return (context or self.context()).wrap_socket(self.wire(), server_hostname=name, session=session)


@pytest.fixture(scope="module")
def door() -> Iterator[ExpertDoor]:
    with ExpertDoor() as door:
        yield door


def ask(wire: ssl.SSLSocket, host: str, *lines: str) -> int:
    """The status of one request; the connection stays open."""
    wire.sendall("\r\n".join([f"GET / HTTP/1.1\r\nHost: {host}", *lines, "\r\n"]).encode())
    return answer(wire).status


@pytest.mark.parametrize(
    ("name", "host", "status"),
    [
        ("a.test", "a.test", 200),
        ("a.test", "c.test", 200),  # the same connection may serve what its certificate stands for
        ("a.test", "C.TEST:443", 200),
        ("a.test", "b.test", 421),
        ("c.test", "a.test", 421),
        ("one.test", "other.test", 421),  # it covers both, but clients show other certificates there
        ("a.test", "one.test", 421),
    ],
)
def test_a_connection_serves_the_hosts_that_its_certificate_stands_for(
    door: ExpertDoor, name: str, host: str, status: int
) -> None:
    with door.shake(name, door.context(door.me)) as wire:
        assert ask(wire, host) == status
        assert ask(wire, name) == 200  # and goes on


def test_backends_are_told_the_client_s_certificate_by_the_door_alone(door: ExpertDoor) -> None:
    ders = [ssl.PEM_cert_to_DER_cert(blob.bytes().decode()) for blob in door.me.cert_chain_pems]
    forged = ("Client-Cert: :AAAA:", "client-cert-chain: :AAAA:", "Connection: client-cert")
    with door.shake("one.test", door.context(door.me)) as wire:
        for _ in range(2):
            assert ask(wire, "one.test", *forged) == 200
            assert door.recorder.last.all("client-cert") == [b":%b:" % base64.b64encode(ders[0])]
            assert door.recorder.last.all("client-cert-chain") == []
    for name in ("a.test", "other.test"):
        with door.shake(name) as wire:
            assert ask(wire, name, *forged) == 200
            assert not door.recorder.last.all("client-cert") and not door.recorder.last.all("client-cert-chain")


@VERSIONS
def test_a_session_of_one_site_does_not_open_another(door: ExpertDoor, version: ssl.TLSVersion) -> None:
    context = door.context(door.me, minimum_version=version, maximum_version=version)
    with door.shake("one.test", context) as wire:
        assert ask(wire, "one.test") == 200
        session = wire.session
    assert session is not None
    with door.shake("one.test", context, session) as wire:
        assert wire.session_reused and ask(wire, "one.test") == 200
    with door.shake(
        "other.test", context, session
    ) as wire:  # its issuers are others: what was believed is not any more
        assert not wire.session_reused
        assert ask(wire, "other.test") == 400
    with door.shake("a.test", context, session) as wire:
        assert not wire.session_reused and ask(wire, "a.test") == 200 and ask(wire, "one.test") == 421


def test_names_that_nobody_has_get_no_handshake(door: ExpertDoor) -> None:
    for name in ("nobody.test", None):
        with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized"):
            door.shake(name)


def test_protocols_in_common_there_are_none(door: ExpertDoor) -> None:
    context = door.context()
    context.set_alpn_protocols(["spdy/3"])
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol|1120"):
        door.shake("a.test", context)


def test_ecdsa_and_rsa_side_by_side(door: ExpertDoor) -> None:
    kinds = []
    for ciphers in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"):
        context = door.context(maximum_version=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(ciphers)
        with door.shake("a.test", context) as wire:
            der = wire.getpeercert(True)
            assert der and ask(wire, "a.test") == 200
            kinds.append(x509.load_der_x509_certificate(der).public_key())
    assert isinstance(kinds[0], ec.EllipticCurvePublicKey) and isinstance(kinds[1], rsa.RSAPublicKey)


def test_a_modern_site_beside_others(door: ExpertDoor) -> None:
    old = door.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    with door.shake("a.test", old) as wire:
        assert wire.version() == "TLSv1.2"
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        door.shake("c.test", old)


@VERSIONS
def test_every_connection_to_any_of_four_workers_is_resumed_also_while_keys_change(version: ssl.TLSVersion) -> None:
    config = CONFIG.replace('key = "b.key"', 'key = "b.key"\ntls = { session_time = "2s" }').replace(
        'names = ["b.test"]', 'names = ["b.test"]\ndefault = true'
    )
    with ExpertDoor(config) as door:
        context = door.context(minimum_version=version, maximum_version=version)
        session, whole, begun = None, 0, time.monotonic()
        born = 0.0  # when the session was made; with TLS 1.3 each connection makes one
        while time.monotonic() - begun < 5.0:  # two changes
            young = time.monotonic() - born < 0.9
            with door.shake("b.test", context, session) as wire:
                assert ask(wire, "b.test") == 200
                assert wire.session_reused or not young
                whole += not wire.session_reused
                if version is ssl.TLSVersion.TLSv1_3 or not wire.session_reused:
                    born = time.monotonic()
                session = wire.session
        accepted = [worker["accepted"] for worker in door.status()["workers"]]
        assert all(accepted), "one worker had none"
        assert whole <= (1 if version is ssl.TLSVersion.TLSv1_3 else 6)


def hello(door: ExpertDoor) -> bytes:
    """The first message of a client."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = door.context().wrap_bio(there, back, server_hostname="a.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return back.read()


def test_a_handshake_has_its_time() -> None:
    with ExpertDoor(CONFIG + '[timeouts]\nhandshake = "1s"\n') as door:
        first = hello(door)
        for begun in (b"", first[:20], first):
            with door.wire() as wire:
                wire.sendall(begun)
                before = time.monotonic()
                until(lambda wire=wire: is_over(wire), 5.0)  # type: ignore[misc]
                assert time.monotonic() - before < 4.0
        with door.shake("a.test") as good:
            assert ask(good, "a.test") == 200


def test_handshakes_that_nobody_goes_on_with_do_not_keep_others_out() -> None:
    config = CONFIG.replace("workers = 4", "workers = 1") + "[http]\nmax_handshakes = 3\n"
    with ExpertDoor(config) as door:
        first = hello(door)
        silent = [door.wire() for _ in range(40)]
        for wire in silent:
            wire.sendall(first[:100])
        for _ in range(3):
            with door.shake("a.test") as good:  # within its ten seconds, though forty came before it
                assert ask(good, "a.test") == 200
        for wire in silent:
            wire.close()
        assert "handshakes are in hand" in door.stderr


def certify(folder: Path, days: int) -> None:
    """A certificate for localhost as browsers want one (RFC 5280), that holds so many days, and its issuer's."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ca", "s")}
    names = {name: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in keys}
    issuer, usage = keys["ca"].public_key(), ("key_cert_sign", "digital_signature")
    begin = datetime.now(UTC) - timedelta(hours=1)
    for name, key in keys.items():
        root, public = name == "ca", key.public_key()
        used = dict.fromkeys(USAGES, False) | {usage[0] if root else usage[1]: True}
        made = x509.CertificateBuilder(names["ca"], names[name], public, x509.random_serial_number())
        made = made.not_valid_before(begin).not_valid_after(begin + timedelta(days=days))
        made = made.add_extension(x509.BasicConstraints(root, None), True).add_extension(x509.KeyUsage(**used), True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), False)
        if not root:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            made = made.add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), False)
        signed = made.sign(keys["ca"], hashes.SHA256())
        (folder / f"{name}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "s.key").write_bytes(keys["s"].private_bytes(*form))
    (folder / "s.key").chmod(0o600)


@pytest.mark.skipif(SSLYZE is None, reason="sslyze is not installed: make .venv/sslyze/.done")
@pytest.mark.parametrize("profile", ["intermediate", "modern"])
def test_mozilla_s_profiles_as_sslyze_checks_them(profile: str) -> None:
    config = f"""
workers = 1
[listen.web]
address = "127.0.0.1:{{port}}"
tls = true
{'profile = "modern"' if profile == "modern" else ""}
[site.s]
names = ["localhost"]
certificate = "s.pem"
key = "s.key"
[[site.s.route]]
path = "/"
reply = {{ body = "x" }}
"""
    door = CleanDoor(config)
    certify(door.folder, 89)
    with door:
        assert SSLYZE is not None
        asked = [SSLYZE, f"--mozilla_config={profile}", f"--certinfo_ca_file={door.folder / 'ca.pem'}"]
        asked.append(f"localhost:{door.port}")
        done = subprocess.run(asked, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0 and "OK - Compliant" in done.stdout, done.stdout[-3000:] + done.stderr
